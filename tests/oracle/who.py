"""The oracle's answer to «who is it»: facts parted into clients (spec 2.3), by brute force."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

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
from domain.facts.sales import SaleRecorded
from domain.refs import Strength, bare, strength

_PHASES: Final = """
identity.linked identity.unlinked contact.marked
call.started call.leg_rang call.answered call.transferred call.leg_ended call.ended
call.voicemail_left recording.stored call.tracked
form.submitted callback.requested chat.started chat.message_left chat.answered chat.finished
contact.captured walkin.registered message.received message.sent
lead.opened inquiry.categorised inquiry.result_set refusal.recorded
booking.made booking.moved booking.cancelled client.no_show client.arrived
order.opened sale.recorded order.handed_over sale.refunded
"""
PHASES: Final = re.split(r"\s+", _PHASES.strip())
"""What comes before what when two facts have one moment: causes before effects, by their nature."""


def rank(event: Event) -> int:
    """Place of a fact among those of its moment."""
    return PHASES.index(event.type) if event.type in PHASES else len(PHASES)


def in_order(events: Sequence[Event]) -> list[Event]:
    """Facts in the order in which they count as having happened."""
    return sorted(events, key=lambda e: (e.time, rank(e), e.received, e.id))


def winners(events: Sequence[Event]) -> list[Event]:
    """One fact for each id: the highest revision, then the earliest time, then the smallest JSON."""
    best: dict[object, Event] = {}
    for event in events:
        if event.data.DIRECTORY or not event.refs:
            continue
        known = best.get(event.id)
        if known is None or _preference(event) < _preference(known):
            best[event.id] = event
    return in_order(list(best.values()))


def _preference(event: Event) -> tuple[object, ...]:
    data = event.data.model_dump(mode="json")
    words = json.dumps(data, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    return (-event.revision, event.time, words, event.refs, event.received)


def without_lines(fact: Event, directory: Directory) -> Event:
    """Spec 2.3: the PBX's own line in place of the caller's number is no identity."""
    people = {p for card in directory.employees.values() for p in card.phones}
    lines = [n for n in directory.numbers if n not in people]
    refs = tuple(r for r in fact.refs if r not in [f"phone:{n}" for n in lines])
    if refs == fact.refs:
        return fact
    wiped = {k: None for k in ("phone", "phone_raw", "client_phone") if hasattr(fact.data, k)}
    return replace(fact, refs=refs, data=fact.data.model_copy(update=wiped))


class Who:
    """Where each fact belongs."""

    def __init__(self, facts: Sequence[Event], directory: Directory) -> None:
        self.facts = facts
        self.muted = marks(facts, directory)
        scoped = {r for f in facts for r in f.refs if strength(r) is Strength.ENTITY and r != bare(r)}
        self.scoped = scoped
        self.sets = self._persons()
        self.sets_of_things = self._things()
        self.owners = self._owners()

    # --- identifiers ---------------------------------------------------------------------------------------

    def _persons(self) -> list[set[str]]:
        sets = [{r} for r in sorted({r for f in self.facts for r in identities(f)})]
        apart: set[tuple[str, str]] = set()
        last: dict[frozenset[str], Event] = {}
        for fact in self.facts:
            if isinstance(fact.data, IdentityLinked):
                last[frozenset((as_ref(fact.data.a), as_ref(fact.data.b)))] = fact
        edges: list[tuple[str, str]] = []
        for pair, fact in last.items():
            a, b = min(pair), max(pair)
            if isinstance(fact.data, IdentityUnlinked):
                apart |= {(a, b), (b, a)}
        for fact in self.facts:
            if type(fact.data) is IdentityLinked and fact in last.values():
                edges.append((as_ref(fact.data.a), as_ref(fact.data.b)))
        for fact in self.facts:
            if not isinstance(fact.data, IdentityLinked):
                mine = [r for r in identities(fact) if r not in self.muted]
                edges += [(a, b) for a in mine for b in mine if a < b]
        for a, b in edges:
            one = next((s for s in sets if a in s), None)
            two = next((s for s in sets if b in s), None)
            if one is None or two is None or one is two or a in self.muted or b in self.muted:
                continue
            if any((x, y) in apart for x in one for y in two):
                continue
            one |= two
            sets.remove(two)
        return sets

    def person(self, a_ref: str) -> str:
        """The client of an identity ref, as a name."""
        return "person " + min(next(s for s in self.sets if a_ref in s))

    def own_person(self, fact: Event) -> str | None:
        """The client whom the fact itself names."""
        mine = identities(fact)
        free = [r for r in mine if r not in self.muted]
        return self.person(free[0]) if free else self.person(min(mine)) if mine else None

    # --- things --------------------------------------------------------------------------------------------

    def node(self, a_ref: str, fact: Event) -> str:
        """The thing that an entity ref means: a bare number is the scoped one first seen nearest in time.

        But each system counts its visits by itself, and one number may be several clients' receipts.
        """
        if a_ref.startswith("visit:"):
            return f"{a_ref}@{fact.source_name}"
        if a_ref.startswith("receipt:"):
            return self.receipt(a_ref, fact)
        seen: dict[str, datetime] = {}
        for other in self.facts:
            for r in other.refs:
                if r in self.scoped and bare(r) == a_ref:
                    seen.setdefault(r, other.time)
        if a_ref in self.scoped or not seen:
            return a_ref
        return min(seen, key=lambda r: (abs(seen[r] - fact.time), r))

    def receipt(self, a_ref: str, fact: Event) -> str:
        """Which of the receipts of a number: the named client's, else the last one recorded before.

        What is about the same things goes before what the same system told, and that before the rest.
        """
        told = [
            f
            for f in self.facts
            if isinstance(f.data, SaleRecorded) and a_ref in f.refs and self.own_person(f)
        ]
        groups: list[list[Event]] = []
        for fact_told in told:
            same = [g for g in groups if self._one_receipt(g, fact_told)]
            groups = [g for g in groups if g not in same] + [[f for g in same for f in g] + [fact_told]]
        if len(groups) < 2:
            return a_ref
        names = {f.id: f"{a_ref} of {min(str(f.id) for f in g)}" for g in groups for f in g}
        his = [f for f in told if self.own_person(f) == self.own_person(fact)]
        mine = self._things_of(fact)
        lies = [f for g in groups if any(mine & self._things_of(f) for f in g) for f in g]
        home = [f for f in told if f.source == fact.source]
        choice = his or lies or home or told
        place = self.facts.index
        before = [f for f in choice if place(f) <= place(fact)]
        return names[(before[-1] if before else choice[0]).id]

    def _one_receipt(self, known: list[Event], fact: Event) -> bool:
        """One person's; or of one moment, or about one thing; or nothing of one kind tells that they are two people."""
        for other in known:
            if self.own_person(other) == self.own_person(fact) or other.time == fact.time:
                return True
            if self._things_of(other) & self._things_of(fact):
                return True
        return not {k for f in known for k in self._kinds(f)} & self._kinds(fact)

    def _kinds(self, fact: Event) -> set[str]:
        """By what kinds of identifiers a fact names its person."""
        mine = identities(fact)
        return {r.split(":")[0] for r in ([r for r in mine if r not in self.muted] or mine)}

    def _things_of(self, fact: Event) -> set[str]:
        """What a receipt is about besides itself; a CRM's folders are nothing."""
        kinds = ("receipt:", "lead:", "task:")
        return {
            self.node(r, fact)
            for r in fact.refs
            if strength(r) is Strength.ENTITY and not r.startswith(kinds)
        }

    def about(self, fact: Event) -> tuple[list[str], list[str]]:
        """The things that a fact is about, and those it only lies beside: a CRM's folders, or what a folder holds."""
        nodes = [self.node(r, fact) for r in fact.refs if strength(r) is Strength.ENTITY]
        folders = [n for n in nodes if n.startswith("lead:")] + [n for n in nodes if n.startswith("task:")]
        others = [n for n in nodes if n not in folders]
        if isinstance(fact.data, InquiryReattached):
            return nodes, []
        return (folders, others) if isinstance(fact.data, LeadFact) else (others, folders)

    def _things(self) -> list[set[str]]:
        """Things that facts are about together are one: a booking of a call, a receipt of an order of a booking …"""
        sets: list[set[str]] = []
        for fact in self.facts:
            things, beside = self.about(fact)
            for mine in (set(things), *({b} for b in beside)):
                touched = [s for s in sets if s & mine]
                sets = [s for s in sets if not s & mine] + ([mine.union(*touched)] if mine else [])
        return sets

    def _owners(self) -> dict[str, str]:
        """Node → the client first named with it; by facts about it, then beside it, then from neighbour to neighbour."""
        found: dict[str, str] = {}

        def give(node: str, client: str) -> None:
            for other in next(s for s in self.sets_of_things if node in s):
                found.setdefault(other, client)

        for side in (0, 1):
            for fact in self.facts:
                if own := self.own_person(fact):
                    for node in self.about(fact)[side]:
                        give(node, own)
        told = [self.about(f) for f in self.facts]
        pairs = [(a, b) for things, beside in told for a in (things or beside)[:1] for b in beside]
        for _ in pairs:
            for a, b in pairs:
                if a in found:
                    give(b, found[a])
                elif b in found:
                    give(a, found[b])
        self._lay_together([(a, b) for a, b in pairs if a not in found])
        return found

    def _lay_together(self, pairs: list[tuple[str, str]]) -> None:
        """What lies together and is nobody's is one thing."""
        for a, b in pairs:
            one, two = (next(s for s in self.sets_of_things if n in s) for n in (a, b))
            if one is not two:
                self.sets_of_things.remove(two)
                one |= two

    def thing(self, fact: Event) -> int | None:
        """Number of the thing that a fact speaks about; a folder only when the fact tells nothing else."""
        things, beside = self.about(fact)
        for node in things or ([] if self.own_person(fact) else beside):
            return next(n for n, s in enumerate(self.sets_of_things) if node in s)
        return None

    def owner(self, thing: int) -> str | None:
        """To whom a thing belongs."""
        return next((self.owners[n] for n in self.sets_of_things[thing] if n in self.owners), None)

    def known_as(self, fact: Event) -> str | None:
        """The client whom a fact names, by himself or by a thing of his."""
        thing = self.thing(fact)
        return self.own_person(fact) or (self.owner(thing) if thing is not None else None)

    def by_visitor(self, fact: Event) -> str | None:
        """A weak ref leads to the client who last showed it before, else to who showed it first after."""
        for weak in (r for r in fact.refs if strength(r) is Strength.WEAK):
            known = [f for f in self.facts if weak in f.refs and self.known_as(f)]
            before = [f for f in known if f.time <= fact.time]
            chosen = before[-1] if before else known[0] if known else None
            if chosen is not None:
                return self.known_as(chosen)
        return None

    def client(self, fact: Event) -> str:
        """The client to whom a fact belongs, as a name."""
        thing = self.thing(fact)
        if thing is not None:
            if own := self.owner(thing):
                return own
            for other in self.facts:
                weak = sorted(r for r in other.refs if strength(r) is Strength.WEAK)
                if self.thing(other) == thing and weak:
                    return self.by_visitor(other) or f"visitor {weak[0]}"
            return f"thing {thing}"
        weak = sorted(r for r in fact.refs if strength(r) is Strength.WEAK) or [f"of {fact.id}"]
        return self.own_person(fact) or self.by_visitor(fact) or f"visitor {weak[0]}"


def identities(fact: Event) -> list[str]:
    """Strong and medium refs of a fact, as it gives them."""
    return [r for r in fact.refs if strength(r) in (Strength.STRONG, Strength.MEDIUM)]


def marks(facts: Sequence[Event], directory: Directory) -> dict[str, str]:
    """Contacts marked spam, supplier, employee, test; the last mark counts, «none» takes it back (G11, rule 5)."""
    found = {f"phone:{p}": "employee" for p in directory.own_phones}
    for fact in facts:
        if isinstance(fact.data, ContactMarked):
            for a_ref in identities(fact):
                found[a_ref] = fact.data.mark
    return {r: m for r, m in found.items() if m and m.casefold() != "none"}


def partition(facts: Sequence[Event], directory: Directory) -> list[tuple[list[Event], str | None]]:
    """Facts by client, each list in order, with the client's mark: a marked contact is a client of its own."""
    who = Who(facts, directory)
    clients: dict[str, list[Event]] = {}
    for fact in facts:
        clients.setdefault(who.client(fact), []).append(fact)
    return [(mine, who.muted.get(name.removeprefix("person "))) for name, mine in clients.items()]
