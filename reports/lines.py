"""One inquiry as a line of a list: the leaf rows of a report (R0.45), of its drill and of the Excel sheet «Строки»."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Literal

from domain.directory import Directory
from domain.rows import InquiryRow
from projector.readmodel.tables import columns
from reports import formats
from reports.dimensions import label_of
from reports.model import ReportSpec
from reports.result import Label

State = Literal["arrived", "cancelled", "no_show", "pending", "declined", "none"]

STATES: Final[dict[str, Label]] = {
    "arrived": Label("заехал", "arrived"),
    "cancelled": Label("отменил запись", "cancelled"),
    "no_show": Label("не приехал", "did not show up"),
    "pending": Label("ожидается", "expected"),
    "declined": Label("отказался", "declined"),
    "none": Label("без записи", "not booked"),
}

_NAMES: Final = tuple(c.name for c in columns("inquiry"))
LINE_COLUMNS: Final = ", ".join(
    [*(f'i."{name}"' for name in _NAMES), "c.name as client_name", "c.phones as client_phones"]
)
"""What a query over ``inquiry i left join client c`` selects for a line, in this order."""


@dataclass(frozen=True, slots=True)
class InquiryLine:
    """An inquiry with the words for its keys.

    ``phone`` is E.164; ``phone_text`` is written for people. ``words``: dimension → label.
    ``moment`` dates it in the report asked for; ``figure`` is what it adds to the figure that was opened.
    ``excluded_by``: the notice key of the rule that keeps it out of the report, or None.
    """

    inquiry: InquiryRow
    client_name: str | None
    phone: str | None
    phone_text: str
    words: dict[str, Label]
    state: State
    moment: datetime
    figure: Decimal | int | None = None
    excluded_by: str | None = None


def inquiry_row(values: Sequence[Any]) -> InquiryRow:
    """The first columns of a selected line as a row."""
    return InquiryRow._make(tuple(v) if isinstance(v, list) else v for v in values[: len(_NAMES)])


class Wording:
    """The words for keys of inquiries, each looked up once."""

    def __init__(self, spec: ReportSpec, directory: Directory) -> None:
        self._spec = spec
        self._directory = directory
        self._known: dict[tuple[str, str | None], Label] = {}

    def of(self, row: InquiryRow) -> dict[str, Label]:
        """The labels of an inquiry's keys by dimension."""
        return {dimension: self._label(dimension, getattr(row, name)) for dimension, name in _FIELDS.items()}

    def _label(self, dimension: str, key: str | None) -> Label:
        found = self._known.get((dimension, key))
        if found is None:
            found = label_of(self._spec.dimension(dimension), key, self._directory)
            self._known[dimension, key] = found
        return found


def line_of(
    values: Sequence[Any],
    words: Wording,
    as_of: datetime,
    *,
    moment: datetime | None = None,
    figure: Decimal | int | None = None,
    excluded_by: str | None = None,
) -> InquiryLine:
    """A line from the columns of ``LINE_COLUMNS``."""
    row = inquiry_row(values)
    name, phones = values[len(_NAMES)], values[len(_NAMES) + 1] or ()
    phone = phones[0] if phones else None
    return InquiryLine(
        inquiry=row,
        client_name=name,
        phone=phone,
        phone_text=formats.phone(phone),
        words=words.of(row),
        state=state_of(row, as_of),
        moment=moment or row.opened_at,
        figure=figure,
        excluded_by=excluded_by,
    )


_FIELDS: Final = {
    "direction": "direction", "employee": "employee_id", "kind": "kind", "team": "team", "office": "office_id",
    "channel": "channel", "category": "category_id", "source": "source", "result": "result",
    "refusal_reason": "refusal_reason_id",
}  # fmt: skip


def state_of(row: InquiryRow, as_of: datetime) -> State:
    """How far the inquiry has come at a moment (1.5)."""
    if row.arrived_at is not None:
        return "arrived"
    if row.booked_at is None:
        refused = row.refusal_at is not None and (row.result_at is None or row.result_at <= row.refusal_at)
        return "declined" if refused or row.result == "refusal" else "none"
    if row.booking_cancelled_at is not None:
        return "cancelled"
    over = row.slot_day_end is not None and row.slot_day_end <= as_of
    return "no_show" if row.no_show_at is not None or over else "pending"
