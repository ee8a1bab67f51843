"""Inquiries: which contacts open one, which join one, and what operators said about it.

Decisions: D-0.1, D-0.3, D-0.4, D-0.9, D-0.10, L8–L13, R0.11–R0.18, G9.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from domain.directory import Directory
from domain.event import Event
from domain.facts.inquiries import InquiryCategorised, InquiryResultSet, RefusalRecorded
from domain.fold.contacts import Contact
from domain.refs import kind_of

Verdict = InquiryCategorised | InquiryResultSet | RefusalRecorded


@dataclass(slots=True)
class Inquiry:
    """One inquiry while it is being folded."""

    id: UUID
    opened_at: datetime
    direction: str
    kind: str
    contact: Contact
    contacts: list[Contact] = field(default_factory=list)
    duplicates: int = 0
    processed_at: datetime | None = None
    first_touch_at: datetime | None = None
    reached_at: datetime | None = None
    fate: str | None = None
    category: str | None = None
    categorised_at: datetime | None = None
    is_target: bool = False
    result: str | None = None
    result_at: datetime | None = None
    result_by: str | None = None
    refusal: str | None = None
    refusal_at: datetime | None = None
    office: str | None = None
    channel: str | None = None
    employee: str | None = None
    employee_basis: str = "none"
    arrivals: list[datetime] = field(default_factory=list)
    receipts: int = 0
    sales: Decimal = Decimal(0)
    margin: Decimal = Decimal(0)
    margin_incomplete: bool = False
    lead_id: UUID | None = None
    events: list[UUID] = field(default_factory=list)


class Opened:
    """The inquiries of one client, in order of opening, and the way from any name of a contact to its inquiry."""

    def __init__(self) -> None:
        self.inquiries: list[Inquiry] = []
        self.by_key: dict[str, list[Inquiry]] = {}

    def add(self, inquiry: Inquiry) -> None:
        """Take a new inquiry and its first contact's names."""
        self.inquiries.append(inquiry)
        self.join(inquiry, inquiry.contact)

    def join(self, inquiry: Inquiry, contact: Contact) -> None:
        """A contact becomes part of an inquiry: its names lead there."""
        inquiry.contacts.append(contact)
        inquiry.duplicates += contact.duplicates
        inquiry.events += contact.events
        for key in contact.keys:
            known = self.by_key.setdefault(key, [])
            if not any(i is inquiry for i in known):
                known.append(inquiry)

    def named(self, refs: Iterable[str], at: datetime) -> Inquiry | None:
        """The inquiry that a fact of a moment names by one of its contacts.

        One name can mean several inquiries (a dialogue taken up again, a call number of two sources): then the
        latest opened by that moment, so that a later one never takes what was said about an earlier one.
        """
        for one in refs:
            if known := self.by_key.get(one):
                past = [i for i in known if i.opened_at <= at]
                return (
                    max(past, key=lambda i: (i.opened_at, i.id))
                    if past
                    else min(known, key=lambda i: (i.opened_at, i.id))
                )
        return None

    def meant(self, event: Event) -> Inquiry | None:
        """The inquiry that an operator's fact is about: the named one, else the client's latest at its time.

        A fact that names an outgoing call that is no inquiry is about nothing: it must not slip onto another one.
        """
        named = self.named(event.refs, event.time)
        mere_touch = any(r in self.by_key for r in event.refs if kind_of(r) in ("call", "inquiry"))
        return named if named is not None or mere_touch else self.latest(event.time)

    def latest(self, at: datetime) -> Inquiry | None:
        """The client's latest inquiry at a moment."""
        return max(
            (i for i in self.inquiries if i.opened_at <= at), key=lambda i: (i.opened_at, i.id), default=None
        )


def open_inquiries(contacts: list[Contact], verdicts: list[Event], directory: Directory) -> Opened:
    """Walk a client's contacts in order of time; each opens an inquiry, joins one, or stays a mere touch."""
    opened = Opened()
    categorised = {r for e in verdicts if isinstance(e.data, InquiryCategorised) for r in e.refs}
    asked = {c.callback_id: c.at for c in contacts if c.call is None and c.callback_id}
    moments: list[tuple[datetime, int, UUID, Contact | Event]] = [
        # a request stands before its call: of one moment when one message tells both, later when two clocks do
        (c.at, 0, c.id, c)
        if c.call is None
        else (max(c.at, asked.get(c.callback_id or "", c.at)), 1, c.id, c)
        for c in contacts
    ]
    moments += [(e.time, 2, e.id, e) for e in verdicts]
    for at, _, _, what in sorted(moments, key=lambda m: m[:3]):
        if isinstance(what, Event):
            about = opened.meant(what)
            if about is not None and about.processed_at is None:
                about.processed_at = at
        elif what.call is None:
            _open(opened, what, what.kind)
        elif what.call.direction == "in":
            _incoming(opened, what, directory)
        else:
            _outgoing(opened, what, categorised, directory)
    for inquiry in opened.inquiries:
        if inquiry.kind == "missed" and inquiry.fate is None:
            inquiry.fate = "open"
    return opened


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
            and contact.at - waiting.opened_at <= rules.days("missed_window_hours")
        )
        if fresh and waiting is not None:
            waiting.duplicates += 1
            opened.join(waiting, contact)
        else:
            _open(opened, contact, "missed")
        return
    if call.talked:
        for missed in opened.inquiries:
            if missed.kind == "missed" and missed.reached_at is None:
                missed.fate = missed.fate or "self"
                missed.reached_at = contact.answered_at
                missed.processed_at = missed.processed_at or contact.at
    _open(opened, contact, "phone")


