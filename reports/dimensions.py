"""Dimensions of inquiries: SQL, words and order. ``None`` keys are shown as «Не указано», never dropped (G13)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Final

from domain.directory import Directory
from reports.formats import iso_week, month_name
from reports.model import Dimension
from reports.result import Label

NOT_GIVEN: Final = Label("Не указано", "Not given")
NOT_ASSIGNED: Final = Label("Не назначен", "Not assigned")
NONE_KEY: Final = "~"
"""How «Не указано» is spelled in URLs, filters and paths."""

KINDS: Final[dict[str, Label]] = {
    "phone": Label("Телефонный звонок", "Phone call"),
    "missed": Label("Пропущенный звонок", "Missed call"),
    "site": Label("Заявка с сайта", "Site request"),
    "visit": Label("Визит", "Walk-in"),
    "chat": Label("Чат", "Chat"),
}
DIRECTIONS: Final[dict[str, Label]] = {
    "in": Label("Входящие", "Incoming"),
    "out": Label("Исходящие", "Outgoing"),
}
NEWNESS: Final[dict[str, Label]] = {
    "true": Label("Новый клиент", "New client"),
    "false": Label("Повторный клиент", "Returning client"),
}


def sort_text(text: str) -> tuple[str, str]:
    """Russian collation good enough for names: letter case aside, ё beside е."""
    folded = text.casefold()
    return folded.replace("ё", "е"), folded


def employee_label(key: str, directory: Directory) -> Label:
    """An employee's name; ``ext:101`` (an extension nobody or several held) is «номер 101»; else the text as sent."""
    if key.startswith("ext:"):
        number = key.removeprefix("ext:")
        shared = (
            sum(any(e.ext == number for e in card.extensions) for card in directory.employees.values()) > 1
        )
        return Label(
            f"номер {number} (смена)" if shared else f"номер {number}",
            f"ext. {number} (shift)" if shared else f"ext. {number}",
        )
    card = directory.card_of(key)
    return Label(card.name, card.name) if card else Label(key, key)


def dictionary_label(dictionary: str) -> Callable[[str, Directory], Label]:
    """Words for keys of a dictionary; a key without an entry is shown as it is."""

    def label_of(key: str, directory: Directory) -> Label:
        entry = directory.entries.get((dictionary, key))
        return Label(entry.label, entry.label_en or entry.label) if entry else Label(key, key)

    return label_of


def dictionary_rank(dictionary: str) -> Callable[[str, Directory], object]:
    """Order of dictionary entries: as the dictionary lists them (built-in entries first), unknown keys last."""

    def rank(key: str, directory: Directory) -> object:
        order = [item for name, item in directory.entries if name == dictionary]
        return (order.index(key) if key in order else len(order), key)

    return rank


def _fixed(labels: dict[str, Label]) -> Callable[[str, Directory], Label]:
    return lambda key, _directory: labels.get(key, Label(key, key))


def _fixed_rank(labels: dict[str, Label]) -> Callable[[str, Directory], object]:
    order = {key: n for n, key in enumerate(labels)}
    return lambda key, _directory: (order.get(key, len(order)), key)


def _plain(key: str, _directory: Directory) -> Label:
    return Label(key, key)


def _by_key(key: str, _directory: Directory) -> object:
    return key


def _day(key: str, _directory: Directory) -> Label:
    text = f"{date.fromisoformat(key):%d.%m.%Y}"
    return Label(text, text)


def _week(key: str, _directory: Directory) -> Label:
    monday = date.fromisoformat(key)
    span = f"{monday:%d.%m}–{monday + timedelta(days=6):%d.%m.%Y}"
    number = iso_week(monday)
    return Label(f"нед. {number}, {span}", f"week {number}, {span}")


def _month(key: str, _directory: Directory) -> Label:
    first = date.fromisoformat(f"{key}-01")
    return Label(month_name(first, "ru"), month_name(first, "en"))


def _dictionary(key: str, ru: str, en: str, sql: str) -> Dimension:
    name = {"refusal_reason": "reason"}.get(key, key)
    return Dimension(key, Label(ru, en), sql, dictionary_label(name), NOT_GIVEN, dictionary_rank(name))


_LOCAL = "({moment} at time zone {zone})"

INQUIRY_DIMENSIONS: Final[tuple[Dimension, ...]] = (
    Dimension(
        "direction",
        Label("Направление", "Direction"),
        "i.direction",
        _fixed(DIRECTIONS),
        NOT_GIVEN,
        _fixed_rank(DIRECTIONS),
        tuple(DIRECTIONS),
    ),
    Dimension("employee", Label("Сотрудник", "Employee"), "i.employee_id", employee_label, NOT_ASSIGNED),
    Dimension(
        "kind",
        Label("Вид обращения", "Kind of inquiry"),
        "i.kind",
        _fixed(KINDS),
        NOT_GIVEN,
        _fixed_rank(KINDS),
        tuple(KINDS),
    ),
    Dimension("team", Label("Отдел", "Team"), "i.team", dictionary_label("team"), NOT_GIVEN),
    Dimension("office", Label("Филиал", "Office"), "i.office_id", dictionary_label("office"), NOT_GIVEN),
    Dimension(
        "channel", Label("Рекламный канал", "Channel"), "i.channel", dictionary_label("channel"), NOT_GIVEN
    ),
    _dictionary("category", "Категория", "Category", "i.category_id"),
    Dimension("source", Label("Подключение", "Source"), "i.source", _plain, NOT_GIVEN),
    _dictionary("result", "Результат", "Result", "i.result"),
    _dictionary("refusal_reason", "Причина отказа", "Refusal reason", "i.refusal_reason_id"),
    Dimension(
        "new_client",
        Label("Новый или повторный", "New or returning"),
        "i.new_client::text",
        _fixed(NEWNESS),
        NOT_GIVEN,
        _fixed_rank(NEWNESS),
        tuple(NEWNESS),
    ),
    Dimension(
        "day",
        Label("День", "Day"),
        f"to_char({_LOCAL}, 'YYYY-MM-DD')",
        _day,
        NOT_GIVEN,
        _by_key,
        by_day="to_char(r.day, 'YYYY-MM-DD')",
        of_day=date.isoformat,
    ),
    Dimension(
        "week",
        Label("Неделя", "Week"),
        f"to_char(date_trunc('week', {_LOCAL}), 'YYYY-MM-DD')",
        _week,
        NOT_GIVEN,
        _by_key,
        by_day="to_char(date_trunc('week', r.day::timestamp), 'YYYY-MM-DD')",
        of_day=lambda day: (day - timedelta(days=day.weekday())).isoformat(),
    ),
    Dimension(
        "month",
        Label("Месяц", "Month"),
        f"to_char({_LOCAL}, 'YYYY-MM')",
        _month,
        NOT_GIVEN,
        _by_key,
        by_day="to_char(r.day, 'YYYY-MM')",
        by_month=True,
        of_day=lambda day: f"{day:%Y-%m}",
    ),
)


def order_key(dimension: Dimension, key: str | None, directory: Directory, lang: str) -> tuple[object, ...]:
    """Where a value stands among its siblings; «Не указано» is last."""
    if key is None:
        return (1,)
    if dimension.rank is not None:
        return (0, dimension.rank(key, directory))
    by_extension = key.startswith("ext:")
    return (0, by_extension, *sort_text(dimension.label_of(key, directory)[lang]), key)


def label_of(dimension: Dimension, key: str | None, directory: Directory) -> Label:
    """The words for a value of a dimension."""
    return dimension.missing if key is None else dimension.label_of(key, directory)
