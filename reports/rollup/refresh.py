# ruff: noqa: S608 - the text comes from the catalogue and the schema; values are always bound
"""Keeps the sums: what was marked is forgotten, what is missing is summed anew, some days in one transaction.

One snapshot sees marks and rows together. So the sums that a pass writes are of rows whose marks it has removed; a mark
that it does not see stays, and with it the day is not clean for anybody who sees that mark's rows.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from itertools import pairwise
from typing import Any, Final
from zoneinfo import ZoneInfo

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import tuple_row

from projector.readmodel.tables import check_schema
from reports.compiler import Compiler, Query, Span
from reports.context import Context
from reports.model import ReportSpec
from reports.overlay import live_relations
from reports.result import Params
from reports.rollup.blocks import packing
from reports.rollup.layout import MONTHLY, install, kept_dimensions, relation, sums

Conn = AsyncConnection[Any]

#: Days farther from now than this are read from the rows: a wrong clock must not make a table of empty days.
_PAST: Final = timedelta(days=3660)
_AHEAD: Final = timedelta(days=2)

#: A day is packed when it has not changed for so long: it may well change again at once.
REST: Final = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a pass did: days summed, days still missing. ``busy``: another one is at it, or writers hold the tables."""

    days: int = 0
    left: int = 0
    busy: bool = False


async def refresh(
    conn: Conn,
    context: Context,
    spec: ReportSpec,
    zone: str,
    *,
    at_once: int = 31,
) -> Refreshed:
    """One pass over the live build: at most ``at_once`` days in one transaction, the newest first.

    Days are those of ``zone``. The sums hold for ``context.now`` and later, until the clock turns a pending booking
    into a refusal. Raises psycopg errors; nothing is changed then.
    """
    compiler = _compiler(spec, context, zone)
    print_ = fingerprint(compiler)
    try:
        async with conn.transaction():
            await conn.execute("set local lock_timeout = '2s'")
            if not await _installed(conn, context.schema, print_):
                await conn.execute(install(context.schema, spec).encode())
                await conn.execute(
                    f"insert into {context.schema}.rollup_state (print, zone) values (%s, %s)".encode(),
                    [print_, zone],
                )
        async with conn.transaction():
            # LOCK takes no snapshot: the first query afterwards does, so it sees what the pass before has written
            await conn.execute("set transaction isolation level repeatable read")
            await conn.execute(
                f"lock table {context.schema}.rollup_day in share row exclusive mode nowait".encode()
            )
            return await _pass(conn, compiler, context, zone, at_once)
    except psycopg.errors.LockNotAvailable:
        return Refreshed(busy=True)


async def pack(
    conn: Conn, context: Context, spec: ReportSpec, zone: str, *, at_once: int = 31, rest: timedelta = REST
) -> int:
    """Make columns (`blocks`) of days that have sums and have not changed for a while; how many such days are left.

    One transaction, at most ``at_once`` days, the newest first. Raises psycopg errors; nothing is changed then.
    """
    compiler, schema = _compiler(spec, context, zone), context.schema
    async with conn.transaction():
        if not await _installed(conn, schema, fingerprint(compiler)):
            return 0
    try:
        async with conn.transaction():
            await conn.execute("set transaction isolation level repeatable read")
            await conn.execute(f"lock table {schema}.rollup_day in share row exclusive mode nowait".encode())
            async with conn.cursor(row_factory=tuple_row) as cursor:
                await cursor.execute(
                    f"select d.day from {schema}.rollup_day d left join {schema}.rollup_block b using (day)"
                    f" where b.day is null and d.computed <= %(rested)s and not exists (select from"
                    f" {schema}.rollup_mark m where m.hour < d.till and m.hour > d.since - interval '1 hour')"
                    " order by d.day desc".encode(),
                    {"rested": context.now - rest},
                )
                days = [day for (day,) in await cursor.fetchall()]
            if not days:
                return 0
            chosen = days[:at_once]
            await conn.execute("set local work_mem = '64MB'")
            for query in packing(compiler, schema, chosen, [days_of(day, day, zone)[0] for day in chosen]):
                await conn.execute(query.text.encode(), query.values or None)
            return len(days) - len(chosen)
    except psycopg.errors.LockNotAvailable:
        return 0


