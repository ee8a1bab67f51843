"""What a report counts, out of columns of days: the scope of `reports.compiler` without the database."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from reports.columns.loading import Chosen, Columns
from reports.compiler import Compiler
from reports.dimensions import NONE_KEY
from reports.rollup.blocks import branch_columns, branches_of, flags_of

Array = NDArray[Any]
Step = tuple[str, bool, tuple[str, ...]]
Words = Sequence[str | None]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Things:
    """What is counted: rows, or (by activity) what happened to rows, in the period and through the filters.

    ``rows``: the places of the rows; ``moment`` is there only where somebody asks for it. ``levels``: a number for each
    level of the grouping, told by ``words`` (who is kept out: by ``rules``); ``flags`` and ``sums`` by measure;
    ``summed``: the places among these things of those that have sums, None = all of them.
    """

    rows: Array
    excluded: Array
    rules: Words
    levels: tuple[Array, ...]
    words: tuple[Words, ...]
    flags: Array | None
    sums: dict[str, Array]
    summed: Array | None = None
    moment: Array | None = None


def needed(
    chosen: Chosen, levels: Sequence[str], measures: Collection[str], *more: str, steps: Sequence[Step] = ()
) -> list[str]:
    """The columns that `things` reads. ``more``: others that the caller wants."""
    compiler, whole = chosen.compiler, chosen.whole
    spec, params = compiler.spec, compiler.params
    used = {*levels, *(step[0] for step in (*params.filters, *steps))}
    found = [*more, *(f"d_{d}" for d in used if spec.dimension(d).by_day is None)]
    found += ["excluded_by"] if params.valid_reasons is None else ["loose", "strict", "d_refusal_reason"]
    if params.office_time:
        found.append("zone")
    wanted = [spec.measure(key) for key in measures]
    if not whole:
        found.append("moment")
    sums = [f"m_{m.key}" for m in wanted if m.kind == "sum"]
    if params.basis == "activity":
        acts = [column for branch in branches_of(spec) for column in branch_columns(branch, measures)]
        return [*found, "flags", *acts]
    return [*found, "flags", *(["sum_row", *sums] if sums else [])]


def things(
    compiler: Compiler,
    columns: Columns,
    levels: Sequence[str],
    measures: Collection[str],
    *,
    steps: Sequence[Step] = (),
    dated: bool = False,
) -> Iterator[Things]:
    """All that the scope would give of these days, one part for each branch."""
    spec = compiler.spec
    calendar = _Calendar(compiler, columns)
    all_steps = (*compiler.params.filters, *steps)
    fixed = _passing(columns, [s for s in all_steps if spec.dimension(s[0]).by_day is None])
    daily = [s for s in all_steps if spec.dimension(s[0]).by_day is not None]
    excluded = _excluded(compiler, columns)
    for rows, moment, flags, sums, summed in _views(compiler, columns, measures):
        days = columns.days() - calendar.first if moment is None else calendar.days(rows, moment)
        keep = np.ones(len(days), bool) if moment is None else days >= 0
        if fixed is not None:
            keep &= fixed if rows is None else fixed[rows]
        for dimension, included, values in daily:
            hit = np.array([(word in values) == included for word in calendar.words(dimension)] or [False])
            keep &= hit[np.maximum(days, 0)]
        every = bool(keep.all())
        places = np.flatnonzero(keep)
        own = places if rows is None else rows if every else rows[places]
        found: list[Array] = []
        words: list[Words] = []
        for level in levels:
            if spec.dimension(level).by_day is None:
                column = columns.ints(f"d_{level}")
                found.append(column if every and rows is None else column[own])
                words.append(columns.words)
            else:
                of_day = calendar.words(level)
                numbers = {word: n for n, word in enumerate(dict.fromkeys(of_day))}
                found.append(np.array([numbers[w] for w in of_day], np.int32)[days[places]])
                words.append(list(numbers))
        kept_sums, of = (sums, summed) if every else _kept(keep, places, sums, summed)
        yield Things(
            own, excluded if every and rows is None else excluded[own], columns.words, tuple(found), tuple(words),
            flags if every or flags is None else flags[places], kept_sums, of,
            moment[places] if moment is not None and dated else None,
        )  # fmt: skip


def _kept(
    keep: Array, places: Array, sums: dict[str, Array], summed: Array | None
) -> tuple[dict[str, Array], Array | None]:
    """The sums of the things that are kept, and whose they are."""
    if summed is None:
        return {key: values[places] for key, values in sums.items()}, None
    there = keep[summed]
    return {key: values[there] for key, values in sums.items()}, (np.cumsum(keep) - 1)[summed[there]]


def _views(
    compiler: Compiler, columns: Columns, measures: Collection[str]
) -> Iterator[tuple[Array | None, Array | None, Array | None, dict[str, Array], Array | None]]:
    """Of each branch: places of rows (None: all in order), moments (None: whole days), flags, sums, `Things.summed`."""
    spec = compiler.spec
    wanted = [spec.measure(key) for key in measures]
    if compiler.params.basis == "cohort":
        moment = None if columns.whole else columns.ints("moment")
        sums = {m.key: columns.ints(f"m_{m.key}") for m in wanted if m.kind == "sum"}
        yield None, moment, columns.ints("flags"), sums, columns.ints("sum_row") if sums else None
        return
    for branch in branches_of(spec):
        here = [m for m, _ in branch.measures if m.key in measures]
        if not here:
            continue
        if branch.number is None:
            own = sum(1 << flags_of(spec).index(m.key) for m in here)
            yield None, columns.ints("moment"), columns.ints("flags") & np.int16(own), {}, None
            continue
        b = f"b{branch.number}"
        flags = columns.ints(f"{b}_flags") if any(m.kind == "flag" for m in here) else None
        sums = {m.key: columns.ints(f"{b}_{m.key}") for m in here if m.kind == "sum"}
        yield columns.ints(f"{b}_row"), columns.ints(f"{b}_moment"), flags, sums, None


def _passing(columns: Columns, steps: Sequence[Step]) -> Array | None:
    """Which rows pass filters by words; None when there are none."""
    passing: Array | None = None
    for dimension, included, values in steps:
        named = np.zeros(len(columns.words), bool)
        codes = [columns.code(None if value == NONE_KEY else value) for value in values]
        named[[code for code in codes if code >= 0]] = True
        hit = (named if included else ~named)[columns.ints(f"d_{dimension}")]
        passing = hit if passing is None else passing & hit
    return passing


def _excluded(compiler: Compiler, columns: Columns) -> Array:
    own = compiler.params.valid_reasons
    if own is None:
        return columns.ints("excluded_by")
    valid = np.zeros(len(columns.words), bool)
    valid[[code for code in map(columns.code, own) if code >= 0]] = True
    return np.where(valid[columns.ints("d_refusal_reason")], columns.ints("strict"), columns.ints("loose"))


class _Calendar:
    """Local days of moments: by the report's zone, or by the zone of each row's office."""

    def __init__(self, compiler: Compiler, columns: Columns) -> None:
        params = compiler.params
        self._spec, self._columns, first = compiler.spec, columns, params.first_day
        self._first, self.first = first, first.toordinal()
        self._count = (params.last_day - params.first_day).days + 1
        self._zone = None if params.office_time else params.zone

    def days(self, rows: Array | None, moment: Array) -> Array:
        """The number of each moment's day in the period; -1 outside of it."""
        if self._zone is not None:
            return self._numbered(moment, self._zone)
        zones = self._columns.ints("zone") if rows is None else self._columns.ints("zone")[rows]
        found = np.full(len(moment), -1, np.int32)
        for code in np.unique(zones):
            name = self._columns.words[code]
            assert name is not None
            here = zones == code
            found[here] = self._numbered(moment[here], name)
        return found

    def words(self, dimension: str) -> list[str]:
        """What a dimension that is made of the day says of each day of the period."""
        of_day = self._spec.dimension(dimension).of_day
        assert of_day is not None
        return [of_day(self._first + timedelta(days=n)) for n in range(self._count)]

    def _numbered(self, moment: Array, zone: str) -> Array:
        at = ZoneInfo(zone)
        days = [self._first + timedelta(days=n) for n in range(self._count + 1)]
        bounds = np.array([micros(datetime.combine(day, time(), at)) for day in days], np.int64)
        found = (np.searchsorted(bounds, moment, "right") - 1).astype(np.int32)
        found[found >= self._count] = -1
        return found


def micros(moment: datetime) -> int:
    """Microseconds since 1970, as columns have a moment."""
    return (moment - _EPOCH) // _MICROSECOND
