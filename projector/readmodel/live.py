"""Which build is live, its directory, and how fresh it is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from psycopg import AsyncConnection

from domain.defaults import SETTINGS_SOURCE
from domain.directory import Directory, SourceInfo
from domain.event import Event
from domain.facts.registry import FACTS
from domain.rules import Rules
from projector.readmodel.history import directory_query, event_of
from projector.readmodel.tables import check_schema

#: Types of the facts that make the directory.
DIRECTORY_TYPES: tuple[str, ...] = tuple(sorted(name for name, model in FACTS.items() if model.DIRECTORY))

_LIVE = "select schema_name from leadfold.build where state = 'live'"
# What the projector notes when it stops is read as JSON: before an updated one has begun, the column is not there.
_FRESHNESS = """
select max(s.last_received), max(s.last_time), coalesce(
    (to_jsonb(b) ->> 'stopped_at')::timestamptz,
    (select max(p.seen_at) from leadfold.position p where p.build_id = b.build_id
     having max(p.seen_at) < now() - make_interval(secs => %s)))
from leadfold.build b left join leadfold.source_seen s on s.build_id = b.build_id and s.source <> %s
where b.state = 'live' group by b.build_id
"""

#: A projector that gave no sign of life for so many seconds does not work. An idle one gives one every two seconds, a busy
#: one with each batch.
SILENT_S = 120.0


class NoLiveBuild(LookupError):
    """There are no read models yet: the projector has never run on this database."""


@dataclass(frozen=True, slots=True)
class Freshness:
    """What the live build has seen (UTC): when the newest fact was received, and when the latest one happened.

    ``stands_since``: nobody has worked on it since then, because the projector stopped by itself or is gone; None while one does.

    What the settings file says does not count: it is received whenever somebody starts a part, while all sources are silent.
    """

    received: datetime | None
    time: datetime | None
    stands_since: datetime | None = None


async def live_schema(conn: AsyncConnection[Any]) -> str:
    """Name of the schema of the live build. Raises NoLiveBuild."""
    async with conn.cursor() as cursor:
        await cursor.execute("select to_regclass('leadfold.build')")
        known = await cursor.fetchone()
        if known and known[0]:
            await cursor.execute(_LIVE)
            if row := await cursor.fetchone():
                return check_schema(str(row[0]))
    raise NoLiveBuild("no live build: start the projector once")


async def directory_version(conn: AsyncConnection[Any], schema: str) -> int | None:
    """Grows with each change of the directory of a build, in the transaction of the change; None for an unknown build."""
    async with conn.cursor() as cursor:
        await cursor.execute("select directory_version from leadfold.build where schema_name = %s", [schema])
        row = await cursor.fetchone()
    return None if row is None else int(row[0])


async def load_directory(
    conn: AsyncConnection[Any],
    schema: str,
    timezone: str,
    sources: Iterable[SourceInfo],
    *,
    before: datetime | None = None,
    known_before: datetime | None = None,
) -> Directory:
    """The directory of a build's facts; with cuts, as it was (``before``) or was known (``known_before``), UTC."""
    async with conn.cursor(binary=True) as cursor:
        await cursor.execute(directory_query(schema, DIRECTORY_TYPES))
        events = [event_of(row) for row in await cursor.fetchall()]
    return _build(events, timezone, sources, before, known_before)


def with_rules(directory: Directory, override: dict[str, Any] | None) -> Directory:
    """The same directory under other rules for all history; ``override`` names only what differs from the defaults."""
    if override is None:
        return directory
    return replace(
        directory, rule_versions=((datetime(1970, 1, 1, tzinfo=UTC), Rules.model_validate(override)),)
    )


async def freshness(conn: AsyncConnection[Any]) -> Freshness:
    """How fresh the live build is; both None when it holds nothing."""
    async with conn.cursor() as cursor:
        await cursor.execute(_FRESHNESS, (SILENT_S, SETTINGS_SOURCE))
        row = await cursor.fetchone()
    return Freshness(None, None) if row is None else Freshness(*row)


def _build(
    events: list[Event],
    timezone: str,
    sources: Iterable[SourceInfo],
    before: datetime | None,
    known_before: datetime | None,
) -> Directory:
    kept = [
        event
        for event in events
        if (before is None or event.time < before) and (known_before is None or event.received < known_before)
    ]
    return Directory.build(kept, timezone=timezone, sources=sources)
