"""Rows of the read model: compared with what is there by their hash; only what differs is written."""

# ruff: noqa: S608 - names of schemas pass check_schema, names of tables and columns come from domain.rows

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cache
from hashlib import blake2b
from typing import NamedTuple
from uuid import UUID

from domain.rows import TABLES, Row, Rows
from projector.database import Connection
from projector.facts import dump
from projector.readmodel.tables import check_schema, columns

_TABLES = tuple(TABLES)
_NUMBER = {table: number for number, table in enumerate(_TABLES)}


class Stored(NamedTuple):
    """A row as it is in the database: hash of its contents, and its group."""

    row_hash: int
    group_id: int


@dataclass(slots=True)
class Changes:
    """What must be written: rows as JSON objects by table, keys of rows that vanished."""

    upserts: dict[str, list[bytes]] = field(default_factory=dict)
    deletes: dict[str, list[UUID]] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Number of rows to be written or deleted."""
        return sum(map(len, self.upserts.values())) + sum(map(len, self.deletes.values()))


@cache
def _names(table: str) -> tuple[str, ...]:
    return tuple(column.name for column in columns(table))


class Encoded(NamedTuple):
    """A row ready to be written: its key, its contents as a JSON object, and their hash."""

    key: UUID
    body: bytes
    row_hash: int


def encode(table: str, row: Row) -> Encoded:
    """Serialise a row once, for comparison and for writing."""
    names = _names(table)
    body = dump(dict(zip(names, row, strict=True)))
    row_hash = int.from_bytes(blake2b(body, digest_size=8).digest(), "big", signed=True)
    return Encoded(row[0], body, row_hash)


def difference(folded: Mapping[int, Rows], stored: Mapping[tuple[int, UUID], Stored]) -> Changes:
    """What turns the stored rows of some groups into the folded ones."""
    changes = Changes()
    kept: set[tuple[int, UUID]] = set()
    for group, tables in folded.items():
        for table, rows in tables.items():
            number = _NUMBER[table]
            for row in rows:
                key, body, row_hash = encode(table, row)
                if (number, key) in kept:  # told by two groups: one statement writes a row once
                    continue
                kept.add((number, key))
                if stored.get((number, key)) != (row_hash, group):
                    whole = b'%b,"group_id":%d,"row_hash":%d}' % (body[:-1], group, row_hash)
                    changes.upserts.setdefault(table, []).append(whole)
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
    """Write the changes: one statement per table that has any."""
    for table, keys in changes.deletes.items():
        await conn.execute(
            f'delete from {check_schema(schema)}."{table}" where "{_names(table)[0]}" = any(%s)', (keys,)
        )
    for table, bodies in changes.upserts.items():
        await conn.execute(_upsert_query(schema, table), ((b"[" + b",".join(bodies) + b"]").decode(),))


@cache
def _upsert_query(schema: str, table: str) -> str:
    names = [*_names(table), "group_id", "row_hash"]
    listed = ", ".join(f'"{name}"' for name in names)
    sets = ", ".join(f'"{name}" = excluded."{name}"' for name in names[1:])
    target = f'{check_schema(schema)}."{table}"'
    return (
        f"insert into {target} ({listed}) select {listed} from json_populate_recordset(null::{target}, %s::text::json)"
        f' on conflict ("{names[0]}") do update set {sets}'
    )


__all__ = ["Changes", "Encoded", "Stored", "apply", "difference", "encode", "load"]
