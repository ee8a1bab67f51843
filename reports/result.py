"""The one result object: page, Excel, JSON, SQL view and terminal all render this, so they can't disagree (design §7)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Literal

Unit = Literal["count", "percent", "money"]
Value = int | Decimal | None
"""``percent`` is a Decimal fraction (0.525 = 52,5 %), unrounded; ``money`` Decimal roubles, unrounded; None = no value (G4)."""


@dataclass(frozen=True, slots=True)
class Label:
    """A text in both languages."""

    ru: str
    en: str

    def __getitem__(self, lang: str) -> str:
        return self.en if lang == "en" else self.ru


@dataclass(frozen=True, slots=True)
class Column:
    """One metric as a column."""

    key: str
    label: Label
    unit: Unit
    definition: Label
    formula: Label  # in words, for «Объяснить число»
    numerator: str | None  # keys of the columns a ratio is made of
    denominator: str | None
    counted: Label  # the unit that is counted (обращения, чеки …)
    refers: str  # "R0.23, G4": what of the order it answers, for docs/reports.md; nothing that a reader sees
    optional: bool = False
    dated_by: Label | None = None  # time basis in words (G2): by which moment the period selects it


@dataclass(frozen=True, slots=True)
class Group:
    """A row of the tree: one value of one dimension, with its own figures and the rows below."""

    dimension: str
    key: str | None  # None = «Не указано» (G13)
    label: Label
    values: dict[str, Value]
    children: tuple[Group, ...] = ()


@dataclass(frozen=True, slots=True)
class Notice:
    """Something beside the report that the reader must know, with the rule that caused it and how many."""

    key: str  # "uncategorised", "excluded:non_target" …
    label: Label
    rule: str  # "D-0.1"
    count: int


Comparing = Literal["none", "previous", "year"]


@dataclass(frozen=True, slots=True)
class Params:
    """What was asked for. Days are local days of ``zone``, both included. See reports/params.py for parsing."""

    first_day: date
    last_day: date
    as_of: datetime | None = None  # UTC, exclusive (G3); None = now
    known_at: datetime | None = None
    levels: tuple[str, ...] = ("direction", "employee", "kind")
    filters: tuple[tuple[str, bool, tuple[str, ...]], ...] = ()  # (dimension, is "in", values)
    basis: Literal["cohort", "activity"] = "cohort"
    counted: Literal["inquiry", "client"] = "inquiry"  # D-0.12
    zone: str = "Europe/Moscow"
    office_time: bool = False  # «по времени филиала» (G1)
    valid_reasons: tuple[str, ...] | None = None  # override of the rule (R0.42)
    lang: Literal["ru", "en"] = "ru"
    compare: Comparing = "previous"  # with the period before, or the same days a year ago


@dataclass(frozen=True, slots=True)
class Change:
    """What a figure of the total has gained since another period.

    ``difference`` is in its own unit (of a percent: a difference of fractions), ``share`` of what it was; None where
    there is nothing to compare or to divide by.
    """

    difference: Value
    share: Decimal | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """The total of another period, asked in the same way, under the same clocks. Days are both included.

    Of a period that is not over, as many days are compared as have begun.
    """

    kind: Comparing
    first_day: date
    last_day: date
    total: dict[str, Value]
    changes: dict[str, Change]


@dataclass(frozen=True, slots=True)
class Report:
    """A finished report."""

    name: str
    title: Label
    params: Params
    columns: tuple[Column, ...]
    groups: tuple[Group, ...]
    total: dict[str, Value]
    notices: tuple[Notice, ...]
    as_of: datetime
    fresh_at: datetime | None  # receive time of the last event folded; None = unknown
    lag_s: float | None
    rules: str  # version of the rules in words
    not_connected: tuple[str, ...] = field(default=())  # metrics whose source was never seen (2.5)
    comparison: Comparison | None = None
    stands_since: datetime | None = None  # nobody has brought the figures up to date since then
