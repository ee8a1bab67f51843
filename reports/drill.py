# ruff: noqa: S608 - the text comes from the catalogue and the schema; values are always bound
"""The rows behind any figure (G14): the same scope as the report, narrowed to one cell."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from itertools import count
from typing import Any, Final
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import tuple_row

from reports.catalogue import INQUIRIES
from reports.columns.hits import Sought, ids_of, page_of
from reports.columns.loading import Chosen, choose
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

_Figures = tuple[int, Any, Any]
"""Inquiries, sum of the numerator, sum of the denominator."""

_AT_ONCE: Final = 1000
#: So many days are quickly read whole; of more only the rows that are asked for.
_FEW_DAYS: Final = 2
#: Rows of days without columns, more than which the database finds the page.
_MOST_LOOSE: Final = 100_000
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
        seen = _Seen(conn, compiler, context, relations.moved)
        found = await _page(seen, cell, limit, offset) if limit is not None else None
        if found is None:
            found = (await _figures(conn, compiler, cell), await _rows(conn, compiler, cell, limit, offset))
        figures, rows = found
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

    def sought(self, spec: ReportSpec) -> Sought:
        """The same for columns."""
        metric = None if self.notice else self.metric
        halves = (
            (spec.measure(metric.measure), spec.measure(metric.per) if metric.per else None)
            if metric
            else (None, None)
        )
        return Sought(tuple(self.steps), tuple(self.measures(spec)), self.notice, halves)

    def wanted(self, values: dict[str, object]) -> str:
        """SQL: a row ``x`` is in the report, or kept out of it by the notice's rule."""
        if self.notice is None:
            return "x.excluded_by is null"
        if self.notice == "excluded":
            return "x.excluded_by is not null"
        values["notice"] = self.notice
        return "x.excluded_by = %(notice)s"


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is read: a report in the snapshot of a transaction. ``moved``: see `reports.overlay`."""

    conn: Conn
    compiler: Compiler
    context: Context
    moved: Collection[datetime]

    async def columns(self) -> Chosen | None:
        return await choose(self.conn, self.compiler, self.context, self.moved)


async def _page(
    seen: _Seen, cell: _Cell, limit: int, offset: int
) -> tuple[_Figures, list[tuple[Any, ...]]] | None:
    """Figures and rows of a page by sums of days, else by columns of days; None when neither knows enough."""
    conn, compiler = seen.conn, seen.compiler
    rolled = await look(conn, compiler, seen.context, seen.moved)
    if rolled is not None and rolled.covers([d for d, _ in cell.path]):
        stretches = await _stretches(conn, compiler, rolled, cell)
        spans, skipped = _page_of(stretches, limit, offset)
        ids = await _sparse(seen, cell, spans) if len(spans) > _FEW_DAYS else None
        rows = await _rows(conn, replace(compiler, within=spans), cell, limit, offset - skipped, ids)
        return _added(stretches), rows
    chosen = await seen.columns()
    if chosen is None or (loose := await _loose(conn, compiler, cell, chosen.rest)) is None:
        return None
    page = await page_of(conn, chosen, cell.sought(compiler.spec), loose, limit, offset)
    return (page.total, page.top, page.bottom), await _rows(conn, compiler, cell, limit, 0, page.ids)


async def _sparse(seen: _Seen, cell: _Cell, spans: Sequence[Span]) -> list[UUID] | None:
    """The rows of the cell in these stretches, days or parts of the rest; None when their columns are not there."""
    chosen = await seen.columns()
    if chosen is None:
        return None
    blocks = {block.span: block for block in chosen.blocks}
    here = tuple(blocks[span] for span in spans if span in blocks)
    loose = await _loose(seen.conn, seen.compiler, cell, tuple(span for span in spans if span not in blocks))
    if loose is None or not here:
        return None
    ids = await ids_of(seen.conn, replace(chosen, blocks=here), cell.sought(seen.compiler.spec))
    return ids + [row[0] for row in loose]


async def _loose(
    conn: Conn, compiler: Compiler, cell: _Cell, spans: tuple[Span, ...]
) -> list[tuple[Any, ...]] | None:
    """(id, client, moment, what it adds to the halves of the figure) of each thing born in these stretches.

    None when they are many.
    """
    if not spans:
        return []
    query = _hits(replace(compiler, within=spans), cell)
    halves = [f"h.m_{m.key}" if m else "null" for m in cell.sought(compiler.spec).halves]
    query.values["most"] = _MOST_LOOSE + 1
    query.text = (
        f"select h.id, h.client, h.moment, {', '.join(halves)} from (\n{query.text}\n) h limit %(most)s"
    )
    rows = await _fetched(conn, query)
    return rows if len(rows) <= _MOST_LOOSE else None


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A part of the period: how many rows of the cell are in it, and what they add to the two halves of its figure."""

    span: Span
    rows: int
    top: Any
    bottom: Any


def _hits(compiler: Compiler, cell: _Cell, ids: Sequence[UUID] | None = None) -> Query:
    """The scope's rows of one cell; ``ids``: of these inquiries only."""
    measures = cell.measures(compiler.spec)
    scope = compiler.scope(dimensions=(), measures=[m.key for m in measures], conditions=cell.steps, ids=ids)
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


def _added(stretches: Sequence[_Stretch]) -> _Figures:
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


async def _figures(conn: Conn, compiler: Compiler, cell: _Cell) -> _Figures:
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
    conn: Conn,
    compiler: Compiler,
    cell: _Cell,
    limit: int | None,
    offset: int,
    ids: Sequence[UUID] | None = None,
) -> list[tuple[Any, ...]]:
    return await _fetched(conn, _rows_query(compiler, cell, limit, offset, ids))


def _rows_query(
    compiler: Compiler, cell: _Cell, limit: int | None, offset: int, ids: Sequence[UUID] | None = None
) -> Query:
    """Moment, rule, what it adds, and the columns of a line for each inquiry of a cell, newest first."""
    query = _hits(compiler, cell, ids)
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
