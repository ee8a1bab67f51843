"""Contacts: the moments at which a client (or we) got in touch. Each may open an inquiry or join one.

Forms: L13, INDEX-chat-form-crm. Chats: R0.18. Widgets: D-4.6, R0.16. Walk-ins: R0.17.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from domain.directory import Directory
from domain.event import Event
from domain.facts.inquiries import WalkInRegistered
from domain.facts.sites import (
    CallbackRequested,
    ChatAnswered,
    ChatFact,
    ChatFinished,
    ChatMessage,
    FormSubmitted,
)
from domain.fold.calls import Call
from domain.identity import inquiry_id
from domain.refs import bare, ref, scope_of


@dataclass(slots=True)
class Contact:
    """One moment of contact while it is being folded.

    ``keys`` are the refs by which later facts may name it (scoped and bare). ``excluded`` says why the inquiry
    it opens stays outside the reports.
    """

    id: UUID
    at: datetime
    kind: str  # call, site, chat, visit
    source_path: str
    keys: set[str]
    events: list[UUID] = field(default_factory=list)
    call: Call | None = None
    ended_at: datetime | None = None
    answered_at: datetime | None = None
    agent: str | None = None
    agent_names: dict[str, list[str]] = field(default_factory=dict)  # agent → his e-mail and name, where told
    utm: dict[str, str] = field(default_factory=dict)
    page: str | None = None
    office: str | None = None
    callback_id: str | None = None
    duplicates: int = 0
    excluded: str | None = None

    @property
    def source(self) -> str:
        """Name of the source."""
        return scope_of(self.source_path)

    def named(self, *refs: str) -> None:
        """Add refs, scoped and bare, by which facts may name this contact."""
        self.keys.update(refs)
        self.keys.update(bare(r) for r in refs)


def call_contacts(calls: Iterable[Call]) -> list[Contact]:
    """One contact a call; a second telling of a call gives its names to the first."""
    contacts: dict[UUID, Contact] = {}
    tellings = list(calls)
    for call in tellings:
        if call.same_as is None and call.direction != "internal":
            contact = Contact(call.contact_id, call.started_at, "call", call.source_path, set(), call=call)
            contact.events = list(call.events)
            contact.answered_at = call.answered_at if call.talked else None
            contact.ended_at = call.ended_at
            contact.utm, contact.page = call.utm, call.page
            contact.callback_id = call.callback_id
            contacts[call.id] = contact
    for call in tellings:
        main = contacts.get((call.same_as or call).id)
        if main is not None:
            main.named(ref("call", call.provider_call_id, call.source), ref("inquiry", str(call.contact_id)))
            if call.same_as is not None:
                main.events += call.events
    return list(contacts.values())


def form_contacts(events: Iterable[Event], directory: Directory) -> list[Contact]:
    """Forms and widget requests; the same form from the same person within the window is one (L13)."""
    kept: list[tuple[Contact, FormSubmitted]] = []
    found: list[Contact] = []
    for event in events:
        fact = event.data
        if isinstance(fact, FormSubmitted):
            identity = ref("inquiry", str(inquiry_id(event.source, "form", fact.submission_id)))
            names = (ref("form", fact.submission_id, event.source_name), identity)
            window = directory.rules_at(event.time).span("form_duplicate_minutes")
            first = next(
                (
                    c
                    for c, f in reversed(kept)
                    if event.time - c.at <= window and _same_form(event, fact, c, f)
                ),
                None,
            )
            if first is not None:
                first.duplicates += 1
                first.named(*names)
                first.events.append(event.id)
                continue
            contact = Contact(
                inquiry_id(event.source, "form", fact.submission_id), event.time, "site", event.source, set()
            )
            contact.named(*names)
            contact.utm, contact.page = dict(fact.utm), fact.page or fact.referrer
            if fact.spam:
                contact.excluded = "spam_form"
            elif not (fact.phone or fact.phone_raw or fact.email):
                contact.excluded = "no_contact"
            kept.append((contact, fact))
        elif isinstance(fact, CallbackRequested):
            ident = inquiry_id(event.source, "callback", fact.callback_id)
            contact = Contact(ident, event.time, "site", event.source, set(), callback_id=fact.callback_id)
            contact.named(ref("callback", fact.callback_id, event.source_name), ref("inquiry", str(ident)))
            contact.utm, contact.page = dict(fact.utm), fact.page
        else:
            continue
        contact.events.append(event.id)
        found.append(contact)
    return told_once(found)


def told_once(contacts: Iterable[Contact]) -> list[Contact]:
    """Each contact once: a sender may tell the same form, widget request or walk-in again under another event id.

    The first telling is the contact; later ones add their names and events, and what the first did not know.
    """
    first: dict[UUID, Contact] = {}
    for contact in contacts:
        kept = first.setdefault(contact.id, contact)
        if kept is contact:
            continue
        kept.named(*contact.keys)
        kept.events += contact.events
        kept.duplicates += contact.duplicates
        kept.agent, kept.office = kept.agent or contact.agent, kept.office or contact.office
        kept.utm, kept.page = kept.utm or contact.utm, kept.page or contact.page
        if contact.excluded is None:
            kept.excluded = None
    return list(first.values())


def _same_form(event: Event, fact: FormSubmitted, contact: Contact, kept: FormSubmitted) -> bool:
    if event.source != contact.source_path or fact.form_id != kept.form_id or fact.spam != kept.spam:
        return False
    phone = fact.phone or fact.phone_raw
    if phone:
        return phone == (kept.phone or kept.phone_raw)
    return bool(fact.email) and fact.email == kept.email


def chat_contacts(events: Iterable[Event], directory: Directory) -> list[Contact]:
    """Dialogues: one a chat id, and a new one after a day of silence (R0.18)."""
    by_chat: dict[tuple[str, str], list[Event]] = {}
    for event in events:
        if isinstance(event.data, ChatFact):
            by_chat.setdefault((event.source, event.data.chat_id), []).append(event)
    found: list[Contact] = []
    for (source, chat_id), facts in by_chat.items():
        silence = directory.rules_at(facts[0].time).span("chat_silence_hours")
        found += _dialogues(source, chat_id, [p for e in facts for p in _stretches(e, silence)], silence)
    return found


def _stretches(event: Event, silence: timedelta) -> list[Event]:
    """A log with long silences in it as if each stretch had been told by itself, under the same id.

    What we alone wrote after a silence is no approach of the client: it stays with what was before.
    """
    fact = event.data
    if not isinstance(fact, ChatFinished):
        return [event]
    found: list[list[ChatMessage]] = []
    last: datetime | None = None
    for at, message in sorted(((m.at, m) for m in fact.messages if m.at), key=lambda m: m[0]):
        if last is None or at - last > silence:
            found.append([])
        found[-1].append(message)
        last = at
    kept = found[:1]
    for part in found[1:]:
        if any(m.by == "visitor" for m in part):
            kept.append(part)
        else:
            kept[-1] += part
    if len(kept) < 2:
        return [event]
    kept[-1] += [m for m in fact.messages if m.at is None]
    return [replace(event, data=fact.model_copy(update={"messages": tuple(part)})) for part in kept]


def _dialogues(source: str, chat_id: str, facts: list[Event], silence: timedelta) -> list[Contact]:
    spans = [_span(e) for e in facts]
    order = sorted(range(len(facts)), key=lambda n: (spans[n][0], facts[n].time, facts[n].id))
    parts: list[list[int]] = []
    last: datetime | None = None
    for n in order:
        start, end = spans[n]
        if parts and _quiet(facts[n]):
            parts[-1].append(n)
            continue
        if last is None or start - last > silence:
            parts.append([])
        parts[-1].append(n)
        last = max(last or end, end)
    found: list[Contact] = []
    told: set[UUID] = set()
    for nth, part in enumerate(parts):
        members = sorted((facts[n] for n in part), key=lambda e: (e.time, e.id))
        own_clock = [n for n in part if facts[n].time_basis == "source"]
        at = min(spans[n][0] for n in own_clock or part)
        fresh = next((e.id for e in members if e.id not in told), None)  # else one log tells of both
        told |= {e.id for e in members}
        again = fresh or inquiry_id(source, "chat", f"{chat_id}@{at.isoformat()}")
        ident = again if nth else inquiry_id(source, "chat", chat_id)
        contact = Contact(ident, at, "chat", source, set(), ended_at=max(spans[n][1] for n in part))
        contact.named(ref("inquiry", str(ident)), ref("chat", chat_id, scope_of(source)))
        for event in members:
            contact.events.append(event.id)
            _add_chat_fact(contact, event)
        # the provider's own moments of the replies, of all logs: a dialogue may be finished several times
        contact.answered_at = min((r for e in members for r in _replies(e)), default=contact.answered_at)
        found.append(contact)
    return found


def _quiet(event: Event) -> bool:
    """A dialogue is closed, and the client wrote nothing in what is told: no approach of his, however late."""
    fact = event.data
    return isinstance(fact, ChatFinished) and not any(m.by == "visitor" for m in fact.messages)


def _span(event: Event) -> tuple[datetime, datetime]:
    """First and last moment a chat fact speaks of: the provider's message times where it gives them."""
    stamps = [m.at for m in event.data.messages if m.at] if isinstance(event.data, ChatFinished) else []
    return (min(stamps), max(stamps)) if stamps else (event.time, event.time)


