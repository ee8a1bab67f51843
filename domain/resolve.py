"""Who is who: from the facts of one group to clients (spec 2.3). Pure, and a function of the set of facts.

Strong and medium refs that one fact carries make one client; weak refs lead an anonymous fact to the client the
visitor was last known as; entity refs lead a fact to the client of the thing it speaks about. Links and
un-links are facts too: an un-link parts its two sides for good, until a later link joins them again.

Leads and tasks of a CRM are folders rather than things: one called «Разное» holds many people. A fact that lies in
one and says itself whom it is about, or about which call, is that client's; the folder joins nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Final
from uuid import UUID

from domain.directory import Directory
from domain.event import Event
from domain.facts.inquiries import (
    ContactMarked,
    IdentityLinked,
    IdentityUnlinked,
    InquiryReattached,
    as_ref,
)
from domain.facts.leads import LeadFact
from domain.identity import client_id
from domain.receipts import tell_receipts_apart
from domain.refs import Strength, bare, kind_of, strength

_VISIT = "visit:"
"""A number of a visit is its source's own, though records tell it bare: CRM and ERP each count theirs from one."""
_FOLDERS = ("lead", "task")
_NO_MARK = ("", "none", "нет")
_ENTITY: Final = Strength.ENTITY  # members of an Enum are looked up in Python, and each ref asks for them
_WEAK: Final = Strength.WEAK


@dataclass(slots=True)
class Person:
    """One client of a group: his refs, his mark, and his facts in the fold's order."""

    client_id: UUID
    refs: list[str] = field(default_factory=list)
    mark: str | None = None
    events: list[Event] = field(default_factory=list)
    aliases: set[UUID] = field(default_factory=set)
    shared: set[str] = field(default_factory=set)  # numbers of receipts that other clients have too


class _Joined:
    """Union-find over strings, with pairs that must stay apart."""

    def __init__(self, apart: set[tuple[str, str]]) -> None:
        self.parent: dict[str, str] = {}
        self.apart = apart

    def find(self, node: str) -> str:
        parent = self.parent
        if node not in parent:
            parent[node] = node
            return node
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    def join(self, a: str, b: str) -> None:
        """Make two nodes one, unless that would put an un-linked pair together."""
        ra, rb = self.find(a), self.find(b)
        if ra == rb:
            return
        for x, y in self.apart:
            if {self.find(x), self.find(y)} == {ra, rb}:
                return
        self.parent[max(ra, rb)] = min(ra, rb)


def _marks(events: Sequence[Event], directory: Directory) -> dict[str, str]:
    """Marked refs: employees' own numbers by the directory, the rest by the latest mark."""
    marks = {f"phone:{phone}": "employee" for phone in directory.own_phones}
    for event in events:
        if isinstance(event.data, ContactMarked):
            mark = event.data.mark.casefold()
            for one in event.refs:
                if mark in _NO_MARK:
                    marks.pop(one, None)
                else:
                    marks[one] = mark
    return marks


def _apart(events: Sequence[Event]) -> set[tuple[str, str]]:
    """Pairs whose latest word is an un-link."""
    latest: dict[tuple[str, str], bool] = {}
    for event in events:
        if isinstance(event.data, IdentityLinked):
            a, b = sorted((as_ref(event.data.a), as_ref(event.data.b)))
            latest[a, b] = isinstance(event.data, IdentityUnlinked)
    return {pair for pair, is_apart in latest.items() if is_apart}


def _scoped(events: Sequence[Event]) -> dict[str, list[tuple[datetime, str]]]:
    """Bare entity ref → the scoped spellings seen, with the moment each was first seen."""
    first: dict[str, datetime] = {}
    for event in events:
        for one in event.refs:
            if "@" in one and one not in first and strength(one) is _ENTITY:
                first[one] = event.time
    found: dict[str, list[tuple[datetime, str]]] = {}
    for one, at in first.items():
        found.setdefault(bare(one), []).append((at, one))
    return found


def _nearest(spellings: list[tuple[datetime, str]], at: datetime) -> str:
    """A bare entity ref stands for the scoped one seen nearest in time."""
    if len(spellings) == 1:
        return spellings[0][1]
    return min(spellings, key=lambda s: (abs(s[0] - at), s[1]))[1]


