"""One client's story: every part of the fold in the direction time and causes run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.directory import Directory
from domain.event import Event
from domain.facts.inquiries import InquiryCategorised, InquiryResultSet, RefusalRecorded
from domain.facts.sites import MessageReceived, MessageSent
from domain.fold import bookings as bookings_
from domain.fold import inquiries as inquiries_
from domain.fold import leads as leads_
from domain.fold import sales as sales_
from domain.fold.bookings import Booking, Visit
from domain.fold.calls import Call, assemble, pair, track
from domain.fold.contacts import Contact, call_contacts, chat_contacts, form_contacts, walkin_contacts
from domain.fold.inquiries import Inquiry, Opened
from domain.fold.lead import Lead
from domain.fold.linking import link
from domain.fold.opening import open_inquiries
from domain.fold.sales import Sale
from domain.fold.whereabouts import Whereabouts
from domain.resolve import Person


@dataclass(slots=True)
class Story:
    """Everything the fold worked out about one client; ``domain.fold.tables`` writes it down as rows."""

    person: Person
    calls: list[Call]
    contacts: list[Contact]
    opened: Opened
    bookings: list[Booking]
    visits: list[Visit]
    sales: list[Sale]
    leads: list[Lead]
    messages: list[Event]
    inquiry_of: dict[UUID, Inquiry]


def tell(person: Person, directory: Directory) -> Story:
    """Work out one client's story from his facts (unique, in order)."""
    events = person.events
    calls = assemble(events)
    pair(calls, directory)
    track(calls, events, directory)
    verdicts = [
        e for e in events if isinstance(e.data, InquiryCategorised | InquiryResultSet | RefusalRecorded)
    ]

    where = Whereabouts(events, directory)
    bookings = bookings_.assemble_bookings(events, directory, where)
    bookings_.mark_no_shows(events, bookings)
    visits, walkins = bookings_.assemble_visits(
        events, walkin_contacts(events, directory), bookings, directory, where
    )
    contacts = [
        *call_contacts(calls),
        *form_contacts(events, directory),
        *chat_contacts(events, directory),
        *walkins,
    ]
    contacts.sort(key=lambda c: (c.at, c.id))

    opened = open_inquiries(contacts, verdicts, directory)
    inquiries_.apply_verdicts(opened, verdicts, directory)
    for inquiry in opened.inquiries:
        inquiries_.place(inquiry, directory)
    link(bookings, visits, opened, directory)
    sales = sales_.assemble_sales(events)
    sales_.link_sales(sales, visits, bookings, opened, directory)

    inquiry_of = {c.id: i for i in opened.inquiries for c in i.contacts}
    messages = [e for e in events if isinstance(e.data, MessageSent | MessageReceived)]
    touches = [(c.at, inquiry_of.get(c.id)) for c in contacts] + [(m.time, None) for m in messages]
    booked: dict[UUID, list[datetime]] = {}
    for booking in bookings:
        if booking.inquiry is not None:
            booked.setdefault(booking.inquiry.id, []).append(booking.made_at)
    counted = [] if person.mark else [i for i in opened.inquiries if i.contact.excluded is None]
    leads = leads_.build(opened, counted, touches, visits, sales, booked, events, directory)
    responsible = {i.id: lead.responsible_at(i.opened_at) for lead in leads for i in lead.inquiries}
    for inquiry in opened.inquiries:
        inquiries_.credit(inquiry, directory, responsible.get(inquiry.id))
    return Story(person, calls, contacts, opened, bookings, visits, sales, leads, messages, inquiry_of)
