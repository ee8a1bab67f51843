"""Bookings and visits, and to which inquiry each belongs. Decisions: D-0.2, D-0.5, D-0.6, R0.17, R0.20–R0.22."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
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
from domain.fold.inquiries import Inquiry, Opened, refuse
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
    inquiry: Inquiry | None = None
    visit: Visit | None = None
    told: list[Event] = field(default_factory=list)
    events: list[UUID] = field(default_factory=list)

    @property
    def id(self) -> UUID:
        """Id of the row."""
        return row_id("booking", self.key)

    def day_end(self, directory: Directory) -> datetime | None:
        """End of the local day of the slot: after it the client did not come (D-0.2)."""
        office = self.office or (self.inquiry.office if self.inquiry else None)
        return directory.day_end(self.slot_at, office) if self.slot_at else None

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
    inquiry: Inquiry | None = None
    booking: Booking | None = None
    told_as: dict[str, str] = field(default_factory=dict)  # source → its own id of the visit
    by_order: bool = False  # nobody told the arrival itself
    events: list[UUID] = field(default_factory=list)


def assemble_bookings(events: Iterable[Event], directory: Directory) -> list[Booking]:
    """All bookings of one client by the moment of making; ``events`` are unique and in order.

    A booking is made before anything else happens to it, whatever the clocks of two systems say; after that the
    last word counts: a booking called off and made again stands.
    """
    told: dict[str, list[Event]] = {}
    for event in events:
        if isinstance(event.data, BookingFact):
            told.setdefault(event.data.booking_id, []).append(event)
    bookings = [_one(key, facts, directory) for key, facts in told.items()]
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
    events: Iterable[Event], walkins: list[Contact], bookings: list[Booking], directory: Directory
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
        if isinstance(e.data, ClientArrived | WorkOrderOpened) and e.data.booking_id
    ]
    for event in facts:
        if isinstance(event.data, ClientArrived):
            _arrived(visits, event, event.data, directory)
    for contact in walkins:
        expected = next(
            (
                b
                for b in bookings
                if _awaits(b, contact.at, directory) and not _used(b, contact.at, kept, directory)
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
                    office=contact.office, refs=sorted(contact.keys), events=list(contact.events),
                )
            )  # fmt: skip
    _orders(visits, facts, directory)
    return sorted(visits, key=lambda v: (v.arrived_at, v.id)), inquiries


def _orders(visits: list[Visit], facts: list[Event], directory: Directory) -> None:
    """Accepted cars: an order belongs to that day's arrival, or is one itself; a hand-over ends it."""
    for event in facts:
        fact = event.data
        if isinstance(fact, WorkOrderOpened):
            visit = next((v for v in visits if v.order == fact.order_id), None) or next(
                (v for v in visits if v.order is None and same_day(v, event.time, directory)), None
            )
            if visit is None:
                visit = Visit(row_id("visit", "order", fact.order_id), event.time, by_order=True)
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


def _arrived(visits: list[Visit], event: Event, fact: ClientArrived, directory: Directory) -> None:
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
            office=directory.entry_id("office", fact.office), events=[event.id],
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


def _awaits(booking: Booking, at: datetime, directory: Directory) -> bool:
    """The booking is open at a moment, by what was told until then: made, not called off, its day not over."""
    if booking.made_at > at:
        return False
    then = _one(booking.key, [e for e in booking.told if e.time <= at], directory)
    end = then.day_end(directory)
    return then.cancelled_at is None and (end is None or at < end)


def _used(booking: Booking, at: datetime, kept: list[tuple[str, datetime]], directory: Directory) -> bool:
    """Somebody came by the booking on an earlier day, and no slot was agreed since: it is not open any more."""
    agreed = max(
        (e.time for e in booking.told if e.time <= at and isinstance(e.data, BookingMade | BookingMoved)),
        default=booking.made_at,
    )
    return any(
        key == booking.key and agreed <= came < at and directory.local_day(came) != directory.local_day(at)
        for key, came in kept
    )


def same_day(visit: Visit, at: datetime, directory: Directory) -> bool:
    """Whether a moment falls into the visit's local day."""
    return directory.local_day(visit.arrived_at, visit.office) == directory.local_day(at, visit.office)


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


