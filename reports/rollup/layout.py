"""Tables of the sums in a build's schema, and what their columns are.

``rollup`` has a row for each day, rule that keeps rows out, and combination of dimensions of one *grain* (a set of
dimensions of `ReportSpec.rollups`): ``m_<measure>`` are sums, ``h_<metric>`` counts the rows behind a metric. Sums of
whole months stand there too, under their first day and a grain of their own (`MONTHLY`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import cache, reduce
from typing import Final

from projector.readmodel.tables import check_schema
from reports.model import Measure, Metric, ReportSpec
from reports.rollup.blocks import install_blocks

#: Marks beyond this size say that nobody refreshes: the sums are given up until somebody does.
_MARKS_BYTES: Final = 32 * 1024 * 1024

#: Added to the number of a grain whose rows are sums of months.
MONTHLY: Final = 1 << 16

_COMMENT: Final = "Суммы отчёта по дням: ускоряют его, выводятся из строк; см. docs/reports.md"


@cache
def kept_dimensions(spec: ReportSpec) -> tuple[str, ...]:
    """Every dimension of any grain, in the order of the columns."""
    return tuple(dict.fromkeys(d for grain in spec.rollups for d in grain))


@cache
def grain_number(spec: ReportSpec, grain: tuple[str, ...]) -> int:
    """What Postgres' ``grouping(…)`` over `kept_dimensions` says of a grain: a bit for each one rolled up."""
    kept = kept_dimensions(spec)
    return sum(1 << (len(kept) - 1 - n) for n, d in enumerate(kept) if d not in grain)


def grain_for(spec: ReportSpec, dimensions: Collection[str]) -> tuple[str, ...] | None:
    """The smallest grain that has these dimensions (days and what is made of them aside); None when none has."""
    asked = {d for d in dimensions if spec.dimension(d).by_day is None}
    fitting = [grain for grain in spec.rollups if asked.issubset(grain)]
    return min(fitting, key=len, default=None)


def measures_behind(spec: ReportSpec, metric: Metric | None) -> list[Measure]:
    """The measures that make a figure; None = all of them."""
    keys = (
        [m.key for m in spec.measures]
        if metric is None
        else [k for k in (metric.measure, metric.per) if k is not None]
    )
    return [spec.measure(k) for k in dict.fromkeys(keys)]


def adds(measures: Iterable[Measure], alias: str) -> str:
    """SQL: a row of ``alias`` adds something to one of the measures, so it is behind their figure."""
    return " or ".join(
        f"{alias}.m_{m.key}" if m.kind == "flag" else f"{alias}.m_{m.key} <> 0" for m in measures
    )


def hits_column(spec: ReportSpec, metric: Metric | None) -> str:
    """The column that counts the rows behind a metric: a measure's own where it is a plain count of them."""
    measures = measures_behind(spec, metric)
    if spec.measure(spec.counts) in measures:  # every row of the report is behind it
        return f"m_{spec.counts}"
    if metric is not None and len(measures) == 1 and measures[0].kind == "flag":
        return f"m_{measures[0].key}"
    assert metric is not None  # all measures together have the count among them
    return f"h_{metric.key}"


@cache
def hits(spec: ReportSpec) -> dict[str, str]:
    """Columns ``h_…`` and their conditions over a row ``x`` of the scope."""
    found: dict[str, str] = {}
    for metric in spec.metrics:
        column = hits_column(spec, metric)
        if column.startswith("h_"):
            found[column] = adds(measures_behind(spec, metric), "x")
    return found


@cache
def sums(spec: ReportSpec) -> tuple[tuple[str, str, str], ...]:
    """(column, type, aggregate over rows ``x`` of the scope), in the order of the table."""
    return (
        *(
            (f"m_{m.key}", "integer", f"(count(*) filter (where x.m_{m.key}))::integer")
            if m.kind == "flag"
            else (f"m_{m.key}", "numeric", f"coalesce(sum(x.m_{m.key}), 0)")
            for m in spec.measures
        ),
        *(
            (column, "integer", f"(count(*) filter (where {condition}))::integer")
            for column, condition in hits(spec).items()
        ),
    )


