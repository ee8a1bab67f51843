"""The sums of a report's groups out of columns and, for days that have none, out of rows."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from psycopg import AsyncConnection
from psycopg.rows import tuple_row

from reports.columns.counting import distinct, leaves
from reports.columns.loading import Chosen, Columns, load
from reports.columns.numbers import client_numbers
from reports.columns.things import Things, needed, things
from reports.compiler import Compiler
from reports.rollup.blocks import flags_of

Conn = AsyncConnection[Any]
Array = NDArray[Any]
Path = tuple[str | None, ...]
Row = tuple[Any, ...]

#: Rows of days without columns, more than which the database counts all clients.
_MOST_LOOSE: Final = 100_000


async def leaf_rows(conn: Conn, compiler: Compiler, chosen: Chosen) -> list[Row]:
    """Leaves of the chosen days, as `reports.engine.group_query` would give them."""
    spec, levels = compiler.spec, compiler.params.levels
    keys = [m.key for m in spec.measures]
    columns = await load(conn, chosen, needed(chosen, levels, keys))

    def count() -> list[Row]:
        found: list[Row] = []
        for part in things(compiler, columns, levels, keys):
            found += leaves(part, spec.measures, flags_of(spec), spec.counts)
        return found

    return await asyncio.to_thread(count)


async def distinct_rows(conn: Conn, compiler: Compiler, chosen: Chosen) -> list[Row] | None:
    """All levels with distinct clients, as `reports.engine.group_query` would give them.

    None: too much of it must be read from the rows.
    """
    loose = await _loose(conn, compiler, chosen)
    if loose is None:
        return None
    spec, levels = compiler.spec, compiler.params.levels
    columns = await load(conn, chosen, needed(chosen, levels, [m.key for m in spec.measures], "client"))
    numbers = await client_numbers(conn, chosen.schema, {row[0] for row in loose})
    return await asyncio.to_thread(_by_client, compiler, columns, loose, numbers)


async def _loose(conn: Conn, compiler: Compiler, chosen: Chosen) -> list[Row] | None:
    """(client, rule, levels…, measures…) of every row of the scope in days without columns."""
    if not chosen.rest:
        return []
    spec, levels = compiler.spec, compiler.params.levels
    rest = Compiler(
        spec, compiler.params, compiler.directory, compiler.as_of, compiler.relations, chosen.rest
    )
    query = rest.scope(dimensions=levels, measures=[m.key for m in spec.measures])
    names = [f"x.d_{d}" for d in levels] + [f"x.m_{m.key}" for m in spec.measures]
    query.values["most"] = _MOST_LOOSE + 1
    query.text = (
        f"select x.client, {', '.join(['x.excluded_by', *names])} from (\n{query.text}\n) x limit %(most)s"  # noqa: S608
    )
    async with conn.cursor(row_factory=tuple_row, binary=True) as cursor:
        await cursor.execute(query.text.encode(), query.values)
        rows = await cursor.fetchall()
    return rows if len(rows) <= _MOST_LOOSE else None


def _by_client(
    compiler: Compiler, columns: Columns, loose: Sequence[Row], numbers: Mapping[UUID, int]
) -> list[Row]:
    spec, levels = compiler.spec, compiler.params.levels
    keys, flags, depth = [m.key for m in spec.measures], flags_of(spec), len(compiler.params.levels)
    sums: dict[Path, dict[str, Any]] = {}
    excluded: dict[str, int] = {}
    parts = list(things(compiler, columns, levels, keys))
    rows = [row for part in parts for row in leaves(part, spec.measures, flags, spec.counts, sums_only=True)]
    at = 1 + depth + keys.index(spec.counts) + 1
    rows += [(row[1], 0, *row[2 : 2 + depth], int(row[at]), *row[2 + depth :]) for row in loose]
    additive_keys = [(n, m.key) for n, m in enumerate(spec.measures) if m.kind == "sum"]
    for rule, _, *rest in rows:
        if rule is not None:
            excluded[rule] = excluded.get(rule, 0) + rest[depth]
            continue
        for n in range(depth + 1):
            node = sums.setdefault(tuple(rest[:n]), dict.fromkeys(keys, 0))
            for place, key in additive_keys:
                node[key] += rest[depth + 1 + place]
    clients = columns.ints("client")
    merged = _Merged(parts, clients, flags)
    merged.add(loose, numbers, depth, [keys.index(flag) for flag in flags])
    for n, (places, counted) in enumerate(distinct(merged.levels, merged.client, merged.bits, flags)):
        for k, path in enumerate(merged.paths(places, n)):
            node = sums.setdefault(path, dict.fromkeys(keys, 0))
            node |= {flag: values[k] for flag, values in counted.items()}
    found: list[Row] = [
        (None, (1 << (depth - len(path))) - 1, *path, *[None] * (depth - len(path)), 0, *node.values())
        for path, node in sums.items()
    ]
    nothing = [None] * depth
    found += [(rule, (1 << depth) - 1, *nothing, count, *[0] * len(keys)) for rule, count in excluded.items()]
    return found


class _Merged:
    """Things of the report that have flags, of all branches and of the rows, with one numbering of words and clients."""

    def __init__(self, parts: Sequence[Things], clients: Array, flags: Sequence[str]) -> None:
        flagged = [
            (part, np.flatnonzero(part.excluded == 0), part.flags) for part in parts if part.flags is not None
        ]
        depth = len(parts[0].levels) if parts else 0
        self.words = [list(words) for words in parts[0].words] if parts else []
        self.levels: list[Array] = [
            np.concatenate([part.levels[n][own] for part, own, _ in flagged]) for n in range(depth)
        ]
        self.client: Array = np.concatenate([clients[part.rows[own]] for part, own, _ in flagged]).astype(
            np.int64
        )
        self.bits: Array = np.concatenate([bits[own] for _, own, bits in flagged]).astype(np.int64)

    def add(
        self, loose: Sequence[Row], numbers: Mapping[UUID, int], depth: int, places: Sequence[int]
    ) -> None:
        """Rows from the database: (client, rule, levels…, measures…); ``places``: where the flags stand among these."""
        rows = [row for row in loose if row[1] is None]
        if not rows:
            return
        most = max(int(self.client.max(initial=0)), *numbers.values())
        client = [number if number >= 0 else most - number for number in (numbers[row[0]] for row in rows)]
        self.client = np.concatenate([self.client, np.array(client, np.int64)])
        bits = [sum(1 << n for n, place in enumerate(places) if row[2 + depth + place]) for row in rows]
        self.bits = np.concatenate([self.bits, np.array(bits, np.int64)])
        for n in range(depth):
            words = self.words[n]
            known = {word: code for code, word in enumerate(words)}
            for row in rows:
                if row[2 + n] not in known:
                    known[row[2 + n]] = len(words)
                    words.append(row[2 + n])
            codes = np.array([known[row[2 + n]] for row in rows], self.levels[n].dtype)
            self.levels[n] = np.concatenate([self.levels[n], codes])

    def paths(self, places: Array, depth: int) -> list[Path]:
        """The levels of these things, so many of them."""
        if not depth:
            return [()] * len(places)
        named = [[self.words[n][code] for code in self.levels[n][places].tolist()] for n in range(depth)]
        return list(zip(*named, strict=True))
