"""The oracle's inquiries: what opens one, what joins one (R0.13–R0.18, D-0.9, D-0.10, L8–L13)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import pairwise
from uuid import UUID

from domain.directory import Directory
from domain.event import Event
from domain.facts.base import Subject
from domain.facts.inquiries import InquiryCategorised, InquiryResultSet, RefusalRecorded, WalkInRegistered
from domain.facts.sales import (
    BookingCancelled,
    BookingFact,
    BookingMade,
    BookingMoved,
    ClientArrived,
    WorkOrderOpened,
)
from domain.facts.sites import CallbackRequested, ChatFact, ChatFinished, FormSubmitted
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


class Unfolding:
    """Step by step in order of time: what happens to a client's inquiries."""

    def __init__(self, facts: Sequence[Event], calls: Sequence[Call], directory: Directory) -> None:
        self.facts, self.calls, self.directory = facts, calls, directory
        self.found: list[Inquiry] = []
        self.forms: list[Inquiry] = []
        self.touches: set[str] = set()
        self.talks: list[Call] = []  # of ours, about nothing open, since the last category by phone
        self.labelled: set[UUID] = set()
        self.unplaced: list[Event] = []

    def unfold(self) -> list[Inquiry]:
        """All steps; what clients do comes before what operators say at the same moment."""
        steps: list[tuple[datetime, int, str, Callable[[], None]]] = []
        for call in self.calls:
            if call.second is None and call.direction != "internal":
                ident = str(inquiry_id(call.facts[0].source, "call", call.call_id))
                what = self.incoming if call.direction == "in" else self.outgoing
                steps.append((max([call.started_at, *self.asked_at(call)]), 1, ident, partial(what, call)))
        for one in (*chats(self.facts, self.directory), *self.requests()):
            steps.append((one.opened_at, 0, str(one.ident), partial(self.found.append, one)))
        for fact in self.facts:
            if isinstance(fact.data, InquiryCategorised | InquiryResultSet | RefusalRecorded):
                steps.append((fact.time, 2, str(fact.id), partial(self.verdict, fact)))
        for *_, step in sorted(steps, key=lambda s: s[:3]):
            step()
            if self.found:
                for fact in self.unplaced:
                    if (about := meant(fact, self.found, self.touches, self.directory)) is not None:
                        about.processed = True
                self.unplaced.clear()
        for inquiry in self.found:
            if inquiry.kind == "missed" and inquiry.missed_fate is None:
                inquiry.missed_fate = "open"
        return sorted(self.found, key=lambda i: (i.opened_at, i.ident))

    def asked_at(self, call: Call) -> list[datetime]:
        """When the call was asked for by a widget: a call answers its request though two clocks say otherwise."""
        return [
            f.time
            for f in self.facts
            if isinstance(f.data, CallbackRequested) and f.data.callback_id == call.callback_id
        ]

    def requests(self) -> list[Inquiry]:
        """Forms, widgets' requests and walk-ins that nobody awaited."""
        found: list[Inquiry | None] = []
        for fact in self.facts:
            if isinstance(fact.data, FormSubmitted):
                found.append(self.form(fact, fact.data))
            elif isinstance(fact.data, CallbackRequested):
                found.append(self.callback(fact, fact.data))
            elif isinstance(fact.data, WalkInRegistered):
                awaited = awaited_booking(fact, self.facts, self.directory)
                found.append(self.walk_in(fact, fact.data) if awaited is None else None)
        return [i for i in found if i is not None]

    def open(self, call: Call, kind: str) -> None:
        """A call opens an inquiry."""
        path = call.facts[0].source
        ident = inquiry_id(path, "call", call.call_id)
        direction = "out" if call.direction == "out" else "in"
        one = Inquiry(ident, kind, direction, call.started_at, call.source, set())
        one.processed = one.reached = call.talked
        self.found.append(one)
        self.join(one, call)

    def join(self, inquiry: Inquiry, call: Call) -> None:
        """A call becomes part of an inquiry."""
        inquiry.calls.append(call)
        inquiry.names |= self.all_names(call)

    def incoming(self, call: Call) -> None:
        """The client calls."""
        width = self.directory.rules_at(call.started_at).span("missed_window_hours")
        if not call.missed:
            for inquiry in self.found:
                if call.talked and inquiry.kind in ("missed", "site") and not inquiry.reached:
                    inquiry.reached = inquiry.processed = True
                    inquiry.missed_fate = "self" if inquiry.kind == "missed" else None
            self.open(call, "phone")
            return
        for inquiry in self.found:
            fresh = call.started_at - inquiry.opened_at <= width
            if inquiry.kind == "missed" and not inquiry.processed and fresh:
                self.join(inquiry, call)
                return
        self.open(call, "missed")

    def outgoing(self, call: Call) -> None:
        """We call."""
        rules = self.directory.rules_at(call.started_at)
        widths = {"missed": rules.span("missed_return_hours"), "site": rules.span("request_return_hours")}
        waiting = [
            i
            for i in self.found
            if not i.reached
            and i.kind in widths
            and call.started_at - max([i.opened_at, *(c.started_at for c in i.calls if c.missed)])
            <= widths[i.kind]
        ]
        asked = [i for i in self.found if call.callback_id and f"callback:{call.callback_id}" in i.names]
        if asked or waiting:
            mine = (asked or waiting)[-1]
            self.join(mine, call)
            mine.processed = True
            for inquiry in {id(i): i for i in (mine, *waiting)}.values():
                if call.talked and not inquiry.reached:
                    inquiry.reached = inquiry.processed = True
                    if inquiry.kind == "missed":
                        inquiry.missed_fate = "returned"
        elif any(
            isinstance(f.data, InquiryCategorised) and self.all_names(call) & set(names_in(f))
            for f in self.facts
        ) or (
            call.talked
            and not self.found
            and any(
                not names_in(f) and call.started_at - f.time <= skew(self.directory, f.time)
                for f in self.unplaced
                if isinstance(f.data, InquiryCategorised)
            )
        ):
            self.open(call, "phone")
        else:
            self.touches |= self.all_names(call)
            self.talks += [call] if call.talked else []

    def all_names(self, call: Call) -> set[str]:
        """Names of a call by all its tellings."""
        return call_names(call).union(*(call_names(c) for c in self.calls if c.second is call))

    def form(self, fact: Event, data: FormSubmitted) -> Inquiry | None:
        """A form; the same one again within ten minutes is no other inquiry (L13)."""
        ident = inquiry_id(fact.source, "form", data.submission_id)
        names = {f"form:{data.submission_id}", f"inquiry:{ident}"}
        limit = self.directory.rules_at(fact.time).span("form_duplicate_minutes")
        for inquiry in reversed(self.forms):
            first = inquiry.facts[0]
            assert isinstance(first.data, FormSubmitted)
            same = (
                data.phone == first.data.phone
                if data.phone
                else data.email and data.email == first.data.email
            )
            same = (
                same
                and data.spam == first.data.spam
                and data.form_id == first.data.form_id
                and first.source == fact.source
            )
            if same and fact.time - inquiry.opened_at <= limit:
                inquiry.names |= names
                inquiry.facts.append(fact)
                return None
        one = Inquiry(ident, "site", "in", fact.time, fact.source_name, names, facts=[fact])
        one.excluded = "spam_form" if data.spam else None if data.phone or data.email else "no_contact"
        self.forms.append(one)
        return one

    def callback(self, fact: Event, data: CallbackRequested) -> Inquiry:
        """«Перезвоните мне»."""
        ident = inquiry_id(fact.source, "callback", data.callback_id)
        names = {f"callback:{data.callback_id}", f"inquiry:{ident}"}
        return Inquiry(ident, "site", "in", fact.time, fact.source_name, names, facts=[fact])

    def walk_in(self, fact: Event, data: WalkInRegistered) -> Inquiry:
        """A client came without calling."""
        ident = inquiry_id(fact.source, "walkin", data.walkin_id)
        names = {f"inquiry:{ident}"}
        one = Inquiry(ident, "visit", "in", fact.time, fact.source_name, names, facts=[fact])
        one.processed = one.reached = True
        return one

    def verdict(self, fact: Event) -> None:
        """An operator dealt with an inquiry."""
        if isinstance(fact.data, InquiryCategorised) and not names_in(fact):
            self.by_phone(fact)
        about = meant(fact, self.found, self.touches, self.directory)
        if about is None:
            self.unplaced.append(fact)
            return
        about.processed = True
        if isinstance(fact.data, InquiryCategorised):
            self.labelled.add(about.ident)

    def by_phone(self, fact: Event) -> None:
        """D-0.10: a category of the client makes an inquiry of our talk that came last, unless one still lacks it."""
        begin = fact.time - self.directory.rules_at(fact.time).span("outgoing_category_hours")
        talks, self.talks = self.talks, []
        before = sorted(
            (i for i in self.found if i.opened_at <= fact.time), key=lambda i: (i.opened_at, i.ident)
        )
        if not talks or talks[-1].started_at < begin:
            return
        if before:
            last = before[-1]
            lacking = last.ident not in self.labelled and last.opened_at >= begin
            if lacking or last.opened_at >= talks[-1].started_at:
                return
        self.touches -= self.all_names(talks[-1])
        self.open(talks[-1], "phone")


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
        if used_before(key, fact, facts, max(agreed, default=ordered[0].time), directory):
            continue
        if now.slot is None or fact.time < directory.day_end(now.slot):
            waiting.append((ordered[0].time, key))
    return min(waiting)[1] if waiting else None


