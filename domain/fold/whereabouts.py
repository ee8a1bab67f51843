"""At which office a client was last heard of: its clock tells one day from the next where a fact names no office."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime
from functools import cached_property

from domain.directory import Directory
from domain.event import Event
from domain.facts.calls import CallFact


class Whereabouts:
    """One client's offices through time; ``events`` are unique and in order.

    A company whose offices all go by its own clock needs none of it: then nobody is anywhere.
    """

    def __init__(self, events: Sequence[Event], directory: Directory) -> None:
        self._events = events
        self._directory = directory

    def at(self, moment: datetime) -> str | None:
        """The office of the latest fact until a moment (UTC) that tells of one; None when none does."""
        if not self._directory.has_other_clocks:
            return None
        past = bisect_right(self._told, moment, key=lambda told: told[0])
        return self._told[past - 1][1] if past else None

    @cached_property
    def _told(self) -> list[tuple[datetime, str]]:
        found = ((event.time, _office(event, self._directory)) for event in self._events)
        return [(at, office) for at, office in found if office is not None]


def _office(event: Event, directory: Directory) -> str | None:
    """The office that a fact names, else that of the number that was called, else its source's."""
    fact = event.data
    named = directory.entry_id("office", getattr(fact, "office", None))
    if named is not None:
        return named
    number = directory.number_on(fact.line, event.time) if isinstance(fact, CallFact) else None
    source = directory.sources.get(event.source_name)
    return (number.office if number else None) or (source.office if source else None)
