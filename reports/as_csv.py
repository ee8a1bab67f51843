"""The result object as CSV (spec 4.3): UTF-8 with BOM, ``;`` between cells, safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from reports.catalogue import REPORTS
from reports.formats import half_up
from reports.headings import CHANGE, CHANGE_SHARE, TOTAL, compared_words
from reports.result import Group, Report, Unit, Value

_DANGEROUS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "＝", "＋", "－", "＠")


def report_csv(report: Report, *, decimal_comma: bool = True, compared: bool = False) -> bytes:
    """Every node of the tree as a line: its depth, its labels level by level, its figures; the total is the last.

    With ``compared`` three lines follow it, whose first cell is a word: ``before`` (the total of the other period),
    ``change`` and ``change_share`` (a fraction). Who does not ask for them may rely on the total being the last line.
    Counts are whole, percents fractions with 6 places, money has 2; no value is an empty cell.
    """
    spec, lang = REPORTS[report.name], report.params.lang
    out = io.StringIO()
    writer = csv.writer(out, delimiter=";", lineterminator="\r\n")
    levels = [spec.dimension(d).label[lang] for d in report.params.levels]
    writer.writerow([safe(text) for text in ("level", *levels, *(c.label[lang] for c in report.columns))])
    for labels, values in _lines(report.groups, (), lang):
        padding = [""] * (len(levels) - len(labels))
        writer.writerow([len(labels), *map(safe, labels), *padding, *_cells(report, values, decimal_comma)])
    writer.writerow(
        [
            0,
            *([TOTAL[lang]] + [""] * len(levels))[: len(levels)],
            *_cells(report, report.total, decimal_comma),
        ]
    )
    if compared and (other := report.comparison) is not None:
        padding = [""] * (len(levels) - 1)
        for key, label, values in (
            ("before", compared_words(other, lang), other.total),
            ("change", CHANGE[lang], {k: c.difference for k, c in other.changes.items()}),
        ):
            writer.writerow(
                [key, *([safe(label), *padding] if levels else []), *_cells(report, values, decimal_comma)]
            )
        shares = [_cell(other.changes[c.key].share, "percent", decimal_comma) for c in report.columns]
        writer.writerow(["change_share", *([safe(CHANGE_SHARE[lang]), *padding] if levels else []), *shares])
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def safe(text: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_DANGEROUS) else text


def _lines(
    groups: tuple[Group, ...], above: tuple[str, ...], lang: str
) -> Iterator[tuple[tuple[str, ...], dict[str, Value]]]:
    for group in groups:
        labels = (*above, group.label[lang])
        yield labels, group.values
        yield from _lines(group.children, labels, lang)


def _cells(report: Report, values: dict[str, Value], decimal_comma: bool) -> list[str]:
    return [_cell(values[c.key], c.unit, decimal_comma) for c in report.columns]


def _cell(value: Value, unit: Unit, decimal_comma: bool) -> str:
    if value is None:
        return ""
    if unit == "count":
        return str(int(value))
    text = f"{half_up(Decimal(value), 6 if unit == 'percent' else 2):f}"
    return text.replace(".", ",") if decimal_comma else text
