# ruff: noqa: S608 - the text comes from the catalogue and the schema; values are always bound
"""The rows behind any figure (G14): the same scope as the report, narrowed to one cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

from psycopg import AsyncConnection
from psycopg.rows import tuple_row

from reports.catalogue import INQUIRIES
from reports.compiler import Compiler, Query
from reports.context import Context
from reports.dimensions import NONE_KEY
from reports.lines import LINE_COLUMNS, InquiryLine, line_of
from reports.model import Measure, Metric, ReportSpec
from reports.overlay import snapshot
from reports.result import Params, Value

Conn = AsyncConnection[Any]
Path = Sequence[tuple[str, str | None]]
"""Steps from the root of the tree: (dimension, key); None is «Не указано»."""

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
    masked: bool = False,
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
        figures = await _figures(conn, compiler, path, chosen, notice)
        rows = await _rows(conn, compiler, path, chosen, notice, limit, offset)
    lines = tuple(
        line_of(
            values, spec, context.directory, compiler.as_of,
            masked=masked, moment=moment, figure=_figure(chosen, figure), excluded_by=rule,
        )
        for moment, rule, figure, *values in rows
    )  # fmt: skip
    return Page(lines, figures[0], _value(chosen, figures), limit or figures[0], offset)


async def lines_of(
    conn: Conn, params: Params, context: Context, *, masked: bool = False, spec: ReportSpec = INQUIRIES
) -> tuple[InquiryLine, ...]:
    """Every inquiry that the report counts, newest first: the sheet «Строки»."""
    page = await drill(conn, params, context, limit=None, masked=masked, spec=spec)
    return page.lines


def _hits(
    compiler: Compiler, path: Path, metric: Metric | None, notice: str | None
) -> tuple[Query, list[Measure]]:
    """The scope's rows of one cell, with the measures that make the figure."""
    spec = compiler.spec
    keys = (
        [m.key for m in spec.measures] if metric is None else [k for k in (metric.measure, metric.per) if k]
    )
    measures = [spec.measure(k) for k in dict.fromkeys([spec.counts] if notice else keys)]
    steps = [(dimension, True, (NONE_KEY if key is None else key,)) for dimension, key in path]
    scope = compiler.scope(dimensions=(), measures=[m.key for m in measures], conditions=steps)
    adds = " or ".join(f"x.m_{m.key}" if m.kind == "flag" else f"x.m_{m.key} <> 0" for m in measures)
    wanted = "x.excluded_by is null"
    if notice == "excluded":
        wanted = "x.excluded_by is not null"
    elif notice:
        scope.values["notice"] = notice
        wanted = "x.excluded_by = %(notice)s"
    scope.text = f"select x.* from (\n{scope.text}\n) x where {wanted} and ({adds})"
    return scope, measures


async def _figures(
    conn: Conn, compiler: Compiler, path: Path, metric: Metric | None, notice: str | None
) -> tuple[int, Any, Any]:
    """(inquiries, sum of the numerator, sum of the denominator)."""
    query, measures = _hits(compiler, path, metric, notice)
    by_client = compiler.params.counted == "client"
    sums = {m.key: _sum(m, by_client) for m in measures}
    top = sums[metric.measure] if metric else "null"
    bottom = sums[metric.per] if metric and metric.per else "null"
    text = f"select count(distinct h.id), {top}, {bottom} from (\n{query.text}\n) h"
    async with conn.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(text.encode(), query.values)
        row = await cursor.fetchone()
    assert row is not None
    return row


def _sum(measure: Measure, by_client: bool) -> str:
    if measure.kind == "sum":
        return f"coalesce(sum(h.m_{measure.key}), 0)"
    return f"count({'distinct h.client' if by_client else '*'}) filter (where h.m_{measure.key})"


async def _rows(
    conn: Conn,
    compiler: Compiler,
    path: Path,
    metric: Metric | None,
    notice: str | None,
    limit: int | None,
    offset: int,
) -> list[tuple[Any, ...]]:
    query, _ = _hits(compiler, path, metric, notice)
    figure = "null"
    if metric is not None:
        measure = compiler.spec.measure(metric.measure)
        figure = f"sum(h.m_{measure.key}{'::int' if measure.kind == 'flag' else ''})"
    query.values |= {"limit": limit, "offset": offset}
    text = compiler.finish_tables(
        f"select p.moment, p.excluded_by, p.figure, {LINE_COLUMNS} from (\n"
        f"select h.id, max(h.moment) as moment, min(h.excluded_by) as excluded_by, {figure} as figure\n"
        f"from (\n{query.text}\n) h group by h.id order by 2 desc, 1 limit %(limit)s offset %(offset)s\n"
        ") p join {inquiry} i on i.inquiry_id = p.id left join {client} c on c.client_id = i.client_id\n"
        "order by p.moment desc, p.id"
    )
    async with conn.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(text.encode(), query.values)
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
