"""Which contacts open an inquiry, which join one, and which stay mere touches.

Decisions: D-0.9, D-0.10, L8–L13, R0.11–R0.18.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from operator import itemgetter
from uuid import UUID

from domain.directory import Directory
from domain.event import Event
from domain.facts.inquiries import InquiryCategorised
from domain.fold.contacts import Contact
from domain.fold.inquiries import Inquiry, Opened
from domain.refs import kind_of

_OPENING = ("inquiry", "call", "chat", "form")
"""Kinds of refs by which a fact names what opened an inquiry."""
_REQUESTS = ("site", "chat")
"""Kinds of inquiries that ask for our answer in writing; a dialogue does while nobody has replied in it (L11)."""
_AWAIT_US = ("missed", *_REQUESTS)


def open_inquiries(contacts: list[Contact], verdicts: list[Event], directory: Directory) -> Opened:
    """Walk a client's contacts in order of time; each opens an inquiry, joins one, or stays a mere touch."""
    opened = Opened(directory)
    calls = _OurCalls({r for e in verdicts if isinstance(e.data, InquiryCategorised) for r in e.refs})
    asked = {c.callback_id: c.at for c in contacts if c.call is None and c.callback_id}
    moments: list[tuple[datetime, int, UUID, Contact | Event]] = [
        # a request stands before its call: of one moment when one message tells both, later when two clocks do
        (c.at, 0, c.id, c)
        if c.call is None
        else (max(c.at, asked.get(c.callback_id or "", c.at)), 1, c.id, c)
        for c in contacts
    ]
    moments += [(e.time, 2, e.id, e) for e in verdicts]
    early: list[Event] = []
    for at, _, _, what in sorted(moments, key=itemgetter(0, 1, 2)):
        if isinstance(what, Event):
            if isinstance(what.data, InquiryCategorised):
                _categorised(opened, what, calls)
            about = opened.meant(what)
            if about is None:
                early.append(what)
            elif about.processed_at is None:
                about.processed_at = at
            continue
        if what.call is None:
            _open(opened, what, what.kind)
        elif what.call.direction == "in":
            _incoming(opened, what, directory)
        else:
            _outgoing(opened, what, calls, early)
        if early and opened.inquiries:
            _processed_before(opened, early)
    for inquiry in opened.inquiries:
        if inquiry.kind == "missed" and inquiry.fate is None:
            inquiry.fate = "open"
    return opened


@dataclass(slots=True)
class _OurCalls:
    """What is needed to know whether an outgoing call is an inquiry (D-0.10).

    ``named``: refs that categories give. ``touches``: calls in which we talked, that answered nothing, and after which
    no category was given yet. ``categorised``: inquiries that have a category by now.
    """

    named: set[str]
    touches: list[Contact] = field(default_factory=list)
    categorised: set[UUID] = field(default_factory=set)


def _categorised(opened: Opened, event: Event, calls: _OurCalls) -> None:
    """A category that names only the client means our call that answered nothing, if that was the last contact.

    An inquiry that still waits for its category goes before it: then the call was about that one.
    """
    at, latest = event.time, opened.latest(event.time)
    if not any(kind_of(r) in _OPENING for r in event.refs):
        window = opened.directory.rules_at(at).span("outgoing_category_hours")
        ours = next((c for c in reversed(calls.touches) if at - window <= c.at), None)
        waits = latest is not None and latest.id not in calls.categorised and at - window <= latest.opened_at
        if ours is not None and not waits and (latest is None or latest.opened_at < ours.at):
            _open_outgoing(opened, ours)
        calls.touches.clear()  # a further category corrects this one
    about = opened.meant(event)
    if about is not None:
        calls.categorised.add(about.id)


def _processed_before(opened: Opened, early: list[Event]) -> None:
    """What was said just before the first inquiry is about it, and processed it."""
    for event in early:
        about = opened.meant(event)
        if about is not None:
            about.processed_at = about.processed_at or about.opened_at
    early.clear()


