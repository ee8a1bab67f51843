"""Calls: from the phases that providers tell, in any order, to one call with its legs and figures.

Decisions: providers/sipuni.md (answer stamps, lost ends, losing legs), D-4.6, D-4.9, D-4.14, D-4.18, R0.14, R0.15.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from domain.directory import Directory
from domain.event import Event
from domain.facts.calls import (
    CallAnswered,
    CallEnded,
    CallFact,
    CallLegEnded,
    CallLegRang,
    CallStarted,
    CallTracked,
    CallTransferred,
    RecordingStored,
    VoicemailLeft,
)
from domain.identity import inquiry_id, row_id
from domain.phones import normalise

_NO_PHASE: Final = (CallEnded, RecordingStored, VoicemailLeft)
"""What is told when a call is over: its moment says nothing of when the call began."""


@dataclass(slots=True)
class Leg:
    """One extension's part of a call."""

    leg_id: str
    ext: str | None
    rang_at: datetime | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    status: str | None = None
    transferred_from: str | None = None
    events: list[UUID] = field(default_factory=list)


@dataclass(slots=True)
class Call:
    """One physical call while it is being folded.

    ``id`` is the row's; ``contact_id`` is the id of the inquiry that the call opens, if it opens one.
    """

    source_path: str
    provider_call_id: str
    direction: str
    client_phone: str | None
    line: str | None
    cabinet: str | None
    started_at: datetime
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    cause: str | None = None
    answered_by: str | None = None
    ext: str | None = None
    dialled_by: str | None = None
    names: dict[str, tuple[str, ...]] = field(
        default_factory=dict
    )  # extension → how the provider calls its holder
    callback_id: str | None = None
    is_callback: bool = False
    recording_url: str | None = None
    voicemail: bool = False
    own_clock: bool = True
    legs: list[Leg] = field(default_factory=list)
    marks: dict[str, str] = field(default_factory=dict)
    utm: dict[str, str] = field(default_factory=dict)
    page: str | None = None
    same_as: Call | None = None
    events: list[UUID] = field(default_factory=list)
    last_event_at: datetime | None = None
    id: UUID = field(init=False)
    contact_id: UUID = field(init=False)

    def __post_init__(self) -> None:
        """Derive the ids once: they are asked for many times."""
        self.id = row_id("call", self.source_path, self.provider_call_id)
        self.contact_id = inquiry_id(self.source_path, "call", self.provider_call_id)

    @property
    def source(self) -> str:
        """Name of the source that told the call."""
        return self.source_path.rpartition("/")[2]

    def holder(self, ext: str | None, directory: Directory) -> str | None:
        """The employee who held an extension when the call began (R0.50)."""
        names = self.names.get(ext, ()) if ext else ()
        return directory.employee_by_ext(
            ext, self.started_at, source=self.source, cabinet=self.cabinet, names=names
        )

    @property
    def talked(self) -> bool:
        """A person answered (known from the end, or from the answer while the end is not told)."""
        if self.answered_by not in (None, "person"):
            return False
        return self.cause == "answered" or (self.cause is None and self.answered_at is not None)

    @property
    def missed(self) -> bool:
        """An incoming call is over and no person took it; an unknown end is never missed (D-4.18)."""
        return self.direction == "in" and self.cause is not None and not self.talked

    @property
    def wait_s(self) -> int | None:
        """Start → answer, or start → end when nobody answered."""
        until = self.answered_at or self.ended_at
        return max(0, round((until - self.started_at).total_seconds())) if until else None

    @property
    def talk_s(self) -> int | None:
        """Seconds with a person; 0 when nobody answered, None while the end is unknown."""
        if self.ended_at is None:
            return None
        if not self.talked or self.answered_at is None:
            return 0
        return max(0, round((self.ended_at - self.answered_at).total_seconds()))

    @property
    def outcome(self) -> str:
        """The word of CallRow.outcome."""
        if self.direction == "internal":
            return "internal"
        if self.cause is None:
            return "open"
        if self.talked:
            return "answered"
        if self.answered_by in ("ivr", "autoresponder") and self.cause == "answered":
            return "autoresponder"
        return "missed" if self.direction == "in" else "no_answer"


def assemble(events: Iterable[Event]) -> list[Call]:
    """All calls of one client, by start; ``events`` are unique and in order."""
    by_call: dict[tuple[str, str], list[Event]] = {}
    for event in events:
        if isinstance(event.data, CallFact):
            by_call.setdefault((event.source, event.data.call_id), []).append(event)
    calls = [_one(source, call_id, facts) for (source, call_id), facts in by_call.items()]
    return sorted(calls, key=lambda c: (c.started_at, c.id))


