"""The result object as an Excel workbook (spec 4.3): typed cells, outline levels, print set-up. Text is never a formula."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import xlsxwriter

from domain.directory import Directory
from reports import formats
from reports.catalogue import REPORTS
from reports.headings import CHANGE, CHANGE_SHARE, TOTAL, compared_words, settings_words
from reports.lines import STATES, InquiryLine
from reports.params import to_query
from reports.result import Group, Label, Report, Value

MAX_ROWS: Final = 1_048_000
"""Lines on «Строки»: a sheet holds no more; the rest is told on «Параметры»."""
MAX_LINKS: Final = 65_000
"""Excel takes 65,530 links on a sheet; further cards are told by their number alone."""

_OPTIONS: Final = {
    "constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False,
}  # fmt: skip
_SHEETS: Final = (
    Label("Отчёт", "Report"), Label("Строки", "Rows"), Label("Параметры", "Parameters"), Label("Определения", "Definitions")
)  # fmt: skip
_NUMBER_FORMATS: Final = {"count": "#,##0", "money": "#,##0.00", "percent": "0.0%"}


class Workbook:
    """The workbook: «Отчёт», «Строки» (the counted inquiries, `add`), «Параметры», «Определения».

    Money and counts are numbers, percents fractions, moments date serials in the report's zone (each office's own
    with «по времени филиала»), durations fractions of a day, phones and ids text; «—» is an empty cell. With the
    address of the pages, ``site``, the title leads to the page of this report and each inquiry to its card.

    Args:
        out: where it is written, by `close`. What was added waits in a temporary file: memory stays flat.
        total: how many inquiries will be added.
    """

    def __init__(
        self,
        out: Path,
        report: Report,
        directory: Directory,
        *,
        total: int,
        author: str | None = None,
        site: str | None = None,
    ) -> None:
        self.book = xlsxwriter.Workbook(out, _OPTIONS | {"tmpdir": str(out.parent)})
        self.given = report
        self.directory = directory
        self.lang = report.params.lang
        self.site = site
        self._author = author
        self._total = total
        self._added = 0
        self.book.set_properties({"title": report.title[self.lang], "author": author or ""})
        self._report()
        self._lines = self._begin_lines()

    def close(self) -> None:
        """Write the file. Raises OSError."""
        self._lines.autofilter(0, 0, max(self._added, 1), len(_LINE_COLUMNS) - 1)
        self._parameters(self._author, self._total)
        self._definitions()
        try:
            self.book.close()
        except xlsxwriter.exceptions.FileCreateError as error:
            raise (
                error.args[0] if error.args and isinstance(error.args[0], OSError) else OSError(str(error))
            ) from error

    def _sheet(self, n: int) -> Any:
        sheet = self.book.add_worksheet(_SHEETS[n][self.lang])
        sheet.set_landscape()
        sheet.set_paper(9)  # A4
        sheet.set_margins(left=0.47, right=0.47, top=0.47, bottom=0.6)
        sheet.fit_to_pages(1, 0)
        page = "Page &P of &N" if self.lang == "en" else "Страница &P из &N"
        title = self.given.title[self.lang].replace("&", "&&")
        period = formats.period(self.given.params.first_day, self.given.params.last_day)
        sheet.set_footer(f"&L{title}, {period}&R{page}")
        return sheet

    def _style(self, **properties: object) -> Any:
        return self.book.add_format({"font_name": "Calibri", "font_size": 11, **properties})

    def _header(self, sheet: Any, row: int, texts: Sequence[str]) -> None:
        style = self._style(bold=True, text_wrap=True, valign="top", bottom=1)
        for n, text in enumerate(texts):
            sheet.write_string(row, n, text, style)
        sheet.repeat_rows(row)
        sheet.freeze_panes(row + 1, 1)

    def _report(self) -> None:
        """Groups as outline levels, the header frozen, the total last and bold."""
        sheet, columns = self._sheet(0), self.given.columns
        title = self._style(bold=True, font_size=14)
        if link := self._link():
            sheet.write_url(0, 0, link, title, self.given.title[self.lang])
        else:
            sheet.write_string(0, 0, self.given.title[self.lang], title)
        about = " · ".join(
            f"{name}: {value}" for name, value in settings_words(self.given, self.directory)[1:5]
        )
        sheet.write_string(1, 0, about, self._style(font_color="#666666"))
        head = 3
        units = {"money": ", ₽"}
        self._header(sheet, head, ["", *(f"{c.label[self.lang]}{units.get(c.unit, '')}" for c in columns)])
        sheet.set_column(0, 0, 36)
        sheet.set_column(1, len(columns), 13)
        sheet.outline_settings(True, False, True, False)
        number = {u: self._style(num_format=f) for u, f in _NUMBER_FORMATS.items()}
        last = self._groups(sheet, self.given.groups, head + 1, 0, number)
        bold = {u: self._style(num_format=f, bold=True, top=1) for u, f in _NUMBER_FORMATS.items()}
        sheet.autofilter(head, 0, max(last - 1, head), len(columns))
        self._figures(sheet, last, TOTAL[self.lang], self.given.total, bold, self._style(bold=True, top=1))
        if (other := self.given.comparison) is not None:
            plain, shares = self._style(), dict.fromkeys(number, number["percent"])
            self._figures(sheet, last + 1, compared_words(other, self.lang), other.total, number, plain)
            differences = {key: c.difference for key, c in other.changes.items()}
            self._figures(sheet, last + 2, CHANGE[self.lang], differences, number, plain)
            relative: dict[str, Value] = {key: c.share for key, c in other.changes.items()}
            self._figures(sheet, last + 3, CHANGE_SHARE[self.lang], relative, shares, plain)

    def _groups(
        self, sheet: Any, groups: Sequence[Group], row: int, depth: int, number: dict[str, Any]
    ) -> int:
        label = self._style(indent=depth, bold=depth == 0 and any(g.children for g in groups))
        for group in groups:
            if depth:
                sheet.set_row(row, None, None, {"level": depth})
            self._figures(sheet, row, group.label[self.lang], group.values, number, label)
            row = self._groups(sheet, group.children, row + 1, depth + 1, number)
        return row

    def _figures(
        self,
        sheet: Any,
        row: int,
        label: str,
        values: dict[str, Value],
        number: dict[str, Any],
        label_style: Any,
    ) -> None:
        sheet.write_string(row, 0, label, label_style)
        for n, column in enumerate(self.given.columns, 1):
            value = values[column.key]
            if value is None:
                sheet.write_blank(row, n, None, number[column.unit])
            else:
                sheet.write_number(row, n, float(value), number[column.unit])

    def _begin_lines(self) -> Any:
        sheet = self._sheet(1)
        self._header(sheet, 0, [label[self.lang] for label, _, _ in _LINE_COLUMNS])
        self._styles = {kind: self._style(num_format=f) for kind, f in _LINE_FORMATS.items()}
        self._linked = self._style(font_color="#0563C1", underline=1)
        for n, (_, kind, _) in enumerate(_LINE_COLUMNS):
            sheet.set_column(n, n, _LINE_WIDTHS[kind])
        return sheet

    def add(self, lines: Iterable[InquiryLine]) -> None:
        """One row of «Строки» for each of some more inquiries."""
        sheet, styles, params = self._lines, self._styles, self.given.params
        for line in lines:
            if self._added >= MAX_ROWS:
                return
            self._added += 1
            zone = ZoneInfo(line.inquiry.office_zone if params.office_time else params.zone)
            for n, (_, kind, read) in enumerate(_LINE_COLUMNS):
                _write(sheet, self._added, n, kind, read(line, self.lang), styles, zone)
            if self.site and self._added <= MAX_LINKS:
                ident = str(line.inquiry.inquiry_id)
                link = f"{self.site}/inquiries/{ident}"
                sheet.write_url(self._added, len(_LINE_COLUMNS) - 1, link, self._linked, ident)

    def _link(self) -> str | None:
        """Address of the page of this report."""
        if not self.site:
            return None
        query = to_query(self.given.params, spec=REPORTS[self.given.name])
        return f"{self.site}/reports/{self.given.name}?{query}"

    def _parameters(self, author: str | None, lines: int) -> None:
        """What the figures depend on, what was left out, who asked."""
        english = self.lang == "en"
        sheet = self._sheet(2)
        texts = settings_words(self.given, self.directory)
        for name, value in (
            ("Author" if english else "Автор", author),
            ("Link" if english else "Ссылка", self._link()),
        ):
            if value:
                texts.append((name, value))
        if lines > MAX_ROWS:
            texts.append(("Rows shown" if english else "Показано строк", f"{MAX_ROWS} / {lines}"))
        absent = [c.label[self.lang] for c in self.given.columns if c.key in self.given.not_connected]
        if absent:
            texts.append(
                ("No data, not connected" if english else "Нет данных: не подключено", ", ".join(absent))
            )
        self._header(sheet, 0, ["Parameter", "Value"] if english else ["Параметр", "Значение"])
        sheet.set_column(0, 0, 34)
        sheet.set_column(1, 1, 90)
        for row, (name, value) in enumerate(texts, 1):
            sheet.write_string(row, 0, name)
            if self.site and value == self._link():
                sheet.write_url(row, 1, value, string=value[:255])
            else:
                sheet.write_string(row, 1, value)
        row = len(texts) + 2
        bold = self._style(bold=True)
        sheet.write_string(row, 0, "Not in the report" if english else "Не вошли в отчёт", bold)
        for notice in self.given.notices:
            row += 1
            sheet.write_string(row, 0, notice.label[self.lang])
            sheet.write_number(row, 1, notice.count, self._style(num_format="#,##0", align="left"))

    def _definitions(self) -> None:
        """Every column in words."""
        sheet = self._sheet(3)
        english = self.lang == "en"
        self._header(
            sheet, 0,
            ["Metric", "Definition", "Formula", "Counted", "Dated by", "Key"] if english
            else ["Показатель", "Определение", "Формула", "Что считается", "По какой дате", "Ключ"],
        )  # fmt: skip
        for n, width in enumerate((24, 70, 44, 14, 44, 20)):
            sheet.set_column(n, n, width)
        wrap = self._style(text_wrap=True, valign="top")
        for row, c in enumerate(self.given.columns, 1):
            dated = c.dated_by[self.lang] if c.dated_by else ""
            texts = (
                c.label[self.lang],
                c.definition[self.lang],
                c.formula[self.lang],
                c.counted[self.lang],
                dated,
                c.key,
            )
            for n, text in enumerate(texts):
                sheet.write_string(row, n, text, wrap)


_LINE_FORMATS: Final = {
    "moment": "dd.mm.yyyy hh:mm", "duration": "[h]:mm:ss", "count": "#,##0", "money": "#,##0.00", "text": "@",
}  # fmt: skip
_LINE_WIDTHS: Final = {"moment": 17, "duration": 11, "count": 9, "money": 13, "text": 22}


def _word(dimension: str) -> Any:
    return lambda line, lang: line.words[dimension][lang]


def _field(name: str) -> Any:
    return lambda line, _lang: getattr(line.inquiry, name)


_LINE_COLUMNS: Final[tuple[tuple[Label, str, Any], ...]] = (
    (Label("Дата обращения", "Opened"), "moment", _field("opened_at")),
    (Label("Клиент", "Client"), "text", lambda line, _lang: line.client_name),
    (
        Label("Телефон", "Phone"),
        "text",
        lambda line, _lang: line.phone_text if line.phone_text != formats.NO_VALUE else None,
    ),
    (Label("Направление", "Direction"), "text", _word("direction")),
    (Label("Вид обращения", "Kind"), "text", _word("kind")),
    (Label("Категория", "Category"), "text", _word("category")),
    (Label("Сотрудник", "Employee"), "text", _word("employee")),
    (Label("Отдел", "Team"), "text", _word("team")),
    (Label("Филиал", "Office"), "text", _word("office")),
    (Label("Рекламный канал", "Channel"), "text", _word("channel")),
    (Label("Результат", "Result"), "text", _word("result")),
    (Label("Причина отказа", "Refusal reason"), "text", _word("refusal_reason")),
    (Label("Состояние", "State"), "text", lambda line, lang: STATES[line.state][lang]),
    (Label("Записан", "Booked at"), "moment", _field("booked_at")),
    (Label("Время записи", "Slot"), "moment", _field("slot_at")),
    (Label("Заехал", "Arrived at"), "moment", _field("arrived_at")),
    (Label("Чеки", "Receipts"), "count", _field("receipts")),
    (Label("Продажи, ₽", "Sales, ₽"), "money", _field("sales")),
    (Label("Маржа, ₽", "Margin, ₽"), "money", _field("margin")),
    (Label("Звонков", "Calls"), "count", _field("calls")),
    (Label("Разговор", "Talk"), "duration", _field("talk_s")),
    (Label("Часовой пояс филиала", "Office time zone"), "text", _field("office_zone")),
    (Label("Номер обращения", "Inquiry id"), "text", _field("inquiry_id")),
)


def _write(
    sheet: Any, row: int, column: int, kind: str, value: object, styles: dict[str, Any], zone: ZoneInfo
) -> None:
    style = styles[kind]
    if value is None:
        return
    if kind == "moment":
        assert isinstance(value, datetime)
        sheet.write_datetime(row, column, value.astimezone(zone).replace(tzinfo=None), style)
    elif kind == "text":
        sheet.write_string(row, column, str(value), style)
    else:
        assert isinstance(value, int | Decimal)
        seconds = kind == "duration"
        sheet.write_number(row, column, float(value) / 86_400 if seconds else float(value), style)
