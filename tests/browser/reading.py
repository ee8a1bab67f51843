"""Reads the pages back: what a person sees in the table, and what the Report says it should be."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from playwright.async_api import Page

from reports.formats import NO_VALUE, cell, number
from reports.result import Column, Group, Report, Value

_READ = """
() => [...document.querySelectorAll('.table tbody tr, .table tfoot tr:not(.changes)')].map(row => [
  row.hidden, row.querySelector('th').innerText.trim(),
  ...[...row.querySelectorAll('td')].map(td => {
    const copy = td.cloneNode(true);
    copy.querySelectorAll('sub, .sr-only').forEach(e => e.remove());
    return copy.textContent.trim();
  }),
])
"""


async def table(page: Page) -> list[list[str]]:
    """Visible rows of the report's table: name, then figures; the total is the last."""
    rows = await page.evaluate(_READ)
    return [row[1:] for row in rows if not row[0]]


def expected(report: Report, lang: str = "ru") -> list[list[str]]:
    """The same rows from the Report, all groups open."""
    columns = [c for c in report.columns if not c.optional]
    total = "Total" if lang == "en" else "Итого"
    return [
        *_groups(report.groups, columns, lang),
        [total, *(text(report.total[c.key], c, lang) for c in columns)],
    ]


def _groups(groups: tuple[Group, ...], columns: list[Column], lang: str) -> Iterator[list[str]]:
    for group in groups:
        yield [group.label[lang], *(text(group.values[c.key], c, lang) for c in columns)]
        yield from _groups(group.children, columns, lang)


def text(value: Value, column: Column, lang: str = "ru") -> str:
    """One figure as the table writes it: units stand in the header."""
    if value is None:
        return NO_VALUE
    if column.unit == "percent":
        return number(Decimal(value) * 100, 1, lang)
    return cell(value, column.unit, lang, bare=True)


def whole(figure: str) -> int:
    """``1 234`` as a number."""
    return int("".join(c for c in figure if c.isdigit()))