def fingerprint(compiler: Compiler) -> str:
    """What sums depend on besides the rows: another text or value here means other sums."""
    schema = _schema_of(compiler)
    query = _cells(compiler, schema, (), ())
    packed = [part.text for part in packing(compiler, schema, (), ())]
    told = (install(schema, compiler.spec), query.text, packed, _turns(compiler), compiler.params.zone)
    values = sorted((k, repr(v)) for k, v in query.values.items() if k != "as_of")
    return sha256(repr((told, values)).encode()).hexdigest()[:32]


def days_of(first: date, last: date, zone: str) -> list[Span]:
    """Beginning and end of each local day, both days included, as UTC moments."""
    at = ZoneInfo(zone)
    count = (last - first).days + 2
    bounds = [datetime.combine(first + timedelta(days=n), time(), at).astimezone(UTC) for n in range(count)]
    return list(pairwise(bounds))


def plain_compiler(spec: ReportSpec, params: Params, context: Context) -> Compiler:
    """The compiler of a build's sums: no filters, no reader's own marks, the live tables."""
    plain = Params(params.first_day, params.last_day, levels=(), zone=params.zone, compare="none")
    return Compiler(spec, plain, context.directory, context.now, live_relations(context.schema))


def _compiler(spec: ReportSpec, context: Context, zone: str) -> Compiler:
    today = context.now.astimezone(ZoneInfo(zone)).date()
    return plain_compiler(spec, Params(today, today, zone=zone), context)


def _schema_of(compiler: Compiler) -> str:
    return compiler.relations[compiler.spec.subject.table].partition(".")[0]


async def _installed(conn: Conn, schema: str, print_: str) -> bool:
    async with conn.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute("select to_regclass(%s)", [f"{check_schema(schema)}.rollup_state"])
        row = await cursor.fetchone()
        if not row or row[0] is None:
            return False
        await cursor.execute(f"select print from {schema}.rollup_state".encode())
        found = await cursor.fetchone()
        return found is not None and found[0] == print_


async def _pass(conn: Conn, compiler: Compiler, context: Context, zone: str, at_once: int) -> Refreshed:
    schema = context.schema
    forgotten = await _forget(conn, schema, context.now)
    missing = await _missing(conn, compiler, context, zone)
    chosen = missing[:at_once]
    if chosen:
        spans = [days_of(day, day, zone)[0] for day in chosen]
        await _sum(conn, compiler, schema, chosen, spans)
    await _sum_months(conn, compiler.spec, schema, {day.replace(day=1) for day in forgotten})
    return Refreshed(len(chosen), len(missing) - len(chosen))


async def _forget(conn: Conn, schema: str, now: datetime) -> list[date]:
    """Days with marks, and those in which the clock has turned something, are not clean any more; these days."""
    async with conn.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(
            f"with gone as (delete from {schema}.rollup_mark returning hour),"
            " hours as (select distinct hour from gone)"
            f" delete from {schema}.rollup_day d where d.good_until <= %(now)s or exists (select from hours h"
            " where h.hour < d.till and h.hour + interval '1 hour' > d.since) returning d.day".encode(),
            {"now": now},
        )
        days = [day for (day,) in await cursor.fetchall()]
        months = sorted({day.replace(day=1) for day in days})
        await cursor.execute(f"delete from {schema}.rollup_month where month = any(%s)".encode(), [months])
        await cursor.execute(f"delete from {schema}.rollup_block where day = any(%s)".encode(), [days])
        await cursor.execute(
            f"delete from {schema}.rollup where grain < {MONTHLY} and day = any(%(days)s)"
            f" or grain >= {MONTHLY} and day = any(%(months)s)".encode(),
            {"days": days, "months": months},
        )
    return days


async def _sum_months(conn: Conn, spec: ReportSpec, schema: str, busy: Collection[date]) -> None:
    """Add up the months that have all their days. Those that change right now wait until they rest."""
    async with conn.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(
            f"insert into {schema}.rollup_month (month)"
            f" select date_trunc('month', d.day::timestamp)::date from {schema}.rollup_day d group by 1"
            " having count(*) = extract(day from date_trunc('month', min(d.day)::timestamp) + interval '1 month - 1 day')"
            " and date_trunc('month', min(d.day)::timestamp)::date <> all(%s::date[])"
            " on conflict do nothing returning month".encode(),
            [list(busy)],
        )
        months = [month for (month,) in await cursor.fetchall()]
        if not months:
            return
        keys = ", ".join(["excluded_by", *(f"d_{d}" for d in kept_dimensions(spec))])
        names = [column for column, _, _ in sums(spec)]
        await cursor.execute(
            f"insert into {relation(schema)} (grain, day, {keys}, {', '.join(names)})"
            f" select r.grain + {MONTHLY}, m.month, {keys}, {', '.join(f'sum(r.{name})' for name in names)}"
            f" from unnest(%s::date[]) as m(month) join {relation(schema)} r"
            f" on r.grain < {MONTHLY} and r.day >= m.month and r.day < m.month + interval '1 month'"
            f" group by r.grain, m.month, {keys}".encode(),
            [months],
        )


