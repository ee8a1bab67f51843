"""Help inside the pages: how things get in, the first steps, and pages that wait for what is missing."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from playwright.async_api import expect
from psycopg import AsyncConnection

from projector.readmodel.tables import create_indexes, create_schema
from reports.web.deps import Setup
from reports.web.page import Warned
from reports.web.texts import TEXTS
from tests.browser import sample
from tests.browser.conftest import Loaded, Site, serve
from tests.browser.loading import SCHEMA, load
from tests.support.browser import Pages
from tests.support.postgres import fresh_database

pytestmark = pytest.mark.browser

SETUP = Setup(
    config="/srv/a shop/leadfold.toml",
    ingest_url="https://hooks.example.ru",
    sources=(("crm", "native"), ("main", "sipuni")),
)
PROGRAM = "leadfold --config '/srv/a shop/leadfold.toml'"


@pytest.fixture
def bare(postgres_url: str, loaded: Loaded) -> Iterator[Loaded]:
    """A database with tables and nothing in them."""
    with fresh_database(postgres_url) as url:
        made = replace(loaded, url=url)

        async def fill() -> None:
            async with made.connection() as conn:
                await conn.execute(create_schema(SCHEMA))
                await conn.execute(create_indexes(SCHEMA))

        asyncio.run(fill())
        yield made


async def test_the_notice_of_unclassified_leads_to_how_categories_get_in(
    site: Site, browser_pages: Pages
) -> None:
    for width in (1440, 390):
        page = await browser_pages.open(site.url(), width=width)
        link = page.locator(".controls a[href$='#categories']:visible")
        await expect(link).to_have_count(1)
        await link.click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Помощь")
        assert page.url.endswith("/guide#categories")


async def test_the_guide_shows_the_installations_own_commands_and_categories(
    loaded: Loaded, browser_pages: Pages
) -> None:
    async with serve(replace(loaded.deps(), setup=lambda: SETUP)) as base:
        page = await browser_pages.open(f"{base}/guide")
        shown = "\n".join(await page.locator("pre").all_inner_texts())
        for command in (
            "sources add main --provider sipuni", "sources check main", "sources add crm --provider native",
            "import events categories.csv",
        ):  # fmt: skip
            assert f"{PROGRAM} {command}" in shown
        assert "curl https://hooks.example.ru/v1/events" in shown
        rows = await page.locator(".guide tbody tr").all_inner_texts()
        found = {row.split("\t")[0].strip(): row.split("\t")[-1].strip() for row in rows}
        assert found == {
            "repair": "да, целевая", "parts": "да, целевая", "continuation": "нет", "order_status": "нет", "other": "нет",
        }  # fmt: skip


async def test_the_guide_stands_without_the_database(loaded: Loaded, browser_pages: Pages) -> None:
    @asynccontextmanager
    async def away() -> AsyncIterator[AsyncConnection[Any]]:
        async with await AsyncConnection.connect("host=/nowhere dbname=x") as conn:
            yield conn

    async with serve(replace(loaded.deps(), connection=away)) as base:
        page = await browser_pages.open(f"{base}/guide?lang=en")
        await expect(page.get_by_role("heading", level=1)).to_have_text("Help")
        await expect(page.locator(".guide table")).to_have_count(0)


async def test_a_new_installation_shows_the_first_steps_and_then_the_report(
    bare: Loaded, browser_pages: Pages
) -> None:
    async with serve(replace(bare.deps(), setup=lambda: SETUP)) as base:
        page = await browser_pages.open(f"{base}/reports/inquiries")
        await expect(page.get_by_role("heading", level=2).first).to_have_text("Воронка")
        steps = page.locator(".steps li")
        await expect(steps).to_have_count(3)
        await expect(steps.first).to_contain_text("main (sipuni)")
        await expect(steps.first.locator("pre")).to_have_text(f"{PROGRAM} sources list")
        await expect(steps.nth(1).locator("pre")).to_have_text(
            f"{PROGRAM} sources check main\n{PROGRAM} status"
        )
        async with bare.connection() as conn:
            await conn.execute(f"drop schema {SCHEMA} cascade".encode())
            await load(conn, bare.directory, list(sample.groups()))
        await expect(page.locator(".tile").first).to_be_visible(timeout=20_000)  # by itself
        await expect(steps).to_have_count(0)


async def test_an_empty_period_offers_the_month_of_the_last_inquiry(site: Site, browser_pages: Pages) -> None:
    page = await browser_pages.open(site.url(**{"from": "2020-01-01", "to": "2020-01-31"}))
    await page.get_by_role("link", name="Показать март 2026").click()
    await expect(page.locator(".tile").first).to_be_visible()
    assert "from=2026-03-01&to=2026-03-31" in page.url


async def test_a_page_without_its_database_opens_by_itself_once_it_is_back(
    loaded: Loaded, browser_pages: Pages
) -> None:
    up = False

    @asynccontextmanager
    async def connection() -> AsyncIterator[AsyncConnection[Any]]:
        if not up:
            raise psycopg.OperationalError("away")
        async with loaded.connection() as conn:
            yield conn

    async def ready() -> Mapping[str, str | None]:
        return {"database": None if up else "away"}

    async with serve(replace(loaded.deps(), connection=connection, ready=ready)) as base:
        page = await browser_pages.open(f"{base}/reports/inquiries?{sample.PERIOD}")
        await expect(page.get_by_role("heading", level=1)).to_have_text("Отчётов пока нет")
        await expect(page.get_by_role("status")).to_contain_text("откроется сама")
        await page.wait_for_timeout(3500)
        await expect(page.get_by_role("heading", level=1)).to_have_text("Отчётов пока нет")
        up = True
        await expect(page.locator(".tile").first).to_be_visible()
        assert sample.PERIOD in page.url
    browser_pages.problems[:] = [p for p in browser_pages.problems if "503" not in p]


async def test_what_is_left_out_says_why_in_words(site: Site, browser_pages: Pages) -> None:
    page = await browser_pages.open(site.url(tab="excluded"))
    report = await site.report()
    rows = await page.locator(".table tbody tr").all_inner_texts()
    assert len(rows) == len(report.notices) > 1
    for row, notice in zip(rows, report.notices, strict=True):
        label, count, why = (part.strip() for part in row.split("\t"))
        assert (label, count) == (notice.label.ru, str(notice.count))
        assert why.endswith((".", "Как её задать"))
        assert notice.rule not in row
    await expect(
        page.get_by_role("row", name="Не классифицировано").get_by_role("link", name="Как её задать")
    ).to_have_attribute("href", "/guide#categories")


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("uncategorised", "uncategorised"), ("excluded:unknown_category:ремнт", "unknown_category"),
        ("excluded:non_target", "non_target"), ("excluded:valid_refusal", "valid_refusal"),
        ("excluded:mark:spam", "mark"), ("excluded:internal", "internal"), ("excluded:spam_form", "spam_form"),
        ("excluded:spam_chat", "spam_chat"), ("excluded:no_contact", "no_contact"), ("excluded:new_rule", "mark"),
    ],
)  # fmt: skip
def test_every_notice_has_a_sentence(key: str, reason: str) -> None:
    assert Warned("x", "1", "/", key).reason == reason
    assert f"why.{reason}" in TEXTS
