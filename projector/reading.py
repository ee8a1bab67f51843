"""Stretches of the log as batches for a build that is being filled: nothing is skipped that is no known dead letter."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

from eventlog.contract import EventLog, RecordCorrupt
from eventlog.sealing import Undecodable
from projector.batch import Applier, Batch, Item, decode
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
) -> AsyncIterator[Batch]:
    """The records of a stretch in batches of at most ``size``, each with its step under ``epoch``.

    What was received at or after ``known_before`` is left out.

    Raises:
        ProjectorStopped: a record cannot be read and is no dead letter of the live build (`Applier.excuse`).
        BuildError: the log ends within the stretch.
    """
    partition, at, end = stretch.partition, stretch.at, stretch.end
    while at < end:
        try:
            records = await event_log.read(partition, at, max_records=min(size, end - at), max_wait_s=5.0)
        except RecordCorrupt as error:
            fault = Item(Place(partition, error.offset), Undecodable(error.reason, None))
            batch = Batch((fault,), (Advance(partition, at, error.offset + 1, epoch),))
        else:
            if not records:
                raise BuildError(
                    f"partition {partition}: the log gives nothing at {at}, though it goes on to {end}"
                )
            batch = decode({partition: records}, {partition: Held(at, epoch)})
        at = batch.steps[0].next_offset
        _check(batch, applier)
        yield _known(batch, known_before)


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
