"""To which inquiry each booking and visit belongs, and which booking a visit keeps. Decisions: D-0.2, D-0.5, D-0.6."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from operator import itemgetter
from uuid import UUID

from domain.directory import Directory
from domain.fold.bookings import Booking, Visit, same_day, standing
from domain.fold.inquiries import Inquiry, Opened, refuse


def link(bookings: list[Booking], visits: list[Visit], opened: Opened, directory: Directory) -> None:
    """Give bookings and visits to inquiries, in order of time (D-0.5)."""
    moments: list[tuple[datetime, int, UUID, Booking | Visit]] = [(b.made_at, 0, b.id, b) for b in bookings]
    moments += [(v.arrived_at, 1, v.id, v) for v in visits]
    for at, _, _, what in sorted(moments, key=itemgetter(0, 1, 2)):
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
        if visit.inquiry is None or not (visit.inquiry.is_target or opened.named(visit.refs, at)):
            visit.inquiry = _walked_in(opened, visit, directory) or visit.inquiry
    if visit.booking is None and visit.inquiry is not None:
        free = [b for b in bookings if b.inquiry is visit.inquiry and b.visit is None and b.made_at <= at
                and not (b.cancelled_at and b.cancelled_at <= at)]  # fmt: skip
        visit.booking = min(free, key=lambda b: (abs((b.slot_at or b.made_at) - at), b.key), default=None)
    if visit.booking is not None:
        visit.booking.visit = visit.booking.visit or visit
    if visit.inquiry is not None:
        visit.inquiry.arrivals.append(at)
        visit.inquiry.events += visit.events


def _walked_in(opened: Opened, visit: Visit, directory: Directory) -> Inquiry | None:
    """The client's walk-in later that day: gate and reception do not tell in one order (R0.17)."""
    later = (i for i in opened.inquiries if i.kind == "visit" and i.opened_at > visit.arrived_at)
    return next((i for i in later if same_day(visit, i.opened_at, directory)), None)


def _came_for(visits: list[Visit], visit: Visit, directory: Directory) -> Inquiry | None:
    """A further work order of the day is no second coming: it is for what the client came for."""
    earlier = (v for v in visits if v is not visit and v.inquiry and v.arrived_at <= visit.arrived_at)
    return next((v.inquiry for v in earlier if same_day(v, visit.arrived_at, directory)), None)


def _due(bookings: list[Booking], visit: Visit, directory: Directory) -> Booking | None:
    """The open booking of that very day, of several the nearest: stronger evidence than a newer inquiry."""
    due: list[tuple[timedelta, str, Booking]] = []
    for booking in bookings:
        then = standing(booking, visit.arrived_at, directory) if booking.visit is None else None
        if then is not None and then.slot_at is not None:
            day = directory.local_day(visit.arrived_at, booking.place)
            if directory.local_day(then.slot_at, booking.place) == day:
                due.append((abs(then.slot_at - visit.arrived_at), booking.key, booking))
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
