"""The language of a page: its address says it; who comes without one gets his browser's, and keeps what he chose."""

import pytest
from aiohttp import ClientSession
from playwright.async_api import expect

from reports.web.language import preferred
from tests.browser.conftest import Site
from tests.support.browser import Pages

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(
    ("header", "lang"),
    [
        ("", "ru"), ("*", "ru"), ("de-DE,de;q=0.9", "ru"), ("en", "en"), ("en-US,en;q=0.9", "en"),
        ("ru-RU,ru;q=0.9,en-US;q=0.8", "ru"), ("de,en;q=0.5,ru;q=0.2", "en"), ("en;q=0,ru", "ru"), ("en;q=x", "ru"),
    ],
)  # fmt: skip
def test_the_browsers_languages(header: str, lang: str) -> None:
    assert preferred(header) == lang


@pytest.mark.parametrize(
    ("headers", "path", "led"),
    [
        ({"Accept-Language": "en"}, "/reports/inquiries?from=2026-03-01&to=2026-03-31", True),
        ({"Accept-Language": "en"}, "/guide", True),
        ({"Accept-Language": "en"}, "/guide?lang=ru", False),
        ({"Accept-Language": "en", "Cookie": "lf_lang=ru"}, "/guide", False),
        ({"Accept-Language": "ru", "Cookie": "lf_lang=en"}, "/guide", True),
        ({"Accept-Language": "en", "Sec-Fetch-Site": "same-origin"}, "/guide", False),
        ({"Accept-Language": "en", "Sec-Fetch-Mode": "cors"}, "/guide", False),
        ({"Accept-Language": "en"}, "/reports/inquiries.csv?from=2026-03-01&to=2026-03-31", False),
        ({"Accept-Language": "en"}, "/api/v1/reports/inquiries?from=2026-03-01&to=2026-03-31", False),
        ({"Accept-Language": "en"}, "/healthz", False),
    ],
)  # fmt: skip
async def test_who_is_led_to_english(site: Site, headers: dict[str, str], path: str, led: bool) -> None:
    async with (
        ClientSession() as client,
        client.get(site.base + path, headers=headers, allow_redirects=False) as got,
    ):
        assert got.status == (302 if led else 200)
        if led:
            assert got.headers["Location"] == path + ("&" if "?" in path else "?") + "lang=en"


async def test_an_english_browser_reads_english_until_its_reader_chooses(
    site: Site, browser_pages: Pages
) -> None:
    page = await browser_pages.open(site.url(), locale="en-US")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Client inquiries")
    assert "lang=en" in page.url
    await page.get_by_role("link", name="Metrics").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Metrics")
    assert "lang=en" in page.url
    await page.wait_for_load_state()  # the choice is kept by a script
    await page.get_by_role("link", name="RU", exact=True).click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Показатели")
    await page.goto(site.url())
    await expect(page.get_by_role("heading", level=1)).to_have_text("Обращения клиентов в автосервис")
    await page.reload()
    assert "lang" not in page.url
