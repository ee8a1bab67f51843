"""A slow, obvious oracle of the fold: what a set of facts means by the spec, found by brute force.

``tell(events, directory)`` gives the partition of the events into clients, the calls, the inquiries with their
figures, and the leads. Nothing here is shared with ``domain.fold`` or ``domain.resolve``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from domain.directory import Directory
from domain.event import Event
from tests.oracle.calls import Call, calls_of
from tests.oracle.inquiries import Unfolding
from tests.oracle.inquiry import Inquiry
from tests.oracle.leads import Lead, Policy
from tests.oracle.linking import Linker
from tests.oracle.who import partition, winners, without_lines


@dataclass(eq=False)
class Answer:
    """What the oracle says."""

    clients: list[frozenset[UUID]] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    inquiries: list[Inquiry] = field(default_factory=list)
    leads: list[Lead] = field(default_factory=list)


def tell(events: Sequence[Event], directory: Directory) -> Answer:
    """Everything the oracle knows about a set of events."""
    answer = Answer()
    facts = [without_lines(f, directory) for f in winners(events)]
    for mine, mark in partition(facts, directory):
        answer.clients.append(frozenset(f.id for f in mine))
        calls = calls_of(mine, directory)
        story = Unfolding(mine, calls, directory)
        inquiries = story.unfold()
        for inquiry in inquiries:
            inquiry.excluded = f"mark:{mark}" if mark else inquiry.excluded
        linker = Linker(mine, calls, inquiries, story.touches, directory)
        linker.link()
        answer.calls += calls
        answer.inquiries += inquiries
        answer.leads += Policy(mine, calls, inquiries, linker, directory).play()
    return answer
