"""The state of the projection as everybody can see it: from the database and the log, without a running projector."""

# ruff: noqa: S608 - names of schemas pass check_schema

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from domain.facts.company import DeliveryUnreadable
from eventlog.contract import EventLog, LogError
from projector.builds_store import Build, listing
from projector.database import Connection
from projector.origin import beyond, difference, known_log
from projector.positions import offsets
from projector.readmodel.tables import check_schema
from projector.wait import count_dirty

#: Dirty groups are counted up to here.
DIRTY_LIMIT = 10_000

#: Facts are counted up to here; to count millions takes seconds.
FACTS_LIMIT = 10_000


#: Seconds: to ask Kafka who it is takes a connection, and the pages look every second.
_IDENTITY_S = 30.0


@dataclass(frozen=True, slots=True)
class PartitionStatus:
    """One partition of the live build. Lags are None when the log does not answer, or is another one: unknown is not zero.

    ``alive``: its owner was seen within half a minute, by the clock of the database.
    """

    partition: int
    next_offset: int
    epoch: int
    owner: str | None
    seen_at: datetime | None
    alive: bool
    last_time: datetime | None
    last_received: datetime | None
    lag_records: int | None
    lag_seconds: float | None


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """The last event of a source (UTC), and how many of its records were applied, repeated ones included.

    ``unreadable``: deliveries that no adapter could read and that were not mended since; they are kept, with their
    bytes. What nobody wanted to read (``unused``) is not among them.
    """

    source: str
    last_time: datetime
    last_received: datetime
    records: int
    unreadable: int = 0


@dataclass(frozen=True, slots=True)
class ProjectionStatus:
    """Everything at once. Sums of lags are None when one of them is unknown.

    ``facts`` is exact up to FACTS_LIMIT, then Postgres's estimate, and None while that is unknown.
    """

    live: Build | None
    builds: tuple[Build, ...]
    partitions: tuple[PartitionStatus, ...]
    sources: tuple[SourceStatus, ...]
    dead_letters: int
    dirty_groups: int
    facts: int | None
    lag_records: int | None
    lag_seconds: float | None
    stopped_at: datetime | None = None
    stopped: str | None = None  # why the projector stopped by itself and what to do; None while it works
    other_log: str | None = None  # why the positions are none on the log at hand, so that no lag is known

    @property
    def owned(self) -> bool:
        """Whether every partition has an owner that is alive."""
        return bool(self.partitions) and all(p.alive for p in self.partitions)


async def projection_status(conn: Connection, event_log: EventLog | None) -> ProjectionStatus:
    """The state now; ``event_log`` None leaves the lags unknown. Raises psycopg errors when Postgres is away."""
    cursor = await conn.execute("select to_regclass('leadfold.build')")
    known = await cursor.fetchone()
    builds = tuple(await listing(conn)) if known and known[0] else ()
    live = next((build for build in builds if build.state == "live"), None)
    if live is None:
        return ProjectionStatus(None, builds, (), (), 0, 0, None, None, None)
    # Before the bounds of the log, which only grows: what lies behind its end was never on it.
    at = await offsets(conn, live.build_id)
    bounds, other_log = await _of_log(conn, event_log, live.build_id, at)
    partitions = await _partitions(conn, event_log, live.build_id, bounds)
    records = [p.lag_records for p in partitions]
    seconds = [p.lag_seconds for p in partitions]
    stopped_at, stopped = await _stop(conn, live)
    complete = bounds is not None and {p.partition for p in partitions} >= set(bounds)
    return ProjectionStatus(
        live=live,
        builds=builds,
        partitions=partitions,
        sources=await _sources(conn, live),
        dead_letters=await _count(
            conn,
            "select count(*) from leadfold.deadletter where build_id = %s and resolved_at is null",
            live.build_id,
        ),
        dirty_groups=await _dirty(conn, live),
        facts=await _facts(conn, live.schema),
        lag_records=sum(r for r in records if r is not None) if complete and None not in records else None,
        lag_seconds=max((s for s in seconds if s is not None), default=0.0)
        if complete and None not in seconds
        else None,
        stopped_at=stopped_at,
        stopped=stopped,
        other_log=other_log,
    )