class _Facts:
    """Each event's refs, sorted by what they are good for."""

    def __init__(self, events: Sequence[Event], marks: dict[str, str]) -> None:
        scoped = _scoped(events)
        self.who: list[list[str]] = []
        self.marked: list[list[str]] = []
        self.weak: list[list[str]] = []
        self.what: list[list[str]] = []
        self.beside: list[list[str]] = []
        for event in events:
            who: list[str] = []
            marked: list[str] = []
            weak: list[str] = []
            what: list[str] = []
            for one in event.refs:
                sort = strength(one)
                if sort is _ENTITY:
                    spellings = scoped.get(one)
                    if spellings is not None:
                        what.append(_nearest(spellings, event.time))
                    else:
                        what.append(f"{one}@{event.source_name}" if one.startswith(_VISIT) else one)
                elif sort is _WEAK:
                    weak.append(one)
                else:
                    (marked if one in marks else who).append(one)
            self.who.append(who)
            self.marked.append(marked)
            self.weak.append(weak)
            about, beside = _sides(event, what)
            self.what.append(about)
            self.beside.append(beside)


def _sides(event: Event, what: list[str]) -> tuple[list[str], list[str]]:
    """What a fact is about, and what it only lies beside: folders; for a fact about a lead everything else."""
    if isinstance(event.data, InquiryReattached):
        return what, []  # an operator's word that they belong together
    folders = [one for one in what if _is_folder(one)]
    things = what
    if folders:
        folders.sort(key=kind_of)  # a task lies in a lead
        things = [one for one in what if not _is_folder(one)]
    return (folders, things) if isinstance(event.data, LeadFact) else (things, folders)


@lru_cache(maxsize=65_536)
def _is_folder(a_ref: str) -> bool:
    return kind_of(a_ref) in _FOLDERS


class _Households:
    """The working of ``resolve``: step by step from refs to the client (by anchor ref) of every fact."""

    def __init__(self, events: Sequence[Event], marks: dict[str, str]) -> None:
        self.events = events
        self.facts = _Facts(events, marks)
        self.joined = _Joined(_apart(events))
        self.things = _Joined(set())
        self.first_seen: dict[str, None] = {}
        for n, event in enumerate(events):
            if isinstance(event.data, IdentityLinked) and not isinstance(event.data, IdentityUnlinked):
                self._join(self.facts.who[n])  # an operator's word goes before what facts share
        for n, event in enumerate(events):
            who = self.facts.who[n]
            for one in who:
                self.first_seen[one] = None
            if len(who) > 1 and not isinstance(event.data, IdentityUnlinked):
                self._join(who)
        self.anchor: dict[str, str] = {}
        for one in self.first_seen:
            self.anchor.setdefault(self.joined.find(one), one)
        # All is joined: what is asked for several times of each fact is answered once.
        self.names = [self._named(n) for n in range(len(events))]
        self.shared = tell_receipts_apart(events, self._who, self.facts.what, self.named)
        for what in self.facts.what:
            if len(what) > 1:
                for other in what[1:]:
                    self.things.join(what[0], other)
        self.owner: dict[str, str] = {}
        self.led: dict[str, list[tuple[datetime, str]]] = {}
        self._own_by_name()
        self._own_by_side()
        self.roots = [self._root(n) for n in range(len(events))]
        self._lead_visitors()
        self._own_by_visitor()

    def _join(self, who: list[str]) -> None:
        for other in who[1:]:
            self.joined.join(who[0], other)

    def _who(self, n: int) -> list[str]:
        return self.facts.who[n] or self.facts.marked[n]

    def named(self, n: int) -> str | None:
        """The anchor of the client whom a fact names by a strong ref; a marked ref stands for itself."""
        return self.names[n]

    def _named(self, n: int) -> str | None:
        if self.facts.who[n]:
            return self.anchor[self.joined.find(self.facts.who[n][0])]
        return min(self.facts.marked[n]) if self.facts.marked[n] else None

    def thing(self, n: int) -> str | None:
        """The root of the thing (call, booking, receipt …) that a fact speaks about."""
        return self.roots[n]

    def _own_by_name(self) -> None:
        """A thing belongs to the first client named together with it; who is only beside it comes after."""
        for side in (self.facts.what, self.facts.beside):
            for n, name in enumerate(self.names):
                if name is not None:
                    for one in side[n]:
                        self.owner.setdefault(self.things.find(one), name)

    def _own_by_side(self) -> None:
        """What nobody was named with is the client's beside whose thing or folder it lies; else they lie together."""
        sides = zip(self.facts.what, self.facts.beside, strict=True)
        pairs = [((what or beside)[0], one) for what, beside in sides for one in beside]
        owner, find = self.owner, self.things.find
        going = bool(pairs)
        while going:
            going = False
            for a, b in pairs:
                ra, rb = find(a), find(b)
                if (ra in owner) != (rb in owner):
                    owner[ra] = owner[rb] = owner[ra] if ra in owner else owner[rb]
                    going = True
        for a, b in pairs:
            if find(a) not in owner:
                self.things.join(a, b)

    def _root(self, n: int) -> str | None:
        what, beside = self.facts.what[n], self.facts.beside[n]
        if what:
            return self.things.find(what[0])
        return self.things.find(beside[0]) if beside and self.names[n] is None else None

    def _lead_visitors(self) -> None:
        """When a visitor was known as whom."""
        for n, weak in enumerate(self.facts.weak):
            if not weak:
                continue
            thing = self.thing(n)
            name = self.named(n) or (self.owner.get(thing) if thing else None)
            if name is not None:
                for one in weak:
                    self.led.setdefault(one, []).append((self.events[n].time, name))

    def visitor(self, n: int) -> str | None:
        """The client as whom a visitor was last known at that time, else as whom he was known first."""
        for one in self.facts.weak[n]:
            links = self.led.get(one)
            if links:
                before = [name for at, name in links if at <= self.events[n].time]
                return before[-1] if before else links[0][1]
        return None

    def _own_by_visitor(self) -> None:
        """A thing nobody was named with belongs to its visitor, else it is an anonymous client of its own."""
        for n, weak in enumerate(self.facts.weak):
            thing = self.roots[n]
            if weak and thing is not None and thing not in self.owner:
                self.owner[thing] = self.visitor(n) or min(weak)
        for n, thing in enumerate(self.roots):
            if thing is not None and thing not in self.owner:
                self.owner[thing] = _best_thing(self.facts.what[n] or self.facts.beside[n])

    def home(self, n: int) -> str:
        """The anchor of the client to whom a fact goes."""
        thing = self.thing(n)
        if thing is not None:
            return self.owner[thing]
        anonymous = min(self.facts.weak[n]) if self.facts.weak[n] else f"event:{self.events[n].id}"
        return self.named(n) or self.visitor(n) or anonymous


