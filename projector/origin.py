"""Whether a build's positions are positions on this log: the identity of the log, and the last record read of each partition.

Without it a database that was filled from another log (restored, made again, another cluster) is read on from the wrong
place, and nobody hears of it.
"""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from eventlog.contract import EventLog, PositionLost, RecordCorrupt
from eventlog.identity import Mark, digest, same_log
from projector.database import Connection
from projector.errors import OtherLog
from projector.positions import Held

log = structlog.get_logger(__name__)

#: What a person can do, for the end of a message.
REMEDY = (
    "Point [log] to the log that these read models were made from, or make them anew from this one: leadfold rebuild"
    " (until then the pages show the former figures)"
)


async def check_log(conn: Connection, build_id: int, event_log: EventLog) -> None:
    """Remember from which log a build is made; the first time any will do.

    Raises:
        OtherLog: it was made from another one. LogUnavailable, LogRefused: the log does not tell.
    """
    now = await event_log.identity()
    known = await known_log(conn, build_id)
    if (reason := difference(known, now, event_log.place)) is not None:
        raise OtherLog(reason)
    if len(now) > len(known):  # none yet, or Kafka tells more than it did
        await conn.execute("update leadfold.build set log = %s where build_id = %s", (now, build_id))
        log.info("projector.log_known", build=build_id, log=now)


async def known_log(conn: Connection, build_id: int) -> str:
    """The identity of the log that a build was made from; empty while it has met none."""
    # As JSON: before an updated projector has begun, the column is not there.
    cursor = await conn.execute(
        "select to_jsonb(b) ->> 'log' from leadfold.build b where build_id = %s", (build_id,)
    )
    row = await cursor.fetchone()
    return (row and row[0]) or ""


async def note_stop(conn: Connection, build_id: int, reason: str) -> None:
    """Remember for pages and `leadfold status` that nobody works on the build, why, and since when."""
    await conn.execute(
        "update leadfold.build set stopped_at = coalesce(stopped_at, now()), stopped = %s where build_id = %s",
        (reason, build_id),
    )


async def note_work(conn: Connection, build_id: int) -> None:
    """Take the note back: somebody works on it."""
    await conn.execute(
        "update leadfold.build set stopped_at = null, stopped = null where build_id = %s and stopped_at is not null",
        (build_id,),
    )


def difference(known: str, now: str, place: str) -> str | None:
    """What is wrong with a build made from the log ``known`` when the log at hand is ``now``; None when nothing is."""
    if same_log(known, now):
        return None
    return f"the read models were made from the log {known}, and [log] leads to {now} at {place}. {REMEDY}"


def beyond(at: Mapping[int, int], bounds: Mapping[int, tuple[int, int]], place: str) -> str | None:
    """What is wrong with next offsets ``at`` that were read before the ``bounds`` of the log; None when nothing is.

    A log only grows: positions behind its end were made on another one.
    """
    lost = [
        partition
        for partition, offset in sorted(at.items())
        if offset > bounds.get(partition, (0, offset))[1]
    ]
    if not lost:
        return None
    return (
        f"the positions of partitions {lost} on the log at {place} lie behind its end: it lost that, or an older copy of"
        f" it took its place. {REMEDY}"
    )


async def check_places(event_log: EventLog, held: Mapping[int, Held]) -> None:
    """See that each position lies on the log, and that the last applied record is still the one that lies there.

    Where the log has dropped it from its beginning, or cannot read it, nothing can be said of the record.

    Raises:
        PositionLost: a position lies outside of the log.
        OtherLog: there is another one in its place, or none: the log was cut off, and may have grown again since.
        LogUnavailable: the log does not answer.
    """
    bounds = await event_log.bounds()
    for partition, one in sorted(held.items()):
        first, following = bounds.get(partition, (0, 0))
        await _check_mark(event_log, partition, one.mark, first, following)
        if not first <= one.next_offset <= following:
            raise PositionLost(partition, one.next_offset, first, following)


async def _check_mark(
    event_log: EventLog, partition: int, mark: Mark | None, first: int, following: int
) -> None:
    if mark is None or mark.offset < first:
        return
    try:
        stored = await event_log.read_at(partition, mark.offset) if mark.offset < following else None
    except RecordCorrupt:
        return
    if stored is not None and digest(stored.record) == mark.digest:
        return
    found = "is another one now" if stored is not None else "is not there any more"
    raise OtherLog(
        f"partition {partition}: the record at {mark.offset}, the last one that was applied, {found}: the log at"
        f" {event_log.place} lost its end since, or an older copy of it took its place. {REMEDY}"
    )
