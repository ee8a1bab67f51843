"""Rows of the read model: compared with what is there by their hash; only what differs is written."""

# ruff: noqa: S608 - names of schemas pass check_schema, names of tables and columns come from domain.rows

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import blake2b
from typing import Any, NamedTuple
from uuid import UUID

import psycopg

from domain.rows import TABLES, Row, Rows
from projector.database import Connection
from projector.lines import copy, dump, json_text, line, line_of_ids, texts, uuids
from projector.readmodel.tables import check_schema, columns

_TABLES = tuple(TABLES)
_NUMBER = {table: number for number, table in enumerate(_TABLES)}

#: Types of columns that a line of COPY has as text.
_AS_TEXT: dict[str, Callable[[Any], str]] = {"uuid[]": uuids, "text[]": texts, "jsonb": json_text}


class Stored(NamedTuple):
    """A row as it is in the database: hash of its contents, and its group."""

    row_hash: int
    group_id: int


class Encoded(NamedTuple):
    """A row for comparison and for writing: its key, itself, its contents as a line of COPY, and their hash."""

    key: UUID
    row: Row
    body: bytes
    row_hash: int

    def in_group(self, group: int) -> bytes:
        """The whole line."""
        return b"%b,%d,%d" % (self.body, group, self.row_hash)


@dataclass(slots=True)
class Changes:
    """What must be written, by table: rows that the groups did not have, others that they had, keys that vanished."""

    fresh: dict[str, list[tuple[Encoded, int]]] = field(default_factory=dict)  # with the group
    other: dict[str, list[tuple[Encoded, int]]] = field(default_factory=dict)
    deletes: dict[str, list[UUID]] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Number of rows to be written or deleted."""
        return sum(sum(map(len, part.values())) for part in (self.fresh, self.other, self.deletes))


@cache
def _names(table: str) -> tuple[str, ...]:
    return tuple(column.name for column in columns(table))


@cache
def _made_text(table: str) -> tuple[tuple[int, Callable[[Any], str]], ...]:
    *former, last = columns(table)
    if last.type != "uuid[]":  # `line_of_ids` makes it text
        former.append(last)
    return tuple(
        (place, _AS_TEXT[column.type]) for place, column in enumerate(former) if column.type in _AS_TEXT
    )


@cache
def _line_of(table: str) -> Callable[[Sequence[Any]], bytes]:
    return line_of_ids if columns(table)[-1].type == "uuid[]" else line


def encode(table: str, row: Row) -> Encoded:
    """Serialise a row once, for comparison and for writing."""
    values: list[Any] = list(row)
    for place, as_text in _made_text(table):
        if values[place] is not None:
            values[place] = as_text(values[place])
    body = _line_of(table)(values)
    row_hash = int.from_bytes(blake2b(body, digest_size=8).digest(), "big", signed=True)
    return Encoded(row[0], row, body, row_hash)


def difference(folded: Mapping[int, Rows], stored: Mapping[tuple[int, UUID], Stored]) -> Changes:
    """What turns the stored rows of some groups into the folded ones."""
    changes = Changes()
    kept: set[tuple[int, UUID]] = set()
    for group, tables in folded.items():
        for table, rows in tables.items():
            number = _NUMBER[table]
            for row in rows:
                place = (number, row[0])
                if place in kept:  # told by two groups: one statement writes a row once
                    continue
                kept.add(place)
                encoded = encode(table, row)
                before = stored.get(place)
                if before is None:
                    changes.fresh.setdefault(table, []).append((encoded, group))
                elif before != (encoded.row_hash, group):
                    changes.other.setdefault(table, []).append((encoded, group))
    for number, key in stored.keys() - kept:
        changes.deletes.setdefault(_TABLES[number], []).append(key)
    return changes


async def load(conn: Connection, schema: str, groups: Collection[int]) -> dict[tuple[int, UUID], Stored]:
    """Keys, hashes and groups of all rows of the groups, by (number of the table, key)."""
    if not groups:
        return {}
    async with conn.cursor(binary=True) as cursor:
        await cursor.execute(_load_query(schema), {"groups": list(groups)})
        return {(row[0], row[1]): Stored(row[2], row[3]) for row in await cursor.fetchall()}


@cache
def _load_query(schema: str) -> str:
    return " union all ".join(
        f'select {number}, "{_names(table)[0]}", row_hash, group_id from {check_schema(schema)}."{table}"'
        " where group_id = any(%(groups)s)"
        for number, table in enumerate(_TABLES)
    )


async def apply(conn: Connection, schema: str, changes: Changes) -> None:
    """Write the changes in a transaction: one statement per table and kind of change."""
    for table, keys in changes.deletes.items():
        await conn.execute(
            f'delete from {check_schema(schema)}."{table}" where "{_names(table)[0]}" = any(%s)', (keys,)
        )
    for table, found in changes.other.items():
        await _upsert(conn, schema, table, found)
    if not changes.fresh:
        return
    try:
        async with conn.transaction():  # a savepoint
            for table, found in changes.fresh.items():
                lines = [encoded.in_group(group) for encoded, group in found]
                await copy(conn, f'{check_schema(schema)}."{table}"', _listed(table), lines)
    except psycopg.errors.UniqueViolation:  # told by a group of another batch too: the later one has it
        for table, found in changes.fresh.items():
            await _upsert(conn, schema, table, found)


async def _upsert(conn: Connection, schema: str, table: str, found: list[tuple[Encoded, int]]) -> None:
    names = (*_names(table), "group_id", "row_hash")
    bodies = [
        dict(zip(names, (*encoded.row, group, encoded.row_hash), strict=True)) for encoded, group in found
    ]
    await conn.execute(_upsert_query(schema, table), (dump(bodies).decode(),))


@cache
def _listed(table: str) -> str:
    return ", ".join(f'"{name}"' for name in (*_names(table), "group_id", "row_hash"))


@cache
def _upsert_query(schema: str, table: str) -> str:
    names = _names(table)
    sets = ", ".join(f'"{name}" = excluded."{name}"' for name in (*names[1:], "group_id", "row_hash"))
    target = f'{check_schema(schema)}."{table}"'
    return (
        f"insert into {target} ({_listed(table)}) select {_listed(table)}"
        f" from json_populate_recordset(null::{target}, %s::text::json)"
        f' on conflict ("{names[0]}") do update set {sets}'
    )


__all__ = ["Changes", "Encoded", "Stored", "apply", "difference", "encode", "load"]
