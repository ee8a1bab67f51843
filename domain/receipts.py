"""Receipts of one number: tills and systems count each by itself, and begin anew each year (spec 2.3, R0.27)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from domain.event import Event
from domain.facts.sales import SaleRecorded
from domain.refs import kind_of, ref

_KIND: Final = "receipt:"


@dataclass(slots=True)
class _Receipt:
    """One receipt of a number: who was named with its tellings, by what kinds of refs, and what else they are about."""

    name: str
    tellings: list[int] = field(default_factory=list)
    clients: set[str] = field(default_factory=set)
    kinds: set[str] = field(default_factory=set)
    about: set[object] = field(default_factory=set)


def tell_receipts_apart(
    events: Sequence[Event],
    who: Callable[[int], list[str]],
    what: list[list[str]],
    named: Callable[[int], str | None],
) -> set[str]:
    """Give receipts of one number that are several a name each, in ``what``; returns those numbers.

    Receipts recorded for different clients are different, unless their moment or a thing that both name (an order, a
    booking, a call) says that one was told twice, or they name nothing of one kind: a phone and an ERP's client may be
    one person, two phones are two until somebody links them. What names no client of theirs is of the last one recorded before
    it: of those about the same thing, else of its own source, else of all.

    Args:
        events: one group's facts in order.
        who: the refs by which a fact names somebody, by the fact's number.
        what: the entity refs of each fact; changed.
        named: the client whom a fact names, by the fact's number.
    """
    recorded: dict[str, list[int]] = {}
    for n, event in enumerate(events):
        if event.type == SaleRecorded.TYPE and isinstance(event.data, SaleRecorded):
            recorded.setdefault(event.data.receipt_id, []).append(n)
    several: dict[str, list[_Receipt]] = {}
    for number, tellings in recorded.items():
        if len(tellings) > 1 and len({named(n) for n in tellings} - {None}) > 1:
            receipts = _receipts(events, who, what, named, number, tellings)
            if len(receipts) > 1:
                several[ref("receipt", number)] = receipts
    if several:
        for n, mine in enumerate(what):
            for place, one in enumerate(mine):
                if one in several:
                    mine[place] = _meant(events, mine, named(n), n, several[one]).name
    return {one.removeprefix(_KIND) for one in several}


def _receipts(
    events: Sequence[Event],
    who: Callable[[int], list[str]],
    what: list[list[str]],
    named: Callable[[int], str | None],
    number: str,
    tellings: list[int],
) -> list[_Receipt]:
    """The receipts of a number for which a client was named."""
    own = ref("receipt", number)
    found: list[_Receipt] = []
    for n in tellings:
        client = named(n)
        if client is None:
            continue
        about: set[object] = {events[n].time, *(one for one in what[n] if one != own)}
        kinds = {kind_of(one) for one in who(n)}
        same = [r for r in found if client in r.clients or about & r.about or not kinds & r.kinds]
        one = _Receipt(f"{own}@{events[n].id}")
        for other in same:
            found.remove(other)
            one.tellings += other.tellings
            one.clients |= other.clients
            one.kinds |= other.kinds
            one.about |= other.about
        one.tellings = sorted([*one.tellings, n])
        one.clients.add(client)
        one.kinds |= kinds
        one.about |= about
        found.append(one)
    return found


def _meant(
    events: Sequence[Event], mine: list[str], client: str | None, n: int, receipts: list[_Receipt]
) -> _Receipt:
    """The receipt that a fact means by its number."""
    its = next((r for r in receipts if client in r.clients), None)
    if its is not None:
        return its
    about = [(r, t) for r in receipts for t in r.tellings if not r.about.isdisjoint(mine)]
    at_home = [(r, t) for r in receipts for t in r.tellings if events[t].source == events[n].source]
    nearest = about or at_home or [(r, t) for r in receipts for t in r.tellings]
    before = [(t, r) for r, t in nearest if t <= n]
    if before:
        return max(before, key=lambda found: found[0])[1]
    return min(nearest, key=lambda found: found[1])[0]
