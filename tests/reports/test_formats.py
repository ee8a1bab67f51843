from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from reports import formats


def test_numbers_ru_and_en() -> None:
    assert formats.money(Decimal(912480)) == "912\u00a0480,00\u00a0₽"
    assert formats.money(Decimal("-1234.565")) == "\u22121\u00a0234,57\u00a0₽"
    assert formats.money(Decimal("1234.5"), "en") == "₽1,234.50"
    assert formats.money(Decimal("-0.001")) == "0,00\u00a0₽"
    assert formats.percent(Decimal("0.525")) == "52,5\u00a0%"
    assert formats.percent(Decimal("0.5"), lang="en") == "50.0%"
    assert formats.cell(None, "percent") == "—"
    assert formats.cell(1234, "count") == "1\u00a0234"
    assert formats.short_number(12_000) == "12\u00a0тыс."
    assert formats.short_number(1_240_000) == "1,2\u00a0млн"
    assert formats.short_number(1_240_000, "en") == "1.2M"


@pytest.mark.parametrize(
    ("n", "text"),
    [
        (1, "1 звонок"),
        (2, "2 звонка"),
        (5, "5 звонков"),
        (11, "11 звонков"),
        (21, "21 звонок"),
        (112, "112 звонков"),
        (0, "0 звонков"),
    ],
)
def test_plurals(n: int, text: str) -> None:
    assert formats.counted(n, "звонок", "звонка", "звонков") == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0:00"),
        (185, "3:05"),
        (3599, "59:59"),
        (3900, "1\u00a0ч 05\u00a0мин"),
        (183_600, "2\u00a0дн 3\u00a0ч"),
        (None, "—"),
        (-5, "\u22120:05"),
    ],
)
def test_durations(seconds: int | None, text: str) -> None:
    assert formats.duration(seconds) == text


def test_phones() -> None:
    assert formats.phone("+79031234567") == "+7 903 123-45-67"
    assert formats.phone("101") == "101"
    assert formats.phone(None) == "—"


def test_dates() -> None:
    moment = datetime(2026, 3, 31, 21, 30, tzinfo=UTC)
    assert formats.moment(moment, "Europe/Moscow") == "01.04.2026 00:30"
    assert formats.moment(moment, "Europe/Moscow", year=False) == "01.04 00:30"
    assert formats.period(date(2026, 3, 1), date(2026, 3, 31)) == "01.03.2026–31.03.2026"
    assert formats.month_name(date(2025, 10, 1)) == "октябрь 2025"
