"""The pages on a real database filled with the sample, served on a port of this test's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from psycopg import AsyncConnection

from domain.directory import Directory
from reports.context import Context
from reports.engine import run
from reports.params import parse
from reports.result import Report
from reports.web.app import build_app
from reports.web.deps import Deps
from tests.browser import sample
from tests.browser.loading import SCHEMA, Deliveries, load
from tests.support.postgres import fresh_database


@dataclass(frozen=True)
class Loaded:
    """The sample in a database."""

    url: str
    directory: Directory
    deliveries: Deliveries

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection[Any]]:
        async with await AsyncConnection.connect(self.url, autocommit=True) as conn:
            yield conn

    async def context(self, _conn: AsyncConnection[Any]) -> Context:
        return Context(SCHEMA, self.directory, sample.NOW, sample.NOW - timedelta(seconds=4), 4.0)

    def deps(self) -> Deps:
        return Deps(
            connection=self.connection, context=self.context, evidence=self.deliveries, now=lambda: sample.NOW,
            metrics=lambda: b"# HELP leadfold_up x\n",
        )  # fmt: skip


@dataclass
class Site:
    """A running application and, beside it, the report engine on the same data."""

    base: str
    loaded: Loaded

    def url(self, path: str = "/reports/inquiries", **query: str) -> str:
        """An address of the site; the report's pages show the sample's month unless told otherwise."""
        pairs = {"from": "2026-03-01", "to": "2026-03-31"} | query if path.startswith("/reports") else query
        return f"{self.base}{path}?" + "&".join(f"{k}={v}" for k, v in pairs.items())

    async def report(self, **query: str) -> Report:
        """The Report object that a page with these parameters must show."""
        pairs = {"from": "2026-03-01", "to": "2026-03-31"} | query
        async with self.loaded.connection() as conn:
            context = await self.loaded.context(conn)
            return await run(conn, parse(pairs.items(), now=sample.NOW), context)


@asynccontextmanager
async def serve(deps: Deps) -> AsyncIterator[str]:
    """The application on a free port; its base address."""
    runner = web.AppRunner(build_app(deps))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


@pytest.fixture(scope="session")
def loaded(postgres_url: str) -> Iterator[Loaded]:
    groups, directory = list(sample.groups()), sample.directory()
    with fresh_database(postgres_url) as url:
        made = Loaded(url, directory, Deliveries(event for events in groups for event in events))

        async def fill() -> None:
            async with made.connection() as conn:
                await load(conn, directory, groups)

        asyncio.run(fill())
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def site(loaded: Loaded) -> AsyncIterator[Site]:
    async with serve(loaded.deps()) as base:
        yield Site(base, loaded)


@pytest_asyncio.fixture(loop_scope="session")
async def stale_site(loaded: Loaded) -> AsyncIterator[Site]:
    """The same pages when nobody knows how late the data is."""

    async def context(conn: AsyncConnection[Any]) -> Context:
        return replace(await loaded.context(conn), lag_s=None)

    async with serve(replace(loaded.deps(), context=context)) as base:
        yield Site(base, loaded)