def relation(schema: str) -> str:
    """The table of sums of a build."""
    return f"{check_schema(schema)}.rollup"


def install(schema: str, spec: ReportSpec) -> str:
    """DDL that gives a build its sums, empty and for all time on; may be repeated.

    It waits for everybody who is writing subject rows, and whoever writes afterwards leaves marks.
    """
    s, subject, table = check_schema(schema), spec.subject, spec.subject.table
    live = {name: f"{s}.{name}" for name in (table, *spec.parts)}
    columns = [
        *(f"d_{d} text" for d in kept_dimensions(spec)),
        *(f"{column} {type_} not null" for column, type_, _ in sums(spec)),
    ]
    parts = [
        f"lock table {', '.join(live.values())} in share row exclusive mode",
        f"drop table if exists {s}.rollup, {s}.rollup_day, {s}.rollup_month, {s}.rollup_mark, {s}.rollup_state",
        f"create table {s}.rollup (grain integer not null, day date not null, excluded_by text, {', '.join(columns)})",
        f"create index rollup_day_of on {s}.rollup (grain, day)",
        # a cell of the report's own tree, in all days
        f"create index rollup_cell on {s}.rollup (grain, {', '.join(f'd_{d}' for d in spec.levels)})",
        (
            f"create table {s}.rollup_day (day date primary key, since timestamptz not null, till timestamptz not null,"
            " computed timestamptz not null, good_since timestamptz, good_until timestamptz, rows bigint not null)"
        ),
        f"create table {s}.rollup_month (month date primary key)",
        f"create table {s}.rollup_mark (hour timestamptz not null)",
        f"create table {s}.rollup_state (print text not null, zone text not null)",
        *install_blocks(schema, spec),
        *(f"comment on table {s}.{name} is '{text}'" for name, text in _COMMENTS.items()),
    ]
    for name, way in {table: "", **spec.parts}.items():
        moment = subject.born if way else subject.born.replace("i.", "r.", 1)
        join = reduce(lambda text, one: text.replace(f"{{{one[0]}}}", one[1]), live.items(), way)
        function = f"{s}.rollup_mark_{name}"
        parts.append(_FUNCTION.format(s=s, function=function, bytes=_MARKS_BYTES, moment=moment, join=join))
        for event, tables in _TABLES_OF.items():
            parts.append(f"drop trigger if exists rollup_{event} on {s}.{name}")
            parts.append(
                f"create trigger rollup_{event} after {event} on {s}.{name} referencing {tables}"
                f" for each statement execute function {function}()"
            )
    return ";\n".join(parts)


_COMMENTS: Final = {
    "rollup": _COMMENT,
    "rollup_day": "Дни, суммы которых посчитаны, и до какого момента они верны без новых фактов",
    "rollup_month": "Месяцы, все дни которых посчитаны и сложены",
    "rollup_mark": "Часы, строки которых изменились после подсчёта; день с пометкой читается по строкам",
    "rollup_state": "Чем и по какому поясу посчитаны суммы; пусто — ими никто не занимается, пометки не ставятся",
}

_TABLES_OF: Final = {
    "insert": "new table as new_rows",
    "update": "old table as old_rows new table as new_rows",
    "delete": "old table as old_rows",
}

#: Append only: nobody waits for anybody, and a refresh removes exactly the marks that it saw. A transaction that does
#: not see the state need not mark, because the state is only written while nobody is writing rows (`install`).
_FUNCTION: Final = """
create or replace function {function}() returns trigger language plpgsql as $$
begin
    if not exists (select from {s}.rollup_state) then
        return null;
    end if;
    if pg_relation_size('{s}.rollup_mark') > {bytes} then
        delete from {s}.rollup_state;
        return null;
    end if;
    if tg_op <> 'DELETE' then
        insert into {s}.rollup_mark
        select distinct date_trunc('hour', {moment}, 'UTC') from new_rows r {join};
    end if;
    if tg_op <> 'INSERT' then
        insert into {s}.rollup_mark
        select distinct date_trunc('hour', {moment}, 'UTC') from old_rows r {join};
    end if;
    return null;
end $$"""
