"""The oracle's calls: one per source and call id, from whichever of its messages arrived."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
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
    CallTransferred,
)
from domain.identity import row_id
from domain.phones import normalise
from tests.oracle.who import in_order


@dataclass(eq=False)
class Call:
    """One call as its facts tell it."""

    source: str
    call_id: str
    direction: str
    started_at: datetime
    answered_at: datetime | None
    ended_at: datetime | None
    outcome: str
    by: str | None
    ext: str | None
    phone: str | None
    line: str | None
    callback_id: str | None
    own_clock: bool
    facts: list[Event]
    second: Call | None = None  # the telling that counts, when this one does not

    @property
    def row(self) -> UUID:
        """Id of the call's row: breaks ties."""
        return row_id("call", self.facts[0].source, self.call_id)

    @property
    def talked(self) -> bool:
        """A person answered, as far as is told."""
        return self.by == "person" and self.answered_at is not None

    @property
    def missed(self) -> bool:
        """Over, incoming, and no person took it."""
        return self.direction == "in" and self.ended_at is not None and not self.talked

    @property
    def wait_s(self) -> int | None:
        """Start to answer, or to the end when nobody answered."""
        until = self.answered_at or self.ended_at
        return max(0, int((until - self.started_at).total_seconds())) if until else None

    @property
    def talk_s(self) -> int | None:
        """With a person; unknown while the end is."""
        if self.ended_at is None:
            return None
        if self.by != "person" or self.answered_at is None:
            return 0
        return max(0, int((self.ended_at - self.answered_at).total_seconds()))

    def employee(self, directory: Directory) -> str | None:
        """Who held the extension on the local day of the call (R0.50)."""
        cabinet = next(
            (f.data.cabinet for f in self.facts if isinstance(f.data, CallFact) and f.data.cabinet), None
        )
        return directory.employee_by_ext(self.ext, self.started_at, source=self.source, cabinet=cabinet)


def calls_of(facts: Sequence[Event], directory: Directory) -> list[Call]:
    """All calls of one client, by start; second tellings know the first."""
    groups: dict[tuple[str, str], list[Event]] = {}
    for fact in facts:
        if isinstance(fact.data, CallFact):
            groups.setdefault((fact.source, fact.data.call_id), []).append(fact)
    calls = [one_call(in_order(g)) for g in groups.values()]
    calls.sort(key=lambda c: (c.started_at, c.source, c.call_id))
    pair(calls, directory)
    return calls


def one_call(facts: list[Event]) -> Call:
    """One call from its facts in order."""
    said = [f.data for f in facts if isinstance(f.data, CallFact)]
    phases = [
        f
        for f in facts
        if isinstance(f.data, CallStarted | CallLegRang | CallAnswered | CallLegEnded | CallTransferred)
    ]
    ends = [
        (f.data.cause == "answered", f.data.ended_at, f.id, f.data)
        for f in facts
        if isinstance(f.data, CallEnded)
    ]
    end = max(ends, key=lambda e: e[:3])[3] if ends else None
    outside = [d for d in said if d.direction != "internal"]
    direction = outside[0].direction if outside else "internal"
    told = [end.started_at] if end and end.started_at else []
    started = min(told or [f.time for f in phases] or [f.time for f in facts])
    picked = [f for f in facts if isinstance(f.data, CallAnswered)]
    people = [f for f in picked if isinstance(f.data, CallAnswered) and f.data.by == "person"]
    machines = [f for f in picked if f not in people]
    ended = end.ended_at if end else None
    by: str | None = None
    if people:
        by = "person"
    elif end is not None and end.answered_by:
        by = end.answered_by  # the final message knows better than a leg
    elif machines and isinstance(machines[0].data, CallAnswered):
        by = machines[0].data.by
    answered = (people or machines)[0].time if picked else None
    if end is None:
        outcome = "open"
    else:
        over = end.cause == "answered" or (end.cause == "unknown" and bool(picked or end.answered_at))
        stamp = end.answered_at
        if not over:
            by = answered = None  # a leg that answered and lost does not make the call answered
        else:
            by = by or "person"
            if stamp is None or not started <= stamp <= end.ended_at or (people and machines):
                stamp = answered or stamp or started
            answered = min(max(stamp, started), end.ended_at)
        if by == "person":
            outcome = "answered"
        elif by in ("ivr", "autoresponder"):
            outcome = "autoresponder"
        else:
            outcome = "missed" if direction == "in" else "no_answer"
    if direction == "internal":
        outcome = "internal"
    return Call(
        source=facts[0].source_name,
        call_id=said[0].call_id,
        direction=direction,
        started_at=started,
        answered_at=answered,
        ended_at=ended,
        outcome=outcome,
        by=by,
        ext=last_ext(people, facts, end, direction, talked=by == "person"),
        phone=next((c.client_phone for c in outside if c.client_phone), None),
        line=next((c.line for c in outside if c.line), None),
        callback_id=next((c.callback_id for c in said if c.callback_id), None),
        own_clock=any(f.time_basis == "source" for f in facts),
        facts=facts,
    )


