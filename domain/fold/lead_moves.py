"""What operators did to leads by hand: re-attached, split, merged. It beats the policy (L14, L18)."""

from __future__ import annotations

from collections.abc import Sequence

from domain.event import Event
from domain.facts.inquiries import InquiryReattached
from domain.facts.leads import (
    LeadsMerged,
    LeadSplit,
)
from domain.fold.inquiries import Inquiry, Opened
from domain.fold.lead import Lead
from domain.fold.lead_book import LeadBook
from domain.identity import lead_id


def override(book: LeadBook, opened: Opened, events: Sequence[Event]) -> None:
    """Operators' re-attachments, splits and mergers beat the policy in every re-computation (L14, L18)."""
    for event in events:
        fact = event.data
        match fact:
            case InquiryReattached():
                inquiry = opened.meant(event)
                target = _find(book, fact.to_lead_id)
                if inquiry is not None and target is not None:
                    _move(book, inquiry, target, event)
            case LeadSplit():
                target = _find(book, fact.new_lead_id)
                for wanted in fact.inquiry_ids:
                    inquiry = opened.named((f"inquiry:{wanted}",), event.time)
                    if inquiry is not None and target is not None:
                        _move(book, inquiry, target, event)
            case LeadsMerged():
                into, other = _find(book, fact.lead_id), _find(book, fact.other_lead_id)
                if into is not None and other is not None and into is not other:
                    for inquiry in list(other.inquiries):
                        _move(book, inquiry, into, event)
                    into.aliases |= other.aliases | {other.id}
                    into.opened_at = min(into.opened_at, other.opened_at)
                    into.events += other.events
                    other.merged_into = into


def _find(book: LeadBook, wanted: str) -> Lead | None:
    lead = book.crm.get(wanted) or next(
        (le for le in book.leads if wanted == str(le.id) or wanted in {str(a) for a in le.aliases}), None
    )
    while lead is not None and lead.merged_into is not None:
        lead = lead.merged_into
    return lead


def _move(book: LeadBook, inquiry: Inquiry, target: Lead, event: Event) -> None:
    home = book.of.get(inquiry.id)
    if home is target:
        return
    if home is not None:
        home.inquiries.remove(inquiry)
        home.aliases.discard(lead_id(inquiry.id))
        if not home.inquiries and home.opened_by == "policy":
            home.merged_into = target
            target.aliases |= home.aliases | {home.id}
    target.take(inquiry)
    target.inquiries.sort(key=lambda i: (i.opened_at, i.id))
    target.events.append(event.id)
    book.of[inquiry.id] = target
