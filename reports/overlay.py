# ruff: noqa: S608 - the text comes from the catalogue and the schema; values are always bound
"""The two clocks (G3): what the read models would hold if only facts before ``as_of`` and ``known_at`` existed.

Live rows know everything up to now. So the groups that have a fact at or after a clock are folded again from the
facts before it, into temporary tables that stand in front of their live rows; the report's SQL does not know the
difference. When no group is touched it reads the live tables themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from itertools import count
from typing import Any, Final

from psycopg import AsyncConnection
from psycopg.pq import TransactionStatus
from psycopg.types.json import Jsonb

from domain.directory import Directory
from domain.event import Event
from domain.fold import fold_group
from domain.rows import TABLES, Row
from projector.readmodel.history import groups_touched_since, load_histories
from projector.readmodel.tables import check_schema, columns
from reports.compiler import period_values
from reports.context import Context
from reports.result import Params

Conn = AsyncConnection[Any]


class Relations(dict[str, str]):
    """Table → SQL of what to read of it. ``moved``: hours of inquiries that are not as in the live tables."""

    moved: frozenset[datetime] = frozenset()


_CHUNK: Final = 200
_LONGEST_CONTACT: Final = timedelta(days=2)
_NUMBERS: Final = count(1)


@asynccontextmanager
async def snapshot(
    conn: Conn,
    params: Params,
    context: Context,
    tables: Collection[str] = tuple(TABLES),
    *,
    groups: Collection[int] | None = None,
) -> AsyncIterator[Relations]:
    """Relations (table → SQL) of one consistent snapshot under the clocks of ``params``.

    ``tables`` are those that will be read with the clocks applied; the others are live. ``groups``: only rows of
    these groups of facts will be read. The temporary tables go with the transaction.
    """
    async with repeatable(conn):
        touched = await _touched(conn, params, context, groups)
        relations = live_relations(context.schema)
        if touched:
            number = next(_NUMBERS)
            relations |= await _overlay(conn, params, context, touched, tables, number)
            if "inquiry" in tables:
                relations.moved = await _moved(conn, context.schema, number)
        yield relations


@asynccontextmanager
async def repeatable(conn: Conn) -> AsyncIterator[None]:
    """A transaction whose queries all see the same data; inside another transaction a savepoint of that one."""
    fresh = conn.info.transaction_status == TransactionStatus.IDLE
    async with conn.transaction():
        if fresh:
            await conn.execute("set transaction isolation level repeatable read")
        # a report has few groups however many rows it reads: room to hash them instead of sorting the rows
        await conn.execute("set local work_mem = '64MB'")
        yield


def live_relations(schema: str) -> Relations:
    """Every read-model table of a build by its plain name."""
    return Relations({table: f'{check_schema(schema)}."{table}"' for table in TABLES})


async def _touched(conn: Conn, params: Params, context: Context, only: Collection[int] | None) -> list[int]:
    as_of = params.as_of or context.now
    groups = await groups_touched_since(conn, context.schema, as_of, known_since=params.known_at)
    if only is not None:
        return sorted(set(groups) & set(only))
    if not groups or params.basis == "activity":
        return groups
    return await _of_period(conn, params, context.schema, groups)


async def _of_period(conn: Conn, params: Params, schema: str, groups: list[int]) -> list[int]:
    """Of the touched groups those that can have an inquiry in the period: a cohort needs no others."""
    bounds = period_values(params)
    values = {
        "groups": groups,
        "since": bounds["since"],
        "till": bounds["till"],
        "facts_till": _plus(bounds["till"], _LONGEST_CONTACT),
    }
    query = (
        f'select group_id from {schema}.fact where group_id = any(%(groups)s) and "time" >= %(since)s'
        ' and "time" < %(facts_till)s'
        f" union select group_id from {schema}.inquiry where group_id = any(%(groups)s)"
        " and opened_at >= %(since)s and opened_at < %(till)s"
    )
    async with conn.cursor() as cursor:
        await cursor.execute(query.encode(), values)
        return sorted(row[0] for row in await cursor.fetchall())


def _plus(moment: object, span: timedelta) -> datetime:
    assert isinstance(moment, datetime)
    return moment + span


async def _overlay(
    conn: Conn, params: Params, context: Context, groups: list[int], tables: Collection[str], number: int
) -> dict[str, str]:
    """Fold the groups under the clocks and put their rows in front of the live ones."""
    hidden = f"overlay_{number}_group"
    await conn.execute(
        f"create temp table {hidden} on commit drop as select unnest(%s::bigint[]) as group_id".encode(),
        [groups],
    )
    relations: dict[str, str] = {}
    for table in tables:
        names = ", ".join(f'"{c.name}"' for c in columns(table))
        live = f'{context.schema}."{table}"'
        temp = f"overlay_{number}_{table}"
        await conn.execute(
            f"create temp table {temp} on commit drop as select {names} from {live} limit 0".encode()
        )
        relations[table] = (
            f"(select {names} from {live} live where not exists"
            f" (select 1 from {hidden} h where h.group_id = live.group_id)"
            f" union all select {names} from {temp})"
        )
    for start in range(0, len(groups), _CHUNK):
        histories = await load_histories(
            conn,
            context.schema,
            groups[start : start + _CHUNK],
            before=params.as_of or context.now,
            known_before=params.known_at,
        )
        folded = await asyncio.to_thread(_fold, list(histories.values()), context.directory, tables)
        for table, rows in folded.items():
            await _copy(conn, f"overlay_{number}_{table}", rows)
    return relations


async def _moved(conn: Conn, schema: str, number: int) -> frozenset[datetime]:
    """Hours of the inquiries that an overlay hides or shows."""
    async with conn.cursor() as cursor:
        await cursor.execute(
            "select distinct date_trunc('hour', opened_at, 'UTC') from ("
            f"select opened_at from {schema}.inquiry i join overlay_{number}_group h using (group_id)"
            f" union all select opened_at from overlay_{number}_inquiry) r".encode()
        )
        return frozenset(row[0] for row in await cursor.fetchall())


def _fold(
    histories: Sequence[list[Event]], directory: Directory, tables: Collection[str]
) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {table: [] for table in tables}
    for events in histories:
        folded = fold_group(events, directory)
        for table in tables:
            found[table] += folded.get(table, [])
    return found


async def _copy(conn: Conn, table: str, rows: Sequence[Row]) -> None:
    if not rows:
        return
    async with conn.cursor() as cursor, cursor.copy(f"copy {table} from stdin".encode()) as copy:
        for row in rows:
            await copy.write_row([stored(value) for value in row])


def stored(value: object) -> object:
    """A row's value as the database takes it."""
    if isinstance(value, tuple):
        return list(value)
    return Jsonb(value) if isinstance(value, dict) else value
