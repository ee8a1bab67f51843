"""The look from outside: what is on the log, what is in the tables, what the report and `status` say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg

from domain.event import Event
from domain.rows import TABLES
from eventlog.contract import EventLog, StoredRecord
from eventlog.sealing import unseal
from leadfold.log_reading import records

Rows = dict[str, list[str]]

_FACT = (
    "select jsonb_build_array(id, type, version, source, time, time_basis, revision, subject, refs, data)::text"
    " from {schema}.fact where group_id is not null"
)


@dataclass(frozen=True)
class Logged:
    """Events on a log by the moment of their delivery; ``records`` counts repeats too."""

    by_delivery: dict[datetime, frozenset[UUID]]
    records: int


async def logged(log: EventLog) -> Logged:
    """Read the whole log (started)."""
    found: dict[datetime, set[UUID]] = {}
    count = 0
    for partition, (first, following) in (await log.bounds()).items():
        async for stored in records(log, partition, first, following):
            assert isinstance(stored, StoredRecord), stored
            event = unseal(stored.record, with_evidence=False)
            assert isinstance(event, Event), event
            found.setdefault(event.received, set()).add(event.id)
            count += 1
    return Logged({moment: frozenset(ids) for moment, ids in found.items()}, count)


def missing(expected: Logged, got: Logged, accepted: Iterable[datetime]) -> list[datetime]:
    """Accepted deliveries of which an event is not on the log."""
    return [
        moment
        for moment in accepted
        if expected.by_delivery.get(moment, frozenset()) - got.by_delivery.get(moment, frozenset())
    ]


def live_schema(conn: psycopg.Connection[Any]) -> str:
    """The schema of the live build."""
    row = conn.execute("select schema_name from leadfold.build where state = 'live'").fetchone()
    assert row is not None
    return str(row[0])


def tables(url: str) -> Rows:
    """All rows of the live build's tables and its facts as sorted texts, without groups, places and receive times."""
    with psycopg.connect(url) as conn:
        schema = live_schema(conn)
        found = {
            table: _texts(
                conn, f"select (to_jsonb(t) - 'group_id' - 'row_hash')::text from {schema}.\"{table}\" t"
            )
            for table in TABLES
        }
        found["fact"] = _texts(conn, _FACT.format(schema=schema))
        return found


def fact_ids(url: str) -> set[UUID]:
    """Ids of all facts of the live build."""
    with psycopg.connect(url) as conn:
        return {row[0] for row in conn.execute(f"select id from {live_schema(conn)}.fact").fetchall()}


def _texts(conn: psycopg.Connection[Any], query: str) -> list[str]:
    return sorted(row[0] for row in conn.execute(query.encode()).fetchall())


def differences(expected: Rows, got: Rows) -> dict[str, tuple[list[str], list[str]]]:
    """By table: some rows that only the first has, some that only the second has. Empty when all are equal."""
    found = {}
    for table, rows in expected.items():
        here, there = Counter(rows), Counter(got[table])
        if here != there:
            found[table] = (list((here - there).elements())[:3], list((there - here).elements())[:3])
    return found


def timeless(report: dict[str, Any]) -> dict[str, Any]:
    """A report without its clocks: `fresh_at` also counts the directory, which is received when it is published."""
    return {name: value for name, value in report.items() if name not in ("as_of", "fresh_at", "lag_s")}


def paths(here: Any, there: Any, at: str = "") -> list[str]:
    """Where two JSON values differ: path, one value, the other."""
    if isinstance(here, dict) and isinstance(there, dict):
        names = sorted(here.keys() | there.keys())
        return [p for n in names for p in paths(here.get(n), there.get(n), f"{at}.{n}")]
    if isinstance(here, list) and isinstance(there, list) and len(here) == len(there):
        return [
            p for n, (a, b) in enumerate(zip(here, there, strict=True)) for p in paths(a, b, f"{at}[{n}]")
        ]
    return [] if here == there else [f"{at}: {here!r} / {there!r}"]


def green(status: dict[str, Any]) -> list[str]:
    """What `leadfold status --json` says that is not well; empty when all is."""
    projection = status["projection"] or {}
    wanted = {
        "ready": (status["ready"], True),
        "log": (status["log"]["available"], True),
        "database": (status["database"]["available"], True),
        "spool": (status["spool"]["records"], 0),
        "lag": (projection.get("lag_records"), 0),
        "dead letters": (projection.get("dead_letters"), 0),
        "dirty groups": (projection.get("dirty_groups"), 0),
    }
    return [f"{name} is {value}" for name, (value, right) in wanted.items() if value != right]
