"""The left rail: groups of pages. A new page is one line here; a group without pages is not shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from reports.result import Label


@dataclass(frozen=True, slots=True)
class Item:
    """A page in the rail. ``short`` is its word on a phone's bottom bar; ``icon`` a name in ``icons.html``."""

    key: str
    href: str
    label: Label
    short: Label
    icon: str


@dataclass(frozen=True, slots=True)
class Section:
    """Pages that belong together."""

    label: Label
    items: tuple[Item, ...]


RAIL: Final[tuple[Section, ...]] = (
    Section(
        Label("Воронка", "Funnel"),
        (
            Item(
                "inquiries",
                "/reports/inquiries",
                Label("Обращения", "Inquiries"),
                Label("Обращения", "Inquiries"),
                "funnel",
            ),
        ),
    ),
    Section(Label("Звонки и чаты", "Calls and chats"), ()),
    Section(Label("Реклама", "Advertising"), ()),
    Section(Label("Команда", "Team"), ()),
    Section(
        Label("Данные", "Data"),
        (
            Item(
                "definitions",
                "/definitions",
                Label("Показатели", "Metrics"),
                Label("Показатели", "Metrics"),
                "book",
            ),
            Item(
                "guide",
                "/guide",
                Label("Помощь", "Help"),
                Label("Помощь", "Help"),
                "help",
            ),
        ),
    ),
)
