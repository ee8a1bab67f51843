"""Spools of front doors that no longer run, because `[ingest] processes` was lowered: they are shipped by the first one."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import structlog

from eventlog.contract import EventLog, LogError
from eventlog.drainer import Drainer
from eventlog.spool import Spool
from leadfold.services.base import ended
from leadfold.settings import Settings
from leadfold.wiring import spools

log = structlog.get_logger(__name__)

#: Between attempts to open one, and between looks whether one is empty, seconds.
_AGAIN_S = 10.0
_LOOK_S = 0.5


class LeftSpools:
    """What was acknowledged there reaches the log as if nothing had been changed. An emptied file stays, for its number."""

    def __init__(self, settings: Settings, to: EventLog) -> None:
        self._settings = settings
        self._to = to
        self._open: set[Spool] = set()

    @property
    def depth(self) -> int:
        """Records that wait in them, as far as they could be opened."""
        return sum(spool.depth for spool in self._open)

    async def run(self) -> None:
        """Ship all there are; returns when they are empty."""
        processes = self._settings.ingest.processes
        found = await asyncio.to_thread(spools, self._settings)
        async with asyncio.TaskGroup() as tasks:
            for number, path in found.items():
                if number > processes:
                    tasks.create_task(self._emptied(path), name=path.name)

    async def _emptied(self, path: Path) -> None:
        """Returns when everything in it is on the log, or set aside."""
        while True:
            spool = Spool(path)
            try:
                await spool.start()
            except (
                LogError
            ) as error:  # also refused: whoever has it may end, and what lies there was promised
                log.error("ingest.left_spool_away", path=str(path), error=str(error))
                await asyncio.sleep(_AGAIN_S)
            else:
                return await self._ship(spool, path)

    async def _ship(self, spool: Spool, path: Path) -> None:
        shipping: asyncio.Task[None] | None = None
        self._open.add(spool)
        try:
            if waiting := spool.depth:
                log.warning("ingest.left_spool", path=str(path), depth=waiting)
                shipping = asyncio.create_task(Drainer(spool, self._to).run())
                while spool.depth:  # noqa: ASYNC110 - the drainer shipped the rest
                    await asyncio.sleep(_LOOK_S)
                log.info("ingest.left_spool_empty", path=str(path), shipped=waiting)
        finally:
            self._open.discard(spool)
            if shipping is not None:
                await ended(shipping)
            with suppress(LogError):
                await spool.close()
