# ruff: noqa: S608 - the text comes from the catalogue and the schema; values are always bound
"""Which days of a report may be taken from their sums, and the SQL that takes them."""

from __future__ import annotations

from calendar import monthrange
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any, Final

from psycopg import AsyncConnection
from psycopg.rows import tuple_row

from projector.readmodel.tables import check_schema
from reports.compiler import Compiler, Query, Span, is_in
from reports.context import Context
from reports.rollup.layout import MONTHLY, grain_for, grain_number, relation
from reports.rollup.refresh import days_of, fingerprint, plain_compiler

Conn = AsyncConnection[Any]
Step = tuple[str, bool, tuple[str, ...]]

#: The rows are read in so many stretches at most; clean days between two of them are read from the rows, too.
_MOST_SPANS: Final = 16


@dataclass(frozen=True, slots=True)
class Rolled:
    """How to read a report: ``clean`` days from their sums, the stretches of ``spans`` from the rows.

    Together they are the whole period, each day once. ``bounds``: beginning and end of every clean day.
    ``months``: first days of those months whose days are all clean, with sums of their own.
    """

    compiler: Compiler
    schema: str
    clean: frozenset[date]
    bounds: dict[date, Span]
    spans: tuple[Span, ...]
    months: frozenset[date]

    def rows(self) -> Compiler:
        """The compiler of the part that is read from the rows."""
        return replace(self.compiler, within=self.spans)

    def covers(self, dimensions: Collection[str]) -> bool:
        """Whether there are sums by these dimensions (beside those of the filters)."""
        return grain_for(self.compiler.spec, {*dimensions, *_filtered(self.compiler)}) is not None

    def cells(
        self, dimensions: Sequence[str], columns: str, conditions: Sequence[Step] = (), *, daily: bool = False
    ) -> Query:
        """``select columns`` from the sums ``r`` of the clean days, filtered; ``d_<dimension>`` of those asked for.

        ``daily``: ``r.day`` is the day itself; else it may be the first day of a month.
        """
        spec, params = self.compiler.spec, self.compiler.params
        steps = (*params.filters, *conditions)
        used = {*dimensions, *(step[0] for step in steps)}
        grain = grain_for(spec, used)
        assert grain is not None  # the caller has asked `covers`
        daily = daily or any(d.by_day and not d.by_month for d in map(spec.dimension, used))
        months = frozenset() if daily else self.months
        days = sorted(day for day in self.clean if day.replace(day=1) not in months)
        number = grain_number(spec, grain)
        query = Query(
            "", {"grain": number, "days": days, "monthly": number + MONTHLY, "months": sorted(months)}
        )
        named = "".join(f", {self._dimension(d)} as d_{d}" for d in dimensions)
        parts = []
        for of, at in (("grain", "days"), ("monthly", "months")):
            where = [f"r.grain = %({of})s", f"r.day = any(%({at})s::date[])"]
            where += [is_in(query, self._dimension(d), included, values) for d, included, values in steps]
            if query.values[at]:
                parts.append(
                    f"select {columns}{named} from {relation(self.schema)} r where {' and '.join(where)}"
                )
        query.text = "\nunion all\n".join(parts)
        return query

    def _dimension(self, key: str) -> str:
        return self.compiler.spec.dimension(key).by_day or f"r.d_{key}"


async def look(
    conn: Conn, compiler: Compiler, context: Context, moved: Collection[datetime]
) -> Rolled | None:
    """How to read this report with sums, in the snapshot of this transaction; None when no day can be.

    ``moved``: hours in which the rows of this report are others than the live ones (`reports.overlay`).
    """
    params = compiler.params
    plain = (
        params.basis == "cohort"
        and params.counted == "inquiry"
        and not params.office_time
        and params.valid_reasons is None
    )
    if not plain or grain_for(compiler.spec, _filtered(compiler)) is None:
        return None
    days = await _clean_days(conn, compiler, context)
    for day in [d for d, span in days.items() if any(meets(span, hour) for hour in moved)]:
        del days[day]
    if not days:
        return None
    spans = _spans(params.first_day, params.last_day, params.zone, days)
    covered = {d: s for d, s in days.items() if not any(a < s[1] and s[0] < b for a, b in spans)}
    return (
        Rolled(
            compiler,
            context.schema,
            frozenset(covered),
            covered,
            spans,
            await _months(conn, context.schema, covered),
        )
        if covered
        else None
    )


