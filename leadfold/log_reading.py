"""Bounded reads of the log for commands: ranges, the newest records, a search by event id."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import datetime

from eventlog.contract import EventLog, RecordCorrupt, StoredRecord
from eventlog.sealing import Label, label

#: At most so many records are read at a time while newest ones are looked for.
_PIECE = 20_000

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


async def newest(
    log: EventLog, count: int, *, wanted: Callable[[Label], bool] | None = None, step: Step = _ignore
) -> list[StoredRecord]:
    """The newest records of all partitions that are ``wanted`` (all by default), oldest first.

    Each partition is read from its end backwards until so many are found: for something rare, all of it.
    """
    found: list[StoredRecord] = []
    for partition, (first, following) in (await log.bounds()).items():
        mine: list[StoredRecord] = []
        end, piece = following, max(count, 1)
        while len(mine) < count and end > first:
            begin = max(first, end - piece)
            mine = [s async for s in _wanted(log, partition, begin, end, wanted, step)] + mine
            end, piece = begin, min(piece * 2, _PIECE)
        found += mine
    found.sort(key=lambda s: (s.stored_at, s.partition, s.offset))
    return found[-count:] if count else []


async def _wanted(
    log: EventLog,
    partition: int,
    first: int,
    following: int,
    wanted: Callable[[Label], bool] | None,
    step: Step,
) -> AsyncIterator[StoredRecord]:
    async for stored in records(log, partition, first, following, step=step):
        if isinstance(stored, StoredRecord) and (wanted is None or wanted(label(stored.record))):
            yield stored


async def find(log: EventLog, event_id: str, *, step: Step = _ignore) -> list[StoredRecord]:
    """Every record with this event id, in no order: repeats and higher revisions are records of their own."""
    found: list[StoredRecord] = []
    for partition, (first, following) in (await log.bounds()).items():
        async for stored in records(log, partition, first, following, step=step):
            if isinstance(stored, StoredRecord) and label(stored.record).id == event_id:
                found.append(stored)
    return found
