"""Geometry of the charts. They are drawn as SVG by the templates with the page's own colours (docs/adr/0006-charts.md).

A chart says nothing that the table does not: every figure comes from a Report and links to the same rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from reports.formats import cell, number, percent
from reports.result import Report
from reports.web.state import State
from reports.web.texts import say

STEPS: Final = ("inquiries", "booked", "arrived")
KINDS: Final = ("phone", "missed", "site", "visit", "chat")
MAX_COLUMNS: Final = 27
_TOP: Final = 16.0
_HEIGHT: Final = 84.0


@dataclass(frozen=True, slots=True)
class Bar:
    """A step of the funnel; widths are percents of the widest step. ``pending`` follows the filled part, hatched."""

    label: str
    value: str
    href: str
    width: str
    pending_width: str
    of_previous: str
    of_first: str
    hint: str


@dataclass(frozen=True, slots=True)
class Part:
    """One kind in a column: a rectangle; pixels from the top of the chart."""

    series: int
    y: str
    height: str
    hint: str


@dataclass(frozen=True, slots=True)
class WeekColumn:
    """A week."""

    x: str
    width: str
    middle: str
    label: str
    value: str
    top: str
    href: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Weeks:
    """Inquiries by week, stacked by kind, with the names of the series that occur."""

    columns: tuple[WeekColumn, ...]
    series: tuple[tuple[int, str], ...]


def funnel(report: Report, state: State) -> tuple[Bar, ...]:
    """Inquiries → booked → arrived, those still expected hatched."""
    lang = state.lang
    values = [int(report.total.get(key) or 0) for key in STEPS]
    pending = int(report.total.get("pending") or 0)
    widest = max(*values, values[-1] + pending, 1)
    labels = {c.key: c.label[lang] for c in report.columns}
    bars = []
    for n, (key, value) in enumerate(zip(STEPS, values, strict=True)):
        waits = pending if key == "arrived" else 0
        bars.append(
            Bar(
                label=labels[key],
                value=cell(value, "count", lang),
                href=state.rows_url(key),
                width=_share(value, widest),
                pending_width=_share(waits, widest),
                of_previous=_of(value, values[n - 1], lang) if n else "",
                of_first=_of(value, values[0], lang) if n else "",
                hint=say("funnel.pending", lang, n=number(waits, 0, lang)) if waits else "",
            )
        )
    return tuple(bars)


def weeks(report: Report, state: State) -> Weeks | None:
    """From a report grouped by week and kind. None when there are not two weeks to compare, or too many to read."""
    lang = state.lang
    groups = [g for g in report.groups if g.key is not None]
    if not 2 <= len(groups) <= MAX_COLUMNS:
        return None
    most = max(int(g.values.get("inquiries") or 0) for g in groups)
    if not most:
        return None
    step = 100 / len(groups)
    columns: list[WeekColumn] = []
    seen: dict[int, str] = {}
    for n, group in enumerate(groups):
        monday = date.fromisoformat(group.key or "")
        parts, floor = [], _TOP + _HEIGHT
        for kind in sorted(group.children, key=lambda g: _order(g.key)):
            count = int(kind.values.get("inquiries") or 0)
            series = _order(kind.key) + 1
            seen[series] = kind.label[lang]
            height = _HEIGHT * count / most
            floor -= height
            hint = f"{kind.label[lang]}: {number(count, 0, lang)} · {group.label[lang]}"
            parts.append(Part(series, f"{floor:.2f}", f"{height:.2f}", hint))
        columns.append(
            WeekColumn(
                x=f"{n * step + step * 0.14:.3f}%",
                width=f"{step * 0.72:.3f}%",
                middle=f"{step * (n + 0.5):.3f}%",
                label=_label(monday, state, len(groups)),
                value=cell(group.values.get("inquiries"), "count", lang),
                top=f"{floor - 4:.2f}",
                href=state.rows_url("inquiries", (("week", group.key),)),
                parts=tuple(parts),
            )
        )
    return Weeks(tuple(columns), tuple(sorted(seen.items())))


def _label(monday: date, state: State, count: int) -> str:
    """``02–08.03``, cut to the period; only the first day where columns are narrow."""
    first = max(monday, state.params.first_day)
    last = min(monday + timedelta(days=6), state.params.last_day)
    if count > 7:
        return f"{first:%d.%m}"
    return f"{first:%d.%m}" if first == last else f"{first:%d}–{last:%d.%m}"


def _order(kind: str | None) -> int:
    return KINDS.index(kind) if kind in KINDS else len(KINDS)


def _share(value: int, whole: int) -> str:
    return f"{100 * value / whole:.3f}%"


def _of(value: int, whole: int, lang: str) -> str:
    return percent(Decimal(value) / Decimal(whole), 1, lang) if whole else "—"
