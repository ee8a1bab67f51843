"""A report that takes too long: who asked is told so, that nothing is lost, and what to do."""

import html
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientSession
from psycopg import AsyncConnection

from tests.browser.conftest import Loaded, serve

MARCH = "from=2026-03-01&to=2026-03-31"
LONG_AGO = f"{MARCH}&as_of=2026-03-02T10:00&known_at=2026-03-02T10:00"


@pytest_asyncio.fixture(loop_scope="session")
async def hurried(loaded: Loaded) -> AsyncIterator[str]:
    """The pages on a database that gives a query a millisecond."""

    @asynccontextmanager
    async def connection() -> AsyncIterator[AsyncConnection[Any]]:
        async with loaded.connection() as conn:
            await conn.execute("set statement_timeout = 1")
            yield conn

    async with serve(replace(loaded.deps(), connection=connection)) as base:
        yield base


async def test_the_page_says_so_and_what_to_do(hurried: str) -> None:
    async with ClientSession() as client, client.get(f"{hurried}/reports/inquiries?{MARCH}") as answer:
        assert answer.status == 504
        page = await answer.text()
    assert "слишком долго" in page
    assert "Отчётов пока нет" not in page
    assert "Возьмите период короче" in page
    assert "Показать на сейчас" not in page


@pytest.mark.parametrize("path", ["/reports/inquiries.xlsx", "/reports/inquiries/rows", "/reports/inquiries"])
async def test_a_moment_long_ago_leads_to_now(hurried: str, path: str) -> None:
    """Every client touched since is folded once more: with many of them that is not done in a minute."""
    async with ClientSession() as client, client.get(f"{hurried}{path}?{LONG_AGO}&lang=ru") as answer:
        assert answer.status == 504
        page = await answer.text()
    assert "более поздний момент «данные на»" in page
    found = re.search(r'href="([^"]+)">Показать на сейчас<', page)
    assert found is not None
    assert html.unescape(found[1]) == f"{path}?{MARCH}&lang=ru"


async def test_a_program_is_told_too(hurried: str) -> None:
    async with (
        ClientSession() as client,
        client.get(f"{hurried}/api/v1/reports/inquiries?{LONG_AGO}&lang=en") as answer,
    ):
        assert answer.status == 504
        reason = (await answer.json())["error"]["reason"]
    assert "too long" in reason
    assert "a later moment for “data as of”" in reason
