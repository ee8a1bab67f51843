"""Two builds, row by row: what would change if one took the other's place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from domain.rows import TABLES
from projector.database import Connection
from projector.readmodel.tables import check_schema, columns


@dataclass(frozen=True, slots=True)
class Sample:
    """A row that differs: the columns that do, as JSON values (here, there). None = the row is missing on that side."""

    key: UUID
    here: dict[str, Any] | None
    there: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class TableDifference:
    """One table: rows that only one side has, rows that both have with other contents."""

    table: str
    only_here: int
    only_there: int
    different: int
    samples: tuple[Sample, ...] = ()

    @property
    def same(self) -> bool:
        """Whether the tables are equal."""
        return not (self.only_here or self.only_there or self.different)


async def compare(conn: Connection, here: str, there: str, *, samples: int = 3) -> list[TableDifference]:
    """Differences of all read-model tables of two schemas, one entry per table; groups and hashes don't count.

    Both are read in one snapshot; a build that is being written to may be some records behind the other.
    """
    check_schema(here), check_schema(there)
    async with conn.transaction():
        await conn.execute("set transaction isolation level repeatable read read only")
        return [await _table(conn, here, there, table, samples) for table in TABLES]


async def _table(conn: Connection, here: str, there: str, table: str, samples: int) -> TableDifference:
    key = columns(table)[0].name
    joined = (
        f'from {here}."{table}" a full join {there}."{table}" b using ("{key}")'
        " where a.row_hash is distinct from b.row_hash"
    )
    cursor = await conn.execute(
        "select count(*) filter (where b.row_hash is null), count(*) filter (where a.row_hash is null),"
        f" count(*) filter (where a.row_hash is not null and b.row_hash is not null) {joined}"
    )
    row = await cursor.fetchone()
    assert row is not None, "an aggregate gives one row"
    found: list[Sample] = []
    if any(row) and samples:
        cursor = await conn.execute(
            f'select "{key}", to_jsonb(a), to_jsonb(b) {joined} order by "{key}" limit %s', (samples,)
        )
        found = [_sample(*one) for one in await cursor.fetchall()]
    return TableDifference(table, row[0], row[1], row[2], tuple(found))


def _sample(key: UUID, here: dict[str, Any] | None, there: dict[str, Any] | None) -> Sample:
    for side in (here, there):
        if side is not None:
            side.pop("group_id", None), side.pop("row_hash", None)
    if here is None or there is None:
        return Sample(key, here, there)
    changed = [name for name in here if here[name] != there.get(name)]
    return Sample(key, {n: here[n] for n in changed}, {n: there.get(n) for n in changed})
