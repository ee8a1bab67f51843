"""Bounded reads of the log for commands: ranges, the newest records, a search by event id."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import datetime

from eventlog.contract import EventLog, RecordCorrupt, StoredRecord

#: Called with how many records were looked at since the last call.
Step = Callable[[int], object]


def _ignore(_count: int) -> None:
    return None


async def records(
    log: EventLog, partition: int, first: int, following: int, *, step: Step = _ignore, batch: int = 1000
) -> AsyncIterator[StoredRecord | RecordCorrupt]:
    """Records of a partition from ``first`` up to but not including ``following``; corrupt ones as what they raise."""
    offset = first
    while offset < following:
        try:
            found = await log.read(
                partition, offset, max_records=min(batch, following - offset), max_wait_s=5.0
            )
        except RecordCorrupt as error:
            yield error
            offset = error.offset + 1
            step(1)
            continue
        if not found:
            return
        for stored in found:
            if stored.offset < following:
                yield stored
        step(min(found[-1].offset + 1, following) - offset)
        offset = found[-1].offset + 1


async def first_stored_since(log: EventLog, partition: int, moment: datetime) -> int:
    """The first offset whose record was stored at or after a moment; the end of the partition when there is none.

    Found by halving: records lie in the order in which they were stored.
    """
    low, high = (await log.bounds())[partition]
    while low < high:
        middle = (low + high) // 2
        found = await log.read(partition, middle, max_records=1, max_wait_s=5.0)
        if not found or found[0].stored_at >= moment:
            high = middle
        else:
            low = middle + 1
    return low


async def newest(log: EventLog, count: int) -> list[StoredRecord]:
    """The newest records of all partitions, oldest first."""
    found: list[StoredRecord] = []
    for partition, (first, following) in (await log.bounds()).items():
        async for stored in records(log, partition, max(first, following - count), following):
            if isinstance(stored, StoredRecord):
                found.append(stored)
    found.sort(key=lambda s: (s.stored_at, s.partition, s.offset))
    return found[-count:]


async def find(log: EventLog, event_id: str, *, step: Step = _ignore) -> list[StoredRecord]:
    """Every record with this event id, in no order: repeats and higher revisions are records of their own."""
    wanted = event_id.encode()
    found: list[StoredRecord] = []
    for partition, (first, following) in (await log.bounds()).items():
        async for stored in records(log, partition, first, following, step=step):
            if isinstance(stored, StoredRecord) and header(stored, "ce_id") == wanted:
                found.append(stored)
    return found


def header(stored: StoredRecord, name: str) -> bytes:
    """A header of a record; empty when absent."""
    return next((value for key, value in stored.record.headers if key == name), b"")