def _one(source: str, call_id: str, facts: list[Event]) -> Call:
    data = [(e, e.data) for e in facts if isinstance(e.data, CallFact)]
    outside = [d for _, d in data if d.direction != "internal"]
    end = _end(facts)
    call = Call(
        source_path=source,
        provider_call_id=call_id,
        direction=outside[0].direction if outside else "internal",
        client_phone=next((d.client_phone for d in outside if d.client_phone), None),
        line=next((d.line for d in outside if d.line), None),
        cabinet=next((d.cabinet for _, d in data if d.cabinet), None),
        started_at=_start(facts, end),
        callback_id=next((d.callback_id for _, d in data if d.callback_id), None),
        own_clock=any(e.time_basis == "source" for e in facts),
        events=[e.id for e in facts],
        last_event_at=max(e.time for e in facts),
    )
    call.legs = _legs(facts)
    for _, fact in data:
        if fact.ext_names and fact.ext:
            call.names.setdefault(fact.ext, fact.ext_names)
        match fact:
            case CallStarted():
                call.marks.update(fact.marks)
                call.dialled_by = call.dialled_by or (fact.ext if call.direction == "out" else None)
            case RecordingStored():
                call.recording_url = fact.url
            case VoicemailLeft():
                call.voicemail = True
    _answer(call, facts, end)
    return call


def _end(facts: list[Event]) -> CallEnded | None:
    """The end that counts: a terminal «answered» never regresses; else the latest."""
    ends = [(e, e.data) for e in facts if isinstance(e.data, CallEnded)]
    if not ends:
        return None
    return max(ends, key=lambda p: (p[1].cause == "answered", p[1].ended_at, p[0].id))[1]


def _start(facts: list[Event], end: CallEnded | None) -> datetime:
    if end is not None and end.started_at is not None:
        return end.started_at
    phases = [e.time for e in facts if not isinstance(e.data, _NO_PHASE)]
    return min(phases or [e.time for e in facts])


def _answer(call: Call, facts: list[Event], end: CallEnded | None) -> None:
    """Set the moments and the person of the answer. The end decides whether the call was answered at all."""
    answers = [(e, e.data) for e in facts if isinstance(e.data, CallAnswered)]
    people = [(e, a) for e, a in answers if a.by == "person"]
    by_hint = end.answered_by if end else None
    if people:
        call.answered_by = "person"
    elif by_hint:
        call.answered_by = by_hint  # the final message knows better than a leg (INDEX-telephony, rule 3)
    elif answers:
        call.answered_by = answers[0][1].by
    talk_from = (people or answers)[0][0].time if answers else None
    if end is None:
        call.answered_at = talk_from
    else:
        call.ended_at, call.cause = end.ended_at, end.cause
        if end.cause == "unknown":
            # the provider tells that it is over but not how (Jivo): the answers do
            call.cause = "answered" if answers or end.answered_at else "no_answer"
        if call.cause == "answered":
            stamp = end.answered_at
            if people and len(people) != len(answers):
                stamp = None  # a machine answered first: the person's own moment counts
            usable = stamp is not None and call.started_at <= stamp <= end.ended_at
            answer = stamp if stamp is not None and usable else talk_from or stamp or call.started_at
            call.answered_at = min(max(answer, call.started_at), end.ended_at)
            call.answered_by = call.answered_by or "person"
        else:
            call.answered_by = None
    if call.talked:
        phones = {e.data.leg_id for e in facts if isinstance(e.data, CallLegRang) and not e.data.ext}
        spoke = [who for _, a in people if (who := a.ext or _handed_on(a, phones))]
        rung = end.exts_rung if end else ()
        call.ext = spoke[-1] if spoke else (end.ext if end else None) or (rung[0] if len(rung) == 1 else None)
    if call.direction == "out":
        call.ext = call.ext or call.dialled_by


def _handed_on(answer: CallAnswered, rang: set[str]) -> str | None:
    """The phone outside to which a call was transferred or forwarded: such a leg has a number and no extension."""
    leg = answer.leg_id
    return leg if (answer.transferred_from or leg in rang) and normalise(leg).e164 else None


