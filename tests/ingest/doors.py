"""A front door on a real embedded log and spool, and what lies behind it."""

import asyncio
import sqlite3
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

from aiohttp import web
from aiohttp.test_utils import TestClient

from domain.event import Event
from eventlog.embedded import EmbeddedLog
from eventlog.sealing import unseal
from ingest.door import IngestDeps
from ingest.limits import Limits
from ingest.sources import SourceConfig
from tests.ingest.support import SECRET

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

    client: TestClient[web.Request, web.Application]
    ops: TestClient[web.Request, web.Application]
    deps: IngestDeps
    log: EmbeddedLog
    spool: Any
    folder: Path
    stack: AsyncExitStack = field(repr=False)

    async def events(self) -> list[Any]:
        """Everything in the log: events."""
        found = await self.log.read(0, 0, max_records=10_000, max_wait_s=0)
        read = [unseal(each.record) for each in found]
        assert all(isinstance(e, Event) for e in read), read
        return read

    async def wait_for(self, count: int) -> list[Any]:
        """The log with so many different events; a record may be there twice."""
        found: dict[UUID, Any] = {}
        for _ in range(300):
            found = {e.id: e for e in await self.events()}
            if len(found) >= count:
                return list(found.values())
            await asyncio.sleep(0.02)
        raise AssertionError(f"{len(found)} of {count} records came")

    def hold(self, path: Path) -> closing[sqlite3.Connection]:
        """Another process holds the file: nothing can be written until this is closed."""
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("begin immediate")
        return closing(connection)


class OpenDoor(Protocol):
    """Opens front doors; further settings are fields of IngestDeps."""

    async def __call__(
        self,
        *,
        with_spool: bool = True,
        limits: Limits = ...,
        spool_bytes: int = ...,
        queue_bytes: int = ...,
        **settings: Any,
    ) -> Door: ...
