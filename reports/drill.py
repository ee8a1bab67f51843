# ruff: noqa: S608 - the text comes from the catalogue and the schema; values are always bound
"""The rows behind any figure (G14): the same scope as the report, narrowed to one cell."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import count
from typing import Any, Final

from psycopg import AsyncConnection
from psycopg.rows import tuple_row

from reports.catalogue import INQUIRIES
from reports.compiler import Compiler, Query, Span
from reports.context import Context
from reports.dimensions import NONE_KEY
from reports.lines import LINE_COLUMNS, InquiryLine, Wording, line_of
from reports.model import Measure, Metric, ReportSpec
from reports.overlay import snapshot
from reports.result import Params, Value
from reports.rollup.layout import adds, hits_column, measures_behind
from reports.rollup.reading import Rolled, look

Conn = AsyncConnection[Any]
Path = Sequence[tuple[str, str | None]]
"""Steps from the root of the tree: (dimension, key); None is «Не указано»."""

_AT_ONCE: Final = 1000
_NUMBERS: Final = count(1)
_TABLES: Final = ("inquiry", "client", "sale", "sale_line")


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the inquiries behind a figure.

    ``total``: inquiries behind it. ``value``: the figure computed from just these rows; it equals the cell.
    """

    lines: tuple[InquiryLine, ...]
    total: int
    value: Value
    limit: int
    offset: int


async def drill(
    conn: Conn,
    params: Params,
    context: Context,
    *,
    path: Path = (),
    metric: str | None = None,
    notice: str | None = None,
    limit: int | None = 50,
    offset: int = 0,
    spec: ReportSpec = INQUIRIES,
) -> Page:
    """The inquiries behind a cell, newest first.

    ``path`` leads to the group (need not follow the report's levels); ``metric`` is the column, None = every row of
    the group; a ratio opens the rows of its denominator and numerator. ``notice`` opens a notice's rows instead of
    the report's ("uncategorised", "excluded:…", "excluded" = all of them). ``limit`` None = all.
    Raises KeyError for an unknown metric or dimension.
    """
    chosen = spec.metric(metric) if metric and not notice else None
    if notice:
        # a notice counts inquiries of the period in either basis
        params = replace(params, basis="cohort", counted="inquiry")
    async with snapshot(conn, params, context, _TABLES) as relations:
        compiler = Compiler(spec, params, context.directory, params.as_of or context.now, relations)
        cell = _Cell(path, chosen, notice)
        rolled = await look(conn, compiler, context, relations.moved) if limit is not None else None
        if rolled is None or limit is None or not rolled.covers([d for d, _ in path]):
            figures = await _figures(conn, compiler, cell)
            rows = await _rows(conn, compiler, cell, limit, offset)
        else:
            stretches = await _stretches(conn, compiler, rolled, cell)
            figures = _added(stretches)
            spans, skipped = _page_of(stretches, limit, offset)
            rows = await _rows(conn, replace(compiler, within=spans), cell, limit, offset - skipped)
    words = Wording(spec, context.directory)
    lines = tuple(
        line_of(
            values, words, compiler.as_of, moment=moment, figure=_figure(chosen, figure), excluded_by=rule,
        )
        for moment, rule, figure, *values in rows
    )  # fmt: skip
    return Page(lines, figures[0], _value(chosen, figures), limit or figures[0], offset)


async def lines_of(
    conn: Conn, params: Params, context: Context, *, spec: ReportSpec = INQUIRIES
) -> AsyncGenerator[list[InquiryLine], None]:
    """Every inquiry that the report counts, newest first, some at a time: the sheet «Строки».

    Memory does not grow with their number. Read to the end, or close it.
    """
    async with snapshot(conn, params, context, _TABLES) as relations:
        compiler = Compiler(spec, params, context.directory, params.as_of or context.now, relations)
        query = _rows_query(compiler, _Cell((), None, None), None, 0)
        words = Wording(spec, context.directory)
        async with conn.cursor(f"lines_{next(_NUMBERS)}", row_factory=tuple_row) as cursor:
            await cursor.execute(query.text.encode(), query.values)
            while rows := await cursor.fetchmany(_AT_ONCE):
                yield [
                    line_of(values, words, compiler.as_of, moment=moment) for moment, _, _, *values in rows
                ]


