"""The oracle's dialogues: where one ends and the next begins (R0.18), and who wrote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

from domain.directory import Directory
from domain.event import Event
from domain.facts.sites import ChatAnswered, ChatFact, ChatFinished
from domain.identity import inquiry_id
from tests.oracle.inquiry import Inquiry


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
            silent = isinstance(fact.data, ChatFinished) and all(m.by == "agent" for m in fact.data.messages)
            if parts and silent:
                parts[-1].append(fact)
                continue
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
            one.reached = any(_replied(f) for f in part)
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


def _replied(fact: Event) -> bool:
    """Somebody of ours took the dialogue or wrote in it."""
    data = fact.data
    wrote = isinstance(data, ChatFinished) and any(m.by == "agent" for m in data.messages)
    return wrote or isinstance(data, ChatAnswered)


def agent(inquiry: Inquiry) -> str | None:
    """Who of ours wrote last in a dialogue that was answered."""
    who: str | None = None
    answered = False
    for fact in inquiry.facts:
        data = fact.data
        if isinstance(data, ChatAnswered):
            answered, who = True, data.agent_id or data.agent_email or data.agent_name or who
        if isinstance(data, ChatFinished):
            replies = [m for m in data.messages if m.by == "agent"]
            answered = answered or bool(replies)
            spoke = [m.agent_id for m in replies if m.agent_id]
            who = spoke[-1] if spoke else data.agents[-1] if data.agents else who
    return who if answered else None