def _outgoing(opened: Opened, contact: Contact, categorised: set[str], directory: Directory) -> None:
    call = contact.call
    assert call is not None
    rules = directory.rules_at(contact.at)
    candidates = [
        i
        for i in opened.inquiries
        if i.reached_at is None
        and (
            (i.kind == "missed" and contact.at - i.opened_at <= rules.days("missed_return_hours"))
            or (i.kind == "site" and contact.at - i.opened_at <= rules.days("request_return_hours"))
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
    elif contact.keys & categorised:
        inquiry = _open(opened, contact, "phone", "out")
        inquiry.first_touch_at = contact.at
    else:
        for key in contact.keys:
            opened.by_key.setdefault(key, [])


def apply_verdicts(opened: Opened, verdicts: list[Event], directory: Directory) -> None:
    """Give categories, results and refusals to their inquiries; the last of each wins (G10).

    A fact that names no contact of ours belongs to the client's latest inquiry at its time.
    """
    for event in verdicts:
        fact = event.data
        inquiry = opened.meant(event)
        if inquiry is None:
            continue
        inquiry.events.append(event.id)
        match fact:
            case InquiryCategorised():
                inquiry.category = directory.entry_id("category", fact.category)
                inquiry.categorised_at = event.time
            case InquiryResultSet():
                inquiry.result = directory.entry_id("result", fact.result)
                inquiry.result_at = event.time
                by = directory.employee_id(fact.by, event.time, source=event.source_name)
                inquiry.result_by = by or inquiry.result_by
                if fact.reason:
                    refuse(inquiry, directory.entry_id("reason", fact.reason), event.time)
                elif inquiry.result == "refusal":
                    refuse(
                        inquiry, inquiry.refusal, event.time
                    )  # a refusal all the same; a known reason stays
            case RefusalRecorded():
                refuse(inquiry, directory.entry_id("reason", fact.reason), event.time)
    for inquiry in opened.inquiries:
        rules = directory.rules_at(inquiry.opened_at)
        inquiry.is_target = inquiry.category in rules.target_categories
        if inquiry.category is None and rules.missed_unprocessed_is_target:
            inquiry.is_target = inquiry.kind == "missed" and inquiry.processed_at is None


def refuse(inquiry: Inquiry, reason: str | None, at: datetime) -> None:
    """A refusal of an inquiry, said or by a cancelled booking's reason; the latest one wins (D-0.4)."""
    if inquiry.refusal_at is None or at >= inquiry.refusal_at:
        inquiry.refusal, inquiry.refusal_at = reason, at


def place(inquiry: Inquiry, directory: Directory, default_office: str | None = None) -> None:
    """Office and advertising channel: by the number that was called on that day, else by the source (R3.34)."""
    call = inquiry.contact.call
    source = directory.sources.get(inquiry.contact.source)
    number = directory.number_on(call.line, call.started_at) if call else None
    inquiry.office = (
        inquiry.contact.office
        or (number.office if number else None)
        or (source.office if source else None)
        or default_office
    )
    inquiry.channel = (
        (number.channel if number else None)
        or inquiry.contact.utm.get("source")
        or (source.channel if source else None)
    )


def credit(inquiry: Inquiry, directory: Directory, assignee: str | None) -> None:
    """Set the employee of an inquiry (G9).

    Who set the result; else who talked last in its first answered call or chat; else the assignee; else nobody.
    """
    if inquiry.result_by:
        inquiry.employee, inquiry.employee_basis = inquiry.result_by, "result"
        return
    for contact in sorted(inquiry.contacts, key=lambda c: (c.at, c.id)):
        who = talker(contact, directory)
        if who:
            inquiry.employee, inquiry.employee_basis = who, "talk"
            return
    dialled = inquiry.contact.call if inquiry.direction == "out" else None
    tried = (
        directory.employee_by_ext(
            dialled.ext, dialled.started_at, source=dialled.source, cabinet=dialled.cabinet
        )
        if dialled
        else None
    )
    chosen = tried or assignee
    inquiry.employee, inquiry.employee_basis = (chosen, "assignee") if chosen else (None, "none")


def talker(contact: Contact, directory: Directory) -> str | None:
    """Who of ours talked in a contact: last extension of an answered call, last agent of a chat, who let in."""
    call = contact.call
    if call is not None:
        if not call.talked:
            return None
        return directory.employee_by_ext(call.ext, call.started_at, source=call.source, cabinet=call.cabinet)
    if contact.answered_at is None:
        return None
    return directory.employee_id(contact.agent, contact.at, source=contact.source)
