"""One client's story: every part of the fold in the direction time and causes run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.directory import Directory
from domain.event import Event
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
from domain.fold.parts import parted
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
    facts = parted(person.events)
    calls = assemble(facts.calls)
    pair(calls, directory)
    track(calls, facts.tracked, directory)

    where = Whereabouts(person.events, directory)
    bookings = bookings_.assemble_bookings(facts.bookings, directory, where)
    bookings_.mark_no_shows(facts.no_shows, bookings)
    visits, walkins = bookings_.assemble_visits(
        facts.visits, walkin_contacts(facts.walkins, directory), bookings, directory, where
    )
    contacts = [
        *call_contacts(calls),
        *form_contacts(facts.forms, directory),
        *chat_contacts(facts.chats, directory),
        *walkins,
    ]
    contacts.sort(key=lambda c: (c.at, c.id))

    opened = open_inquiries(contacts, facts.verdicts, directory)
    inquiries_.apply_verdicts(opened, facts.verdicts, directory)
    for inquiry in opened.inquiries:
        inquiries_.place(inquiry, directory)
    link(bookings, visits, opened, directory)
    sales = sales_.assemble_sales(facts.sales, person.shared)
    sales_.link_sales(sales, visits, bookings, opened, directory)

    inquiry_of = {c.id: i for i in opened.inquiries for c in i.contacts}
    touches = [(c.at, inquiry_of.get(c.id)) for c in contacts] + [(m.time, None) for m in facts.messages]
    booked: dict[UUID, list[datetime]] = {}
    for booking in bookings:
        if booking.inquiry is not None:
            booked.setdefault(booking.inquiry.id, []).append(booking.made_at)
    counted = [] if person.mark else [i for i in opened.inquiries if i.contact.excluded is None]
    leads = leads_.build(opened, counted, touches, visits, sales, booked, facts.leads, directory)
    responsible = {i.id: lead.responsible_at(i.opened_at) for lead in leads for i in lead.inquiries}
    for inquiry in opened.inquiries:
        inquiries_.credit(inquiry, directory, responsible.get(inquiry.id))
    return Story(person, calls, contacts, opened, bookings, visits, sales, leads, facts.messages, inquiry_of)
