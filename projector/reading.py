"""Stretches of the log as batches for a build that is being filled: nothing is skipped that is no known dead letter."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from datetime import datetime

from eventlog.contract import EventLog, RecordCorrupt
from eventlog.sealing import Undecodable
from projector.batch import Applier, Batch, Item, batch_of, open_softly
from projector.errors import BuildError, ProjectorStopped
from projector.facts import Arrival, Place
from projector.positions import Advance, Held


@dataclass(frozen=True, slots=True)
class Stretch:
    """Records of a partition from ``at`` on, below ``end``."""

    partition: int
    at: int
    end: int


async def batches(
    event_log: EventLog,
    applier: Applier,
    stretch: Stretch,
    epoch: int,
    *,
    size: int,
    known_before: datetime | None,
) -> AsyncGenerator[Batch]:
    """The records of a stretch in batches of at most ``size``, each with its step under ``epoch``.

    What was received at or after ``known_before`` is left out. Each batch is read and opened while the one before it
    is worked on; whoever leaves early closes the generator.

    Raises:
        ProjectorStopped: a record cannot be read and is no dead letter of the live build (`Applier.excuse`).
        BuildError: the log ends within the stretch.
    """
    coming = asyncio.ensure_future(_read(event_log, stretch, epoch, size))
    try:
        while True:
            batch = await coming
            following = replace(stretch, at=batch.steps[0].next_offset)
            if following.at < stretch.end:
                coming = asyncio.ensure_future(_read(event_log, following, epoch, size))
            _check(batch, applier)
            yield _known(batch, known_before)
            if following.at >= stretch.end:
                return
    finally:
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)


async def _read(event_log: EventLog, stretch: Stretch, epoch: int, size: int) -> Batch:
    partition, at, end = stretch.partition, stretch.at, stretch.end
    try:
        found = await event_log.read(partition, at, max_records=min(size, end - at), max_wait_s=5.0)
    except RecordCorrupt as error:
        fault = Item(Place(partition, error.offset), Undecodable(error.reason, None))
        return Batch((fault,), (Advance(partition, at, error.offset + 1, epoch),))
    if not found:
        raise BuildError(f"partition {partition}: the log gives nothing at {at}, though it goes on to {end}")
    records = {partition: found}
    return batch_of(records, await open_softly(records), {partition: Held(at, epoch)})


def _check(batch: Batch, applier: Applier) -> None:
    for item in batch.items:
        if isinstance(item.content, Undecodable) and not applier.excused(item):
            raise ProjectorStopped(
                f"the record at partition {item.place.partition}, offset {item.place.offset} cannot be read:"
                f" {item.content.reason}; the rebuild was given up, the live build is as it was"
            )


def _known(batch: Batch, cut: datetime | None) -> Batch:
    if cut is None:
        return batch
    kept = tuple(
        item
        for item in batch.items
        if not isinstance(item.content, Arrival) or item.content.event.received < cut
    )
    return Batch(kept, batch.steps)
