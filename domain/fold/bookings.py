"""Bookings and visits, from what was told of them. Decisions: D-0.2, D-0.6, R0.17, R0.20–R0.22."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from domain.directory import Directory
from domain.event import Event
from domain.facts.sales import (
    BookingCancelled,
    BookingFact,
    BookingMade,
    BookingMoved,
    ClientArrived,
    ClientNoShow,
    VehicleHandedOver,
    WorkOrderOpened,
)
from domain.fold.contacts import Contact
from domain.fold.inquiries import Inquiry
from domain.fold.whereabouts import Whereabouts
from domain.identity import row_id

_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(slots=True)
class Booking:
    """One booking while it is being folded: moved slots are the same booking."""

    key: str
    made_at: datetime
    kind: str = "service"
    refs: list[str] = field(default_factory=list)
    first_slot_at: datetime | None = None
    slot_at: datetime | None = None
    moves: int = 0
    moved_at: datetime | None = None
    cancelled_at: datetime | None = None
    cancel_reason: str | None = None
    no_show_at: datetime | None = None
    by: str | None = None
    office: str | None = None
    near: str | None = None  # the client's office when it was made
    inquiry: Inquiry | None = None
    visit: Visit | None = None
    told: list[Event] = field(default_factory=list)
    events: list[UUID] = field(default_factory=list)
    id: UUID = field(init=False)  # of the row

    def __post_init__(self) -> None:
        """Derive the id once."""
        self.id = row_id("booking", self.key)

    @property
    def place(self) -> str | None:
        """By whose clock the slot has its day: the office told with it, the inquiry's, the client's last one."""
        return self.office or (self.inquiry.office if self.inquiry else None) or self.near

    def day_end(self, directory: Directory) -> datetime | None:
        """End of the local day of the slot: after it the client did not come (D-0.2)."""
        return directory.day_end(self.slot_at, self.place) if self.slot_at else None

    def awaited_until(self, directory: Directory) -> datetime:
        """Until when the client was expected: called off, marked as a no-show, or the day of the slot over."""
        return self.cancelled_at or self.no_show_at or self.day_end(directory) or _NEVER


@dataclass(slots=True)
class Visit:
    """One arrival while it is being folded."""

    id: UUID
    arrived_at: datetime
    refs: list[str] = field(default_factory=list)
    order: str | None = None
    booking_key: str | None = None
    handed_over_at: datetime | None = None
    by: str | None = None
    office: str | None = None
    near: str | None = None  # the client's office of that moment
    inquiry: Inquiry | None = None
    booking: Booking | None = None
    told_as: dict[str, str] = field(default_factory=dict)  # source → its own id of the visit
    by_order: bool = False  # nobody told the arrival itself
    events: list[UUID] = field(default_factory=list)


def assemble_bookings(events: Iterable[Event], directory: Directory, where: Whereabouts) -> list[Booking]:
    """All bookings of one client by the moment of making; ``events`` are unique and in order.

    A booking is made before anything else happens to it, whatever the clocks of two systems say; after that the
    last word counts: a booking called off and made again stands.
    """
    told: dict[str, list[Event]] = {}
    for event in events:
        if isinstance(event.data, BookingFact):
            told.setdefault(event.data.booking_id, []).append(event)
    bookings = [_one(key, facts, directory) for key, facts in told.items()]
    for booking in bookings:
        booking.near = where.at(booking.made_at)
    return sorted(bookings, key=lambda b: (b.made_at, b.key))


def _one(key: str, told: list[Event], directory: Directory) -> Booking:
    """One booking from its facts, in order; at least one."""
    made = next((e for e in told if isinstance(e.data, BookingMade)), None)
    ordered = [made, *(e for e in told if e is not made)] if made is not None else told
    booking = Booking(key, ordered[0].time, told=ordered, events=[e.id for e in ordered])
    for nth, event in enumerate(ordered):
        fact = event.data
        if isinstance(fact, BookingMade) or nth == 0:
            booking.refs += event.refs  # what a later cancellation names is not what the booking came from
        match fact:
            case BookingMade():
                booking.kind = fact.kind
                booking.office = directory.entry_id("office", fact.office) or booking.office
                booking.first_slot_at = booking.first_slot_at or fact.slot
                _agree(booking, fact.slot, event.time if nth else None)
            case BookingMoved():
                booking.moves += 1
                _agree(booking, fact.slot, event.time)
            case BookingCancelled():
                booking.cancelled_at = event.time
                booking.cancel_reason = directory.entry_id("reason", fact.reason)
        if isinstance(fact, BookingFact):
            booking.by = booking.by or fact.by
    return booking


def _agree(booking: Booking, slot: datetime | None, moved_at: datetime | None) -> None:
    """A slot is agreed, at first or again: an earlier cancellation is history."""
    booking.slot_at = slot or booking.slot_at
    booking.moved_at = moved_at or booking.moved_at
    booking.cancelled_at = booking.cancel_reason = None


def assemble_visits(
    events: Iterable[Event],
    walkins: list[Contact],
    bookings: list[Booking],
    directory: Directory,
    where: Whereabouts,
) -> tuple[list[Visit], list[Contact]]:
    """Arrivals, explicit or by an accepted car (R0.21); and the walk-ins that are inquiries.

    A walk-in of a client with an open booking is that booking's arrival, not a new inquiry (R0.17).
    """
    visits: list[Visit] = []
    inquiries: list[Contact] = []
    facts = list(events)
    kept = [
        (e.data.booking_id, e.time)
        for e in facts
        if isinstance(e.data, (ClientArrived, WorkOrderOpened)) and e.data.booking_id
    ]
    for event in facts:
        if isinstance(event.data, ClientArrived):
            _arrived(visits, event, event.data, directory, where)
    for contact in walkins:
        expected = next(
            (
                b
                for b in bookings
                if standing(b, contact.at, directory) and not _used(b, contact.at, kept, directory)
            ),
            None,
        )
        if expected is None:
            inquiries.append(contact)
            continue
        kept.append((expected.key, contact.at))
        if not any(same_day(v, contact.at, directory) for v in visits):
            visits.append(
                Visit(
                    row_id("visit", str(contact.id)), contact.at, booking_key=expected.key, by=contact.agent,
                    office=contact.office, near=where.at(contact.at), refs=sorted(contact.keys), events=list(contact.events),
                )
            )  # fmt: skip
    _orders(visits, facts, directory, where)
    return sorted(visits, key=lambda v: (v.arrived_at, v.id)), inquiries


def _orders(visits: list[Visit], facts: list[Event], directory: Directory, where: Whereabouts) -> None:
    """Accepted cars: an order belongs to that day's arrival, or is one itself; a hand-over ends it."""
    for event in facts:
        fact = event.data
        if isinstance(fact, WorkOrderOpened):
            visit = next((v for v in visits if v.order == fact.order_id), None) or next(
                (v for v in visits if v.order is None and same_day(v, event.time, directory)), None
            )
            if visit is None:
                ident = row_id("visit", "order", fact.order_id)
                visit = Visit(ident, event.time, near=where.at(event.time), by_order=True)
                visits.append(visit)
            visit.order = fact.order_id
            visit.booking_key = visit.booking_key or fact.booking_id
            visit.by = visit.by or fact.by
            visit.office = visit.office or directory.entry_id("office", fact.office)
            visit.refs += event.refs
            visit.events.append(event.id)
    for event in facts:
        fact = event.data
        if isinstance(fact, VehicleHandedOver):
            for visit in visits:
                if visit.order == fact.order_id:
                    visit.handed_over_at = visit.handed_over_at or event.time
                    visit.events.append(event.id)


