"""Records from a subscription, opened. Far behind, the next ones are read and opened while Postgres works on those at hand."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from eventlog.contract import StoredRecord, Subscription
from projector.batch import Items, open_softly

Records = dict[int, list[StoredRecord]]


@dataclass(frozen=True, slots=True)
class Opened:
    """Records by partition, and what they are."""

    records: Records
    items: Items


class Intake:
    """What comes from one subscription.

    ``steady``: its partitions never change hands, so that it may be polled while other work goes on; else nothing is
    read ahead, because who gives partitions away or takes them must not come between a batch and its commit.
    """

    def __init__(self, subscription: Subscription, batch_bytes: int, *, steady: bool) -> None:
        self._subscription = subscription
        self._batch_bytes = batch_bytes
        self._steady = steady
        self._coming: asyncio.Task[list[Opened]] | None = None

    async def take(self, *, size: int, wait_s: float, ahead: bool) -> list[Opened]:
        """The next records in parts of at most ``batch_bytes``; with ``ahead`` those after them are begun to be read.

        Raises what `Subscription.poll` raises; what was read before that is not lost.
        """
        coming, self._coming = self._coming, None
        parts = await (coming or self._read(size, wait_s))
        if ahead and self._steady and parts:
            self._coming = asyncio.create_task(self._read(size, 0.0))
        return parts

    async def drop(self) -> None:
        """Forget what was read ahead. The subscription stands behind it: seek before the next `take`."""
        coming, self._coming = self._coming, None
        if coming is not None:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)

    async def _read(self, size: int, wait_s: float) -> list[Opened]:
        records = await self._subscription.poll(max_records=size, max_wait_s=wait_s)
        return [Opened(part, await open_softly(part)) for part in _bounded(records, self._batch_bytes)]


def _bounded(records: Records, limit: int) -> list[Records]:
    """The same records in parts of at most ``limit`` bytes (but at least one record each)."""
    parts: list[Records] = []
    size = 0
    for partition, found in records.items():
        for one in found:
            weight = len(one.record.value) + 500
            if not parts or (size and size + weight > limit):
                parts.append({})
                size = 0
            parts[-1].setdefault(partition, []).append(one)
            size += weight
    return parts
