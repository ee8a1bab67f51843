"""What really happened, beside what was said about it: the expected inquiries, by simple counting.

Written apart from the fold on purpose: nothing here resolves clients, orders facts of different senders or
applies lead rules; each story knows its own inquiries and writes down what it does to them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Final, Literal
from uuid import UUID

from domain.identity import inquiry_id

Kind = Literal["phone", "missed", "site", "visit", "chat"]
What = Literal[
    "talk",
    "category",
    "result",
    "refusal",
    "booked",
    "moved",
    "cancelled",
    "no_show",
    "arrived",
    "sale",
    "refund",
    "mark",
]

TARGET: Final = frozenset({"repair", "parts"})
VALID_REASONS: Final = frozenset({"no_technology", "not_our_work", "not_our_car"})


@dataclass(frozen=True, slots=True)
class Receipt:
    """Amounts of one receipt or refund in roubles; both positive. ``incomplete``: a part without a cost in it."""

    key: str
    amount: Decimal
    margin: Decimal
    incomplete: bool = False


@dataclass(frozen=True, slots=True)
class Effect:
    """Something that changed an inquiry: ``at`` when it happened, ``sent`` when Leadfold was told (both UTC)."""

    at: datetime
    sent: datetime
    what: What
    value: str | datetime | Receipt


@dataclass(frozen=True, slots=True)
class Expected:
    """One inquiry as the report must see it at a moment; times UTC, money in roubles."""

    category: str | None
    target: bool
    employee: str | None
    booked: bool
    arrived: bool
    cancelled: bool
    no_show_told: bool
    slot: datetime | None
    refusal: str | None
    hidden: bool  # D-0.4: valid refusal and no arrival
    receipts: int
    sales: Decimal
    margin: Decimal
    incomplete: bool
    mark: str | None


@dataclass(slots=True)
class Truth:
    """One inquiry of the simulated world.

    ``native`` with ``source`` and ``opening`` are the parts of ``domain.identity.inquiry_id``; ``native`` is None
    where the provider gives no id (generic form). ``person`` is the client. ``zone`` is the office's.
    """

    source: str
    provider: str
    opening: str
    native: str | None
    person: str
    opened_at: datetime
    direction: Literal["in", "out"]
    kind: Kind
    office: str | None
    zone: str
    channel: str | None = None
    effects: list[Effect] = field(default_factory=list)

    @property
    def id(self) -> UUID | None:
        """The inquiry's id in Leadfold, where the provider gives an identity of its own."""
        return (
            inquiry_id(f"/{self.provider}/{self.source}", self.opening, self.native) if self.native else None
        )

    def note(
        self, at: datetime, what: What, value: str | datetime | Receipt = "", *, sent: datetime | None = None
    ) -> None:
        """Write down an effect; ``sent`` defaults to the moment itself."""
        self.effects.append(Effect(at, sent or at, what, value))

    def expected(self, known_at: datetime) -> Expected:
        """The inquiry as it is known at a moment (UTC, inclusive)."""
        known = sorted((e for e in self.effects if e.sent <= known_at), key=lambda e: e.at)
        last: dict[str, str | datetime | Receipt] = {}
        booked = cancelled = False
        sums = {"sale": Decimal(0), "refund": Decimal(0)}
        margins = {"sale": Decimal(0), "refund": Decimal(0)}
        receipts: set[str] = set()
        incomplete = False
        for effect in known:
            last[effect.what] = effect.value
            if effect.what == "booked":
                booked, cancelled = True, False
            elif effect.what == "cancelled":
                cancelled = True
            elif isinstance(effect.value, Receipt):
                sums[effect.what] += effect.value.amount
                margins[effect.what] += effect.value.margin
                incomplete |= effect.value.incomplete
                if effect.what == "sale":
                    receipts.add(effect.value.key)
        category, refusal = _text(last.get("category")), _text(last.get("refusal"))
        arrived = "arrived" in last
        slots = [e.value for e in known if e.what == "moved" and isinstance(e.value, datetime)]
        return Expected(
            category=category,
            target=category in TARGET,
            employee=_text(last.get("result")) or _text(last.get("talk")),
            booked=booked,
            arrived=arrived,
            cancelled=booked and not arrived and cancelled,
            no_show_told="no_show" in last,
            slot=slots[-1] if slots else None,
            refusal=refusal,
            hidden=not arrived and refusal in VALID_REASONS,
            receipts=len(receipts),
            sales=sums["sale"] - sums["refund"],
            margin=margins["sale"] - margins["refund"],
            incomplete=incomplete,
            mark=_text(last.get("mark")),
        )


def _text(value: str | datetime | Receipt | None) -> str | None:
    return value if isinstance(value, str) and value else None
