"""Grouping over columns of days: what the report's SQL would say of the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reports.columns.things import Things
from reports.model import Measure
from reports.rollup.blocks import UNITS

Array = NDArray[Any]
Leaf = tuple[Any, ...]

#: Up to so many combinations are told apart by a table of all of them, more by sorting.
_TABLE: Final = 4_000_000

#: 2**26 times eight million things stays below 2**53.
_HALF: Final = 26
_LOW: Final = (1 << _HALF) - 1


def leaves(
    part: Things, measures: Sequence[Measure], flags: Sequence[str], counts: str, *, sums_only: bool = False
) -> list[Leaf]:
    """Sums of the leaves: (excluding rule, 0, levels…, the count for notices, the measures), as the SQL of a report.

    ``sums_only``: flags of rows in the report are not counted.
    """
    found: list[Leaf] = []
    kept_out = part.excluded > 0
    if part.flags is not None:
        hit = part.excluded[kept_out & has(part.flags, counts, flags)]
        nothing = [0] * len(measures)
        for code, count in enumerate(np.bincount(hit).tolist()):
            if count:
                found.append((part.rules[code], 0, *[None] * len(part.levels), count, *nothing))
    kept = np.flatnonzero(~kept_out)
    if not len(kept):
        return found
    node, place = nodes([level[kept] for level in part.levels], len(kept))
    figures: dict[str, list[Any]] = {}
    if part.flags is not None and not sums_only:
        bits = part.flags[kept]
        figures = {
            m.key: np.bincount(node[has(bits, m.key, flags)], minlength=len(place)).tolist()
            for m in measures
            if m.kind == "flag"
        }
    if part.sums:
        nodes_of_all = np.full(len(part.excluded), -1, node.dtype)
        nodes_of_all[kept] = node
        summed = nodes_of_all if part.summed is None else nodes_of_all[part.summed]
        there = np.flatnonzero(summed >= 0)
        for key, values in part.sums.items():
            figures[key] = _added(summed[there], values[there], len(place))
    zeros = [0] * len(place)
    lists = [figures.get(key, zeros) for key in (counts, *(m.key for m in measures))]
    at = kept[place]
    named = [
        [words[code] for code in level[at].tolist()]
        for level, words in zip(part.levels, part.words, strict=True)
    ]
    found += [(None, 0, *values) for values in zip(*named, *lists, strict=True)]
    return found


def has(bits: Array, key: str, flags: Sequence[str]) -> Array:
    """For which things a flag holds."""
    found: Array = bits & np.int16(1 << flags.index(key)) != 0
    return found


def nodes(levels: Sequence[Array], size: int) -> tuple[Array, Array]:
    """A number for each thing's combination of levels, and for each number the place of a thing that has it."""
    node: Array = np.zeros(size, np.int32)
    count = min(size, 1)
    for level in levels:
        width = int(level.max(initial=0)) + 1
        if count * width <= _TABLE:
            node = node * np.int32(width) + level
            count *= width
        else:
            values, node = np.unique(node.astype(np.int64) * width + level, return_inverse=True)
            node, count = node.astype(np.int32), len(values)
    there = np.full(count, -1, np.int64)
    there[node] = np.arange(size)
    used = np.flatnonzero(there >= 0)
    if len(used) == count:
        return node, there
    numbers = np.zeros(count, np.int32)
    numbers[used] = np.arange(len(used))
    return numbers[node], there[used]


def distinct(
    levels: Sequence[Array], client: Array, bits: Array, flags: Sequence[str]
) -> list[tuple[Array, dict[str, list[int]]]]:
    """Different clients for which each flag holds, at every depth of the grouping (G8).

    For each depth, the root first: places of things that stand for its nodes, and the counts of these nodes.
    """
    found = []
    clients, width = int(client.max(initial=0)) + 1, len(flags)
    for depth in range(len(levels) + 1):
        node, place = nodes(levels[:depth], len(client))
        key = ((node.astype(np.int64) * clients + client) << width) | bits
        key.sort()
        pair = key >> width
        bounds = np.arange(len(place) + 1, dtype=np.int64) * clients
        counted = {}
        for n, flag in enumerate(flags):
            held = pair[key & (1 << n) != 0]  # sorted by node and client
            first = np.ones(len(held), bool)
            first[1:] = held[1:] != held[:-1]
            others = held[first]
            counted[flag] = np.diff(np.searchsorted(others, bounds)).tolist()
        found.append((place, counted))
    return found


def _added(node: Array, values: Array, count: int) -> list[Decimal]:
    """Sums by node, exact: halves of the values are small enough for the floats that `numpy.bincount` adds."""
    low = np.bincount(node, values & _LOW, count)
    high = np.bincount(node, values >> _HALF, count)
    return [money((int(b) << _HALF) + int(a)) for a, b in zip(low.tolist(), high.tolist(), strict=True)]


def money(units: int) -> Decimal:
    """Ten-thousandths as an amount with two digits, or four where it needs them."""
    whole, rest = divmod(units, UNITS // 100)
    return Decimal(units).scaleb(-4) if rest else Decimal(whole).scaleb(-2)
