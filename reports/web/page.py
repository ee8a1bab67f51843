"""The report page around its table: tiles, freshness, notices, the line under the title."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from reports.formats import cell, moment, number, percent, signed, signed_percent
from reports.headings import compared_words
from reports.result import Column, Notice, Report
from reports.web.state import State
from reports.web.texts import say

TILES: Final = ("inquiries", "booked", "arrived", "refusals", "margin", "average_receipt")
REASONS: Final = (
    "uncategorised", "unknown_category", "non_target", "valid_refusal", "mark", "internal", "spam_form", "spam_chat",
    "no_contact",
)  # fmt: skip
"""Why an inquiry is not in the report, by the notice's key."""
LATE_S: Final = 120.0
"""A lag above this turns the stamp amber (seconds)."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A figure to be seen first. ``whole`` and ``rest`` are one number, the rest printed smaller.

    ``change``: against the period that it is compared with, or empty; ``was``: what it was then, in words.
    """

    label: str
    whole: str
    rest: str
    href: str | None
    note: str
    hint: str
    change: str = ""
    was: str = ""


@dataclass(frozen=True, slots=True)
class Stamp:
    """How fresh the figures are."""

    text: str
    late: bool


@dataclass(frozen=True, slots=True)
class Warned:
    """A notice with the rows behind it."""

    label: str
    count: str
    href: str
    key: str

    @property
    def reason(self) -> str:
        """Which sentence says why: one of `REASONS`."""
        kind = self.key.removeprefix("excluded:").partition(":")[0]
        return kind if kind in REASONS else "mark"


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
        "inquiries": say("tile.counted", lang)
        if state.params.counted == "inquiry"
        else say("tile.clients", lang),
    }
    made = []
    for key in TILES:
        column = columns[key]
        value = None if key in report.not_connected else total.get(key)
        text = cell(value, column.unit, lang)
        point = (
            text.rfind("," if lang == "ru" else ".") if column.unit == "money" and value is not None else -1
        )
        whole, rest = (text[:point], text[point:]) if point >= 0 else (text, "")
        absent = key in report.not_connected
        change, was = ("", "") if absent else _changed(report, column, lang)
        made.append(
            Tile(
                label=column.label[lang],
                whole=whole,
                rest=rest,
                href=state.rows_url(key) if value is not None else None,
                note=say("none.not_connected", lang) if absent else notes[key],
                hint=column.definition[lang],
                change=change,
                was=was,
            )
        )
    return tuple(made)


def _changed(report: Report, column: Column, lang: str) -> tuple[str, str]:
    """The change as a share (where there was nothing, as a difference) with its arrow, and what it was."""
    other = report.comparison
    if other is None or (change := other.changes[column.key]).difference is None:
        return "", ""
    up = change.difference > 0
    arrow = "" if not change.difference else "↑ " if up else "↓ "
    text = (
        signed(change.difference, column.unit, lang)
        if change.share is None
        else signed_percent(change.share, lang)
    )
    was = cell(other.total[column.key], column.unit, lang)
    return f"{arrow}{text}", f"{compared_words(other, lang)}: {was}"


def _note(key: str, lang: str, value: int | Decimal | None) -> str:
    return say(key, lang, share=cell(value, "percent", lang))


def _refusals_note(report: Report, lang: str) -> str:
    booked = int(report.total.get("booked") or 0)
    refused = int(report.total.get("refusals") or 0)
    share = percent(Decimal(refused) / booked, 1, lang) if booked else "—"
    return say(
        "tile.refusals", lang, share=share, pending=number(int(report.total.get("pending") or 0), 0, lang)
    )


def stamp(report: Report, lang: str) -> Stamp:
    """«Обновлено 14:32, отставание 4 с»; amber when late or when nobody knows (a lag that is unknown is not zero).

    «Цифры стоят с 14:32» when nobody works on them: then a lag says nothing.
    """
    if report.stands_since is not None:
        return Stamp(
            say("stamp.stands", lang, at=moment(report.stands_since, report.params.zone, year=False)), True
        )
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
        notice.label[state.lang],
        number(notice.count, 0, state.lang),
        state.notice_url(notice.key),
        notice.key,
    )


def subtitle(report: Report, state: State) -> str:
    """What the figures are, in one line: basis, unit, clock, zone, and the reader's own marks of reasons."""
    lang, params = state.lang, state.params
    parts = [
        say(f"basis.{params.basis}.long", lang),
        say("as_of.at", lang, at=moment(report.as_of, params.zone)),
        params.zone if not params.office_time else say("office_time", lang),
    ]
    if params.as_of is not None or params.known_at is not None:
        parts.append(say("as_of.cards", lang))
    if params.counted == "client":
        parts.insert(1, say("counted.client", lang).lower())
    if params.valid_reasons is not None:
        parts.append(say("own_reasons", lang))
    return " · ".join(parts)
