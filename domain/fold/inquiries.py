"""Inquiries: which of them a fact means, and what operators said about it. ``domain.fold.opening`` opens them.

Decisions: D-0.1, D-0.3, D-0.4, R0.34, G9.
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

    def __init__(self, directory: Directory) -> None:
        self.directory = directory
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
        """The client's latest inquiry at a moment; when he had none yet, the first of just after it."""
        past = [i for i in self.inquiries if i.opened_at <= at]
        if past or not self.inquiries:
            return max(past, key=lambda i: (i.opened_at, i.id), default=None)
        return min(self.just_after(at), key=lambda i: (i.opened_at, i.id), default=None)

    def just_after(self, at: datetime) -> list[Inquiry]:
        """Inquiries that began so shortly after a moment that two systems' clocks may differ by it."""
        skew = self.directory.rules_at(at).span("clock_skew_seconds")
        return [i for i in self.inquiries if at < i.opened_at <= at + skew]


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


def is_new(inquiry: Inquiry, opened: Opened, past: Iterable[datetime | None], directory: Directory) -> bool:
    """The client's first inquiry, if he neither came nor bought (``past``) on a day before it (R0.30)."""
    if inquiry is not opened.inquiries[0]:
        return False
    day = directory.local_day(inquiry.opened_at, inquiry.office)
    return all(at is None or directory.local_day(at, inquiry.office) >= day for at in past)


def place(inquiry: Inquiry, directory: Directory) -> None:
    """Office and advertising channel: by the number that was called on that day, else by the source (R3.34)."""
    call = inquiry.contact.call
    source = directory.sources.get(inquiry.contact.source)
    number = directory.number_on(call.line, call.started_at) if call else None
    inquiry.office = (
        inquiry.contact.office or (number.office if number else None) or (source.office if source else None)
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
    tried = dialled.holder(dialled.ext, directory) if dialled else None
    chosen = tried or assignee
    inquiry.employee, inquiry.employee_basis = (chosen, "assignee") if chosen else (None, "none")


def talker(contact: Contact, directory: Directory) -> str | None:
    """Who of ours talked in a contact: last extension of an answered call, last agent of a chat, who let in."""
    call = contact.call
    if call is not None:
        if not call.talked:
            return None
        return call.holder(call.ext, directory)
    if contact.answered_at is None:
        return None
    names = contact.agent_names.get(contact.agent or "", ())
    return directory.employee_known_as((contact.agent, *names), contact.at, source=contact.source)