@dataclass(frozen=True, slots=True)
class _Cell:
    """Which rows are asked for: those behind a metric in a row of the tree, or those of a notice."""

    path: Path
    metric: Metric | None
    notice: str | None

    @property
    def steps(self) -> list[tuple[str, bool, tuple[str, ...]]]:
        return [(dimension, True, (NONE_KEY if key is None else key,)) for dimension, key in self.path]

    def measures(self, spec: ReportSpec) -> list[Measure]:
        """What makes the figure."""
        return [spec.measure(spec.counts)] if self.notice else measures_behind(spec, self.metric)

    def wanted(self, values: dict[str, object]) -> str:
        """SQL: a row ``x`` is in the report, or kept out of it by the notice's rule."""
        if self.notice is None:
            return "x.excluded_by is null"
        if self.notice == "excluded":
            return "x.excluded_by is not null"
        values["notice"] = self.notice
        return "x.excluded_by = %(notice)s"


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A part of the period: how many rows of the cell are in it, and what they add to the two halves of its figure."""

    span: Span
    rows: int
    top: Any
    bottom: Any


def _hits(compiler: Compiler, cell: _Cell) -> Query:
    """The scope's rows of one cell."""
    measures = cell.measures(compiler.spec)
    scope = compiler.scope(dimensions=(), measures=[m.key for m in measures], conditions=cell.steps)
    scope.text = (
        f"select x.* from (\n{scope.text}\n) x where {cell.wanted(scope.values)} and ({adds(measures, 'x')})"
    )
    return scope


async def _stretches(conn: Conn, compiler: Compiler, rolled: Rolled, cell: _Cell) -> list[_Stretch]:
    """The whole period in parts, the newest first: clean days by their sums, the others counted."""
    spec, metric = compiler.spec, cell.metric
    hits = f"m_{spec.counts}" if cell.notice else hits_column(spec, metric)
    top = f"m_{metric.measure}" if metric else hits
    bottom = f"m_{metric.per}" if metric and metric.per else hits
    query = rolled.cells(
        (), f"r.day, r.excluded_by, r.{hits} as n, r.{top} as t, r.{bottom} as b", cell.steps, daily=True
    )
    query.text = (
        f"select x.day, sum(x.n), sum(x.t), sum(x.b) from (\n{query.text}\n) x where {cell.wanted(query.values)}"
        " group by 1 having sum(x.n) > 0"
    )
    found = [_Stretch(rolled.bounds[day], *figures) for day, *figures in await _fetched(conn, query)]
    if rolled.spans:
        query = _hits(rolled.rows(), cell)
        query.values |= {"s": [s for s, _ in rolled.spans], "t": [t for _, t in rolled.spans]}
        query.text = (
            f"select s.since, s.till, count(*), {_halves(cell, by_client=False, spec=spec)} from (\n{query.text}\n) h"
            " join unnest(%(s)s::timestamptz[], %(t)s::timestamptz[]) as s(since, till)"
            " on h.moment >= s.since and h.moment < s.till group by 1, 2"
        )
        found += [_Stretch((since, till), *rest) for since, till, *rest in await _fetched(conn, query)]
    return sorted(found, key=lambda s: s.span, reverse=True)


def _added(stretches: Sequence[_Stretch]) -> tuple[int, Any, Any]:
    return (
        sum(s.rows for s in stretches),
        sum((s.top for s in stretches if s.top is not None), 0),
        sum((s.bottom for s in stretches if s.bottom is not None), 0),
    )


