"""Dead letters for people: list, look at, try again."""

# ruff: noqa: S608 - names of schemas pass check_schema, names of tables and columns come from domain.rows

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from eventlog.contract import EventLog, RecordCorrupt
from eventlog.sealing import Undecodable
from projector import letters, positions
from projector.batch import Applier, Batch, open_record
from projector.database import Connection, retrying
from projector.letters import Letter
from projector.refold import FoldFailed
from projector.settings import ProjectorSettings


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A row of ``leadfold.deadletter``; moments are UTC. See `letters.Letter` for the kinds."""

    deadletter_id: int
    kind: Literal["record", "fact", "group"]
    partition: int
    offset: int
    event_id: UUID | None
    event_type: str | None
    group_id: int | None
    reason: str
    attempts: int
    first_at: datetime
    last_at: datetime
    resolved_at: datetime | None


_SELECT = (
    'select deadletter_id, kind, "partition", "offset", event_id, event_type, group_id, reason, attempts, first_at,'
    " last_at, resolved_at from leadfold.deadletter where build_id = (select build_id from leadfold.build where state = 'live')"
)


async def listing(conn: Connection, *, resolved: bool = False, limit: int = 1000) -> list[DeadLetter]:
    """Open dead letters of the live build, the newest first; ``resolved`` shows those that were mended too."""
    where = "" if resolved else " and resolved_at is null"
    cursor = await conn.execute(f"{_SELECT}{where} order by deadletter_id desc limit %s", (limit,))
    return [DeadLetter(*row) for row in await cursor.fetchall()]


async def show(conn: Connection, deadletter_id: int) -> DeadLetter | None:
    """One of them. Its record lies on the log at ``partition``, ``offset`` (unless it is a group)."""
    cursor = await conn.execute(f"{_SELECT} and deadletter_id = %s", (deadletter_id,))
    row = await cursor.fetchone()
    return None if row is None else DeadLetter(*row)


async def retry(
    event_log: EventLog, conn: Connection, settings: ProjectorSettings, ids: Sequence[int] | None = None
) -> list[DeadLetter]:
    """Try open dead letters again (all, or these), beside running projectors; how they are afterwards.

    A mended fact keeps its id and its time; the fold takes it late.
    """
    build = await positions.live_build(conn)
    if build is None:
        return []
    chosen = [
        one
        for one in reversed(await listing(conn, limit=1_000_000))
        if ids is None or one.deadletter_id in ids
    ]
    after = []
    for one in chosen:
        async for attempt in retrying():
            with attempt:
                if one.kind == "record":
                    await _retry_record(event_log, conn, settings, build.build_id, one)
                else:
                    await _retry_fold(conn, settings, build.build_id, build.schema, one)
        after.append(await show(conn, one.deadletter_id) or one)
    return after


async def _retry_record(
    event_log: EventLog, conn: Connection, settings: ProjectorSettings, build_id: int, letter: DeadLetter
) -> None:
    reason: str | None = "the log has no record there any more"
    try:
        stored = await event_log.read_at(letter.partition, letter.offset)
        if stored is not None:
            item = open_record(stored)
            if isinstance(item.content, Undecodable):
                reason = item.content.reason
            else:
                outcome = await Applier(settings).apply(conn, build_id, Batch((item,), ()))
                if any(outcome.dead):
                    return  # written by `apply`: now it is a fact that its group cannot be folded with
                reason = None
    except RecordCorrupt as error:
        reason = error.reason
    await _close(conn, build_id, letter, reason)


async def _retry_fold(
    conn: Connection, settings: ProjectorSettings, build_id: int, schema: str, letter: DeadLetter
) -> None:
    reason = None
    try:
        async with conn.transaction():
            group = letter.group_id
            if letter.kind == "fact":
                cursor = await conn.execute(
                    f"update {schema}.fact set dead = false where id = %s returning group_id",
                    (letter.event_id,),
                )
                row = await cursor.fetchone()
                group = row[0] if row else group
            if group is not None:
                await Applier(settings, strict=True).refold(conn, build_id, [group])
    except FoldFailed as error:
        reason = letters.reason_of(error.__cause__ or error)
    await _close(conn, build_id, letter, reason)


async def _close(conn: Connection, build_id: int, letter: DeadLetter, reason: str | None) -> None:
    """Mark it as mended (no reason), or count another attempt."""
    if reason is None:
        await conn.execute(
            "update leadfold.deadletter set resolved_at = now(), attempts = attempts + 1, last_at = now()"
            " where deadletter_id = %s",
            (letter.deadletter_id,),
        )
    else:
        again = Letter(
            letter.kind,
            letter.partition,
            letter.offset,
            reason,
            letter.event_id,
            letter.event_type,
            letter.group_id,
        )
        await letters.record(conn, build_id, [again])


__all__ = ["DeadLetter", "listing", "retry", "show"]
