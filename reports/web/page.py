"""The report page around its table: period, basis, clocks, levels, filters, notices, tiles — as links, ready to be drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from reports.dimensions import NONE_KEY, label_of
from reports.context import Context
from reports.formats import cell, moment, month_name, number, percent, period
from reports.params import MAX_LEVELS, PRESETS, preset_days
from reports.result import Notice, Report
from reports.web.state import TABS, State
from reports.web.texts import say

TILES: Final = ("inquiries", "booked", "arrived", "refusals", "margin", "average_receipt")
LATE_S: Final = 120.0
"""A lag above this turns the stamp amber (seconds)."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A link among others."""

    label: str
    href: str
    current: bool = False
    key: str = ""


@dataclass(frozen=True, slots=True)
class Level:
    """A grouping level with the links that move and remove it; None where that can't be done."""

    key: str
    label: str
    left: str | None
    right: str | None
    remove: str | None


@dataclass(frozen=True, slots=True)
class Chip:
    """A filter in words and the link without it."""

    text: str
    remove: str


@dataclass(frozen=True, slots=True)
class Tile:
    """A figure to be seen first. ``whole`` and ``rest`` are one number, the rest printed smaller."""

    label: str
    whole: str
    rest: str
    href: str | None
    note: str
    hint: str


@dataclass(frozen=True, slots=True)
class Stamp:
    """How fresh the figures are."""

    text: str
    late: bool


@dataclass(frozen=True, slots=True)
class Warned:
    """A notice with the rows behind it."""

    label: str
    rule: str
    count: str
    href: str
    key: str


@dataclass(frozen=True, slots=True)
class Controls:
    """Everything above the tiles."""

    period: str
    presets: tuple[Choice, ...]
    earlier: str
    later: str
    bases: tuple[Choice, ...]
    units: tuple[Choice, ...]
    as_of: str
    as_of_now: str
    levels: tuple[Level, ...]
    more_levels: tuple[Choice, ...]
    chips: tuple[Chip, ...]
    dimensions: tuple[Choice, ...]
    clear: str | None
    columns: tuple[Choice, ...]
    tabs: tuple[Choice, ...]
    expand: str
    collapse: str


def controls(state: State, context: Context) -> Controls:
    """Links for every change a reader can make."""
    lang, params = state.lang, state.params
    spans = {key: preset_days(key, context.now.astimezone(ZoneInfo(params.zone)).date()) for key in PRESETS}
    now = (params.first_day, params.last_day)
    presets = tuple(
        Choice(label[lang], state.to(first_day=spans[k][0], last_day=spans[k][1]), spans[k] == now, k)
        for k, label in PRESETS.items()
    )
    earlier, later = neighbours(*now)
    optional = [m.column for m in state.spec.metrics if m.column.optional]
    return Controls(
        period=period_words(*now, lang),
        presets=presets,
        earlier=state.to(first_day=earlier[0], last_day=earlier[1]),
        later=state.to(first_day=later[0], last_day=later[1]),
        bases=tuple(
            Choice(say(f"basis.{b}", lang), state.to(basis=b), params.basis == b, b) for b in ("cohort", "activity")
        ),
        units=tuple(
            Choice(say(f"counted.{c}", lang), state.to(counted=c), params.counted == c, c) for c in ("inquiry", "client")
        ),
        as_of=moment(params.as_of, params.zone) if params.as_of else say("as_of.now", lang),
        as_of_now=state.to(as_of=None),
        levels=_levels(state),
        more_levels=tuple(
            Choice(d.label[lang], state.to(levels=(*params.levels, d.key)), key=d.key)
            for d in state.spec.dimensions
            if d.key not in params.levels
        )
        if len(params.levels) < MAX_LEVELS
        else (),
        chips=tuple(_chip(state, context, n) for n in range(len(params.filters))),
        dimensions=tuple(
            Choice(d.label[lang], state.values_url(d.key), key=d.key)
            for d in state.spec.dimensions
        ),
        clear=state.to(filters=()) if len(params.filters) > 1 else None,
        columns=tuple(
            Choice(c.label[lang], state.url(columns=_toggled(state.columns, c.key)), c.key in state.columns, c.key)
            for c in optional
        ),
        tabs=tuple(Choice(say(f"tab.{t}", lang), state.url(tab=t, sort=""), state.tab == t, t) for t in TABS),
        expand=state.url(open=("all",)),
        collapse=state.url(open=()),
    )


def neighbours(first: date, last: date) -> tuple[tuple[date, date], tuple[date, date]]:
    """The period before and the one after: whole months stay whole months, anything else moves by its own length."""
    after = last + timedelta(days=1)
    if first.day == 1 and after.day == 1:
        months = (after.year - first.year) * 12 + after.month - first.month
        return (
            (_add_months(first, -months), first - timedelta(days=1)),
            (after, _add_months(after, months) - timedelta(days=1)),
        )
    length = after - first
    return (first - length, first - timedelta(days=1)), (after, last + length)


