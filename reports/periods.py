"""Periods before, after and a year ago, and how much of a period that is not over yet can be compared."""

from __future__ import annotations

from calendar import monthrange
from datetime import date, timedelta


def neighbours(first: date, last: date) -> tuple[tuple[date, date], tuple[date, date]]:
    """The period before and the one after: whole months stay whole months, anything else moves by its own length."""
    after = last + timedelta(days=1)
    if first.day == 1 and after.day == 1:
        months = (after.year - first.year) * 12 + after.month - first.month
        return (
            (add_months(first, -months), first - timedelta(days=1)),
            (after, add_months(after, months) - timedelta(days=1)),
        )
    length = after - first
    return (first - length, first - timedelta(days=1)), (after, last + length)


def same_last_year(first: date, last: date) -> tuple[date, date]:
    """The same days a year before; the 29th of February is the 28th then, the end of a month stays its end."""
    ends = last.day == monthrange(last.year, last.month)[1]
    day = monthrange(last.year - 1, last.month)[1] if ends else last.day
    before = date(first.year - 1, first.month, min(first.day, monthrange(first.year - 1, first.month)[1]))
    return before, date(last.year - 1, last.month, day)


def comparable(first: date, last: date, other: tuple[date, date], today: date) -> tuple[date, date]:
    """As many days of another period as have begun of this one: half a month is not compared with a whole one."""
    if not first <= today < last:
        return other
    return other[0], min(other[1], other[0] + (today - first))


def add_months(day: date, months: int) -> date:
    """The first day of the month so many months on."""
    index = day.year * 12 + day.month - 1 + months
    return date(index // 12, index % 12 + 1, 1)
