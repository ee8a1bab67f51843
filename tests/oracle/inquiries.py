"""The oracle's inquiries: what opens one, what joins one (R0.13–R0.18, D-0.9, D-0.10, L8–L13)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from uuid import UUID

from domain.directory import Directory
from domain.event import Event
from domain.facts.inquiries import InquiryCategorised, InquiryResultSet, RefusalRecorded, WalkInRegistered
from domain.facts.sites import CallbackRequested, FormSubmitted
from domain.identity import inquiry_id
from tests.oracle.bookings import awaited_booking
from tests.oracle.calls import Call
from tests.oracle.chats import chats
from tests.oracle.inquiry import Inquiry, call_names, meant, names_in, skew


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
                if call.talked and inquiry.kind in ("missed", "site", "chat") and not inquiry.reached:
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
        requests = dict.fromkeys(("site", "chat"), rules.span("request_return_hours"))
        widths = {"missed": rules.span("missed_return_hours"), **requests}
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