def _add_months(day: date, months: int) -> date:
    index = day.year * 12 + day.month - 1 + months
    return date(index // 12, index % 12 + 1, 1)


def period_words(first: date, last: date, lang: str) -> str:
    """A whole month or year by its name, other periods by their days."""
    after = last + timedelta(days=1)
    if first.day == 1 and after == _add_months(first, 1):
        return month_name(first, lang).capitalize()
    if (first.day, first.month) == (1, 1) and after == _add_months(first, 12):
        return say("period.year", lang, year=first.year)
    return period(first, last)


def _levels(state: State) -> tuple[Level, ...]:
    keys = state.params.levels
    labels = {d.key: d.label[state.lang] for d in state.spec.dimensions}

    def moved(n: int, by: int) -> str | None:
        if not 0 <= n + by < len(keys):
            return None
        order = list(keys)
        order[n], order[n + by] = order[n + by], order[n]
        return state.to(levels=tuple(order))

    return tuple(
        Level(
            key=key,
            label=labels[key],
            left=moved(n, -1),
            right=moved(n, 1),
            remove=state.to(levels=(*keys[:n], *keys[n + 1 :])) if len(keys) > 1 else None,
        )
        for n, key in enumerate(keys)
    )


def _chip(state: State, context: Context, n: int) -> Chip:
    key, included, values = state.params.filters[n]
    dimension = state.spec.dimension(key)
    names = [label_of(dimension, None if v == NONE_KEY else v, context.directory)[state.lang] for v in values]
    shown = ", ".join(names[:3]) + (f" +{len(names) - 3}" if len(names) > 3 else "")
    joint = "chip.in" if included else "chip.not"
    rest = (*state.params.filters[:n], *state.params.filters[n + 1 :])
    return Chip(say(joint, state.lang, what=dimension.label[state.lang], values=shown), state.to(filters=rest))


def _toggled(columns: tuple[str, ...], key: str) -> tuple[str, ...]:
    return tuple(c for c in columns if c != key) if key in columns else (*columns, key)


def tiles(report: Report, state: State) -> tuple[Tile, ...]:
    """At most six figures, each a link to its rows, with the share that belongs to it."""
    lang, total = state.lang, report.total
    columns = {c.key: c for c in report.columns}
    notes: Mapping[str, str] = {
        "booked": _note("tile.conversion", lang, total.get("conv_booked")),
        "arrived": _note("tile.conversion", lang, total.get("conv_arrived")),
        "refusals": _refusals_note(report, lang),
        "margin": say("tile.of_sales", lang, sales=cell(total.get("sales"), "money", lang)),
        "average_receipt": say("tile.receipts", lang, n=cell(total.get("receipts"), "count", lang)),
        "inquiries": say("tile.counted", lang) if state.params.counted == "inquiry" else say("tile.clients", lang),
    }
    made = []
    for key in TILES:
        column = columns[key]
        value = None if key in report.not_connected else total.get(key)
        text = cell(value, column.unit, lang, bare=True)
        point = text.rfind("," if lang == "ru" else ".") if column.unit == "money" and value is not None else -1
        whole, rest = (text[:point], text[point:]) if point >= 0 else (text, "")
        unit = "\u00a0₽" if column.unit == "money" and value is not None else ""
        absent = key in report.not_connected
        made.append(
            Tile(
                label=column.label[lang],
                whole=whole,
                rest=rest + unit,
                href=state.rows_url(key) if value is not None else None,
                note=say("none.not_connected", lang) if absent else notes[key],
                hint=column.definition[lang],
            )
        )
    return tuple(made)


def _note(key: str, lang: str, value: int | Decimal | None) -> str:
    return say(key, lang, share=cell(value, "percent", lang))


def _refusals_note(report: Report, lang: str) -> str:
    booked = int(report.total.get("booked") or 0)
    refused = int(report.total.get("refusals") or 0)
    share = percent(Decimal(refused) / booked, 1, lang) if booked else "—"
    return say("tile.refusals", lang, share=share, pending=number(int(report.total.get("pending") or 0), 0, lang))


def stamp(report: Report, lang: str) -> Stamp:
    """«Обновлено 14:32, отставание 4 с»; amber when late or when nobody knows (a lag that is unknown is not zero)."""
    if report.fresh_at is None:
        return Stamp(say("stamp.unknown", lang), True)
    at = moment(report.fresh_at, report.params.zone, year=False)
    if report.lag_s is None:
        return Stamp(say("stamp.no_lag", lang, at=at), True)
    lag = int(report.lag_s)
    words = say("lag.seconds", lang, n=lag) if lag < 120 else say("lag.minutes", lang, n=lag // 60)
    if lag >= 7200:
        words = say("lag.hours", lang, n=lag // 3600)
    return Stamp(say("stamp.at", lang, at=at, lag=words), report.lag_s > LATE_S)


def warned(report: Report, state: State) -> tuple[Warned, ...]:
    """Notices with links to the rows that each rule kept out."""
    return tuple(_warned(notice, state) for notice in report.notices)


def _warned(notice: Notice, state: State) -> Warned:
    return Warned(
        notice.label[state.lang], notice.rule, number(notice.count, 0, state.lang), state.notice_url(notice.key), notice.key
    )


def subtitle(report: Report, state: State) -> str:
    """What the figures are, in one line: basis, unit, clock, zone, and the reader's own marks of reasons."""
    lang, params = state.lang, state.params
    parts = [
        say(f"basis.{params.basis}.long", lang),
        say("as_of.at", lang, at=moment(report.as_of, params.zone)),
        params.zone if not params.office_time else say("office_time", lang),
    ]
    if params.counted == "client":
        parts.insert(1, say("counted.client", lang).lower())
    if params.valid_reasons is not None:
        parts.append(say("own_reasons", lang))
    return " · ".join(parts)