def _arrived(
    visits: list[Visit], event: Event, fact: ClientArrived, directory: Directory, where: Whereabouts
) -> None:
    """An arrival told twice is one visit, at its first moment.

    That is the same visit, order or booking; or the same day, unless these say that they are two.
    """
    ident = row_id("visit", event.source, fact.visit_id) if fact.visit_id else row_id("visit", str(event.id))
    known = next(
        (
            v
            for v in visits
            if (fact.order_id and v.order == fact.order_id)
            or (fact.booking_id and v.booking_key == fact.booking_id)
        ),
        None,
    ) or next((v for v in visits if v.id == ident), None)
    if known is None:
        known = next(
            (v for v in visits if same_day(v, event.time, directory) and not _another(v, event, fact)), None
        )
    if known is not None:
        known.events.append(event.id)
        known.refs += event.refs
        known.order = known.order or fact.order_id
        known.booking_key = known.booking_key or fact.booking_id
        if fact.visit_id:
            known.told_as.setdefault(event.source, fact.visit_id)
        return
    visits.append(
        Visit(
            ident, event.time, list(event.refs), fact.order_id, fact.booking_id, by=fact.by,
            office=directory.entry_id("office", fact.office), near=where.at(event.time), events=[event.id],
            told_as={event.source: fact.visit_id} if fact.visit_id else {},
        )
    )  # fmt: skip


def _another(visit: Visit, event: Event, fact: ClientArrived) -> bool:
    """The sender's ids say that this arrival is not that visit."""
    pairs = (
        (visit.told_as.get(event.source), fact.visit_id),
        (visit.order, fact.order_id),
        (visit.booking_key, fact.booking_id),
    )
    return any(a is not None and b is not None and a != b for a, b in pairs)


def standing(booking: Booking, at: datetime, directory: Directory) -> Booking | None:
    """The booking as it was told until a moment, if it was open then: made, not called off, its day not over."""
    if booking.made_at > at:
        return None
    then = _one(booking.key, [e for e in booking.told if e.time <= at], directory)
    then.inquiry, then.near = booking.inquiry, booking.near
    end = then.day_end(directory)
    return then if then.cancelled_at is None and (end is None or at < end) else None


def _used(booking: Booking, at: datetime, kept: list[tuple[str, datetime]], directory: Directory) -> bool:
    """Somebody came by the booking on an earlier day, and no slot was agreed since: it is not open any more."""
    agreed = max(
        (e.time for e in booking.told if e.time <= at and isinstance(e.data, (BookingMade, BookingMoved))),
        default=booking.made_at,
    )
    return any(
        key == booking.key
        and agreed <= came < at
        and directory.local_day(came, booking.place) != directory.local_day(at, booking.place)
        for key, came in kept
    )


def same_day(visit: Visit, at: datetime, directory: Directory) -> bool:
    """Whether a moment falls into the visit's local day, by the clock of its office."""
    office = visit.office or visit.near
    return directory.local_day(visit.arrived_at, office) == directory.local_day(at, office)


def mark_no_shows(events: Iterable[Event], bookings: list[Booking]) -> None:
    """A no-show by booking, or of the client's latest open booking whose slot had come."""
    for event in events:
        fact = event.data
        if not isinstance(fact, ClientNoShow):
            continue
        booking = next((b for b in bookings if b.key == fact.booking_id), None)
        if booking is None and fact.booking_id is None:
            due = [b for b in bookings if b.slot_at and b.slot_at <= event.time and b.cancelled_at is None]
            booking = max(due, key=lambda b: (b.slot_at or b.made_at, b.key), default=None)
        if booking is None:
            continue
        booking.events.append(event.id)
        if booking.moved_at is None or booking.moved_at <= event.time:
            booking.no_show_at = event.time  # of the slot agreed by then
