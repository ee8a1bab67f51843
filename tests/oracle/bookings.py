"""The oracle's bookings: what is true of one, which a walk-in keeps (R0.17), and how long its client is expected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from domain.directory import Directory
from domain.event import Event
from domain.facts.calls import CallFact
from domain.facts.inquiries import WalkInRegistered
from domain.facts.sales import (
    BookingCancelled,
    BookingFact,
    BookingMade,
    BookingMoved,
    ClientArrived,
    WorkOrderOpened,
)
from tests.oracle.inquiry import Inquiry


def awaited_booking(fact: Event, facts: Sequence[Event], directory: Directory) -> str | None:
    """The booking that a walk-in keeps: made before, not cancelled, its slot's local day not over (R0.17)."""
    waiting = []
    for key in {f.data.booking_id for f in facts if isinstance(f.data, BookingFact)}:
        told = [f for f in facts if isinstance(f.data, BookingFact) and f.data.booking_id == key]
        ordered = booking_order(told)
        now = booking_state([f for f in ordered if f.time <= fact.time])
        if now is None or ordered[0].time > fact.time or now.cancelled_at is not None:
            continue
        agreed = [
            f.time for f in told if f.time <= fact.time and isinstance(f.data, BookingMade | BookingMoved)
        ]
        office = heard_of(facts, ordered[0].time, directory)
        if used_before(key, fact, facts, max(agreed, default=ordered[0].time), office, directory):
            continue
        if now.slot is None or fact.time < directory.day_end(now.slot, office):
            waiting.append((ordered[0].time, key))
    return min(waiting)[1] if waiting else None


def heard_of(facts: Sequence[Event], at: datetime, directory: Directory) -> str | None:
    """The office that the latest fact until a moment tells of: by itself, or by the number that was called."""
    office = None
    for fact in facts:
        data = fact.data
        number = directory.number_on(data.line, fact.time) if isinstance(data, CallFact) else None
        told = getattr(data, "office", None) or (number.office if number else None)
        if fact.time <= at and told:
            office = told
    return office


def used_before(
    key: str,
    fact: Event,
    facts: Sequence[Event],
    agreed: datetime,
    office: str | None,
    directory: Directory,
) -> bool:
    """The client already came by the booking: on an earlier day, after its slot was agreed for the last time."""
    today = directory.local_day(fact.time, office)
    for other in facts:
        data = other.data
        if not agreed <= other.time < fact.time or directory.local_day(other.time, office) == today:
            continue
        if isinstance(data, ClientArrived | WorkOrderOpened) and data.booking_id == key:
            return True
        if isinstance(data, WalkInRegistered) and awaited_booking(other, facts, directory) == key:
            return True
    return False


@dataclass(eq=False)
class BookingState:
    """What is true of a booking after some of its facts."""

    made_at: datetime
    slot: datetime | None
    cancelled_at: datetime | None
    reason: str | None
    moved_at: datetime | None


def booking_order(told: Sequence[Event]) -> list[Event]:
    """A booking is made before anything else happens to it, whatever the clocks say; the rest by time."""
    made = next((f for f in told if isinstance(f.data, BookingMade)), None)
    return [made, *(f for f in told if f is not made)] if made else list(told)


def booking_state(told: Sequence[Event]) -> BookingState | None:
    """Made, moved, cancelled, made again: the last word counts."""
    if not told:
        return None
    now = BookingState(told[0].time, None, None, None, None)
    for n, fact in enumerate(told):
        data = fact.data
        if isinstance(data, BookingMade | BookingMoved):
            now.slot = data.slot or now.slot
            now.cancelled_at = now.reason = None
            now.moved_at = fact.time if n or isinstance(data, BookingMoved) else now.moved_at
        elif isinstance(data, BookingCancelled):
            now.cancelled_at, now.reason = fact.time, data.reason
    return now


@dataclass(eq=False)
class Booking:
    """One booking by its key."""

    key: str
    facts: list[Event]
    state: BookingState
    inquiry: Inquiry | None = None
    visit: Visit | None = None
    no_show_at: datetime | None = None


@dataclass(eq=False)
class Visit:
    """One arrival: explicit, by an opened order, or a walk-in with a booking."""

    at: datetime
    row: UUID
    facts: list[Event]
    order_id: str | None = None
    booking_id: str | None = None
    handed_over_at: datetime | None = None
    inquiry: Inquiry | None = None


def expected_until(booking: Booking, office: str | None, directory: Directory) -> datetime:
    """A client is expected until he calls off, is marked as a no-show, or the day of his slot is over (D-0.2)."""
    if booking.state.cancelled_at:
        return booking.state.cancelled_at
    if booking.no_show_at:
        return booking.no_show_at
    slot = booking.state.slot
    return directory.day_end(slot, office) if slot else datetime(9999, 1, 1, tzinfo=UTC)
