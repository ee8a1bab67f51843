# ruff: noqa: S608 - the text comes from the catalogue and the schema; values are always bound
"""Which days of a report are read as columns, and their columns."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from psycopg import AsyncConnection
from psycopg.rows import tuple_row

from reports.compiler import Compiler, Span, period_values
from reports.context import Context
from reports.rollup.reading import clean_days, gaps, meets

Conn = AsyncConnection[Any]
Ints = NDArray[np.int64]

#: More rows than this are grouped by the database: their columns would not fit into a small machine's memory.
_MOST_ROWS: Final = 8_000_000
_FIRST: Final = datetime(1900, 1, 1, tzinfo=UTC)
_LAST: Final = datetime(2200, 1, 1, tzinfo=UTC)
_BYTES: Final = {"moment": ">i8", "flags": ">i2", "id": "V16"}


@dataclass(frozen=True, slots=True)
class Block:
    """A day that has columns: its bounds, and how many rows it has."""

    day: date
    span: Span
    rows: int


@dataclass(frozen=True, slots=True)
class Chosen:
    """``blocks``: days to be read as columns, the newest first. ``rest``: the stretches of births to be read as rows.

    Days that can't have anything of the period are in neither.
    """

    compiler: Compiler
    schema: str
    zone: str
    blocks: tuple[Block, ...]
    rest: tuple[Span, ...]

    @property
    def whole(self) -> bool:
        """Whether the period is made of whole days as they are kept, so that nobody need look at moments."""
        params = self.compiler.params
        return params.basis == "cohort" and not params.office_time and params.zone == self.zone


async def choose(
    conn: Conn, compiler: Compiler, context: Context, moved: Collection[datetime]
) -> Chosen | None:
    """How to read this report as columns, in the snapshot of this transaction; None when no day can be.

    ``moved``: hours in which the rows of this report are others than the live ones (`reports.overlay`).
    """
    params = compiler.params
    bounds = period_values(params)
    since, till = bounds["since"], bounds["till"]
    assert isinstance(since, datetime)
    assert isinstance(till, datetime)
    lo, hi = (since, till) if params.basis == "cohort" else (_FIRST, _LAST)
    zone, days = await clean_days(conn, compiler, context, lo, hi, blocks=True)
    found: dict[Span, Block | None] = {}
    for day, a, b, rows, first, last in days:
        if any(meets((a, b), hour) for hour in moved):
            continue
        happened = params.basis == "activity" and first is not None and first < till and last >= since
        found[a, b] = Block(day, (a, b), rows) if happened or (a < till and b > since) else None
    rest = gaps(sorted(found), lo, hi)
    blocks = [
        block
        for span, block in found.items()
        if block and not any(a < span[1] and span[0] < b for a, b in rest)
    ]
    if not blocks or sum(block.rows for block in blocks) > _MOST_ROWS:
        return None
    return Chosen(
        compiler, context.schema, zone, tuple(sorted(blocks, key=lambda b: b.span, reverse=True)), rest
    )


@dataclass(slots=True)
class Columns:
    """Columns of some days, one after the other. ``words``: what the numbers of words stand for; 0 is None. ``whole``: see `Chosen`."""

    blocks: tuple[Block, ...]
    whole: bool
    raw: dict[str, list[bytes | None]]
    words: list[str | None]
    _made: dict[str, NDArray[Any]] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Number of rows."""
        return sum(block.rows for block in self.blocks)

    def ints(self, name: str) -> NDArray[Any]:
        """A column as numbers of this machine: words and places int32, flags int16, moments and sums int64.

        Places of rows count from the first row of all.
        """
        if name not in self._made:
            parts = self.raw[name]
            kind = _BYTES.get(name.rpartition("_")[2] if name[0] == "b" else name, _kind(name))
            made = np.frombuffer(b"".join(part or b"" for part in parts), kind)
            made = made.astype(made.dtype.newbyteorder("="))
            if name.endswith("_row"):
                starts = np.cumsum([0, *(block.rows for block in self.blocks)])[:-1]
                made = made + np.repeat(starts, [len(part or b"") // 4 for part in parts]).astype(np.int32)
            self._made[name] = made
        return self._made[name]

    def days(self) -> NDArray[np.int64]:
        """The local day of each row's birth, as a number of `date.toordinal`."""
        return np.repeat(
            np.array([b.day.toordinal() for b in self.blocks], np.int64), [b.rows for b in self.blocks]
        )

    def code(self, word: str | None) -> int:
        """The number of a word; -1 for one that has none."""
        try:
            return self.words.index(word)
        except ValueError:
            return -1


def _kind(name: str) -> str:
    return ">i8" if name.startswith("m_") or (name[0] == "b" and not name.endswith("_row")) else ">i4"


async def load(conn: Conn, chosen: Chosen, names: Iterable[str]) -> Columns:
    """These columns of the chosen days."""
    listed = sorted(set(names))
    async with conn.cursor(row_factory=tuple_row, binary=True) as cursor:
        await cursor.execute(
            f"select {', '.join(['day', *listed])} from {chosen.schema}.rollup_block where day = any(%s)"
            " order by day desc".encode(),
            [[block.day for block in chosen.blocks]],
        )
        rows = await cursor.fetchall()
        await cursor.execute(f"select code, word from {chosen.schema}.rollup_word".encode())
        coded = await cursor.fetchall()
    words: list[str | None] = [None] * (max((code for code, _ in coded), default=0) + 1)
    for code, word in coded:
        words[code] = word
    raw = {name: [row[n] for row in rows] for n, name in enumerate(listed, 1)}
    return Columns(chosen.blocks, chosen.whole, raw, words)
