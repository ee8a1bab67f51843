"""The oracle's links: what was chosen, booked, kept and paid, and to which inquiry it belongs (D-0.1 … D-0.8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from domain.directory import Directory
from domain.event import Event
from domain.facts.base import Subject
from domain.facts.inquiries import InquiryCategorised, InquiryResultSet, RefusalRecorded, WalkInRegistered
from domain.facts.sales import (
    BookingFact,
    BookingMade,
    ClientArrived,
    ClientNoShow,
    SaleRecorded,
    VehicleHandedOver,
    WorkOrderOpened,
)
from domain.facts.sites import ChatAnswered, ChatFinished
from domain.identity import inquiry_id, row_id
from tests.oracle.bookings import (
    Booking,
    Visit,
    awaited_booking,
    booking_order,
    booking_state,
    expected_until,
    heard_of,
)
from tests.oracle.calls import Call
from tests.oracle.chats import agent
from tests.oracle.inquiry import Inquiry, meant, named, skew
from tests.oracle.money import Receipt, receipts_of


@dataclass(eq=False)
class Linker:
    """Fills the figures of one client's inquiries."""

    facts: Sequence[Event]
    calls: Sequence[Call]
    inquiries: list[Inquiry]
    touches: set[str]
    directory: Directory
    bookings: dict[str, Booking] = field(default_factory=dict)
    visits: list[Visit] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)
    refused_at: dict[int, datetime] = field(default_factory=dict)

    def link(self) -> None:
        """Everything, in the order in which one thing needs another."""
        for fact in self.facts:
            if isinstance(fact.data, InquiryCategorised) and (i := self.meant(fact)):
                i.category_id = self.directory.entry_id("category", fact.data.category)
        for inquiry in self.inquiries:
            inquiry.is_target = self.target(inquiry)
        self.find_bookings()
        self.find_visits()
        self.place()
        self.results()
        self.money()
        for inquiry in self.inquiries:
            self.booking_figures(inquiry)
            inquiry.employee_id = self.employee(inquiry)

    def meant(self, fact: Event) -> Inquiry | None:
        """The inquiry that an operator's fact is about."""
        return meant(fact, self.inquiries, self.touches, self.directory)

    def target(self, inquiry: Inquiry) -> bool:
        """D-0.1."""
        rules = self.directory.rules_at(inquiry.opened_at)
        if inquiry.category_id is None:
            untouched = inquiry.kind == "missed" and not inquiry.processed
            return rules.missed_unprocessed_is_target and untouched
        return inquiry.category_id in rules.target_categories

    # --- bookings and arrivals -----------------------------------------------------------------------------

    def find_bookings(self) -> None:
        """Bookings with their last state and their no-shows."""
        for fact in self.facts:
            if isinstance(fact.data, BookingFact) and fact.data.booking_id not in self.bookings:
                key = fact.data.booking_id
                told = booking_order(
                    [f for f in self.facts if isinstance(f.data, BookingFact) and f.data.booking_id == key]
                )
                state = booking_state(told)
                assert state is not None
                self.bookings[key] = Booking(key, told, state)
        for fact in self.facts:
            if not isinstance(fact.data, ClientNoShow):
                continue
            if fact.data.booking_id:
                kept = self.bookings.get(fact.data.booking_id)
            else:
                due = [
                    (b.state.slot, b.key, b)
                    for b in self.bookings.values()
                    if b.state.slot and b.state.slot <= fact.time and b.state.cancelled_at is None
                ]
                kept = max(due, key=lambda d: d[:2])[2] if due else None
            if kept and not (kept.state.moved_at and kept.state.moved_at > fact.time):
                kept.no_show_at = fact.time

    def find_visits(self) -> None:
        """Arrivals: told, then by walk-ins with a booking, then by opened orders (R0.21)."""
        for fact in self.facts:
            if isinstance(fact.data, ClientArrived):
                self.arrived(fact, fact.data)
        walkins = [f for f in self.facts if isinstance(f.data, WalkInRegistered)]
        for fact in sorted(walkins, key=_walkin_order):
            assert isinstance(fact.data, WalkInRegistered)
            key = awaited_booking(fact, self.facts, self.directory)
            if key is not None and not any(self.same_day(v, fact.time) for v in self.visits):
                ident = inquiry_id(fact.source, "walkin", fact.data.walkin_id)
                self.visits.append(Visit(fact.time, row_id("visit", str(ident)), [fact], booking_id=key))
        for fact in self.facts:
            if isinstance(fact.data, WorkOrderOpened):
                key = fact.data.order_id
                same = [v for v in self.visits if v.order_id == key]
                same += [v for v in self.visits if v.order_id is None and self.same_day(v, fact.time)]
                if not same:
                    same = [Visit(fact.time, row_id("visit", "order", key), [])]
                    self.visits += same
                same[0].order_id = key
                same[0].booking_id = same[0].booking_id or fact.data.booking_id
                same[0].facts.append(fact)
        for fact in self.facts:
            if isinstance(fact.data, VehicleHandedOver):
                for visit in self.visits:
                    if visit.order_id == fact.data.order_id:
                        visit.handed_over_at = visit.handed_over_at or fact.time
        self.visits.sort(key=lambda v: (v.at, v.row))

    def arrived(self, fact: Event, data: ClientArrived) -> None:
        """One arrival told twice (same visit, order or booking; or the same day, if no id objects) is one visit."""
        row = row_id("visit", fact.source, data.visit_id) if data.visit_id else row_id("visit", str(fact.id))
        same = [
            v
            for v in self.visits
            if (data.order_id and v.order_id == data.order_id)
            or (data.booking_id and v.booking_id == data.booking_id)
        ]
        same += [v for v in self.visits if v.row == row]
        same += [v for v in self.visits if self.same_day(v, fact.time) and not self.objects(v, fact, data)]
        if not same:
            self.visits.append(Visit(fact.time, row, [fact], data.order_id, data.booking_id))
            return
        same[0].facts.append(fact)
        same[0].order_id = same[0].order_id or data.order_id
        same[0].booking_id = same[0].booking_id or data.booking_id

    def objects(self, visit: Visit, fact: Event, data: ClientArrived) -> bool:
        """An id of the arrival differs from the visit's."""
        told = [f.data for f in visit.facts if f.source == fact.source]
        named = [d.visit_id for d in told if isinstance(d, ClientArrived) and d.visit_id]
        return (
            bool(data.visit_id and named and named[0] != data.visit_id)
            or bool(data.order_id and visit.order_id and visit.order_id != data.order_id)
            or bool(data.booking_id and visit.booking_id and visit.booking_id != data.booking_id)
        )

    def same_day(self, visit: Visit, at: datetime) -> bool:
        """By the clock of the office where the client came, as far as that was told until then."""
        office = heard_of(self.facts, visit.at, self.directory)
        return self.directory.local_day(visit.at, office) == self.directory.local_day(at, office)

    def place(self) -> None:
        """Bookings and arrivals in order of time: each sees only the arrivals before it (D-0.5)."""
        steps: list[tuple[datetime, int, UUID, Booking | Visit]] = []
        steps += [(b.state.made_at, 0, row_id("booking", b.key), b) for b in self.bookings.values()]
        steps += [(v.at, 1, v.row, v) for v in self.visits]
        for at, _, _, thing in sorted(steps, key=lambda s: s[:3]):
            if isinstance(thing, Booking):
                made = [f for f in thing.facts if isinstance(f.data, BookingMade)]
                thing.inquiry = self.attribute(made or thing.facts[:1], at)
                continue
            booking = self.bookings.get(thing.booking_id or "")
            if thing.booking_id is None:
                booking = self.expected(thing)
            thing.inquiry = (
                (booking.inquiry if booking else None)
                or self.same_coming(thing, booking)
                or self.came_in(thing, self.attribute(thing.facts, at))
            )
            if thing.inquiry and thing.inquiry.arrived_at is None:
                thing.inquiry.arrived_at = at
            if booking is None and thing.inquiry:
                waiting = [
                    (abs((b.state.slot or b.state.made_at) - at), b.key, b)
                    for b in self.bookings.values()
                    if b.inquiry is thing.inquiry and b.visit is None and b.state.made_at <= at
                    and not (b.state.cancelled_at and b.state.cancelled_at <= at)
                ]  # fmt: skip
                booking = min(waiting, key=lambda w: w[:2])[2] if waiting else None
            if booking:
                booking.visit = booking.visit or thing

    def came_in(self, visit: Visit, found: Inquiry | None) -> Inquiry | None:
        """Whoever is registered as a walk-in later on the day came then, unless something else is known of it."""
        if found and (found.is_target or any(named(f, self.inquiries, visit.at) for f in visit.facts)):
            return found
        later = [i for i in self.inquiries if i.kind == "visit" and i.opened_at > visit.at]
        return next((i for i in later if self.same_day(visit, i.opened_at)), found)

    def same_coming(self, visit: Visit, booking: Booking | None) -> Inquiry | None:
        """A second work order on a day, that tells of nothing else: the client has not come twice."""
        mine = next((i for f in visit.facts if (i := named(f, self.inquiries, visit.at))), None)
        told = any(not isinstance(f.data, WorkOrderOpened) for f in visit.facts[:1])
        if booking or visit.booking_id or told or (mine and mine.is_target):
            return None
        before = [v for v in self.visits if v is not visit and v.inquiry and v.at <= visit.at]
        return next((v.inquiry for v in before if self.same_day(v, visit.at)), None)

    def expected(self, visit: Visit) -> Booking | None:
        """Whose slot was on that day by what was told until then, unless the arrival names a target inquiry (R0.17)."""
        mine = next((i for f in visit.facts if (i := named(f, self.inquiries, visit.at))), None)
        if mine and mine.is_target:
            return None
        found = []
        for booking in self.bookings.values():
            told = [f for f in booking.facts if f.time <= visit.at]
            now = booking_state(told)
            if (
                booking.visit
                or not now
                or booking.state.made_at > visit.at
                or now.cancelled_at
                or not now.slot
            ):
                continue
            office = self.office(booking)
            if self.directory.local_day(now.slot, office) == self.directory.local_day(visit.at, office):
                found.append((abs(now.slot - visit.at), booking.key, booking))
        return min(found, key=lambda f: f[:2])[2] if found else None

    def office(self, booking: Booking) -> str | None:
        """Where the client is awaited: at the office of the number that he had called, else where he was last heard of."""
        inquiry = booking.inquiry
        calls = inquiry.calls if inquiry and inquiry.kind in ("phone", "missed") else []
        call = next((c for c in calls if inquiry and c.started_at == inquiry.opened_at), None)
        number = self.directory.number_on(call.line, call.started_at) if call else None
        office = number.office if number else None
        return office or heard_of(self.facts, booking.state.made_at, self.directory)

    def attribute(self, facts: Sequence[Event], at: datetime) -> Inquiry | None:
        """D-0.5: a named target inquiry, else the latest target one, else the named, else the latest."""
        mine = next((i for f in facts if (i := named(f, self.inquiries, at))), None)
        if mine and mine.is_target:
            return mine
        window = self.directory.rules_at(at).span("attribution_days")
        free = [
            i
            for i in self.inquiries
            if i.opened_at <= at <= i.opened_at + window and not (i.arrived_at and i.arrived_at <= at)
        ]
        if targets := [i for i in free if i.is_target]:
            return targets[-1]
        if mine:
            return mine
        if fresh := [i for i in free if i.category_id is None]:
            return fresh[-1]
        if free:
            return free[-1]
        width = skew(self.directory, at)
        soon = [i for i in self.inquiries if timedelta(0) < i.opened_at - at <= width]
        return min(soon, key=lambda i: (not i.is_target, i.opened_at, i.ident), default=None)

    def booking_figures(self, inquiry: Inquiry) -> None:
        """What the row tells of the inquiry's bookings: made first, and by which he was expected longest."""
        mine = [b for b in self.bookings.values() if b.inquiry is inquiry]
        mine.sort(key=lambda b: (b.state.made_at, b.key), reverse=True)
        if mine:
            last = max(mine, key=lambda b: expected_until(b, self.office(b), self.directory))
            inquiry.booked_at = mine[-1].state.made_at
            inquiry.slot_at = last.state.slot
            inquiry.cancelled_at = last.state.cancelled_at
            inquiry.no_show_at = last.no_show_at

    # --- results, refusals, money --------------------------------------------------------------------------

    def results(self) -> None:
        """The last result, the last refusal; a cancelled booking's reason is a refusal of its inquiry."""
        for fact in self.facts:
            data = fact.data
            if isinstance(data, InquiryResultSet) and (inquiry := self.meant(fact)):
                inquiry.result = self.directory.entry_id("result", data.result)
                if data.reason:
                    self.refuse(inquiry, data.reason, fact.time)
                elif inquiry.result == "refusal":
                    self.refused_at[id(inquiry)] = fact.time
            elif isinstance(data, RefusalRecorded) and (inquiry := self.meant(fact)):
                self.refuse(inquiry, data.reason, fact.time)
        for booking in sorted(
            self.bookings.values(), key=lambda b: (b.state.made_at, row_id("booking", b.key))
        ):
            at = booking.state.cancelled_at
            inquiry, reason = booking.inquiry, booking.state.reason
            if inquiry and at and reason and at >= self.refused_at.get(id(inquiry), at):
                self.refuse(inquiry, reason, at)

    def refuse(self, inquiry: Inquiry, reason: str | None, at: datetime) -> None:
        inquiry.refusal_reason_id = self.directory.entry_id("reason", reason)
        self.refused_at[id(inquiry)] = at

    def money(self) -> None:
        """Receipts to their inquiries."""
        self.receipts = receipts_of(self.facts)
        for receipt in self.receipts:
            inquiry = receipt.inquiry = self.buyer(receipt)
            if inquiry:
                inquiry.receipts += receipt.sold_at is not None
                inquiry.sales += receipt.sales
                inquiry.margin += receipt.margin
                inquiry.margin_incomplete |= receipt.margin_incomplete

    def buyer(self, receipt: Receipt) -> Inquiry | None:
        """A named target inquiry; else that of the visit it is about, else as a booking would be given."""
        told = [f for f in receipt.facts if isinstance(f.data, SaleRecorded)] or receipt.facts[:1]
        data = [f.data for f in receipt.told if isinstance(f.data, Subject)]
        order = next((d.order_id for d in data if d.order_id), None)
        booking = self.bookings.get(next((d.booking_id for d in data if d.booking_id), None) or "")
        mine = next((i for f in told if (i := named(f, self.inquiries, receipt.at))), None)
        window = self.directory.rules_at(receipt.at).span("attribution_days")
        by_order = [v for v in self.visits if order and v.order_id == order]
        by_booking = [booking.visit] if booking and booking.visit else []
        recent = [v for v in self.visits if v.at <= receipt.at <= v.at + window]
        about = by_order[:1] or by_booking
        if not about and not (mine and mine.is_target) and not (booking and booking.inquiry):
            today = [v for v in self.visits if self.same_day(v, receipt.at)]
            before = [v for v in recent[-1:] if v in today]
            after = [v for v in today if v.at > receipt.at]
            about = before or after[:1] or recent[-1:]
            rows = [r.visit for r in self.receipts[: self.receipts.index(receipt)] if r.sold_at]
            if about and about[0].row in rows and not self.same_day(about[0], receipt.at):
                after_it = self.attribute(told, receipt.at)
                target = after_it is not None and after_it.is_target
                if target and after_it and about[0].at < after_it.opened_at <= receipt.at:
                    about = []
        receipt.visit = about[0].row if about else None
        if mine and mine.is_target:
            return mine
        if about and about[0].inquiry:
            return about[0].inquiry
        if booking and booking.inquiry:
            return booking.inquiry
        return self.attribute(told, receipt.at)

    # --- people --------------------------------------------------------------------------------------------

    def employee(self, inquiry: Inquiry) -> str | None:
        """G9: who set its result; else who talked first; else who dialled."""
        said = [
            (f, f.data.by)
            for f in self.facts
            if isinstance(f.data, InquiryResultSet) and f.data.by and self.meant(f) is inquiry
        ]
        if said:
            fact, by = said[-1]
            return self.directory.employee_id(by, fact.time, source=fact.source_name)
        for call in sorted(inquiry.calls, key=lambda c: (c.started_at, c.row)):
            if call.talked and (who := call.employee(self.directory)):
                return who
        met = [f.data.by for f in inquiry.facts if isinstance(f.data, WalkInRegistered)]
        if who := agent(inquiry) or (met[0] if met else None):
            return self.worker(who, inquiry)
        return inquiry.calls[0].employee(self.directory) if inquiry.direction == "out" else None

    def worker(self, who: str, inquiry: Inquiry) -> str | None:
        """Who of ours is called so; by his e-mail or name if his id says nothing to us, by which people know him."""
        names = [who]
        for fact in inquiry.facts:
            data = fact.data
            if (
                isinstance(data, ChatAnswered)
                and (data.agent_id or data.agent_email or data.agent_name) == who
            ):
                names += [n for n in (data.agent_email, data.agent_name) if n and n not in names[1:]]
            if isinstance(data, ChatFinished):
                names += [n for n in data.agent_names.get(who, ()) if n not in names[1:]]
        cards = [*self.directory.employees.values()]
        for name in names:
            for card in cards:
                if name.casefold() in [x.casefold() for x in (card.employee_id, *card.logins, card.name)]:
                    return card.employee_id
        plain = self.directory.employee_id(who, inquiry.opened_at, source=inquiry.source)
        return plain if plain != who else names[-1]


def _walkin_order(fact: Event) -> tuple[datetime, UUID]:
    return fact.time, fact.id
