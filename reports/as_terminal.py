"""The result object in a terminal: a tree of groups with its figures, the total, and what was left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from domain.directory import Directory
from domain.printable import printable
from reports import formats
from reports.headings import CHANGE, TOTAL, compared_words, settings_words
from reports.result import Column, Group, Report, Value


def show(report: Report, console: Console, directory: Directory, *, optional: bool = False) -> None:
    """Print a report. A terminal that is too narrow gets fewer columns and is told so; a file or pipe gets all."""
    lang = report.params.lang
    columns = [c for c in report.columns if optional or not c.optional]
    hidden = 0
    table = report_table(report, columns)
    if console.is_terminal:
        while len(columns) > 3 and _width(table, console) > console.width:
            columns.pop()
            hidden += 1
            table = report_table(report, columns)
    console.print(Text(report.title[lang], style="bold"))
    settings = settings_words(report, directory)[1:5]
    console.print(
        Text(printable(" · ".join(f"{name.lower()} {value}" for name, value in settings)), style="dim"),
        soft_wrap=True,
    )
    console.print(table, width=max(_width(table, console), 40), crop=False, no_wrap=True, overflow="ignore")
    if (other := report.comparison) is not None:
        told = (
            f"{c.label[lang].lower()} {formats.signed(other.changes[c.key].difference, c.unit, lang)}"
            for c in columns
            if other.changes[c.key].difference is not None and c.key not in report.not_connected
        )
        console.print(
            Text(f"{compared_words(other, lang)}; {CHANGE[lang].lower()}: {', '.join(told)}"), soft_wrap=True
        )
    for text in _after(report, hidden):
        console.print(Text(printable(text)), soft_wrap=True)


def report_table(report: Report, columns: Sequence[Column]) -> Table:
    """The table alone: one row for each group, indented by its level; figures as on the page."""
    lang = report.params.lang
    table = Table(box=box.SIMPLE_HEAD, show_footer=True, pad_edge=False, padding=(0, 1))
    table.add_column("", footer=Text(TOTAL[lang], style="bold"), no_wrap=True)
    for column in columns:
        total = formats.cell(report.total[column.key], column.unit, lang, bare=True)
        unit = ", ₽" if column.unit == "money" else ""
        header = Text(f"{column.label[lang]}{unit}", overflow="fold")
        table.add_column(
            header, footer=Text(total, style="bold"), justify="right", min_width=_figure_width(report, column)
        )
    _add(table, report.groups, columns, 0, lang)
    return table


def _add(table: Table, groups: tuple[Group, ...], columns: Sequence[Column], depth: int, lang: str) -> None:
    for group in groups:
        style = "bold" if depth == 0 and group.children else None
        label = Text("  " * depth + printable(group.label[lang]), style=style or "")
        table.add_row(label, *(_figure(group.values[c.key], c, lang) for c in columns), style=style)
        _add(table, group.children, columns, depth + 1, lang)


def _figure(value: Value, column: Column, lang: str) -> Text:
    quiet = value is None or value == 0
    return Text(formats.cell(value, column.unit, lang, bare=True), style="dim" if quiet else "")


def _figure_width(report: Report, column: Column) -> int:
    """Room for the longest figure of a column; headers may wrap between words, figures never."""
    lang = report.params.lang
    words = f"{column.label[lang]}{', ₽' if column.unit == 'money' else ''}".split(" ")
    values = [report.total[column.key], *(g.values[column.key] for g in _all(report.groups))]
    figures = (len(formats.cell(value, column.unit, lang, bare=True)) for value in values)
    return max(*figures, *map(len, words))


def _all(groups: tuple[Group, ...]) -> Iterator[Group]:
    for group in groups:
        yield group
        yield from _all(group.children)


def _width(table: Table, console: Console) -> int:
    return Measurement.get(console, console.options.update(width=500, max_width=500), table).minimum


def _after(report: Report, hidden: int) -> list[str]:
    lang = report.params.lang
    english = lang == "en"
    lines = []
    if report.notices:
        kept_out = ", ".join(
            f"{n.label[lang].lower()} {formats.number(n.count, 0, lang)}" for n in report.notices
        )
        lines.append(f"{'Not in the report' if english else 'Не вошли в отчёт'}: {kept_out}")
    absent = [
        c.label[lang].lower() for c in report.columns if c.key in report.not_connected and not c.optional
    ]
    if absent:
        lines.append(
            f"{'No data, source not connected' if english else 'Нет данных: не подключено'}: {', '.join(absent)}"
        )
    if hidden:
        lines.append(
            f"{hidden} more columns do not fit: widen the window or use --json" if english
            else f"Не поместилось столбцов: {hidden}; расширьте окно или возьмите --json"
        )  # fmt: skip
    return lines
