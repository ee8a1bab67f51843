"""Leads: which inquiries and touches make one need of one client. Rules L1–L18 (spec 2.4), walked in order of time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from operator import itemgetter
from uuid import UUID

from domain.directory import Directory
from domain.event import Event
from domain.facts.leads import (
    LeadFact,
)
from domain.fold.bookings import Visit
from domain.fold.inquiries import Inquiry, Opened
from domain.fold.lead import Lead
from domain.fold.lead_book import LeadBook, Order
from domain.fold.lead_moves import override
from domain.fold.sales import Sale
from domain.identity import lead_id


def build(
    opened: Opened,
    counted: Sequence[Inquiry],
    touches: Iterable[tuple[datetime, Inquiry | None]],
    visits: Sequence[Visit],
    sales: Sequence[Sale],
    bookings_after: dict[UUID, list[datetime]],
    events: Sequence[Event],
    directory: Directory,
) -> list[Lead]:
    """All leads of one client.

    ``counted``: the inquiries that may open leads (marked contacts never do, spec 2.3 rule 5).
    ``bookings_after``: moments at which each inquiry was booked.
    """
    paid = {s.visit.id: s.sold_at for s in sales if s.visit is not None and s.sold_at}
    orders = [
        Order(v, min((m for m in (v.handed_over_at, paid.get(v.id)) if m is not None), default=None))
        for v in visits
        if v.order is not None
    ]
    book = LeadBook(directory, orders)
    moments: list[tuple[datetime, int, int, object]] = []
    moments += [(i.opened_at, 1, i.id.int, i) for i in counted]
    moments += [(at, 2, inquiry.id.int if inquiry else -1, (at, inquiry)) for at, inquiry in touches]
    cards = [e for e in events if isinstance(e.data, LeadFact)]
    moments += [(e.time, 0, n, e) for n, e in enumerate(cards)]  # in the fold's order: opened comes first
    moments += _closings(counted, visits, sales, bookings_after)
    for at, _, _, what in sorted(moments, key=itemgetter(0, 1, 2)):
        match what:
            case Inquiry():
                book.add_inquiry(what)
            case Event() if isinstance(what.data, LeadFact):
                book.add_crm_fact(what, what.data)
            case (datetime(), None | Inquiry() as about):
                book.touch(at, about, about.office if about else None)
            case (str() as state, Inquiry() as about, None | str() as reason):
                book.finish(at, about, state, reason)
    override(book, opened, events)
    for lead in book.leads:
        _settle(lead)
    living = sorted((le for le in book.leads if le.merged_into is None), key=lambda le: (le.opened_at, le.id))
    _distinct_names(living)
    return living


def _distinct_names(leads: Sequence[Lead]) -> None:
    """A former id leads to one lead, never from the id of a living one: first to where its inquiry is now."""
    taken = {lead.id for lead in leads}
    former = [lead.aliases for lead in leads]
    for lead in leads:
        lead.aliases = {lead_id(i.id) for i in lead.inquiries} - taken
        taken |= lead.aliases
    for lead, ids in zip(leads, former, strict=True):
        lead.aliases |= ids - taken
        taken |= ids
    home = {alias: lead.id for lead in leads for alias in (*lead.aliases, lead.id)}
    for lead in leads:
        before = home.get(lead.previous) if lead.previous else None
        lead.previous = before if before != lead.id else None


def _closings(
    counted: Sequence[Inquiry],
    visits: Sequence[Visit],
    sales: Sequence[Sale],
    bookings_after: dict[UUID, list[datetime]],
) -> list[tuple[datetime, int, int, object]]:
    """Moments that win or lose policy leads: hand-over, receipt, a refusal that no booking followed."""
    found: list[tuple[datetime, int, int, object]] = []
    for visit in visits:
        if visit.inquiry is not None and visit.handed_over_at is not None:
            found.append((visit.handed_over_at, 3, visit.id.int, ("won", visit.inquiry, None)))
    for sale in sales:
        if sale.inquiry is not None and sale.sold_at is not None:
            found.append((sale.sold_at, 3, sale.id.int, ("won", sale.inquiry, None)))
    for inquiry in counted:
        refused = inquiry.refusal_at
        if refused is None or any(
            back > refused for back in (*inquiry.arrivals, *bookings_after.get(inquiry.id, ()))
        ):
            continue
        found.append((refused, 3, inquiry.id.int, ("lost", inquiry, inquiry.refusal)))
    return found


def _settle(lead: Lead) -> None:
    """L7: a policy lead whose inquiries are all categorised as non-target leaves the lead counts."""
    for inquiry in lead.inquiries:
        inquiry.lead_id = lead.id
    if lead.stages and lead.closed_at is not None and lead.stages[-1].entered_at < lead.closed_at:
        lead.stages[-1].left_at = lead.closed_at
    known = [i for i in lead.inquiries if i.category is not None]
    if (
        lead.opened_by == "policy"
        and lead.state == "open"
        and known
        and not any(i.is_target for i in lead.inquiries)
    ):
        lead.state = "non_target"
