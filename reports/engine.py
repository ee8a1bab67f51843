# ruff: noqa: S608 - the text comes from the catalogue and the schema; values are always bound
"""Runs a report: compiles its scope, groups it in one query and recomputes every level from sums (G4, G8)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
from psycopg.rows import tuple_row

from reports.catalogue import INQUIRIES
from reports.columns.loading import choose
from reports.columns.report import distinct_rows, leaf_rows
from reports.compiler import Compiler, Query, Span
from reports.context import Context
from reports.dimensions import label_of, order_key
from reports.model import Metric, ReportSpec
from reports.overlay import repeatable, snapshot
from reports.periods import comparable, neighbours, same_last_year
from reports.result import Change, Comparison, Group, Notice, Params, Report, Value
from reports.rollup.reading import Rolled, look

Conn = psycopg.AsyncConnection[Any]
Path = tuple[str | None, ...]
Sums = dict[str, int | Decimal]


async def run(conn: Conn, params: Params, context: Context, spec: ReportSpec = INQUIRIES) -> Report:
    """Build a report, compared with another period if it is asked. Reads one consistent snapshot; changes nothing.

    Without ``as_of`` and ``known_at`` both clocks are ``context.now``. Raises psycopg errors only.
    """
    async with repeatable(conn):
        report = await _run(conn, params, context, spec)
        days = _compared_days(params, report.as_of)
        if days is None:
            return report
        first, last = days
        asked = replace(params, first_day=first, last_day=last, levels=(), compare="none")
        before = (await _run(conn, asked, context, spec)).total
    changes = {key: change(report.total[key], before[key]) for key in before}
    return replace(report, comparison=Comparison(params.compare, first, last, before, changes))


async def _run(conn: Conn, params: Params, context: Context, spec: ReportSpec) -> Report:
    async with snapshot(conn, params, context) as relations:
        compiler = Compiler(spec, params, context.directory, params.as_of or context.now, relations)
        grouped = await _grouped(conn, compiler, context, relations.moved)
        absent = await _not_connected(conn, spec, relations)
    total = grouped.sums.get((), {})
    return Report(
        name=spec.name,
        title=spec.title,
        params=params,
        columns=tuple(m.column for m in spec.metrics),
        groups=_tree(spec, params, context, grouped.sums),
        total=values_of(spec, total),
        notices=_notices(spec, grouped.excluded),
        as_of=params.as_of or context.now,
        fresh_at=context.fresh_at,
        lag_s=context.lag_s,
        stands_since=context.stands_since,
        rules=context.rules,
        not_connected=absent,
    )


def _compared_days(params: Params, as_of: datetime) -> tuple[date, date] | None:
    """The days to compare with; None when nothing is asked, or the calendar of reports begins later."""
    if params.compare == "none":
        return None
    first, last = params.first_day, params.last_day
    other = neighbours(first, last)[0] if params.compare == "previous" else same_last_year(first, last)
    seen = as_of - timedelta(microseconds=1)  # the moment itself is not seen: at midnight no day has begun
    return comparable(first, last, other, seen.astimezone(ZoneInfo(params.zone)).date())


def change(now: Value, before: Value) -> Change:
    """What a figure has gained since another period."""
    if now is None or before is None:
        return Change(None, None)
    difference = now - before
    return Change(difference, Decimal(difference) / Decimal(before) if before else None)


@dataclass(frozen=True, slots=True)
class Grouped:
    """Sums of every node of the tree by its path from the root, and how many rows each notice kept out."""

    sums: dict[Path, Sums]
    excluded: dict[str, int]


def values_of(spec: ReportSpec, sums: Mapping[str, int | Decimal]) -> dict[str, Value]:
    """All metrics of one node: sums, and ratios of sums; None where the denominator is zero."""
    return {m.key: _value(m, sums) for m in spec.metrics}


def _value(metric: Metric, sums: Mapping[str, int | Decimal]) -> Value:
    top = sums.get(metric.measure, 0)
    if metric.per is None:
        return int(top) if metric.column.unit == "count" else Decimal(top)
    bottom = sums.get(metric.per, 0)
    return Decimal(top) / Decimal(bottom) if bottom else None


async def _grouped(conn: Conn, compiler: Compiler, context: Context, moved: Collection[datetime]) -> Grouped:
    """Out of sums of days where they know what is asked, else out of columns of days, else out of the rows."""
    by_client = compiler.params.counted == "client"
    rolled = await look(conn, compiler, context, moved)
    if rolled is not None and rolled.covers(compiler.params.levels):
        rows = await _fetched(conn, _sums_query(compiler, rolled))
        rest: tuple[Span, ...] = rolled.spans
    elif (chosen := await choose(conn, compiler, context, moved)) is None:
        rows = await _fetched(conn, group_query(compiler))
        return _read_levels(compiler, rows) if by_client else _fold_leaves(compiler, rows)
    elif by_client:
        levels = await distinct_rows(conn, compiler, chosen)
        return _read_levels(compiler, levels or await _fetched(conn, group_query(compiler)))
    else:
        rows, rest = await leaf_rows(conn, compiler, chosen), chosen.rest
    if rest:
        rows += await _fetched(conn, group_query(replace(compiler, within=rest)))
    return _fold_leaves(compiler, rows)


async def _fetched(conn: Conn, query: Query) -> list[tuple[Any, ...]]:
    async with conn.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(query.text.encode(), query.values)
        return await cursor.fetchall()


def _sums_query(compiler: Compiler, rolled: Rolled) -> Query:
    """The same columns as `group_query` without its clients, out of the sums of clean days."""
    spec, levels = compiler.spec, compiler.params.levels
    measures = [f"m_{m.key}" for m in spec.measures]
    query = rolled.cells(levels, ", ".join(f"r.{c}" for c in ("excluded_by", *measures)))
    shown = [f"case when x.excluded_by is null then x.d_{d} end" for d in levels]
    figures = ", ".join(f"sum(x.{c})" for c in (f"m_{spec.counts}", *measures))
    query.text = (
        f"select {', '.join(['x.excluded_by', '0', *shown])}, {figures}\nfrom (\n{query.text}\n) x"
        f"\ngroup by {', '.join(['1', *(str(n + 3) for n in range(len(levels)))])}"
    )
    return query


def group_query(compiler: Compiler) -> Query:
    """One scan: rows of the report by its levels, and the excluded ones by their rule.

    Columns: excluded_by, rolled (bit mask of levels rolled up), the levels, the count for notices, the measures.
    """
    spec, params = compiler.spec, compiler.params
    keys = [m.key for m in spec.measures]
    scope = compiler.scope(dimensions=params.levels, measures=keys)
    levels = [f"g{n}" for n in range(len(params.levels))]
    inner = ", ".join(
        f"case when x.excluded_by is null then x.d_{d} end as {g}"
        for g, d in zip(levels, params.levels, strict=True)
    )
    by_client = params.counted == "client"
    figures = ", ".join(
        (
            f"count(distinct y.client) filter (where y.m_{m.key})"
            if by_client
            else f"count(*) filter (where y.m_{m.key})"
        )
        if m.kind == "flag"
        else f"coalesce(sum(y.m_{m.key}), 0)"
        for m in spec.measures
    )
    if by_client:
        sets = ", ".join(f"({', '.join(['y.excluded_by', *levels[:n]])})" for n in range(len(levels) + 1))
        grouping, rolled = f"grouping sets ({sets})", f"grouping({', '.join(levels)})" if levels else "0"
    else:
        grouping, rolled = ", ".join(["y.excluded_by", *levels]), "0"
    scope.text = (
        f"select {', '.join(['y.excluded_by', rolled, *levels])}, count(*) filter (where y.m_{spec.counts}), {figures}\n"
        f"from (select x.*{', ' + inner if inner else ''} from (\n{scope.text}\n) x) y\ngroup by {grouping}"
    )
    return scope


def _fold_leaves(compiler: Compiler, rows: Sequence[tuple[Any, ...]]) -> Grouped:
    """Additive sums: every leaf is added to all nodes above it."""
    keys = [m.key for m in compiler.spec.measures]
    depth = len(compiler.params.levels)
    sums: dict[Path, Sums] = {(): dict.fromkeys(keys, 0)}
    excluded: dict[str, int] = {}
    for rule, _, *rest in rows:
        levels, counted, figures = tuple(rest[:depth]), rest[depth], rest[depth + 1 :]
        if rule is not None:
            excluded[rule] = excluded.get(rule, 0) + counted
            continue
        for n in range(depth + 1):
            node = sums.setdefault(levels[:n], dict.fromkeys(keys, 0))
            for key, figure in zip(keys, figures, strict=True):
                node[key] += figure
    return Grouped(sums, excluded)


def _read_levels(compiler: Compiler, rows: Sequence[tuple[Any, ...]]) -> Grouped:
    """Distinct counts are not additive (G8): the database has computed each level by itself."""
    keys = [m.key for m in compiler.spec.measures]
    depth = len(compiler.params.levels)
    sums: dict[Path, Sums] = {(): dict.fromkeys(keys, 0)}
    excluded: dict[str, int] = {}
    for rule, rolled, *rest in rows:
        kept = depth - int(rolled).bit_count()
        if rule is None:
            sums[tuple(rest[:kept])] = dict(zip(keys, rest[depth + 1 :], strict=True))
        elif kept == 0:
            excluded[rule] = rest[depth]
    return Grouped(sums, excluded)


def _tree(spec: ReportSpec, params: Params, context: Context, sums: Mapping[Path, Sums]) -> tuple[Group, ...]:
    below: dict[Path, list[Path]] = {}
    for path in sums:
        if path:
            below.setdefault(path[:-1], []).append(path)

    def build(parent: Path) -> tuple[Group, ...]:
        paths = below.get(parent, [])
        if not paths:
            return ()
        dimension = spec.dimension(params.levels[len(parent)])
        paths.sort(key=lambda p: order_key(dimension, p[-1], context.directory, params.lang))
        return tuple(
            Group(
                dimension=dimension.key,
                key=path[-1],
                label=label_of(dimension, path[-1], context.directory),
                values=values_of(spec, sums[path]),
                children=build(path),
            )
            for path in paths
            if any(sums[path].values())
        )

    return build(())


def _notices(spec: ReportSpec, excluded: Mapping[str, int]) -> tuple[Notice, ...]:
    """What was left out, by rule; «Не классифицировано» first, then the largest."""
    found = [notice(spec, key, count) for key, count in excluded.items() if count]
    return tuple(sorted(found, key=lambda n: (n.key != "uncategorised", -n.count, n.key)))


def notice(spec: ReportSpec, key: str, count: int) -> Notice:
    """The words and the rule of a notice key."""
    rule = max(spec.exclusions, key=lambda e: len(e.key_prefix) if key.startswith(e.key_prefix) else 0)
    return Notice(key, rule.label_of(key), rule.rule, count)


async def _not_connected(conn: Conn, spec: ReportSpec, relations: Mapping[str, str]) -> tuple[str, ...]:
    """Metrics whose table has no row at all: «нет данных: не подключено» instead of zeros (spec 2.5)."""
    tables = sorted(set(spec.needs.values()))
    asked = ", ".join(f"exists (select 1 from {relations[t]} t{n})" for n, t in enumerate(tables))
    async with conn.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(f"select {asked}".encode())
        row = await cursor.fetchone()
    assert row is not None
    empty = {t for t, there in zip(tables, row, strict=True) if not there}
    return tuple(m.key for m in spec.metrics if spec.needs.get(m.key) in empty)
