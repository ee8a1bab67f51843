"""The table of a report, ready to be drawn: rows of the tree in order, each figure with its text, its link and its tone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import islice
from typing import Final

from reports.formats import NO_VALUE, cell, number, signed
from reports.headings import compared_words
from reports.result import Column, Group, Report, Value
from reports.web.state import Path, State, node_id
from reports.web.texts import say

SMALL_SAMPLE: Final = 10
"""A percent of fewer things than this is shown grey with its n (look.md)."""
WHOLE_TREE: Final = 600
"""Trees of more rows than this are sent with their open groups only; opening one asks the server."""
MOST_LINES: Final = 2000
"""Rows of one page at most."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure. ``tone``: "", "zero", "none" or "small"; ``n`` the denominator of a small sample; ``share`` a bar."""

    text: str
    href: str | None
    tone: str
    hint: str
    n: int | None
    share: str | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """A column's header."""

    key: str
    label: str
    unit: str
    hint: str
    sort_href: str
    sorted: str  # "ascending", "descending" or ""


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the table."""

    id: str
    parent: str | None
    level: int
    label: str
    figures: tuple[Figure, ...]
    opens: bool
    open: bool
    shown: bool
    href: str | None  # rows of a leaf
    toggle_href: str | None


@dataclass(frozen=True, slots=True)
class Table:
    """Header, rows, total."""

    name: Head
    heads: tuple[Head, ...]
    lines: tuple[Line, ...]
    total: tuple[Figure, ...]
    changed: str  # what the total is compared with, or empty
    changes: tuple[Figure, ...]
    lazy: bool  # closed groups are not in ``lines``
    cut: bool  # there are more open rows than the page shows

    @property
    def has_small(self) -> bool:
        """Some percent is of a small sample."""
        return any(f.tone == "small" for line in self.lines for f in line.figures)


def _changes(report: Report, columns: Sequence[Column], lang: str) -> tuple[Figure, ...]:
    """By how much the total differs from the other period's, in each column's own unit; percents in points."""
    other = report.comparison
    if other is None:
        return ()
    found = []
    for c in columns:
        difference = None if c.key in report.not_connected else other.changes[c.key].difference
        text = signed(difference, c.unit, lang, bare=True)
        tone = "none" if difference is None else "" if difference else "zero"
        found.append(Figure(text, None, tone, cell(other.total[c.key], c.unit, lang), None))
    return tuple(found)


def shown_columns(report: Report, state: State) -> tuple[Column, ...]:
    """The columns on the page: all that are not optional, and the optional ones asked for."""
    return tuple(c for c in report.columns if not c.optional or c.key in state.columns)


def figure(report: Report, column: Column, values: dict[str, Value], href: str | None, lang: str) -> Figure:
    """One value as the table shows it: the unit stands in the header, so percents and money are bare numbers."""
    value = values.get(column.key)
    if value is None:
        return Figure(NO_VALUE, None, "none", no_value_reason(report, column, lang), None)
    text = (
        number(Decimal(value) * 100, 1, lang)
        if column.unit == "percent"
        else cell(value, column.unit, lang, bare=True)
    )
    if column.key in report.not_connected:
        return Figure(NO_VALUE, None, "none", say("none.not_connected", lang), None)
    below = values.get(column.denominator) if column.denominator else None
    if column.unit == "percent" and isinstance(below, int) and 0 < below < SMALL_SAMPLE:
        return Figure(text, href, "small", say("small.sample", lang, n=below), below)
    return Figure(text, href, "" if value else "zero", "", None)


def no_value_reason(report: Report, column: Column, lang: str) -> str:
    """Why there is no value: the source was never seen, or nothing to divide by (G4)."""
    if column.key in report.not_connected:
        return say("none.not_connected", lang)
    by = next((c for c in report.columns if c.key == column.denominator), None)
    return say("none.zero", lang, what=(by.label[lang] if by else column.counted[lang]).lower())


def build_table(report: Report, state: State) -> Table:
    """Everything the template needs."""
    lang = state.lang
    columns = shown_columns(report, state)
    opened = opened_nodes(report, state)
    lazy = _size(report.groups) > WHOLE_TREE
    found = _lines(report, state, columns, report.groups, (), opened, lazy=lazy)
    lines = tuple(islice(found, MOST_LINES + 1)) if lazy else tuple(found)
    return Table(
        name=_head(state, "name", say("table.group", lang), "", "", first="ascending"),
        heads=tuple(_column_head(state, column) for column in columns),
        lines=lines[:MOST_LINES],
        lazy=lazy,
        cut=len(lines) > MOST_LINES,
        total=tuple(figure(report, c, report.total, state.rows_url(c.key), lang) for c in columns),
        changed=compared_words(report.comparison, lang) if report.comparison else "",
        changes=_changes(report, columns, lang),
    )


def opened_nodes(report: Report, state: State) -> set[str]:
    """Ids of open groups: as the address says, else the outermost level is open."""
    if state.open is None:
        return {node_id(((g.dimension, g.key),)) for g in report.groups}
    return set(_parents(report.groups, ())) if state.open == ("all",) else set(state.open)


def _size(groups: Sequence[Group]) -> int:
    return sum(1 + _size(group.children) for group in groups)


def _parents(groups: Sequence[Group], above: Path) -> Iterator[str]:
    for group in groups:
        if group.children:
            path = (*above, (group.dimension, group.key))
            yield node_id(path)
            yield from _parents(group.children, path)


def _lines(
    report: Report,
    state: State,
    columns: Sequence[Column],
    groups: Sequence[Group],
    above: Path,
    opened: set[str],
    *,
    lazy: bool,
) -> Iterator[Line]:
    parents = [node_id(above[: n + 1]) for n in range(len(above))]
    for group in sort_groups(groups, state):
        path = (*above, (group.dimension, group.key))
        own = node_id(path)
        opens = bool(group.children)
        figures = [figure(report, c, group.values, state.rows_url(c.key, path), state.lang) for c in columns]
        figures[0] = replace(
            figures[0], share=_share(group.values.get(columns[0].key), report.total.get(columns[0].key))
        )
        yield Line(
            id=own,
            parent=parents[-1] if parents else None,
            level=len(above),
            label=group.label[state.lang],
            figures=tuple(figures),
            opens=opens,
            open=opens and own in opened,
            shown=all(p in opened for p in parents),
            href=None if opens else state.rows_url("inquiries", path),
            toggle_href=state.url(open=tuple(sorted(opened ^ {own}))) if opens else None,
        )
        if not lazy or own in opened:
            yield from _lines(report, state, columns, group.children, path, opened, lazy=lazy)


def _share(value: Value, whole: Value) -> str | None:
    return f"{100 * Decimal(value) / Decimal(whole):.1f}%" if value and whole else None


def sort_groups(groups: Sequence[Group], state: State) -> list[Group]:
    """Siblings by the column asked for; without a value last; equal ones keep the report's order."""
    key = state.sort.removeprefix("-")
    down = state.sort.startswith("-")
    if not key:
        return list(groups)
    if key == "name":
        return sorted(groups, key=lambda g: g.label[state.lang].casefold(), reverse=down)
    there = [g for g in groups if g.values.get(key) is not None]
    absent = [g for g in groups if g.values.get(key) is None]
    return sorted(there, key=lambda g: Decimal(g.values[key] or 0), reverse=down) + absent


def _column_head(state: State, column: Column) -> Head:
    unit = {"money": "₽", "percent": "%", "count": ""}[column.unit]
    label = column.label[state.lang]
    if unit and label.endswith(unit):
        label = label.removesuffix(unit).rstrip(" ,")
    hint = column.definition[state.lang]
    return _head(state, column.key, label, unit, hint, first="descending")


def _head(state: State, key: str, label: str, unit: str, hint: str, *, first: str) -> Head:
    """Clicks go: the column's natural order, the other one, back to the report's order."""
    orders = {"ascending": key, "descending": f"-{key}"}
    second = "descending" if first == "ascending" else "ascending"
    now = next((order for order, spelled in orders.items() if spelled == state.sort), "")
    following = {"": orders[first], first: orders[second], second: ""}[now]
    return Head(key, label, unit, hint, state.url(sort=following), now)
