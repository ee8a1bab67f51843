"""The report «Обращения клиентов в автосервис» by counting on fingers: from the truth, without fold and SQL."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from leadfold.demo.truth import Expected, Truth


@dataclass
class Figures:
    """One row of the report; money in roubles."""

    inquiries: int = 0
    booked: int = 0
    arrived: int = 0
    refusals: int = 0
    pending: int = 0
    receipts: int = 0
    sales: Decimal = field(default_factory=Decimal)
    margin: Decimal = field(default_factory=Decimal)

    def add(self, one: Expected, *, slot_is_over: bool) -> None:
        """Count one inquiry."""
        gone = one.booked and not one.arrived and (one.cancelled or one.no_show_told or slot_is_over)
        self.inquiries += 1
        self.booked += one.booked
        self.arrived += one.arrived
        self.refusals += gone
        self.pending += one.booked and not one.arrived and not gone
        self.receipts += one.receipts
        self.sales += one.sales
        self.margin += one.margin


@dataclass
class Counted:
    """The whole report: rows by (direction, employee, kind), the total, and what is not in it."""

    rows: dict[tuple[str, str | None, str], Figures]
    total: Figures
    uncategorised: int
    non_target: int
    valid_refusal: int
    marks: dict[str, int]


def count(truths: Iterable[Truth], first: date, last: date, until: datetime, zone: str) -> Counted:
    """Count the inquiries of local days ``first`` to ``last`` (both included) as known at ``until``."""
    rows: defaultdict[tuple[str, str | None, str], Figures] = defaultdict(Figures)
    found = Counted(rows, Figures(), 0, 0, 0, defaultdict(int))
    for truth in truths:
        one = truth.expected(until)
        day = truth.opened_at.astimezone(ZoneInfo(zone)).date()
        if (
            truth.opened_at > until
            or not first <= day <= last
            or (truth.direction == "out" and one.category is None)
        ):
            continue
        if one.mark:
            found.marks[one.mark] += 1
        elif one.category is None:
            found.uncategorised += 1
        elif not one.target:
            found.non_target += 1
        elif one.hidden:
            found.valid_refusal += 1
        else:
            over = one.slot is not None and _day_end(one.slot, truth.zone) <= until
            for row in (rows[truth.direction, one.employee, truth.kind], found.total):
                row.add(one, slot_is_over=over)
    return found


def _day_end(moment: datetime, zone: str) -> datetime:
    day = moment.astimezone(ZoneInfo(zone)).date() + timedelta(days=1)
    return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone))
