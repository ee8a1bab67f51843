"""axe-core on every kind of page, both themes, desktop and phone; nothing sticks out sideways on a phone."""

from pathlib import Path

import pytest
from playwright.async_api import Page

from tests.browser.conftest import Site
from tests.support.browser import Pages

pytestmark = [pytest.mark.browser, pytest.mark.slow]

_AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text(encoding="utf-8")
_SIZES = {"desktop": (1440, 900), "laptop": (1024, 768), "phone": (390, 844)}


async def findings(page: Page) -> list[str]:
    """Serious and critical findings of axe-core on what is shown."""
    # what still slides in has the colours of whatever it passes over
    await page.evaluate("Promise.all(document.getAnimations().map((a) => a.finished.catch(() => null)))")
    await page.evaluate(_AXE)
    found = await page.evaluate("async () => (await axe.run({resultTypes: ['violations']})).violations")
    return [
        f"{v['id']}: {v['nodes'][0]['html'][:120]}" for v in found if v["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", ["desktop", "phone"])
async def test_no_serious_findings(site: Site, browser_pages: Pages, size: str, dark: bool) -> None:
    width, height = _SIZES[size]
    page = await browser_pages.open(width=width, height=height, dark=dark)
    found: dict[str, list[str]] = {}
    for address in (
        site.url(open="all"), site.url(tab="refusals"), site.url(tab="pay"), site.url(tab="excluded"),
        site.url(lang="en", filter="kind:in:phone"), site.url(**{"from": "2026-01-01", "to": "2026-01-31"}),
        site.url("/definitions"), site.url("/guide"),
    ):  # fmt: skip
        await page.goto(address)
        found[address] = await findings(page)
    await page.goto(site.url())
    await page.locator(".tile .figure a").nth(2).click()
    await page.locator("#panel tr[data-row]").nth(1).wait_for()
    found["rows"] = await findings(page)
    await page.locator("#panel tr[data-row]").nth(1).locator("td").nth(3).click()
    await page.locator("#panel .facts").wait_for()
    found["card"] = await findings(page)
    await page.locator("#panel [data-event]").first.click()
    await page.locator("#panel [data-raw]").wait_for()
    found["event"] = await findings(page)
    assert {k: v for k, v in found.items() if v} == {}


@pytest.mark.parametrize("size", list(_SIZES))
async def test_nothing_sticks_out_sideways(site: Site, browser_pages: Pages, size: str) -> None:
    width, height = _SIZES[size]
    page = await browser_pages.open(width=width, height=height)
    for address in (
        site.url(open="all"),
        site.url(tab="refusals"),
        site.url("/definitions"),
        site.url("/guide"),
        site.url("/reports/inquiries/rows"),
    ):
        await page.goto(address)
        assert (
            await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            <= 0
        ), address
        assert not await page.evaluate(
            "[...document.querySelectorAll('.tile .figure')].filter((f) => f.scrollWidth > f.clientWidth).map((f) => f.innerText)"
        )