def link(bookings: list[Booking], visits: list[Visit], opened: Opened, directory: Directory) -> None:
    """Give bookings and visits to inquiries, in order of time (D-0.5)."""
    moments: list[tuple[datetime, int, UUID, Booking | Visit]] = [(b.made_at, 0, b.id, b) for b in bookings]
    moments += [(v.arrived_at, 1, v.id, v) for v in visits]
    for at, _, _, what in sorted(moments, key=lambda m: m[:3]):
        if isinstance(what, Booking):
            what.inquiry = belongs_to(opened, what.refs, at, directory)
            if what.inquiry is not None:
                what.inquiry.events += what.events
                if what.cancelled_at is not None and what.cancel_reason is not None:
                    refuse(what.inquiry, what.cancel_reason, what.cancelled_at)
        else:
            _link_visit(what, bookings, visits, opened, directory)


def _link_visit(
    visit: Visit, bookings: list[Booking], visits: list[Visit], opened: Opened, directory: Directory
) -> None:
    at = visit.arrived_at
    named = next((b for b in bookings if b.key == visit.booking_key), None)
    if visit.booking_key is None:
        about = opened.named(visit.refs, at)
        if about is None or not about.is_target:
            named = _due(bookings, visit, directory)
            if named is None and visit.by_order:
                visit.inquiry = _came_for(visits, visit, directory)
    if named is not None:
        visit.booking, visit.inquiry = named, named.inquiry
    if visit.inquiry is None:
        visit.inquiry = belongs_to(opened, visit.refs, at, directory)
    if visit.booking is None and visit.inquiry is not None:
        free = [b for b in bookings if b.inquiry is visit.inquiry and b.visit is None and b.made_at <= at
                and not (b.cancelled_at and b.cancelled_at <= at)]  # fmt: skip
        visit.booking = min(free, key=lambda b: (abs((b.slot_at or b.made_at) - at), b.key), default=None)
    if visit.booking is not None:
        visit.booking.visit = visit.booking.visit or visit
    if visit.inquiry is not None:
        visit.inquiry.arrivals.append(at)
        visit.inquiry.events += visit.events


def _came_for(visits: list[Visit], visit: Visit, directory: Directory) -> Inquiry | None:
    """A further work order of the day is no second coming: it is for what the client came for."""
    earlier = (v for v in visits if v is not visit and v.inquiry and v.arrived_at <= visit.arrived_at)
    return next((v.inquiry for v in earlier if same_day(v, visit.arrived_at, directory)), None)


def _due(bookings: list[Booking], visit: Visit, directory: Directory) -> Booking | None:
    """The open booking of that very day, of several the nearest: stronger evidence than a newer inquiry."""
    due: list[tuple[timedelta, str, Booking]] = []
    for booking in bookings:
        if booking.visit is None and _awaits(booking, visit.arrived_at, directory):
            slot = _one(
                booking.key, [e for e in booking.told if e.time <= visit.arrived_at], directory
            ).slot_at
            office = booking.office or (booking.inquiry.office if booking.inquiry else None)
            day = directory.local_day(visit.arrived_at, office)
            if slot is not None and directory.local_day(slot, office) == day:
                due.append((abs(slot - visit.arrived_at), booking.key, booking))
    return min(due, key=lambda d: d[:2])[2] if due else None


def speaking(booked: Iterable[Booking], directory: Directory) -> Booking | None:
    """Of an inquiry's bookings the one that tells whether the client is expected, refused or did not come (D-0.2).

    That by which he was expected longest: a slot still ahead goes before another car's booking that was called off.
    """
    return max(booked, key=lambda b: (b.awaited_until(directory), b.made_at, b.key), default=None)


def belongs_to(opened: Opened, refs: Iterable[str], at: datetime, directory: Directory) -> Inquiry | None:
    """The inquiry that a booking or arrival belongs to (D-0.5).

    A target inquiry that the fact names; else the client's latest target inquiry not older than the window and
    without an arrival yet; else the named one; else his latest inquiry in the window.
    """
    named = opened.named(refs, at)
    if named is not None and named.is_target:
        return named
    window = directory.rules_at(at).span("attribution_days")
    recent = [i for i in opened.inquiries if i.opened_at <= at and at - i.opened_at <= window]
    free = [i for i in recent if not any(a <= at for a in i.arrivals)]
    targets = [i for i in free if i.is_target]
    latest = max(targets, key=lambda i: (i.opened_at, i.id), default=None)
    if latest is not None:
        return latest
    found = named or max(free, key=lambda i: (i.category is None, i.opened_at, i.id), default=None)
    return found or min(
        opened.just_after(at), key=lambda i: (not i.is_target, i.opened_at, i.id), default=None
    )
