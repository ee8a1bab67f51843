"""One inquiry as the oracle sees it, and which one a fact means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from domain.directory import Directory
from domain.event import Event
from domain.facts.base import Subject
from domain.identity import inquiry_id
from tests.oracle.calls import Call


@dataclass(eq=False)
class Inquiry:
    """One inquiry with all figures that the oracle knows."""

    ident: UUID
    kind: str
    direction: str
    opened_at: datetime
    source: str
    names: set[str]  # "call:1", "chat:1", "form:1", "inquiry:<uuid>"
    calls: list[Call] = field(default_factory=list)
    facts: list[Event] = field(default_factory=list)
    processed: bool = False  # somebody of ours dealt with it
    reached: bool = False  # client and we talked
    # figures, filled by the linker
    excluded: str | None = None
    category_id: str | None = None
    is_target: bool = False
    result: str | None = None
    refusal_reason_id: str | None = None
    employee_id: str | None = None
    booked_at: datetime | None = None
    slot_at: datetime | None = None
    cancelled_at: datetime | None = None
    no_show_at: datetime | None = None
    arrived_at: datetime | None = None
    receipts: int = 0
    sales: Decimal = Decimal(0)
    margin: Decimal = Decimal(0)
    margin_incomplete: bool = False
    missed_fate: str | None = None

    def figures(self) -> tuple[object, ...]:
        """What is compared with the fold's row."""
        return (
            self.ident,
            self.kind,
            self.direction,
            self.opened_at,
            self.category_id,
            self.is_target,
            self.result,
            self.refusal_reason_id,
            self.employee_id,
            self.booked_at,
            self.slot_at,
            self.cancelled_at,
            self.no_show_at,
            self.arrived_at,
            self.receipts,
            self.sales,
            self.margin,
            self.margin_incomplete,
            len(self.calls),
            self.missed_fate,
            self.excluded,
        )


def call_names(call: Call) -> set[str]:
    """How facts may name a call."""
    path = call.facts[0].source
    return {f"call:{call.call_id}", f"inquiry:{inquiry_id(path, 'call', call.call_id)}"}


def named(fact: Event, inquiries: Sequence[Inquiry], at: datetime | None = None) -> Inquiry | None:
    """The inquiry that a fact names: of several by one name, the latest opened before it (or before ``at``)."""
    at = at or fact.time
    for name in names_in(fact):
        hits = sorted((i for i in inquiries if name in i.names), key=lambda i: (i.opened_at, i.ident))
        if hits:
            return ([i for i in hits if i.opened_at <= at] or hits[:1])[-1]
    return None


def names_in(fact: Event) -> list[str]:
    """What a fact names, in the order in which it counts."""
    data = fact.data
    if not isinstance(data, Subject):
        return []
    said = (
        ("inquiry", data.inquiry_id),
        ("call", data.call_id),
        ("chat", data.chat_id),
        ("form", data.submission_id),
    )
    return [f"{kind}:{value}" for kind, value in said if value]


def skew(directory: Directory, at: datetime) -> timedelta:
    """By how much two systems' clocks may differ."""
    return directory.rules_at(at).span("clock_skew_seconds")


def meant(
    fact: Event, inquiries: Sequence[Inquiry], touches: set[str], directory: Directory
) -> Inquiry | None:
    """The inquiry that an operator's fact is about: named, else the client's latest at its time, or his first after.

    A fact about an outgoing call that is no inquiry is about nothing else.
    """
    mine = named(fact, inquiries)
    if mine is not None or touches & set(names_in(fact)):
        return mine
    before = [i for i in inquiries if i.opened_at <= fact.time]
    if before:
        return max(before, key=lambda i: (i.opened_at, i.ident))
    first = min(inquiries, key=lambda i: (i.opened_at, i.ident), default=None)
    soon = first is not None and first.opened_at - fact.time <= skew(directory, fact.time)
    return first if soon else None
