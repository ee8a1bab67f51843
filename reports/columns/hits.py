# ruff: noqa: S608 - the schema is checked
"""The rows behind a figure, out of columns: how many, what they add up to, and the ids of one page of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from psycopg import AsyncConnection
from psycopg.rows import tuple_row

from reports.columns.counting import has, money
from reports.columns.loading import Chosen, Columns, load
from reports.columns.numbers import client_numbers
from reports.columns.things import Step, Things, micros, needed, things
from reports.model import Measure
from reports.rollup.blocks import flags_of

Conn = AsyncConnection[Any]
Array = NDArray[Any]
Loose = tuple[UUID, UUID, datetime, Any, Any]
"""A thing from the rows: inquiry, client, moment, what it adds to the two halves of the figure."""


@dataclass(frozen=True, slots=True)
class Sought:
    """What is behind a figure: rows of these filters that add to one of ``measures``, in the report or kept out of it.

    ``notice``: None = in the report, "excluded" = kept out, else the rule. ``halves``: numerator and denominator.
    """

    steps: tuple[Step, ...]
    measures: tuple[Measure, ...]
    notice: str | None
    halves: tuple[Measure | None, Measure | None]


@dataclass(frozen=True, slots=True)
class Found:
    """Rows behind a figure, its two halves (None where it has none), and the rows of the page asked for."""

    total: int
    top: int | Decimal | None
    bottom: int | Decimal | None
    ids: list[UUID]


async def page_of(
    conn: Conn, chosen: Chosen, sought: Sought, loose: Sequence[Loose], limit: int, offset: int
) -> Found:
    """Of the chosen days and of ``loose``, the things of all other days. Pages go from the newest, then by id."""
    more = ["client"] if chosen.compiler.params.counted == "client" else []
    names = needed(chosen, (), [m.key for m in sought.measures], "moment", *more, steps=sought.steps)
    columns = await load(conn, chosen, names)
    numbers = await client_numbers(conn, chosen.schema, {row[1] for row in loose}) if more else {}
    hits = await asyncio.to_thread(_hits, chosen, columns, sought)
    halves = [_half(chosen, columns, hits, sought, loose, numbers, n) for n in (0, 1)]
    latest: dict[UUID, int] = {}
    for ident, _, moment, _, _ in loose:
        at = micros(moment)
        latest[ident] = max(at, latest.get(ident, at))
    rows, moments = await asyncio.to_thread(_by_row, hits)
    total = len(rows) + len(latest)
    every = np.concatenate([moments, np.array(list(latest.values()), np.int64)])
    if offset >= total or limit == 0:
        return Found(total, halves[0], halves[1], [])
    newest, oldest = _ranked(every, offset), _ranked(every, min(offset + limit, total) - 1)
    skipped = int(np.count_nonzero(every > newest))
    near = np.flatnonzero((moments >= oldest) & (moments <= newest))
    places = await _ids(conn, chosen, columns, rows[near])
    page = [(-int(moment), ident) for moment, ident in zip(moments[near].tolist(), places, strict=True)]
    page += [(-at, ident) for ident, at in latest.items() if oldest <= at <= newest]
    page.sort()
    ids = [ident for _, ident in page[offset - skipped : offset - skipped + limit]]
    return Found(total, halves[0], halves[1], ids)


async def ids_of(conn: Conn, chosen: Chosen, sought: Sought) -> list[UUID]:
    """All rows of the chosen days that are sought."""
    names = needed(chosen, (), [m.key for m in sought.measures], steps=sought.steps)
    columns = await load(conn, chosen, names)
    hits = await asyncio.to_thread(_hits, chosen, columns, sought)
    rows = np.unique(np.concatenate([part.rows[hit] for part, hit in hits]))
    return await _ids(conn, chosen, columns, rows)


def _hits(chosen: Chosen, columns: Columns, sought: Sought) -> list[tuple[Things, Array]]:
    """Things of the scope, and the places of those among them that are sought."""
    compiler, flags = chosen.compiler, flags_of(chosen.compiler.spec)
    dated = "moment" in columns.raw
    # then whole days are read by their moments, too
    read = replace(columns, whole=columns.whole and not dated)
    keys = [m.key for m in sought.measures]
    found = []
    for part in things(compiler, read, (), keys, steps=sought.steps, dated=dated):
        adds = np.zeros(len(part.rows), bool)
        for key in keys:
            if key in part.sums:
                some = np.flatnonzero(part.sums[key])
                adds[some if part.summed is None else part.summed[some]] = True
            elif part.flags is not None and key in flags:
                adds |= has(part.flags, key, flags)
        if sought.notice is None:
            adds &= part.excluded == 0
        elif sought.notice == "excluded":
            adds &= part.excluded > 0
        else:
            adds &= part.excluded == columns.code(sought.notice)
        found.append((part, np.flatnonzero(adds)))
    return found


def _half(
    chosen: Chosen,
    columns: Columns,
    hits: Sequence[tuple[Things, Array]],
    sought: Sought,
    loose: Sequence[Loose],
    numbers: dict[UUID, int],
    which: int,
) -> int | Decimal | None:
    measure = sought.halves[which]
    if measure is None:
        return None
    values: list[tuple[UUID, Any]] = [(row[1], row[3 + which]) for row in loose]
    if measure.kind == "sum":
        units = 0
        for part, hit in hits:
            if measure.key in part.sums:
                kept = np.zeros(len(part.rows), bool)
                kept[hit] = True
                of = part.sums[measure.key]
                units += sum(of[kept if part.summed is None else kept[part.summed]].tolist())
        return money(units) + sum((value for _, value in values if value), Decimal(0))
    flags = flags_of(chosen.compiler.spec)
    held = [
        part.rows[hit[has(part.flags[hit], measure.key, flags)]]
        for part, hit in hits
        if part.flags is not None
    ]
    if chosen.compiler.params.counted != "client":
        return sum(map(len, held)) + sum(1 for _, value in values if value)
    clients = {numbers[client] for client, value in values if value}
    if held:
        clients.update(np.unique(columns.ints("client")[np.concatenate(held)]).tolist())
    return len(clients)


def _by_row(hits: Sequence[tuple[Things, Array]]) -> tuple[Array, Array]:
    """Places of the rows that have a hit, each once, and the latest moment of each."""
    rows = [part.rows[hit] for part, hit in hits]
    moments = [part.moment[hit] for part, hit in hits if part.moment is not None]
    if not rows:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    if len(rows) == 1:  # a row has one thing of a branch, unless it was joined
        places, of = rows[0], moments[0]
        if len(places) < 2 or bool((places[1:] > places[:-1]).all()):
            return places, of
    places, of = np.concatenate(rows), np.concatenate(moments)
    order = np.lexsort((of, places))
    places, of = places[order], of[order]
    last = np.flatnonzero(np.concatenate((places[1:] != places[:-1], [True]))) if len(places) else order
    return places[last], of[last]


def _ranked(moments: Array, rank: int) -> int:
    """The moment that stands there when the newest is the first."""
    at = len(moments) - 1 - rank
    return int(np.partition(moments, at)[at])


async def _ids(conn: Conn, chosen: Chosen, columns: Columns, rows: Array) -> list[UUID]:
    """Ids of rows by their places."""
    if not len(rows):
        return []
    starts = np.cumsum([0, *(block.rows for block in columns.blocks)])
    block = np.searchsorted(starts, rows, "right") - 1
    days = [columns.blocks[n].day for n in block.tolist()]
    within = (rows - starts[block]).tolist()
    async with conn.cursor(row_factory=tuple_row, binary=True) as cursor:
        await cursor.execute(
            f"select substring(b.id from a.n * 16 + 1 for 16) from unnest(%s::date[], %s::integer[])"
            f" with ordinality a(day, n, place) join {chosen.schema}.rollup_block b using (day) order by a.place".encode(),
            [days, within],
        )
        return [UUID(bytes=bytes(row[0])) for row in await cursor.fetchall()]