def _page_of(stretches: Sequence[_Stretch], limit: int, offset: int) -> tuple[tuple[Span, ...], int]:
    """The parts that a page's rows lie in, and how many rows lie in newer parts."""
    chosen: list[Span] = []
    before = skipped = 0
    for stretch in stretches:
        if before + stretch.rows <= offset:
            skipped += stretch.rows
        elif before < offset + limit:
            chosen.append(stretch.span)
        before += stretch.rows
    return tuple(chosen), skipped


async def _figures(conn: Conn, compiler: Compiler, cell: _Cell) -> tuple[int, Any, Any]:
    """(inquiries, sum of the numerator, sum of the denominator)."""
    query = _hits(compiler, cell)
    halves = _halves(cell, by_client=compiler.params.counted == "client", spec=compiler.spec)
    query.text = f"select count(distinct h.id), {halves} from (\n{query.text}\n) h"
    return tuple((await _fetched(conn, query))[0])


def _halves(cell: _Cell, *, by_client: bool, spec: ReportSpec) -> str:
    """SQL of the two sums that make the figure, over rows ``h`` of `_hits`; null where it has none."""
    if cell.metric is None or cell.notice:
        return "null, null"
    sums = [
        _sum(spec.measure(key), by_client) if key else "null"
        for key in (cell.metric.measure, cell.metric.per)
    ]
    return ", ".join(sums)


def _sum(measure: Measure, by_client: bool) -> str:
    if measure.kind == "sum":
        return f"coalesce(sum(h.m_{measure.key}), 0)"
    return f"count({'distinct h.client' if by_client else '*'}) filter (where h.m_{measure.key})"


async def _rows(
    conn: Conn, compiler: Compiler, cell: _Cell, limit: int | None, offset: int
) -> list[tuple[Any, ...]]:
    return await _fetched(conn, _rows_query(compiler, cell, limit, offset))


def _rows_query(compiler: Compiler, cell: _Cell, limit: int | None, offset: int) -> Query:
    """Moment, rule, what it adds, and the columns of a line for each inquiry of a cell, newest first."""
    query = _hits(compiler, cell)
    figure = "null"
    if cell.metric is not None:
        measure = compiler.spec.measure(cell.metric.measure)
        figure = f"h.m_{measure.key}{'::int' if measure.kind == 'flag' else ''}"
    # a cohort has an inquiry once; by activity each thing that happened to it is a row
    columns, grouped = f"h.moment, h.excluded_by, {figure} as figure", ""
    if compiler.params.basis == "activity":
        figure = "null" if cell.metric is None else f"sum({figure})"
        columns = f"max(h.moment) as moment, min(h.excluded_by) as excluded_by, {figure} as figure"
        grouped = "group by h.id "
    query.values |= {"limit": limit, "offset": offset}
    query.text = compiler.finish_tables(
        f"select p.moment, p.excluded_by, p.figure, {LINE_COLUMNS} from (\n"
        f"select h.id, {columns}\n"
        f"from (\n{query.text}\n) h {grouped}order by 2 desc, 1 limit %(limit)s offset %(offset)s\n"
        ") p join {inquiry} i on i.inquiry_id = p.id left join {client} c on c.client_id = i.client_id\n"
        "order by p.moment desc, p.id"
    )
    return query


async def _fetched(conn: Conn, query: Query) -> list[tuple[Any, ...]]:
    async with conn.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(query.text.encode(), query.values)
        return await cursor.fetchall()


def _figure(metric: Metric | None, figure: Any) -> Decimal | int | None:
    return None if metric is None or figure is None else figure


def _value(metric: Metric | None, figures: tuple[int, Any, Any]) -> Value:
    total, top, bottom = figures
    if metric is None:
        return total
    if metric.per is None:
        return int(top) if metric.column.unit == "count" else Decimal(top)
    return Decimal(top) / Decimal(bottom) if bottom else None
