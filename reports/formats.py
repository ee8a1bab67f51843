"""How figures, moments, durations and phones are written for people, ru-RU and English (spec 4.3).

Rounding is half-up and happens only here (G5). Groups are parted by U+00A0, the minus is U+2212, no value is «—».
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Final
from zoneinfo import ZoneInfo

import phonenumbers

from reports.result import Unit, Value

NBSP: Final = "\u00a0"
MINUS: Final = "\u2212"
NO_VALUE: Final = "—"

_MONTHS_RU: Final = (
    "январь",
    "февраль",
    "март",
    "апрель",
    "май",
    "июнь",
    "июль",
    "август",
    "сентябрь",
    "октябрь",
    "ноябрь",
    "декабрь",
)
_MONTHS_EN: Final = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


def half_up(value: Decimal, places: int) -> Decimal:
    """Round half away from zero to a number of decimal places."""
    return value.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)


def number(value: Decimal | int, places: int = 0, lang: str = "ru") -> str:
    """``1 234 567,80`` (ru) or ``1,234,567.80`` (en)."""
    rounded = half_up(Decimal(value), places)
    text = f"{abs(rounded):,.{places}f}"
    if lang != "en":
        text = text.replace(",", NBSP).replace(".", ",")
    return f"{MINUS}{text}" if rounded < 0 else text


def percent(value: Decimal, places: int = 1, lang: str = "ru") -> str:
    """A fraction as ``52,5 %`` (ru, no-break space) or ``52.5%`` (en)."""
    return f"{number(value * 100, places, lang)}{'' if lang == 'en' else NBSP}%"


def money(value: Decimal | int, lang: str = "ru") -> str:
    """``912 480,00 ₽`` (ru) or ``₽912,480.00`` (en)."""
    if lang != "en":
        return f"{number(value, 2, lang)}{NBSP}₽"
    text = number(value, 2, lang)
    return f"{MINUS}₽{text[1:]}" if text.startswith(MINUS) else f"₽{text}"


def cell(value: Value, unit: Unit, lang: str = "ru", *, bare: bool = False) -> str:
    """A figure as it stands in a table; ``bare`` leaves ₽ to the column's header. None is «—» (G4)."""
    if value is None:
        return NO_VALUE
    if unit == "percent":
        return percent(Decimal(value), 1, lang)
    if unit == "money":
        return number(value, 2, lang) if bare else money(value, lang)
    return number(value, 0, lang)


def signed(value: Value, unit: Unit, lang: str = "ru", *, bare: bool = False) -> str:
    """A change with its sign: ``+12``, ``−3,4 п. п.`` of a percent, ``+1 200,00 ₽``; nothing at all is ``0``."""
    if value is None:
        return NO_VALUE
    if unit == "percent":
        text = number(Decimal(value) * 100, 1, lang)
        points = "" if bare else f"{NBSP}п.{NBSP}п." if lang != "en" else f"{NBSP}pp"
    else:
        text, points = cell(value, unit, lang, bare=bare), ""
    sign = "+" if not text.startswith(MINUS) and any(c in "123456789" for c in text) else ""
    return f"{sign}{text}{points}"


def signed_percent(share: Decimal | None, lang: str = "ru") -> str:
    """A relative change: ``+12,3 %``; «—» where there was nothing before."""
    if share is None:
        return NO_VALUE
    text = percent(share, 1, lang)
    return f"+{text}" if share > 0 and any(c in "123456789" for c in text) else text


def short_number(value: Decimal | int, lang: str = "ru") -> str:
    """For axes: ``12 тыс.``, ``1,2 млн`` (ru) or ``12k``, ``1.2M`` (en)."""
    amount = Decimal(value)
    for size, ru, en in ((1_000_000, "млн", "M"), (1_000, "тыс.", "k")):
        if abs(amount) >= size:
            scaled = half_up(amount / size, 1)
            text = number(scaled, 0 if scaled == scaled.to_integral_value() else 1, lang)
            return f"{text}{en}" if lang == "en" else f"{text}{NBSP}{ru}"
    return number(amount, 0, lang)


def plural(n: int, one: str, few: str, many: str) -> str:
    """The Russian form that goes with a number: 1 звонок, 2 звонка, 5 звонков, 21 звонок."""
    tens, ones = abs(n) % 100, abs(n) % 10
    if 11 <= tens <= 14:
        return many
    return one if ones == 1 else few if 2 <= ones <= 4 else many


def counted(n: int, one: str, few: str, many: str) -> str:
    """``1 234 звонка``."""
    return f"{number(n)} {plural(n, one, few, many)}"


def day(value: date) -> str:
    """``dd.mm.yyyy``."""
    return f"{value:%d.%m.%Y}"


def moment(value: datetime, zone: str, *, year: bool = True) -> str:
    """``dd.mm.yyyy HH:MM`` (or ``dd.mm HH:MM``) in a time zone."""
    local = value.astimezone(ZoneInfo(zone))
    return f"{local:%d.%m.%Y %H:%M}" if year else f"{local:%d.%m %H:%M}"


def period(first: date, last: date) -> str:
    """``01.03.2026–31.03.2026``; one day stands alone."""
    return day(first) if first == last else f"{day(first)}–{day(last)}"


def month_name(value: date, lang: str = "ru") -> str:
    """``октябрь 2025``."""
    return f"{(_MONTHS_EN if lang == 'en' else _MONTHS_RU)[value.month - 1]} {value.year}"


def iso_week(value: date) -> int:
    """Number of the ISO week."""
    return value.isocalendar().week


def duration(seconds: int | None, lang: str = "ru") -> str:
    """``3:05``, ``1 ч 05 мин``, ``2 дн 3 ч``; None is «—». Never decimal hours."""
    if seconds is None:
        return NO_VALUE
    sign, rest = (MINUS, -seconds) if seconds < 0 else ("", seconds)
    minutes, secs = divmod(rest, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    d, h, m = ("d", "h", "min") if lang == "en" else ("дн", "ч", "мин")
    if days:
        return f"{sign}{days}{NBSP}{d} {hours}{NBSP}{h}"
    if hours:
        return f"{sign}{hours}{NBSP}{h} {minutes:02d}{NBSP}{m}"
    return f"{sign}{minutes}:{secs:02d}"


def phone(value: str | None) -> str:
    """``+7 903 123-45-67``; a number that was not recognised is shown as it came."""
    if not value:
        return NO_VALUE
    try:
        parsed = phonenumbers.parse(value, None)
    except phonenumbers.NumberParseException:
        return value
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