def _open(opened: Opened, contact: Contact, kind: str, direction: str = "in") -> Inquiry:
    inquiry = Inquiry(contact.id, contact.at, direction, kind, contact)
    if contact.answered_at is not None:
        inquiry.reached_at = contact.answered_at
        inquiry.processed_at = contact.answered_at
    if contact.kind == "chat":
        inquiry.first_touch_at = contact.answered_at
    opened.add(inquiry)
    return inquiry


def _incoming(opened: Opened, contact: Contact, directory: Directory) -> None:
    call = contact.call
    assert call is not None
    rules = directory.rules_at(contact.at)
    waiting = next((i for i in reversed(opened.inquiries) if i.kind == "missed"), None)
    if call.missed:
        fresh = (
            waiting is not None
            and waiting.processed_at is None
            and contact.at - waiting.opened_at <= rules.span("missed_window_hours")
        )
        if fresh and waiting is not None:
            waiting.duplicates += 1
            opened.join(waiting, contact)
        else:
            _open(opened, contact, "missed")
        return
    if call.talked:
        for waited in opened.inquiries:
            if waited.kind in _AWAIT_US and waited.reached_at is None:
                waited.reached_at = contact.answered_at
                waited.processed_at = waited.processed_at or contact.at
                if waited.kind == "missed":
                    waited.fate = waited.fate or "self"
    _open(opened, contact, "phone")


def _last_ring(missed: Inquiry) -> datetime:
    """When the client last tried: further missed calls are the same inquiry (L10)."""
    return max(c.at for c in missed.contacts if c.call is not None and c.call.direction == "in")


def _open_outgoing(opened: Opened, contact: Contact) -> None:
    """D-0.10: our call is an inquiry."""
    inquiry = _open(opened, contact, "phone", "out")
    inquiry.first_touch_at = contact.at


def _outgoing(opened: Opened, contact: Contact, calls: _OurCalls, early: list[Event]) -> None:
    call = contact.call
    assert call is not None
    rules = opened.directory.rules_at(contact.at)
    candidates = [
        i
        for i in opened.inquiries
        if i.reached_at is None
        and (
            (i.kind == "missed" and contact.at - _last_ring(i) <= rules.span("missed_return_hours"))
            or (i.kind in _REQUESTS and contact.at - i.opened_at <= rules.span("request_return_hours"))
        )
    ]
    asked = next(
        (
            i
            for i in reversed(opened.inquiries)
            if contact.callback_id and i.contact.call is None and i.contact.callback_id == contact.callback_id
        ),
        None,
    )
    answers = asked or (candidates[-1] if candidates else None)
    if answers is not None:
        call.is_callback = asked is not None
        opened.join(answers, contact)
        answers.first_touch_at = answers.first_touch_at or max(contact.at, answers.opened_at)
        answers.processed_at = answers.processed_at or max(contact.at, answers.opened_at)
        for inquiry in (answers, *candidates) if call.talked else ():
            # we talked with the client: everything that waited for it is answered, not only the latest
            inquiry.reached_at = inquiry.reached_at or contact.answered_at
            inquiry.processed_at = inquiry.processed_at or contact.at
            if inquiry.kind == "missed":
                inquiry.fate = inquiry.fate or "returned"
    elif contact.keys & calls.named or (call.talked and _announced(opened, contact, early)):
        _open_outgoing(opened, contact)
    else:
        for key in contact.keys:
            opened.by_key.setdefault(key, [])
        if call.talked:
            calls.touches.append(contact)


def _announced(opened: Opened, contact: Contact, early: list[Event]) -> bool:
    """A category that names only the client was given just before this call, and he has no inquiry yet."""
    return not opened.inquiries and any(
        isinstance(e.data, InquiryCategorised)
        and not any(kind_of(r) in _OPENING for r in e.refs)
        and contact.at - e.time <= opened.directory.rules_at(e.time).span("clock_skew_seconds")
        for e in early
    )