def used_before(
    key: str, fact: Event, facts: Sequence[Event], agreed: datetime, directory: Directory
) -> bool:
    """The client already came by the booking: on an earlier day, after its slot was agreed for the last time."""
    today = directory.local_day(fact.time)
    for other in facts:
        data = other.data
        if not agreed <= other.time < fact.time or directory.local_day(other.time) == today:
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


def chats(facts: Sequence[Event], directory: Directory) -> list[Inquiry]:
    """Dialogues; one taken up after a day of silence is an inquiry of its own."""
    found: list[Inquiry] = []
    dialogues: dict[tuple[str, str], list[Event]] = {}
    for fact in facts:
        if isinstance(fact.data, ChatFact):
            dialogues.setdefault((fact.source, fact.data.chat_id), []).append(fact)
    for (source, chat_id), told in dialogues.items():
        parts: list[list[Event]] = []
        until: datetime | None = None
        silence = directory.rules_at(told[0].time).span("chat_silence_hours")
        pieces = [p for f in told for p in _pieces(f, silence)]
        for fact in sorted(pieces, key=lambda f: (min(_moments(f)), f.time, f.id)):
            if until is None or min(_moments(fact)) - until > silence:
                parts.append([])
            parts[-1].append(fact)
            until = max([*_moments(fact), *([until] if until else [])])
        for nth, part in enumerate(parts):
            part.sort(key=lambda f: (f.time, f.id))
            opened = min(m for f in part for m in _moments(f))
            before = {f.id for p in parts[:nth] for f in p}
            new = [f.id for f in part if f.id not in before]
            ident = inquiry_id(source, "chat", chat_id if nth == 0 else f"{chat_id}@{opened.isoformat()}")
            ident = new[0] if nth and new else ident
            one = Inquiry(
                ident, "chat", "in", opened, part[0].source_name, {f"chat:{chat_id}", f"inquiry:{ident}"}
            )
            one.facts = part
            found.append(one)
    return found


def _pieces(fact: Event, silence: timedelta) -> list[Event]:
    """A log cut at its long silences, each piece as a fact of its own; a piece begins an approach of the client."""
    data = fact.data
    if not isinstance(data, ChatFinished):
        return [fact]
    said = sorted((m for m in data.messages if m.at), key=lambda m: str(m.at))
    cuts = [n for n in range(1, len(said)) if (b := said[n].at) and (a := said[n - 1].at) and b - a > silence]
    bounds = [0, *cuts, len(said)]
    for n in reversed(range(1, len(bounds) - 1)):
        if all(m.by == "agent" for m in said[bounds[n] : bounds[n + 1]]):
            del bounds[n]
    pieces = [said[a:b] for a, b in pairwise(bounds)]
    if len(pieces) < 2:
        return [fact]
    pieces[-1] += [m for m in data.messages if not m.at]
    return [replace(fact, data=data.model_copy(update={"messages": tuple(p)})) for p in pieces]


def _moments(fact: Event) -> list[datetime]:
    """The moments a chat fact speaks of."""
    said = [m.at for m in fact.data.messages if m.at] if isinstance(fact.data, ChatFinished) else []
    return said or [fact.time]


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
