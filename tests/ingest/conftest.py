"""A front door on a real embedded log and spool, over real HTTP."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer

from domain.event import Event
from eventlog.embedded import EmbeddedLog
from eventlog.sealing import unseal
from eventlog.spool import Spool
from ingest.app import IngestDeps, build_app
from ingest.limits import DEFAULT_LIMITS
from ingest.sources import SourceBook, SourceConfig
from tests.ingest.support import KEY, SECRET

SOURCES = [
    SourceConfig("pbx", "sipuni", SECRET),
    SourceConfig("hits", "sipuni-tracking", SECRET),
    SourceConfig("chat", "jivo", SECRET),
    SourceConfig("site", "tilda", SECRET, options={"key_in": "header", "key_name": "Token"}),
    SourceConfig("landing", "form", SECRET),
    SourceConfig("erp", "native", SECRET + "-erp"),
    SourceConfig("crm", "native", SECRET + "-crm"),
]


@dataclass
class Door:
    """A running front door and what lies behind it."""

    client: TestClient
    deps: IngestDeps
    log: EmbeddedLog
    spool: Spool | None
    folder: Path
    stack: AsyncExitStack = field(repr=False)

    async def events(self) -> list[Event]:
        """Everything in the log."""
        found = await self.log.read(0, 0, max_records=10_000, max_wait_s=0)
        read = [unseal(each.record) for each in found]
        assert all(isinstance(e, Event) for e in read), read
        return read

    async def wait_for(self, count: int) -> list[Event]:
        """The log with so many different events; a record may be there twice."""
        for _ in range(300):
            found = {e.id: e for e in await self.events()}
            if len(found) >= count:
                return list(found.values())
            await asyncio.sleep(0.02)
        raise AssertionError(f"{len(found)} of {count} records came")

    def hold(self, path: Path) -> closing:
        """Another process holds the file: nothing can be written until this is closed."""
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("begin immediate")
        return closing(connection)


@pytest.fixture
async def doors(tmp_path) -> AsyncIterator:
    """Opens front doors: ``await doors(spool=True, limits=…, **IngestDeps fields)``."""
    async with AsyncExitStack() as stack:

        async def open_door(*, with_spool=True, limits=DEFAULT_LIMITS, spool_bytes=1024**2, **settings) -> Door:
            folder = tmp_path / f"door{len(list(tmp_path.iterdir()))}"
            log = EmbeddedLog(folder / "events.db")
            await stack.enter_async_context(log)
            spool = None
            if with_spool:
                spool = Spool(folder / "spool.db", max_bytes=spool_bytes)
                await stack.enter_async_context(spool)
            deps = IngestDeps(log=log, spool=spool, book=SourceBook(SOURCES), key_secret=KEY, limits=limits)
            deps = replace(deps, **settings)
            client = await stack.enter_async_context(TestClient(TestServer(build_app(deps))))
            return Door(client, deps, log, spool, folder, stack)

        yield open_door


@pytest.fixture
async def door(doors) -> Door:
    """One front door with a spool."""
    return await doors()