async def _clean_days(conn: Conn, compiler: Compiler, context: Context) -> dict[date, Span]:
    first, last = compiler.params.first_day, compiler.params.last_day
    spans = days_of(first, last, compiler.params.zone)
    _, found = await clean_days(conn, compiler, context, spans[0][0], spans[-1][1])
    return {day: (since, till) for day, since, till in found}


async def clean_days(
    conn: Conn, compiler: Compiler, context: Context, since: datetime, till: datetime, *, blocks: bool = False
) -> tuple[str, list[tuple[Any, ...]]]:
    """Whose days they are (a time zone), and (day, since, till) of the days that meet a stretch of time and whose sums hold in this snapshot.

    ``blocks``: only those that have columns too, and of these (…, rows, first and last moment of an activity).
    """
    schema, params = check_schema(context.schema), compiler.params
    more = ", b.rows, b.acts_since, b.acts_till" if blocks else ""
    joined = f" join {schema}.rollup_block b on b.day = d.day and b.fit" if blocks else ""
    async with conn.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute("select to_regclass(%s)", [f"{schema}.rollup_block"])
        row = await cursor.fetchone()
        if row is None or row[0] is None:
            return "", []
        await cursor.execute(f"select print, zone from {schema}.rollup_state".encode())
        row = await cursor.fetchone()
        if row is None or (not blocks and row[1] != params.zone):
            return "", []
        if row[0] != fingerprint(plain_compiler(compiler.spec, replace(params, zone=row[1]), context)):
            return "", []
        zone = str(row[1])
        await cursor.execute(
            f"select d.day, d.since, d.till{more} from {schema}.rollup_day d{joined}"
            " where d.since < %(till)s and d.till > %(since)s"
            " and (d.good_since is null or d.good_since <= %(as_of)s)"
            " and (d.good_until is null or d.good_until > %(as_of)s) and not exists (select from"
            f" {schema}.rollup_mark m where m.hour < d.till and m.hour > d.since - interval '1 hour')".encode(),
            {"since": since, "till": till, "as_of": compiler.as_of},
        )
        return zone, await cursor.fetchall()


async def _months(conn: Conn, schema: str, clean: Collection[date]) -> frozenset[date]:
    """Months with sums all of whose days are clean."""
    found = Counter(day.replace(day=1) for day in clean)
    whole = [m for m, days in found.items() if days == monthrange(m.year, m.month)[1]]
    if not whole:
        return frozenset()
    async with conn.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(
            f"select month from {schema}.rollup_month where month = any(%s)".encode(), [whole]
        )
        return frozenset(month for (month,) in await cursor.fetchall())


def meets(span: Span, hour: datetime) -> bool:
    """Whether an hour that begins at ``hour`` has a moment of the stretch."""
    return hour < span[1] and hour + timedelta(hours=1) > span[0]


def _filtered(compiler: Compiler) -> set[str]:
    return {dimension for dimension, _, _ in compiler.params.filters}


def _spans(first: date, last: date, zone: str, clean: Collection[date]) -> tuple[Span, ...]:
    """Stretches that hold every day that is not clean; when there are many, the nearest ones are joined."""
    spans: list[Span] = []
    for n, (since, till) in enumerate(days_of(first, last, zone)):
        if first + timedelta(days=n) in clean:
            continue
        if spans and spans[-1][1] == since:
            spans[-1] = (spans[-1][0], till)
        else:
            spans.append((since, till))
    return _fewer(spans)


def gaps(covered: Sequence[Span], since: datetime, till: datetime) -> tuple[Span, ...]:
    """What of a stretch of time none of the sorted spans covers; when that is many stretches, the nearest are joined."""
    spans: list[Span] = []
    at = since
    for a, b in covered:
        if a > at:
            spans.append((at, a))
        at = max(at, b)
    if at < till:
        spans.append((at, till))
    return _fewer(spans)


def _fewer(spans: list[Span]) -> tuple[Span, ...]:
    while len(spans) > _MOST_SPANS:
        gaps = [b[0] - a[1] for a, b in pairwise(spans)]
        at = gaps.index(min(gaps))
        spans[at : at + 2] = [(spans[at][0], spans[at + 1][1])]
    return tuple(spans)
