"""Ships what the spool holds to the log as soon as the log takes it again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping

import structlog

from eventlog.contract import EventLog, LogError, RecordTooLarge, StoredRecord
from eventlog.spool import Spool

log = structlog.get_logger(__name__)

_FIRST_BACKOFF_S = 0.2
_LAST_BACKOFF_S = 10.0


class Drainer:
    """One per spool. Records go in the order in which they were put, so the order per key is kept.

    A batch whose confirmation was lost is shipped again: a double has the same event id and is dropped by readers. A
    record that the log will never take is set aside. ``on_shipped`` is called whenever the log took some.
    """

    def __init__(
        self,
        spool: Spool,
        to: EventLog,
        *,
        batch: int = 500,
        deadline_s: float = 10.0,
        on_shipped: Callable[[], None] = lambda: None,
    ) -> None:
        self._on_shipped = on_shipped
        self._spool = spool
        self._to = to
        self._batch = batch
        self._deadline_s = deadline_s
        self._counts = {"shipped": 0, "ship_failures": 0}

    @property
    def counters(self) -> Mapping[str, int]:
        """By name: shipped (records), ship_failures (attempts), set_aside (records)."""
        return {**self._counts, "set_aside": self._spool.set_aside}

    async def run(self) -> None:
        """Ship until cancelled. Never raises, whatever the log or the disk does: it waits and tries again."""
        backoff_s = _FIRST_BACKOFF_S
        while True:
            if not await self._spool.wait_for_records(5.0):
                continue
            try:
                shipped = await self.ship()
            except Exception as error:  # nobody else ships: this loop must outlive whatever happened
                self._counts["ship_failures"] += 1
                log.warning(
                    "eventlog.spool_not_shipped",
                    error=str(error) if isinstance(error, LogError) else type(error).__name__,
                    depth=self._spool.depth,
                    exc_info=not isinstance(error, LogError),
                )
                await asyncio.sleep(backoff_s * random.uniform(0.75, 1.25))  # noqa: S311 - spreads load
                backoff_s = min(backoff_s * 2, _LAST_BACKOFF_S)
            else:
                backoff_s = _FIRST_BACKOFF_S
                if shipped and not self._spool.depth:
                    log.info("eventlog.spool_empty", shipped=self._counts["shipped"])

    async def ship(self) -> int:
        """Ship one batch from the head of the spool; how many records.

        Raises:
            AppendFailed: the log does not take them now, or the spool cannot be read; they stay where they are.
        """
        head = await self._spool.head(self._batch)
        if not head:
            return 0
        try:
            await self._to.append([each.record for each in head], deadline_s=self._deadline_s)
        except RecordTooLarge:
            return await self._ship_one_by_one(head)
        await self._shipped(head)
        return len(head)

    async def _ship_one_by_one(self, head: list[StoredRecord]) -> int:
        count = 0
        for each in head:
            try:
                await self._to.append([each.record], deadline_s=self._deadline_s)
            except RecordTooLarge as error:
                await self._spool.put_aside(each.offset, str(error))
            else:
                await self._shipped([each])
                count += 1
        return count

    async def _shipped(self, records: list[StoredRecord]) -> None:
        await self._spool.forget(records)
        self._counts["shipped"] += len(records)
        self._on_shipped()
