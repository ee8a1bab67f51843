"""The oracle's leads: L1–L18 played through in order of time, once for each client."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from uuid import UUID

from domain.directory import Directory
from domain.event import Event
from domain.facts.inquiries import InquiryReattached
from domain.facts.leads import (
    LeadFact,
    LeadLost,
    LeadOpened,
    LeadReopened,
    LeadsMerged,
    LeadSplit,
    LeadStageEntered,
    LeadWon,
)
from domain.facts.sites import MessageFact
from domain.identity import lead_id, row_id
from tests.oracle.bookings import Visit
from tests.oracle.calls import Call
from tests.oracle.inquiry import Inquiry
from tests.oracle.linking import Linker


@dataclass(eq=False)
class Lead:
    """One need of one client."""

    ident: UUID
    crm_id: str | None
    opened_at: datetime
    office: str | None = None
    inquiries: list[Inquiry] = field(default_factory=list)
    active_at: list[datetime] = field(default_factory=list)
    stage: str | None = None
    state: str = "open"
    closed_at: datetime | None = None
    responsible: list[tuple[datetime, str]] = field(default_factory=list)
    opened_by_card: bool = False  # the CRM told the opening itself

    def close(self, state: str, at: datetime) -> None:
        """Won or lost."""
        self.state, self.closed_at = state, at

    def reopen(self) -> None:
        """Open again."""
        self.state, self.closed_at = "open", None


@dataclass(eq=False)
class Policy:
    """The rules, played through for one client."""

    facts: Sequence[Event]
    calls: Sequence[Call]
    inquiries: Sequence[Inquiry]
    linker: Linker
    directory: Directory
    leads: list[Lead] = field(default_factory=list)
    gone: dict[str, str] = field(default_factory=dict)  # cards merged into others

    def play(self) -> list[Lead]:
        """Everything in order of time; at one moment: the CRM, inquiries, touches, closings."""
        steps = [(f.time, 0, partial(self.card, f)) for f in self.facts if isinstance(f.data, LeadFact)]
        for inquiry in sorted(self.inquiries, key=lambda i: (i.opened_at, str(i.ident))):
            if inquiry.excluded is None:
                steps.append((inquiry.opened_at, 1, partial(self.place, inquiry)))
        steps += [(at, 2, partial(self.touch, at, inquiry)) for at, inquiry in self.touches()]
        steps += [(at, 3, partial(self.finish, at, how, who)) for at, how, who in self.closings()]
        for _, _, step in sorted(steps, key=lambda s: s[:2]):
            step()
        self.override()
        for lead in self.leads:
            self.settle(lead)
        return [lead for lead in self.leads if lead.inquiries or lead.crm_id]

    def touches(self) -> list[tuple[datetime, Inquiry | None]]:
        """Calls, chats and messages, with the inquiry of each if it has one."""
        found: list[tuple[datetime, Inquiry | None]] = []
        for call in self.calls:
            if call.second is None and call.direction != "internal":
                found.append((call.started_at, next((i for i in self.inquiries if call in i.calls), None)))
        found += [(i.opened_at, i) for i in self.inquiries if i.kind == "chat"]
        return found + [(f.time, None) for f in self.facts if isinstance(f.data, MessageFact)]

    def touch(self, at: datetime, inquiry: Inquiry | None) -> None:
        """A touch keeps its lead alive (L2, L12)."""
        lead = self.lead_of(inquiry.ident) if inquiry else self.alive(at, None)
        if lead:
            lead.active_at.append(at)

    def settle(self, lead: Lead) -> None:
        """L7; and who was responsible for inquiries that nobody took (G9)."""
        known = [i for i in lead.inquiries if i.category_id is not None]
        target = any(i.is_target for i in lead.inquiries)
        if lead.crm_id is None and lead.state == "open" and known and not target:
            lead.state = "non_target"
        for inquiry in lead.inquiries:
            if inquiry.employee_id is None and lead.responsible:
                past = [who for since, who in lead.responsible if since <= inquiry.opened_at]
                inquiry.employee_id = past[-1] if past else lead.responsible[0][1]

    def lead_of(self, ident: object) -> Lead | None:
        """The lead that has an inquiry."""
        return next((lead for lead in self.leads for i in lead.inquiries if i.ident == ident), None)

    def alive(self, at: datetime, office: str | None) -> Lead | None:
        """L2, L3, L15: open, not silent for too long, of the same office when both are known."""
        width = self.directory.rules_at(at).span("continue_days")
        fit = [
            lead
            for lead in self.leads
            if lead.state == "open"
            and at - max(lead.active_at) <= width
            and (lead.office is None or office is None or lead.office == office)
        ]
        return max(fit, key=lambda lead: (lead.opened_at, lead.ident), default=None)

    # --- the policy ----------------------------------------------------------------------------------------

    def place(self, inquiry: Inquiry) -> None:
        """L1–L6 for one inquiry."""
        lead = self.find(inquiry)
        if lead is None:
            lead = Lead(lead_id(inquiry.ident), None, inquiry.opened_at, self.office(inquiry))
            self.leads.append(lead)
        lead.inquiries.append(inquiry)
        lead.active_at.append(inquiry.opened_at)

    def find(self, inquiry: Inquiry) -> Lead | None:
        """The lead that an inquiry joins."""
        at, rules = inquiry.opened_at, self.directory.rules_at(inquiry.opened_at)
        repair = next((v for v in reversed(self.linker.visits) if self.in_repair(v, inquiry)), None)
        if repair is not None and repair.inquiry is not None:
            return None if inquiry.is_target else self.lead_of(repair.inquiry.ident)
        if alive := self.alive(at, self.office(inquiry)):
            return alive
        closed = [
            (lead.closed_at, lead.ident, lead)
            for lead in self.leads
            if lead.closed_at and lead.closed_at <= at
        ]
        if not closed:
            return None
        since, _, last = max(closed, key=lambda c: c[:2])
        if last.state == "won":
            return last if not inquiry.is_target and at - since <= rules.span("won_join_days") else None
        if inquiry.is_target and at - since <= rules.span("reopen_days"):
            last.reopen()
            return last
        return None

    def in_repair(self, visit: Visit, inquiry: Inquiry) -> bool:
        """L4: the car was accepted before and neither given back nor paid; an inquiry's own order is no repair."""
        at = inquiry.opened_at
        if visit.order_id is None or visit.at > at or visit.inquiry is None or visit.inquiry is inquiry:
            return False
        paid = [r.sold_at for r in self.linker.receipts if r.visit == visit.row and r.sold_at]
        ends = [m for m in (visit.handed_over_at, paid[-1] if paid else None) if m]
        if ends:
            return at < min(ends)
        return at - visit.at <= self.directory.rules_at(at).span("continue_days")

    def office(self, inquiry: Inquiry) -> str | None:
        """The office of the number that was called."""
        call = next((c for c in inquiry.calls if c.started_at == inquiry.opened_at), None)
        if inquiry.kind not in ("phone", "missed") or call is None:
            return None
        assigned = self.directory.number_on(call.line, call.started_at)
        return assigned.office if assigned else None

    def closings(self) -> list[tuple[datetime, str, Inquiry]]:
        """Hand-overs and receipts win; a refusal that no later booking or arrival followed loses."""
        found: list[tuple[datetime, str, Inquiry]] = []
        for visit in self.linker.visits:
            if visit.inquiry and visit.handed_over_at:
                found.append((visit.handed_over_at, "won", visit.inquiry))
        for receipt in self.linker.receipts:
            if receipt.inquiry and receipt.sold_at:
                found.append((receipt.sold_at, "won", receipt.inquiry))
        for inquiry in self.inquiries:
            at = self.linker.refused_at.get(id(inquiry))
            if at is None:
                continue
            back = [v.at for v in self.linker.visits if v.inquiry is inquiry]
            back += [b.state.made_at for b in self.linker.bookings.values() if b.inquiry is inquiry]
            if not any(b > at for b in back):
                found.append((at, "lost", inquiry))
        return sorted(found, key=lambda f: (f[0], f[1] == "lost"))

    def finish(self, at: datetime, state: str, inquiry: Inquiry) -> None:
        """A policy lead is closed; won stays won; an older inquiry's refusal does not lose it."""
        lead = self.lead_of(inquiry.ident)
        if lead is None or lead.crm_id is not None or lead.state == "won":
            return
        if state == "won" or lead.inquiries[-1] is inquiry:
            lead.close(state, at)

    # --- the CRM -------------------------------------------------------------------------------------------

    def card(self, fact: Event) -> None:
        """A CRM's word about its lead (L16)."""
        data = fact.data
        assert isinstance(data, LeadFact)
        lead = self.by_crm_id(data.lead_id) or self.new_card(data.lead_id, fact.time)
        lead.active_at.append(fact.time)
        if isinstance(data, LeadOpened):
            lead.opened_at = min(lead.opened_at, fact.time)
            if who := self.directory.employee_id(data.responsible, fact.time, source=fact.source_name):
                lead.responsible.append((fact.time, who))
            if not lead.opened_by_card:
                lead.opened_by_card = True
                self.absorb(lead, fact.time)
        elif isinstance(data, LeadWon):
            lead.close("won", fact.time)
        elif isinstance(data, LeadLost):
            lead.close("lost", fact.time)
        elif isinstance(data, LeadReopened):
            lead.reopen()
        elif isinstance(data, LeadStageEntered):
            item = self.directory.entry_id("stage", data.stage) or data.stage
            if item == lead.stage:
                return
            lead.stage = item
            entry = self.directory.entries.get(("stage", item))
            group = entry.attrs.get("group") if entry else None
            if group in ("won", "lost"):
                lead.close(str(group), fact.time)
            elif group is not None:
                lead.reopen()
        elif isinstance(data, LeadSplit) and self.by_crm_id(data.new_lead_id) is None:
            self.new_card(data.new_lead_id, fact.time)

    def by_crm_id(self, key: str) -> Lead | None:
        """A CRM's lead."""
        return next((lead for lead in self.leads if lead.crm_id == key), None)

    def new_card(self, key: str, at: datetime) -> Lead:
        """A lead first heard of from the CRM."""
        lead = Lead(row_id("lead", "crm", key), key, at, active_at=[at])
        self.leads.append(lead)
        return lead

    def absorb(self, card: Lead, at: datetime) -> None:
        """Our own open lead of at most half an hour before goes into the CRM's."""
        width = self.directory.rules_at(at).span("absorb_minutes")
        young = [
            x for x in self.leads if x.crm_id is None and x.state == "open" and at - x.opened_at <= width
        ]
        if young:
            ours = max(young, key=lambda x: (x.opened_at, x.ident))
            self.leads.remove(ours)
            card.opened_at = min(card.opened_at, ours.opened_at)
            card.office = ours.office
            card.inquiries += ours.inquiries
            card.active_at += [i.opened_at for i in ours.inquiries]

    # --- operators -----------------------------------------------------------------------------------------

    def override(self) -> None:
        """L14, L18: what operators moved, in order of time, whatever the policy says."""
        for fact in self.facts:
            data = fact.data
            if isinstance(data, InquiryReattached):
                self.move(self.linker.meant(fact), self.now(data.to_lead_id))
            elif isinstance(data, LeadSplit):
                for ident in data.inquiry_ids:
                    for inquiry in self.inquiries:
                        if f"inquiry:{ident}" in inquiry.names:
                            self.move(inquiry, self.now(data.new_lead_id))
            elif isinstance(data, LeadsMerged):
                self.merge(self.now(data.lead_id), self.now(data.other_lead_id))

    def now(self, key: str) -> Lead | None:
        """The lead that a CRM's id means after the mergers so far."""
        while key in self.gone:
            key = self.gone[key]
        return self.by_crm_id(key)

    def merge(self, into: Lead | None, other: Lead | None) -> None:
        """Two cards become one."""
        if into is None or other is None or into is other or other.crm_id is None or into.crm_id is None:
            return
        for inquiry in list(other.inquiries):
            self.move(inquiry, into)
        self.leads.remove(other)
        self.gone[other.crm_id] = into.crm_id

    def move(self, inquiry: Inquiry | None, target: Lead | None) -> None:
        """One inquiry to another lead."""
        if inquiry is None or target is None:
            return
        home = self.lead_of(inquiry.ident)
        if home:
            home.inquiries.remove(inquiry)
        target.inquiries.append(inquiry)
