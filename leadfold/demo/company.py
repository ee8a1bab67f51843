"""The auto service of the demo: offices, operators and their extensions, lines and channels, opening hours."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

CABINET: Final = "077001"
COMPANY_ZONE: Final = "Europe/Moscow"
SHOP: Final = "https://sto.example"

HOUR_WEIGHTS: Final = (3, 7, 10, 11, 9, 7, 7, 8, 9, 8, 6, 4)
"""How many clients come in each opening hour, from 9 to 20."""


@dataclass(frozen=True, slots=True)
class Office:
    """A branch; ``share`` of all clients."""

    id: str
    label: str
    zone: str
    share: float

    def local(self, moment: datetime) -> datetime:
        """A moment on the office's wall clock."""
        return moment.astimezone(ZoneInfo(self.zone))

    def at(self, day: date, hour: int, minute: int = 0, second: int = 0) -> datetime:
        """A local wall-clock time as an aware datetime."""
        return datetime(day.year, day.month, day.day, hour, minute, second, tzinfo=ZoneInfo(self.zone))

    def is_open(self, moment: datetime) -> bool:
        """Whether somebody is at the phones: 9–20, on Sundays 10–18."""
        local = self.local(moment)
        first, last = hours(local.date())
        return first <= local.hour < last

    def next_open(self, moment: datetime) -> datetime:
        """The moment itself when open, else the next opening."""
        if self.is_open(moment):
            return moment
        local = self.local(moment)
        day = local.date()
        if local.hour >= hours(day)[0]:
            day += timedelta(days=1)
        return self.at(day, hours(day)[0]).astimezone(moment.tzinfo)


def hours(day: date) -> tuple[int, int]:
    """Opening and closing hour of a local day."""
    return (10, 18) if day.weekday() == 6 else (9, 20)


@dataclass(frozen=True, slots=True)
class Line:
    """A number of ours (11 digits) with the channel that it advertises."""

    number: str
    office: str
    channel: str
    share: float


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator. ``skill`` shifts the share of bookings; ``ext_after`` is held from the hand-over day on."""

    id: str
    name: str
    office: str
    team: str
    login: str
    jivo: str
    ext: str
    skill: float
    phone: str
    ext_after: str | None = None

    def ext_on(self, day: date, handover: date) -> str:
        """The extension on a local day."""
        return self.ext_after if self.ext_after and day >= handover else self.ext


OFFICES: Final = {
    "msk": Office("msk", "Москва, Варшавское шоссе", "Europe/Moscow", 0.68),
    "ekb": Office("ekb", "Екатеринбург, Малышева", "Asia/Yekaterinburg", 0.32),
}
LINES: Final = (
    Line("74951230011", "msk", "Яндекс Директ", 0.4),
    Line("74951230012", "msk", "Сайт", 0.35),
    Line("74951230013", "msk", "2ГИС", 0.25),
    Line("73432110021", "ekb", "Яндекс Карты", 0.55),
    Line("73432110022", "ekb", "Авито", 0.45),
)
MOVED_LINE: Final = ("73432110022", "Радио")
"""From the hand-over day on this line advertises another channel."""

OPERATORS: Final = (
    Operator(
        "e1", "Ольга Смирнова", "msk", "Колл-центр", "olga@sto.example", "5", "201", 0.12, "+79160000101"
    ),
    Operator(
        "e2", "Иван Кузнецов", "msk", "Колл-центр", "ivan@sto.example", "6", "202", -0.08, "+79160000102"
    ),
    Operator(
        "e3", "Анна Попова", "msk", "Колл-центр", "anna@sto.example", "7", "203", 0.05, "+79160000103", "205"
    ),
    Operator(
        "e4", "Дмитрий Соколов", "ekb", "Приёмка", "dmitry@sto.example", "8", "204", 0.0, "+79120000104"
    ),
    Operator(
        "e5",
        "Елена Морозова",
        "msk",
        "Приёмка",
        "elena@sto.example",
        "9",
        "205",
        -0.03,
        "+79160000105",
        "203",
    ),
)
BY_ID: Final = {o.id: o for o in OPERATORS}

RING: Final = {"msk": ("e1", "e2", "e3", "e5"), "ekb": ("e4", "e1", "e3")}
"""Who is rung by a call to an office."""


RATES: Final = (("Колл-центр", None, "300"), ("Приёмка", None, "250"), (None, "e1", "350"))
"""Roubles for an arrival: (team, employee, rate); an employee's own rate goes before the team's."""
