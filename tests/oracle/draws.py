"""What a teller draws from: moments, people, names of things; and what he has told so far.

Times cluster around the borders of the rules and around local midnight; ties are frequent; names of things are
drawn from small pools, so that facts meet, contradict and repeat each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TypeVar
from uuid import UUID

from domain.directory import Directory, SourceInfo
from domain.event import Event, Evidence
from domain.facts.base import Fact
from domain.said import Said, make_events
from tests.oracle.company import MIDNIGHT

T = TypeVar("T")

PBX, OTHER, CHAT, SITE, CRM = "/sipuni/main", "/jivo/chat", "/jivo/chat", "/tilda/site", "/native/crm"
PHONES = ("+79030000001", "+79030000002", "+79030000003", "+79030000004")
EMAILS = ("anna@sto.example", "boris@sto.example")
VISITORS = ("57", "58")
EXTS = ("201", "202")

SECOND, MINUTE, HOUR, DAY = (timedelta(**{u: 1}) for u in ("seconds", "minutes", "hours", "days"))
GAPS = (
    0 * SECOND, SECOND, 10 * SECOND, 70 * SECOND, 120 * SECOND, 5 * MINUTE, 10 * MINUTE, 30 * MINUTE, HOUR,
    6 * HOUR, 24 * HOUR, 48 * HOUR, 72 * HOUR, 7 * DAY, 30 * DAY, 60 * DAY,
)  # fmt: skip
CATEGORIES = ("repair", "Запасные части", "continuation", "order_status", "Прочее", "своя категория")
REASONS = ("Цена", "not_our_car", "Непрофильные работы", "старая причина", "новая причина")
RESULTS = ("Запись", "refusal", "Отказ", "думает", "consultation")
ABOUT = (
    "phone", "inquiry", "call", "email", "chat", "phone+call", "contact", "phone+contact", "form",
    "lead", "lead+phone", "lead+call",
)  # fmt: skip
WORKERS = ("irina", "oleg", "201", "Пётр")


class History:
    """Events as they could be said, and what the company has told about itself."""

    def __init__(self, events: list[Event], told: list[Event]) -> None:
        self.events = events
        self.told = told
        self.directory = Directory.build(
            told, sources=(SourceInfo("main", "sipuni"), SourceInfo("site", "tilda"))
        )

    def __repr__(self) -> str:
        lines = [
            f"{e.time:%Y-%m-%d %H:%M:%S} {e.source} r{e.revision} {e.time_basis} {e.type} "
            f"{e.data.model_dump(mode='json', exclude_defaults=True)}"
            for e in [*self.told, *sorted(self.events, key=lambda e: e.time)]
        ]
        return "\n".join(["History:", *lines])


@dataclass
class Draws:
    """Draws one thing at a time and remembers what was told, so that later scenes can speak about it."""

    pick: Callable[[int], int]  # a number below n
    shift: str = ""  # makes all names of one teller differ from another's
    events: list[Event] = field(default_factory=list)
    moments: list[datetime] = field(default_factory=lambda: [MIDNIGHT, MIDNIGHT - 10 * SECOND])
    calls: list[str] = field(default_factory=list)
    forms: list[str] = field(default_factory=list)
    openings: list[UUID] = field(default_factory=list)
    phones: tuple[str, ...] = PHONES
    n: int = 0

    def one(self, options: Sequence[T]) -> T:
        """One of the options; the first is the simplest."""
        return options[self.pick(len(options))]

    def chance(self, of: int) -> bool:
        """True once in ``of``."""
        return self.pick(of) == of - 1

    def when(self) -> datetime:
        """A moment: an earlier one, a rule's width and perhaps a second apart."""
        at = (
            self.one(self.moments[-4:])
            + self.one(GAPS) * self.one((1, 1, 1, -1))
            + self.one((0, 0, 1, -1)) * SECOND
        )
        if self.chance(8):
            at = at.replace(hour=21, minute=0, second=0) - self.one((0, 1)) * SECOND
        self.moments.append(at)
        return at

    def phone(self) -> str:
        """Somebody's phone; the first is the most frequent."""
        return self.one((*self.phones[:1] * 3, *self.phones))

    def email(self) -> str:
        """Somebody's e-mail."""
        return self.shift + self.one(EMAILS)

    def key(self, kind: str, many: int = 2) -> str:
        """A name out of a small pool."""
        return f"{kind}{self.shift}{self.one(range(1, many + 1))}"

    def money(self) -> Decimal:
        """Roubles."""
        return self.one((Decimal(100), Decimal("0.10"), Decimal("6457.20")))

    def say(
        self, fact: Fact, at: datetime | None, *, source: str = CRM, native: tuple[str, ...] | None = None,
        received: datetime | None = None, revision: int = 1,
    ) -> Event:  # fmt: skip
        """Put a fact into its envelope."""
        self.n += 1
        evidence = Evidence(UUID(int=self.n), "POST", "/in", "", (), b"{}", "test@1")
        (event,) = make_events(
            [Said(fact, native or (f"{self.shift}{self.n}",), at)],
            source=source, received=received or (at or MIDNIGHT) + self.one((1, 1, 2, 60)) * SECOND, revision=revision,
            evidence=evidence, key_secret=b"test",
        )  # fmt: skip
        self.events.append(event)
        return event
