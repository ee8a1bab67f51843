"""What a report is made of, as data: measures, metrics, dimensions, exclusion rules. A new report is a new value of these.

SQL fragments speak of one subject row under the alias ``i``. They may use these marks, put in by ``reports.compiler``:
``{as_of}`` the business clock, ``{valid_reasons}`` a condition on the refusal reason, ``{known_category}`` whether the
dictionary has the row's category, ``{moment}`` the moment that selects the row, ``{zone}`` the time zone of its days.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from domain.directory import Directory
from reports.result import Column, Label


@dataclass(frozen=True, slots=True)
class Joined:
    """Rows of another table that carry a measure in the activity basis: each is counted by its own moment."""

    join: str  # "join {sale} s on s.inquiry_id = i.inquiry_id"
    sql: str
    moment: str


@dataclass(frozen=True, slots=True)
class Measure:
    """One thing that adds up over subject rows.

    ``flag``: ``sql`` is a condition, the measure counts the rows (or distinct clients, D-0.12) where it holds.
    ``sum``: ``sql`` is a number. ``moment`` dates it in the activity basis; ``joined`` replaces both where the
    thing lives in rows of its own.
    """

    key: str
    kind: Literal["flag", "sum"]
    sql: str
    moment: str
    joined: Joined | None = None


@dataclass(frozen=True, slots=True)
class Metric:
    """A column and how it is computed: one measure, or the ratio of the sums of two (G4)."""

    column: Column
    measure: str
    per: str | None = None  # the denominator's measure
    nouns: tuple[str, str, str] = ("", "", "")  # 1 заезд, 2 заезда, 5 заездов
    nouns_en: tuple[str, str] = ("", "")  # 1 arrival, 2 arrivals

    @property
    def key(self) -> str:
        """The column's key."""
        return self.column.key


@dataclass(frozen=True, slots=True)
class Dimension:
    """An attribute by which rows are grouped and filtered. ``sql`` gives text; null is a visible row (G13).

    ``label`` puts a key into words; ``rank`` orders keys that have an order of their own (others go by label);
    ``values`` lists all keys where they are fixed. ``by_day``: the same of a date ``r.day``, for what is made of the
    row's local day alone, and ``of_day`` in Python; ``by_month``: its first of the month would do as well.
    """

    key: str
    label: Label
    sql: str
    label_of: Callable[[str, Directory], Label]
    missing: Label
    rank: Callable[[str, Directory], object] | None = None
    values: tuple[str, ...] | None = None
    by_day: str | None = None
    by_month: bool = False
    of_day: Callable[[date], str] | None = None


@dataclass(frozen=True, slots=True)
class Exclusion:
    """A rule that keeps a subject row out of all columns. The first that holds names the notice."""

    condition: str
    key_sql: str  # text expression: the notice's key
    rule: str
    label_of: Callable[[str], Label]

    @property
    def key_prefix(self) -> str:
        """With what the notice's keys begin; the whole key where the rule has just one."""
        return self.key_sql.split("'")[1]


@dataclass(frozen=True, slots=True)
class Subject:
    """The table whose rows a report counts, and its columns that every query needs."""

    table: str
    id: str
    client: str
    born: str  # the moment by which a cohort selects
    zone: str  # the office's time zone


@dataclass(frozen=True, slots=True, eq=False)  # one value, told apart by identity
class ReportSpec:
    """One report as data."""

    name: str
    title: Label
    about: Label
    subject: Subject
    measures: tuple[Measure, ...]
    metrics: tuple[Metric, ...]
    dimensions: tuple[Dimension, ...]
    exclusions: tuple[Exclusion, ...]
    levels: tuple[str, ...]  # the default grouping
    counts: str  # the measure that counts the subject itself; notices count it too
    needs: dict[str, str]  # metric key → table without which it has no data («не подключено», 2.5)
    rollups: tuple[
        tuple[str, ...], ...
    ] = ()  # grains: sets of dimensions by which sums are kept (reports.rollup)
    parts: Mapping[str, str] = field(
        default_factory=dict
    )  # tables of `Joined` → SQL join from their row ``r`` to ``i``, by which a change finds its day
    turns: str | None = None  # the moment at which a row's measures change by the clock alone, null = never

    def metric(self, key: str) -> Metric:
        """The metric of a column. Raises KeyError."""
        for metric in self.metrics:
            if metric.key == key:
                return metric
        raise KeyError(key)

    def measure(self, key: str) -> Measure:
        """A measure by key. Raises KeyError."""
        for measure in self.measures:
            if measure.key == key:
                return measure
        raise KeyError(key)

    def dimension(self, key: str) -> Dimension:
        """A dimension by key. Raises KeyError."""
        for dimension in self.dimensions:
            if dimension.key == key:
                return dimension
        raise KeyError(key)