def resolve(events: Sequence[Event], directory: Directory) -> list[Person]:
    """Split one group's facts (as given by ``domain.fold.history``: unique, in order) into clients.

    Every event goes to exactly one client. Clients are sorted by id.
    """
    marks = _marks(events, directory)
    house = _Households(events, marks)
    facts = house.facts
    people: dict[str, Person] = {}
    for n, event in enumerate(events):
        home = house.home(n)
        person = people.get(home)
        if person is None:
            person = people[home] = Person(client_id(home), mark=marks.get(home), shared=house.shared)
        person.events.append(event)
        if not facts.who[n] and not facts.marked[n]:
            what = facts.what[n] or facts.beside[n]
            trace = facts.weak[n] or ([_best_thing(what)] if what else [])
            person.aliases.update(client_id(one) for one in trace[:1])
    for one in house.first_seen:
        home = house.anchor[house.joined.find(one)]
        if home in people:
            people[home].refs.append(one)
            people[home].aliases.add(client_id(one))
    for home, person in people.items():
        if home in marks:
            person.refs.append(home)
    return _distinct_aliases(sorted(people.values(), key=lambda p: p.client_id))


def _best_thing(what: list[str]) -> str:
    """The entity that names an anonymous client: a call before a chat before a form …, never an inquiry."""
    order = (
        "call",
        "chat",
        "form",
        "callback",
        "visit",
        "lead",
        "order",
        "booking",
        "receipt",
        "task",
        "inquiry",
    )
    return min(what, key=lambda r: (order.index(kind_of(r)), r))


def _distinct_aliases(people: list[Person]) -> list[Person]:
    """An alias leads to one client only: the id of a living client is nobody's alias; else the first takes it."""
    taken = {p.client_id for p in people}
    for person in people:
        person.aliases -= taken
        taken |= person.aliases
    return people