def _replies(event: Event) -> list[datetime]:
    fact = event.data
    said = fact.messages if isinstance(fact, ChatFinished) else ()
    return [m.at for m in said if m.by == "agent" and m.at]


def _add_chat_fact(contact: Contact, event: Event) -> None:
    fact = event.data
    if isinstance(fact, ChatFact):
        contact.utm = contact.utm or dict(fact.utm)
        contact.page = contact.page or fact.page
    match fact:
        case ChatAnswered():
            contact.agent = fact.agent_id or fact.agent_email or fact.agent_name or contact.agent
            _call_agent(contact, contact.agent or "", fact.agent_email, fact.agent_name)
            contact.answered_at = min(contact.answered_at or event.time, event.time)
        case ChatFinished():
            for agent, names in fact.agent_names.items():
                _call_agent(contact, agent, *names)
            replies = [m for m in fact.messages if m.by == "agent"]
            if replies:
                contact.answered_at = contact.answered_at or event.time
            spoke = [m.agent_id for m in replies if m.agent_id]
            contact.agent = spoke[-1] if spoke else fact.agents[-1] if fact.agents else contact.agent
            if fact.blacklisted:
                contact.excluded = "spam_chat"


def _call_agent(contact: Contact, agent: str, *names: str | None) -> None:
    """Remember what the widget calls an agent; who took a dialogue over is named by its end alone (G9)."""
    known = contact.agent_names.setdefault(agent, [])
    known += [name for name in names if name and name not in known]


def walkin_contacts(events: Iterable[Event], directory: Directory) -> list[Contact]:
    """Clients who came without calling."""
    found: list[Contact] = []
    for event in events:
        fact = event.data
        if isinstance(fact, WalkInRegistered):
            ident = inquiry_id(event.source, "walkin", fact.walkin_id)
            contact = Contact(
                ident, event.time, "visit", event.source, set(), events=[event.id], agent=fact.by
            )
            contact.named(ref("inquiry", str(ident)), ref("visit", fact.walkin_id))
            contact.office = directory.entry_id("office", fact.office)
            contact.answered_at = event.time
            found.append(contact)
    return told_once(found)