async def _stop(conn: Connection, live: Build) -> tuple[datetime | None, str | None]:
    # As JSON: before an updated projector has begun, the columns are not there.
    cursor = await conn.execute(
        "select (to_jsonb(b) ->> 'stopped_at')::timestamptz, to_jsonb(b) ->> 'stopped' from leadfold.build b"
        " where build_id = %s",
        (live.build_id,),
    )
    row = await cursor.fetchone()
    return (None, None) if row is None else (row[0], row[1])


async def _of_log(
    conn: Connection, event_log: EventLog | None, build_id: int, at: Mapping[int, int]
) -> tuple[dict[int, tuple[int, int]] | None, str | None]:
    """The bounds of the log, None when they say nothing of our positions; and why, when it is another log."""
    if event_log is None:
        return None, None
    known = await known_log(conn, build_id)
    try:
        identity = await event_log.identity(max_age_s=_IDENTITY_S)
        bounds = await event_log.bounds()
    except LogError:
        return None, None
    wrong = difference(known, identity, event_log.place) or beyond(at, bounds, event_log.place)
    return (bounds, None) if wrong is None else (None, wrong)


async def _partitions(
    conn: Connection, event_log: EventLog | None, build_id: int, bounds: Mapping[int, tuple[int, int]] | None
) -> tuple[PartitionStatus, ...]:
    cursor = await conn.execute(
        'select "partition", next_offset, epoch, owner, seen_at, owner is not null and seen_at is not null'
        # on both sides: a clock may have been set back since
        " and seen_at between now() - interval '30 seconds' and now() + interval '30 seconds', last_time, last_received"
        " from leadfold.position"
        ' where build_id = %s order by "partition"',
        (build_id,),
    )
    found: dict[int, tuple[Any, ...]] = {row[0]: row for row in await cursor.fetchall()}
    for partition in bounds or ():  # one that no projector ever took
        found.setdefault(partition, (partition, 0, 0, None, None, False, None, None))
    statuses = []
    for partition, row in sorted(found.items()):
        behind = None if bounds is None or partition not in bounds else max(0, bounds[partition][1] - row[1])
        age = await _age(event_log, partition, row[1]) if behind else (None if behind is None else 0.0)
        values: list[Any] = [*row, behind, age]
        statuses.append(PartitionStatus(*values))
    return tuple(statuses)


async def _age(event_log: EventLog | None, partition: int, offset: int) -> float | None:
    """Seconds since the first record that is not applied yet was stored."""
    if event_log is None:
        return None
    try:
        stored = await event_log.read_at(partition, offset)
    except LogError:
        return None
    return None if stored is None else max(0.0, (datetime.now(UTC) - stored.stored_at).total_seconds())


async def _sources(conn: Connection, live: Build) -> tuple[SourceStatus, ...]:
    cursor = await conn.execute(
        "select source, last_time, last_received, facts, coalesce(u.number, 0) from leadfold.source_seen"
        f" left join (select source, count(*) number from {check_schema(live.schema)}.fact"
        "  where type = %s and group_id is null and not starts_with(data->>'reason', %s)"
        "  and not starts_with(data->>'reason', %s)"
        "  group by source) u using (source)"
        " where build_id = %s order by source",
        (DeliveryUnreadable.TYPE, DeliveryUnreadable.MENDED, DeliveryUnreadable.UNUSED, live.build_id),
    )
    return tuple(SourceStatus(*row) for row in await cursor.fetchall())


async def _facts(conn: Connection, schema: str) -> int | None:
    table = f"{check_schema(schema)}.fact"
    counted = await _count(conn, f"select count(*) from (select from {table} limit %s) f", FACTS_LIMIT + 1)
    if counted <= FACTS_LIMIT:
        return counted
    estimated = await _count(
        conn, "select reltuples::bigint from pg_class where oid = to_regclass(%s)", table
    )
    return estimated if estimated >= counted else None  # older than what was just counted


async def _dirty(conn: Connection, live: Build) -> int:
    cursor = await conn.execute(
        "select fingerprint from leadfold.build where build_id = %s", (live.build_id,)
    )
    row = await cursor.fetchone()
    return await count_dirty(conn, live.schema, row[0] if row else None, limit=DIRTY_LIMIT)


async def _count(conn: Connection, query: str, value: object) -> int:
    cursor = await conn.execute(query, (value,))
    row = await cursor.fetchone()
    return int(row[0]) if row else 0