def last_ext(
    people: list[Event], facts: list[Event], end: CallEnded | None, direction: str, *, talked: bool
) -> str | None:
    """The extension that talked last, or at least dialled."""
    spoke = []
    for fact in people:
        said = fact.data
        assert isinstance(said, CallAnswered)
        rang = any(
            isinstance(f.data, CallLegRang) and f.data.leg_id == said.leg_id and not f.data.ext for f in facts
        )
        outside = normalise(said.leg_id).e164 and (rang or said.transferred_from)
        spoke += [said.ext] if said.ext else [said.leg_id] if outside else []
    dialled = [f.data.ext for f in facts if isinstance(f.data, CallStarted) and f.data.ext]
    if talked and spoke:
        return spoke[-1]
    if talked and end is not None and end.ext:
        return end.ext
    if talked and end is not None and len(end.exts_rung) == 1:
        return end.exts_rung[0]
    return dialled[0] if dialled and direction == "out" else None


def pair(calls: list[Call], directory: Directory) -> None:
    """Two tellings of one call: different sources, same direction, nearest starts first."""
    near = []
    for i, a in enumerate(calls):
        for b in calls[i + 1 :]:
            apart = abs(a.started_at - b.started_at)
            limit = directory.rules_at(min(a.started_at, b.started_at)).span("same_call_seconds")
            if "internal" in (a.direction, b.direction) or (a.phone and b.phone and a.phone != b.phone):
                continue  # INDEX-telephony, rule 7: the client's phone must be the same
            early, late = sorted((a, b), key=lambda c: c.started_at)
            done = early.started_at < late.started_at and early.ended_at and early.ended_at <= late.started_at
            other_number = a.line and b.line and a.line != b.line
            if a.own_clock and b.own_clock and done and (other_number or a.talked != b.talked):
                continue  # he hung up and rang again
            if a.source != b.source and a.direction == b.direction and apart <= limit:
                near.append((apart, a.row, b.row, a, b))
    near.sort(key=lambda n: n[:3])
    taken: list[Call] = []
    for *_, a, b in near:
        if any(c is a or c is b for c in taken):
            continue
        taken += [a, b]
        first, second = sorted(
            (a, b), key=lambda c: (not c.own_clock, c.ended_at is None, c.started_at, c.row)
        )
        second.second = first
        first.callback_id = first.callback_id or second.callback_id
        first.phone = first.phone or second.phone
        if first.ended_at is None and second.ended_at is not None:
            first.ended_at = max(second.ended_at, first.started_at)
            first.outcome = second.outcome
            first.answered_at = (first.answered_at or second.answered_at) if second.answered_at else None
            if second.outcome in ("answered", "autoresponder"):
                first.by = first.by or second.by  # what this one knew of who picked up stays
                first.outcome = "answered" if first.by == "person" else second.outcome
                first.outcome = "autoresponder" if first.by in ("ivr", "autoresponder") else first.outcome
            else:
                first.by = None
            first.ext = first.ext or second.ext