async def _missing(conn: Conn, compiler: Compiler, context: Context, zone: str) -> list[date]:
    """Local days between the first and the last row that have no sums, the newest first."""
    born, table = compiler.spec.subject.born, compiler.relations[compiler.spec.subject.table]
    async with conn.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(
            f"select (select min({born}) from {table} i where {born} >= %(past)s),"
            f" (select max({born}) from {table} i where {born} < %(ahead)s)".encode(),
            {"past": context.now - _PAST, "ahead": context.now + _AHEAD},
        )
        row = await cursor.fetchone()
        if row is None or row[0] is None or row[1] is None:
            return []
        first, last = (moment.astimezone(ZoneInfo(zone)).date() for moment in row)
        await cursor.execute(f"select day from {context.schema}.rollup_day".encode())
        there = {day for (day,) in await cursor.fetchall()}
    days = (last - timedelta(days=n) for n in range((last - first).days + 1))
    return [day for day in days if day not in there]


async def _sum(
    conn: Conn, compiler: Compiler, schema: str, days: Sequence[date], spans: Sequence[Span]
) -> None:
    cells = _cells(compiler, schema, days, spans)
    await conn.execute("set local work_mem = '64MB'")
    await conn.execute(cells.text.encode(), cells.values)
    spec, turns = compiler.spec, _turns(compiler)
    await conn.execute(
        f"insert into {schema}.rollup_day (day, since, till, computed, good_since, good_until, rows)"
        f" select a.day, a.since, a.till, %(as_of)s, max({turns}) filter (where {turns} <= %(as_of)s),"
        f" min({turns}) filter (where {turns} > %(as_of)s), count({spec.subject.id})"
        f" from {_ASKED} left join {compiler.relations[spec.subject.table]} i"
        f" on {spec.subject.born} >= a.since and {spec.subject.born} < a.till group by 1, 2, 3".encode(),
        cells.values,
    )


def _turns(compiler: Compiler) -> str:
    return compiler.spec.turns or "null::timestamptz"


def _cells(compiler: Compiler, schema: str, days: Sequence[date], spans: Sequence[Span]) -> Query:
    """Sums of whole days by every grain, out of one reading of their rows."""
    spec = compiler.spec
    kept = [f"d_{d}" for d in kept_dimensions(spec)]
    query = Query(
        "",
        {
            "as_of": compiler.as_of, "zone": compiler.params.zone, "days": list(days),
            "since": [since for since, _ in spans], "till": [till for _, till in spans],
        },
    )  # fmt: skip
    rows = ", ".join(
        [
            "a.day",
            f"{compiler.excluded_by()} as excluded_by",
            *(f"{spec.dimension(d).sql} as d_{d}" for d in kept_dimensions(spec)),
            *(f"{m.sql} as m_{m.key}" for m in spec.measures),
        ]
    )
    sets = ", ".join(
        f"({', '.join(['x.day', 'x.excluded_by', *(f'x.d_{d}' for d in g)])})" for g in spec.rollups
    )
    columns = ["grain", "day", "excluded_by", *kept, *(column for column, _, _ in sums(spec))]
    figures = ", ".join(text for _, _, text in sums(spec))
    grain = f"grouping({', '.join(f'x.{d}' for d in kept)})"
    text = (
        f"insert into {relation(schema)} ({', '.join(columns)})\n"
        f"select {grain}, x.day, x.excluded_by, {', '.join(f'x.{d}' for d in kept)}, {figures}\n"
        f"from (select {rows}\nfrom {_ASKED} join {{{spec.subject.table}}} i"
        f" on {spec.subject.born} >= a.since and {spec.subject.born} < a.till) x\n"
        f"group by grouping sets ({sets})"
    )
    query.text = compiler.finish(query, text, spec.subject.born)
    return query


_ASKED: Final = (
    "unnest(%(days)s::date[], %(since)s::timestamptz[], %(till)s::timestamptz[]) as a(day, since, till)"
)
