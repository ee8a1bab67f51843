"""A front door on a real embedded log and spool, over real HTTP."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from eventlog.embedded import EmbeddedLog
from eventlog.embedded.log import QUEUE_BYTES
from eventlog.spool import Spool
from ingest.app import CONNECTIONS, DOOR, build_app
from ingest.door import IngestDeps
from ingest.limits import DEFAULT_LIMITS, Limits
from ingest.ops import ops_app
from ingest.sources import SourceBook
from tests.ingest.doors import SOURCES, Door, OpenDoor
from tests.ingest.support import KEY


@pytest.fixture
async def doors(tmp_path: Path) -> AsyncIterator[OpenDoor]:
    """Opens front doors: ``await doors(spool=True, limits=…, **IngestDeps fields)``."""
    numbers = count()
    async with AsyncExitStack() as stack:

        async def open_door(
            *,
            with_spool: bool = True,
            limits: Limits = DEFAULT_LIMITS,
            spool_bytes: int = 1024**2,
            queue_bytes: int = QUEUE_BYTES,
            **settings: Any,
        ) -> Door:
            folder = tmp_path / f"door{next(numbers)}"
            log = EmbeddedLog(folder / "events.db", queue_bytes=queue_bytes)
            await stack.enter_async_context(log)
            spool = None
            if with_spool:
                spool = Spool(folder / "spool.db", max_bytes=spool_bytes)
                await stack.enter_async_context(spool)
            deps = IngestDeps(log=log, spool=spool, book=SourceBook(SOURCES), key_secret=KEY, limits=limits)
            deps = replace(deps, **settings)
            app = build_app(deps)
            client = await stack.enter_async_context(TestClient(TestServer(app)))
            ops = await stack.enter_async_context(
                TestClient(TestServer(ops_app(app[DOOR], app[CONNECTIONS])))
            )
            return Door(client, ops, deps, log, spool, folder, stack)

        yield open_door


@pytest.fixture
async def door(doors: OpenDoor) -> Door:
    """One front door with a spool."""
    return await doors()
