"""The row of a build and its positions on the log: taking partitions, advancing, giving them back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import psycopg
import structlog

from eventlog.identity import Mark
from projector.database import Connection
from projector.directory_watch import BuildState
from projector.errors import Fenced, Standby

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Held:
    """A partition that is ours: the next offset to apply, and our epoch."""

    next_offset: int
    epoch: int
    mark: Mark | None = None  # of the last applied record, as it was when we took the partition


@dataclass(frozen=True, slots=True)
class Advance:
    """A step on one partition: from ``floor`` to ``next_offset``, under our ``epoch``; ``mark``: of its last record."""

    partition: int
    floor: int
    next_offset: int
    epoch: int
    last_time: datetime | None = None
    last_received: datetime | None = None
    mark: Mark | None = None


_BUILD = "select build_id, schema_name, state, config, rules, directory_version, fingerprint from leadfold.build where "


async def live_build(conn: Connection) -> BuildState | None:
    """The live build, None when there is none."""
    cursor = await conn.execute(_BUILD + "state = 'live'")
    row = await cursor.fetchone()
    return None if row is None else BuildState(*row)


async def read_build(conn: Connection, build_id: int) -> BuildState:
    """A build as this transaction sees it. Raises Fenced when it is gone."""
    cursor = await conn.execute(_BUILD + "build_id = %s", (build_id,))
    row = await cursor.fetchone()
    if row is None:
        raise Fenced(f"build {build_id} is gone")
    return BuildState(*row)


async def offsets(conn: Connection, build_id: int) -> dict[int, int]:
    """By partition: the next offset to apply, of those that a projector ever took."""
    cursor = await conn.execute(
        'select "partition", next_offset from leadfold.position where build_id = %s', (build_id,)
    )
    return dict(await cursor.fetchall())


async def take(
    conn: Connection, build_id: int, partitions: Sequence[int], owner: str, *, polite_s: float | None
) -> dict[int, Held]:
    """Become the owner of partitions: their epochs grow by one in a transaction of their own.

    Whoever held them before can change nothing any more; a frozen one that holds locks is cut off.
    ``polite_s`` (embedded log, where nobody deals out partitions): a living owner that was seen within so many
    seconds is left alone.

    Raises:
        Standby: there is such an owner.
    """
    wanted = sorted(partitions)
    try:
        return await _take(conn, build_id, wanted, owner, polite_s)
    except psycopg.errors.LockNotAvailable:
        await _cut_off(conn, build_id, wanted)
        return await _take(conn, build_id, wanted, owner, polite_s)


async def _take(
    conn: Connection, build_id: int, partitions: list[int], owner: str, polite_s: float | None
) -> dict[int, Held]:
    async with conn.transaction():
        await conn.execute("set local lock_timeout = '2s'")
        await conn.execute(
            'insert into leadfold.position (build_id, "partition") select %s, unnest(%s::integer[])'
            " on conflict do nothing",
            (build_id, partitions),
        )
        cursor = await conn.execute(
            "select p.owner from leadfold.position p join pg_stat_activity a on a.pid = p.backend"
            ' where p.build_id = %s and p."partition" = any(%s) and p.owner <> %s'
            # On both sides: after a clock was set back, a last sign of life that lies ahead is none.
            " and p.seen_at between now() - make_interval(secs => %s) and now() + make_interval(secs => %s)",
            (build_id, partitions, owner, polite_s or 0.0, polite_s or 0.0),
        )
        if polite_s is not None and (row := await cursor.fetchone()):
            raise Standby(f"{row[0]} is at work")
        cursor = await conn.execute(
            'select "partition" from leadfold.position where build_id = %s and "partition" = any(%s)'
            ' order by "partition" for update',
            (build_id, partitions),
        )
        await cursor.fetchall()
        cursor = await conn.execute(
            "update leadfold.position set epoch = epoch + 1, owner = %s, backend = pg_backend_pid(), seen_at = now()"
            ' where build_id = %s and "partition" = any(%s)'
            ' returning "partition", next_offset, epoch, mark_offset, mark',
            (owner, build_id, partitions),
        )
        return {
            row[0]: Held(row[1], row[2], None if row[4] is None else Mark(row[3], row[4]))
            for row in await cursor.fetchall()
        }


async def _cut_off(conn: Connection, build_id: int, partitions: list[int]) -> None:
    cursor = await conn.execute(
        "select distinct p.owner, p.backend, pg_terminate_backend(p.backend) from leadfold.position p"
        " join pg_stat_activity a on a.pid = p.backend and a.state like 'idle in transaction%%'"
        " and a.usename = current_user"
        ' where p.build_id = %s and p."partition" = any(%s) and p.backend <> pg_backend_pid()',
        (build_id, partitions),
    )
    for owner, backend, _ in await cursor.fetchall():
        log.warning("projector.cut_off", owner=owner, backend=backend)


async def advance(conn: Connection, build_id: int, steps: Sequence[Advance]) -> None:
    """Move positions inside of the batch's transaction.

    Raises:
        Fenced: one of them is not ours any more, or is not where we left it.
    """
    ordered = sorted(steps, key=lambda s: s.partition)
    cursor = await conn.execute(
        "update leadfold.position p set next_offset = s.next_offset, seen_at = now(), backend = pg_backend_pid(),"
        " last_time = greatest(p.last_time, s.last_time), last_received = greatest(p.last_received, s.last_received),"
        " mark_offset = coalesce(s.mark_offset, p.mark_offset), mark = coalesce(s.mark, p.mark)"
        " from unnest(%s::integer[], %s::bigint[], %s::bigint[], %s::bigint[], %s::timestamptz[], %s::timestamptz[],"
        "  %s::bigint[], %s::text[])"
        ' as s("partition", floor, next_offset, epoch, last_time, last_received, mark_offset, mark)'
        ' where p.build_id = %s and p."partition" = s."partition" and p.epoch = s.epoch and p.next_offset = s.floor',
        (
            [s.partition for s in ordered],
            [s.floor for s in ordered],
            [s.next_offset for s in ordered],
            [s.epoch for s in ordered],
            [s.last_time for s in ordered],
            [s.last_received for s in ordered],
            [s.mark and s.mark.offset for s in ordered],
            [s.mark and s.mark.digest for s in ordered],
            build_id,
        ),
    )
    if cursor.rowcount != len(ordered):
        raise Fenced(f"{len(ordered) - cursor.rowcount} of {len(ordered)} partitions are not ours any more")


async def reread(conn: Connection, build_id: int, held: Mapping[int, Held]) -> dict[int, Held]:
    """Our positions after a lost connection, whose last commit may or may not have happened.

    Raises:
        Fenced: one of them has another owner by now.
    """
    cursor = await conn.execute(
        'select "partition", next_offset, epoch from leadfold.position where build_id = %s and "partition" = any(%s)',
        (build_id, list(held)),
    )
    found = {row[0]: Held(row[1], row[2]) for row in await cursor.fetchall()}
    if any(p not in found or found[p].epoch != held[p].epoch for p in held):
        raise Fenced("partitions were taken while the database was away")
    return found


async def beat(conn: Connection, build_id: int, held: Mapping[int, Held]) -> None:
    """Say that the owner is alive, when there is nothing else to say.

    Raises:
        Fenced: a partition is not ours any more, or its position was changed by hand.
    """
    cursor = await conn.execute(
        "update leadfold.position p set seen_at = now(), backend = pg_backend_pid()"
        ' from unnest(%s::integer[], %s::bigint[], %s::bigint[]) as s("partition", epoch, next_offset)'
        ' where p.build_id = %s and p."partition" = s."partition" and p.epoch = s.epoch'
        " and p.next_offset = s.next_offset",
        (
            sorted(held),
            [held[p].epoch for p in sorted(held)],
            [held[p].next_offset for p in sorted(held)],
            build_id,
        ),
    )
    if cursor.rowcount != len(held):
        raise Fenced("a partition has another owner, or its position was changed")


async def release(conn: Connection, build_id: int, held: Mapping[int, Held]) -> None:
    """Give partitions back, so that a successor need not wait. Others' are left alone."""
    await conn.execute(
        "update leadfold.position p set owner = null, backend = null"
        ' from unnest(%s::integer[], %s::bigint[]) as s("partition", epoch)'
        ' where p.build_id = %s and p."partition" = s."partition" and p.epoch = s.epoch',
        (sorted(held), [held[p].epoch for p in sorted(held)], build_id),
    )
