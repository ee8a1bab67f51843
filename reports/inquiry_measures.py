"""What can be counted about inquiries, as SQL over one row (spec 1.5), and the rules that keep an inquiry out."""

from __future__ import annotations

from typing import Final

from reports.model import Exclusion, Joined, Measure
from reports.result import Label

BOOKED: Final = "i.booked_at is not null"
ARRIVED: Final = "i.arrived_at is not null"
REFUSED: Final = (
    f"{BOOKED} and i.arrived_at is null "
    "and (i.booking_cancelled_at is not null or i.no_show_at is not null or i.slot_day_end <= {as_of})"
)
PENDING: Final = (
    f"{BOOKED} and i.arrived_at is null and i.booking_cancelled_at is null and i.no_show_at is null "
    "and (i.slot_day_end is null or i.slot_day_end > {as_of})"
)
WAITING_UNTIL: Final = (
    f"case when {BOOKED} and i.arrived_at is null and i.booking_cancelled_at is null and i.no_show_at is null"
    " then i.slot_day_end end"
)
"""When a pending booking becomes a refusal by the clock alone."""
DECLINED: Final = (
    "i.booked_at is null and i.arrived_at is null and (i.result = 'refusal' "
    "or (i.refusal_at is not null and (i.result_at is null or i.result_at <= i.refusal_at)))"
)
REFUSED_AT: Final = "case when i.booking_cancelled_at is not null then i.booking_cancelled_at else coalesce(i.no_show_at, i.slot_at) end"
"""A silent no-show belongs to the day of its slot."""

_LINES: Final = "join {sale} s on s.inquiry_id = i.inquiry_id join {sale_line} l on l.sale_id = s.sale_id"
_SALES: Final = "join {sale} s on s.inquiry_id = i.inquiry_id and s.sold_at is not null"
PARTS: Final = {
    "sale": "join {inquiry} i on i.inquiry_id = r.inquiry_id",
    "sale_line": "join {sale} s on s.sale_id = r.sale_id join {inquiry} i on i.inquiry_id = s.inquiry_id",
}
"""Whose rows `_LINES` and `_SALES` join, and the way back from them."""

MEASURES: Final = (
    Measure("inquiries", "flag", "true", "i.opened_at"),
    Measure("booked", "flag", BOOKED, "i.booked_at"),
    Measure("arrived", "flag", ARRIVED, "i.arrived_at"),
    Measure("refusals", "flag", REFUSED, REFUSED_AT),
    Measure("pending", "flag", PENDING, "i.booked_at"),
    Measure("declined", "flag", DECLINED, "coalesce(i.refusal_at, i.result_at)"),
    Measure("receipts", "sum", "i.receipts", "i.arrived_at", Joined(_SALES, "1", "s.sold_at")),
    Measure("sales", "sum", "i.sales", "i.arrived_at", Joined(_LINES, "l.amount", "l.at")),
    Measure("margin", "sum", "i.margin", "i.arrived_at", Joined(_LINES, "coalesce(l.margin, 0)", "l.at")),
    Measure(
        "full_sales",
        "sum",
        "case when i.margin_incomplete then 0 else i.sales end",
        "i.arrived_at",
        Joined(_LINES, "case when i.margin_incomplete then 0 else l.amount end", "l.at"),
    ),
    Measure(
        "full_margin",
        "sum",
        "case when i.margin_incomplete then 0 else i.margin end",
        "i.arrived_at",
        Joined(_LINES, "case when i.margin_incomplete then 0 else coalesce(l.margin, 0) end", "l.at"),
    ),
    Measure("pay", "sum", f"case when {ARRIVED} then i.pay_rate else 0 end", "i.arrived_at"),
)


_MARKS: Final[dict[str, Label]] = {
    "excluded:mark:spam": Label("Спам", "Spam"),
    "excluded:mark:supplier": Label("Поставщик", "Supplier"),
    "excluded:mark:employee": Label("Сотрудник", "Employee"),
    "excluded:mark:test": Label("Проверка", "Test"),
    "excluded:internal": Label("Внутренний звонок", "Internal call"),
    "excluded:spam_form": Label("Спам из формы", "Form spam"),
    "excluded:spam_chat": Label("Чат из чёрного списка", "Blacklisted chat"),
    "excluded:no_contact": Label("Заявка без контакта", "Request without a contact"),
}


def _marked(key: str) -> Label:
    known = _MARKS.get(key)
    return known or Label(f"Исключены: {key.rpartition(':')[2]}", f"Excluded: {key.rpartition(':')[2]}")


def _says(ru: str, en: str) -> Label:
    return Label(ru, en)


UNKNOWN_CATEGORY: Final = "excluded:unknown_category:"
"""Notice key, followed by the word that was sent and is no category of the dictionary: most often a slip of the pen."""

EXCLUSIONS: Final = (
    Exclusion("i.excluded is not null", "'excluded:' || i.excluded", "G11", _marked),
    Exclusion(
        "not i.is_target and i.category_id is null",
        "'uncategorised'",
        "D-0.1",
        lambda _key: _says("Не классифицировано", "Not classified"),
    ),
    Exclusion(
        "not i.is_target and not {known_category}",
        f"'{UNKNOWN_CATEGORY}' || i.category_id",
        "D-0.1",
        lambda key: _says(
            f"Неизвестная категория: {key.removeprefix(UNKNOWN_CATEGORY)}",
            f"Unknown category: {key.removeprefix(UNKNOWN_CATEGORY)}",
        ),
    ),
    Exclusion(
        "not i.is_target",
        "'excluded:non_target'",
        "D-0.1",
        lambda _key: _says("Нецелевая категория", "Not a target category"),
    ),
    Exclusion(
        "i.arrived_at is null and i.refusal_reason_id is not null and {valid_reasons}",
        "'excluded:valid_refusal'",
        "D-0.4",
        lambda _key: _says("Уважительная причина отказа", "Refused for a valid reason"),
    ),
)