def _legs(facts: list[Event]) -> list[Leg]:
    """Legs by extension (by the provider's leg where no extension is told), in the order they rang."""
    legs: dict[str, Leg] = {}
    for event in facts:
        data = event.data
        if isinstance(data, CallTransferred):
            leg = legs.setdefault(data.to_ext, Leg(data.to_ext, data.to_ext))
            leg.transferred_from = leg.transferred_from or data.from_ext
            leg.events.append(event.id)
        if not isinstance(data, (CallLegRang, CallAnswered, CallLegEnded)):
            continue
        key = data.ext or data.leg_id
        leg = legs.setdefault(key, Leg(key, data.ext))
        leg.events.append(event.id)
        match data:
            case CallLegRang():
                leg.rang_at = leg.rang_at or event.time
                leg.transferred_from = leg.transferred_from or data.transferred_from
            case CallAnswered():
                leg.answered_at = leg.answered_at or event.time
                leg.transferred_from = leg.transferred_from or data.transferred_from
            case CallLegEnded():
                leg.ended_at, leg.status = event.time, data.status

    def when(leg: Leg) -> tuple[bool, datetime | None, str]:
        at = leg.rang_at or leg.answered_at or leg.ended_at
        return at is None, at, leg.leg_id

    timed = sorted((g for g in legs.values() if not when(g)[0]), key=when)
    return timed + sorted((g for g in legs.values() if when(g)[0]), key=lambda g: g.leg_id)


def pair(calls: list[Call], directory: Directory) -> None:
    """Mark calls told by two systems: the poorer telling gets ``same_as`` and gives what only it knew.

    Greedy by nearness of starts, one partner each; both tellings stay as rows (INDEX-telephony, rule 7). Calls of
    two phones of one client are two calls.
    """
    real = [c for c in calls if c.direction != "internal"]
    if len({c.source_path for c in real}) < 2:
        return
    near: list[tuple[float, UUID, UUID, Call, Call]] = []
    for n, a in enumerate(real):
        limit = directory.rules_at(a.started_at).same_call_seconds
        for b in real[n + 1 :]:
            apart = (b.started_at - a.started_at).total_seconds()
            if apart > limit:
                break
            strangers = a.client_phone and b.client_phone and a.client_phone != b.client_phone
            strangers = strangers or _one_after_the_other(a, b)
            if a.source_path != b.source_path and a.direction == b.direction and not strangers:
                near.append((apart, a.id, b.id, a, b))
    taken: set[UUID] = set()
    for _, _, _, a, b in sorted(near, key=lambda x: x[:3]):
        if a.id in taken or b.id in taken:
            continue
        taken |= {a.id, b.id}
        main, other = sorted((a, b), key=lambda c: (not c.own_clock, c.cause is None, c.started_at, c.id))
        other.same_as = main
        main.callback_id = main.callback_id or other.callback_id
        main.recording_url = main.recording_url or other.recording_url
        main.line = main.line or other.line
        main.voicemail = main.voicemail or other.voicemail
        main.marks = {**other.marks, **main.marks}
        if main.cause is None and other.cause is not None:
            main.cause, main.ended_at = other.cause, max(other.ended_at or main.started_at, main.started_at)
            answered = other.cause == "answered"
            main.answered_at = (main.answered_at or other.answered_at) if answered else None
            main.answered_by = (main.answered_by or other.answered_by) if answered else None
            main.ext = main.ext or other.ext
            main.names = other.names | main.names


def _one_after_the_other(a: Call, b: Call) -> bool:
    """The client tried again elsewhere: one call was over before the other began, and they are not alike.

    Not alike: another number was called, or only one of them was talked in. Only clocks of the systems' own are
    believed; a message may come late.
    """
    over = a.started_at < b.started_at and a.ended_at is not None and a.ended_at <= b.started_at
    elsewhere = a.line is not None and b.line is not None and a.line != b.line
    return over and a.own_clock and b.own_clock and (elsewhere or a.talked != b.talked)


def track(calls: list[Call], events: Iterable[Event], directory: Directory) -> None:
    """Give call-tracking hits to the incoming calls they saw: same caller, nearest in time, number equal if known."""
    for event in events:
        hit = event.data
        if not isinstance(hit, CallTracked):
            continue
        limit = directory.rules_at(event.time).tracking_match_minutes * 60
        close = [
            (hit.line is not None and c.line is not None and c.line != hit.line, gap, c.id, c)
            for c in calls
            if c.direction == "in"
            and c.same_as is None
            and (gap := abs((c.started_at - event.time).total_seconds())) <= limit
        ]
        if close:
            call = min(close, key=lambda x: x[:3])[3]
            call.utm = call.utm or dict(hit.utm)
            call.page = call.page or hit.landing
            if hit.counter_client_id:
                call.marks.setdefault("counter_client_id", hit.counter_client_id)
            call.events.append(event.id)
