"""A group member on the embedded log: there is one partition, and everybody gets it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from eventlog.contract import (
    EventLog,
    LogUnavailable,
    OnAssigned,
    OnRevoked,
    PositionLost,
    StoredRecord,
    Subscription,
)


class EmbeddedSubscription(Subscription):
    """See the contract. Partition 0 is assigned at the first poll and never revoked."""

    def __init__(self, log: EventLog, group: str) -> None:
        self.group = group
        self._log = log
        self._on_assigned: OnAssigned | None = None
        self._next: int | None = None  # None until partition 0 is assigned
        self._paused = False

    async def start(self, on_assigned: OnAssigned, on_revoked: OnRevoked) -> None:
        """Remember the callback; raises LogUnavailable when the log is not open."""
        if not self._log.available:
            raise LogUnavailable("the event log is not open")
        self._on_assigned = on_assigned

    async def poll(self, *, max_records: int, max_wait_s: float) -> dict[int, list[StoredRecord]]:
        """See the contract."""
        if self._on_assigned is None:
            raise LogUnavailable("the subscription is not started")
        if self._next is None:
            wanted = (await self._on_assigned([0]))[0]
            first, following = (await self._log.bounds())[0]
            if not first <= wanted <= following:
                raise PositionLost(0, wanted, first, following)
            self._next = wanted
        if self._paused:
            await asyncio.sleep(max_wait_s)
            return {}
        position = self._next
        found = await self._log.read(0, position, max_records=max_records, max_wait_s=max_wait_s)
        if not found or self._next != position:  # a seek came in between
            return {}
        self._next = found[-1].offset + 1
        return {0: found}

    def pause(self, partitions: Iterable[int]) -> None:
        """See the contract."""
        self._paused = self._paused or 0 in set(partitions)

    def resume(self, partitions: Iterable[int]) -> None:
        """See the contract."""
        self._paused = self._paused and 0 not in set(partitions)

    async def seek(self, partition: int, offset: int) -> None:
        """See the contract."""
        if partition == 0 and self._next is not None:
            self._next = offset

    async def commit_hint(self, offsets: Mapping[int, int]) -> None:
        """Nothing to tell: lag is read from the position and the bounds."""

    def assignment(self) -> set[int]:
        """See the contract."""
        return set() if self._next is None else {0}

    async def close(self) -> None:
        """Nothing to leave."""
        self._on_assigned = None
        self._next = None
