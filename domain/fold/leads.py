"""Leads: which inquiries and touches make one need of one client. Rules L1–L18 (spec 2.4), walked in order of time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
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
    ResponsibleAssigned,
)
from domain.fold.bookings import Visit
from domain.fold.inquiries import Inquiry, Opened
from domain.fold.sales import Sale
from domain.identity import lead_id, row_id
from domain.rules import Rules


@dataclass(slots=True)
class Stage:
    """One entry of a lead into a stage."""

    stage: str
    pipeline: str | None
    entered_at: datetime
    by: str | None
    event: UUID
    left_at: datetime | None = None


@dataclass(slots=True)
class Lead:
    """One lead while it is being folded."""

    id: UUID
    opened_at: datetime
    opened_by: str
    last_activity_at: datetime
    crm_id: str | None = None
    type: str | None = None
    channel: str | None = None
    pipeline: str | None = None
    office: str | None = None
    state: str = "open"
    closed_at: datetime | None = None
    reason: str | None = None
    amount: Decimal | None = None
    responsibles: list[tuple[datetime, str]] = field(default_factory=list)
    reopened: int = 0
    previous: UUID | None = None
    inquiries: list[Inquiry] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)
    aliases: set[UUID] = field(default_factory=set)
    events: list[UUID] = field(default_factory=list)
    merged_into: Lead | None = None
    told_opening: bool = False  # the CRM told its opening itself

    def take(self, inquiry: Inquiry) -> None:
        """An inquiry joins this lead; every inquiry's own lead id leads here."""
        self.inquiries.append(inquiry)
        self.aliases.add(lead_id(inquiry.id))
        self.last_activity_at = max(self.last_activity_at, inquiry.opened_at)

    def close(self, state: str, at: datetime, reason: str | None = None) -> None:
        """Won or lost at a moment."""
        self.state, self.closed_at, self.reason = state, at, reason

    def responsible_at(self, at: datetime) -> str | None:
        """Who was responsible at a moment; before the first assignment, the first one."""
        past = [who for since, who in self.responsibles if since <= at]
        return past[-1] if past else self.responsibles[0][1] if self.responsibles else None


@dataclass(slots=True)
class _Order:
    """A car in repair: from its acceptance until it is handed over or paid."""

    visit: Visit
    closed_at: datetime | None


class LeadBook:
    """All leads of one client while time goes by."""

    def __init__(self, directory: Directory, orders: Sequence[_Order]) -> None:
        self.directory = directory
        self.orders = orders
        self.leads: list[Lead] = []
        self.crm: dict[str, Lead] = {}
        self.of: dict[UUID, Lead] = {}

    def open_at(self, at: datetime, office: str | None) -> Lead | None:
        """The lead that is open and not silent (L2, L3), of the same office when both are known (L15)."""
        limit = self._rules(at).span("continue_days")
        fit = [
            lead for lead in self.leads
            if lead.state in ("open", "non_target") and at - lead.last_activity_at <= limit
            and (lead.office is None or office is None or lead.office == office)
        ]  # fmt: skip
        return max(fit, key=lambda lead: (lead.opened_at, lead.id), default=None)

    def _rules(self, at: datetime) -> Rules:
        return self.directory.rules_at(at)

    def add_inquiry(self, inquiry: Inquiry) -> None:
        """L1–L7: join an open lead, the order's, the won or lost one, or open a new lead."""
        lead = self._home(inquiry)
        if lead is None:
            last = max(self.leads, key=lambda le: (le.opened_at, le.id), default=None)
            lead = Lead(lead_id(inquiry.id), inquiry.opened_at, "policy", inquiry.opened_at)
            lead.type, lead.channel, lead.office = inquiry.kind, inquiry.channel, inquiry.office
            lead.previous = last.id if last else None
            self.leads.append(lead)
        lead.take(inquiry)
        self.of[inquiry.id] = lead

    def _home(self, inquiry: Inquiry) -> Lead | None:
        at, rules = inquiry.opened_at, self._rules(inquiry.opened_at)
        for order in reversed(self.orders):
            about = order.visit.inquiry
            if about is None or about is inquiry:
                continue  # the order that an inquiry itself led to says nothing about where it belongs
            if order.visit.arrived_at <= at and self._in_repair(order, at):
                return None if inquiry.is_target else self.of.get(about.id)
        current = self.open_at(at, inquiry.office)
        if current is not None:
            return current
        closed = [le for le in self.leads if le.closed_at is not None and le.closed_at <= at]
        last = max(closed, key=lambda le: (le.closed_at or at, le.id), default=None)
        if last is None or last.closed_at is None:
            return None
        since = at - last.closed_at
        if last.state == "won":
            return last if not inquiry.is_target and since <= rules.span("won_join_days") else None
        if last.state == "lost" and inquiry.is_target and since <= rules.span("reopen_days"):
            last.state, last.closed_at, last.reason = "open", None, None
            last.reopened += 1
            return last
        return None

    def _in_repair(self, order: _Order, at: datetime) -> bool:
        if order.closed_at is not None:
            return at < order.closed_at
        return at - order.visit.arrived_at <= self._rules(at).span("continue_days")

    def add_crm_fact(self, event: Event, fact: LeadFact) -> None:
        """A CRM's word about its lead; a policy lead opened shortly before is absorbed (L16)."""
        lead = self.crm.get(fact.lead_id)
        if lead is None:
            lead = self._crm_lead(event, fact.lead_id)
        lead.events.append(event.id)
        lead.last_activity_at = max(lead.last_activity_at, event.time)
        directory = self.directory
        who = directory.employee_id(fact.by, event.time, source=event.source_name)
        match fact:
            case LeadOpened():
                self._card_opened(lead, event, fact)
                if fact.stage:
                    self._enter(lead, fact.stage, fact.pipeline, event, who)
            case LeadStageEntered():
                self._enter(lead, fact.stage, fact.pipeline, event, who)
            case ResponsibleAssigned():
                self._assign(lead, event, fact.to)
            case LeadWon():
                lead.close("won", event.time)
                lead.amount = fact.amount if fact.amount is not None else lead.amount
            case LeadLost():
                lead.close("lost", event.time, directory.entry_id("reason", fact.reason))
            case LeadSplit() if fact.new_lead_id not in self.crm:
                self._crm_lead(event, fact.new_lead_id).events.append(event.id)
            case LeadReopened():
                if lead.state != "open":
                    lead.reopened += 1
                lead.state, lead.closed_at, lead.reason = "open", None, None

    def _card_opened(self, lead: Lead, event: Event, fact: LeadOpened) -> None:
        if not lead.told_opening:
            lead.told_opening = True
            self._absorb(lead, event.time)
        lead.opened_at = min(lead.opened_at, event.time)
        lead.type = fact.type or lead.type
        lead.pipeline = fact.pipeline or lead.pipeline
        lead.office = self.directory.entry_id("office", fact.city) or lead.office
        if fact.responsible:
            self._assign(lead, event, fact.responsible)

    def _crm_lead(self, event: Event, crm_id: str) -> Lead:
        """A CRM's lead, first heard of now."""
        lead = Lead(row_id("lead", "crm", crm_id), event.time, "crm", event.time, crm_id=crm_id)
        self.crm[crm_id] = lead
        self.leads.append(lead)
        return lead

    def _absorb(self, lead: Lead, at: datetime) -> None:
        """L16: our own open lead of shortly before goes into the CRM's; its stage may have been told before it."""
        window = self._rules(at).span("absorb_minutes")
        young = [
            le for le in self.leads
            if le.opened_by == "policy" and le.state == "open" and at - le.opened_at <= window
        ]  # fmt: skip
        absorbed = max(young, key=lambda le: (le.opened_at, le.id), default=None)
        if absorbed is None:
            return
        self.leads.remove(absorbed)
        lead.opened_at = min(lead.opened_at, absorbed.opened_at)
        lead.type, lead.channel, lead.office = absorbed.type, absorbed.channel, absorbed.office
        lead.previous = absorbed.previous
        lead.aliases |= absorbed.aliases | {absorbed.id}
        for inquiry in absorbed.inquiries:
            lead.take(inquiry)
            self.of[inquiry.id] = lead

    def _assign(self, lead: Lead, event: Event, who: str) -> None:
        known = self.directory.employee_id(who, event.time, source=event.source_name)
        if known:
            lead.responsibles.append((event.time, known))

    def _enter(self, lead: Lead, stage: str, pipeline: str | None, event: Event, by: str | None) -> None:
        item = self.directory.entry_id("stage", stage) or stage
        lead.pipeline = pipeline or lead.pipeline
        if lead.stages and lead.stages[-1].stage == item and lead.stages[-1].pipeline == lead.pipeline:
            return
        if lead.stages:
            lead.stages[-1].left_at = event.time
        lead.stages.append(Stage(item, lead.pipeline, event.time, by, event.id))
        entry = self.directory.entries.get(("stage", item))
        group = entry.attrs.get("group") if entry else None
        if group in ("won", "lost"):
            lead.close(str(group), event.time)
        elif group is not None and lead.state in ("won", "lost"):
            lead.state, lead.closed_at, lead.reason = "open", None, None
            lead.reopened += 1

    def touch(self, at: datetime, inquiry: Inquiry | None, office: str | None) -> None:
        """A contact keeps its lead alive (L2)."""
        lead = self.of.get(inquiry.id) if inquiry else self.open_at(at, office)
        if lead is not None:
            lead.last_activity_at = max(lead.last_activity_at, at)

    def finish(self, at: datetime, inquiry: Inquiry, state: str, reason: str | None) -> None:
        """A policy lead is won by hand-over or receipt, lost by a refusal that nothing followed."""
        lead = self.of.get(inquiry.id)
        if lead is None or lead.opened_by == "crm" or lead.state == "won":
            return
        if state == "lost" and lead.inquiries[-1] is not inquiry:
            return
        lead.close(state, at, reason)


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
        _Order(v, min((m for m in (v.handed_over_at, paid.get(v.id)) if m is not None), default=None))
        for v in visits
        if v.order is not None
    ]
    book = LeadBook(directory, orders)
    moments: list[tuple[datetime, int, str, object]] = []
    moments += [(i.opened_at, 1, str(i.id), i) for i in counted]
    moments += [(at, 2, str(inquiry.id if inquiry else ""), (at, inquiry)) for at, inquiry in touches]
    cards = [e for e in events if isinstance(e.data, LeadFact)]
    moments += [
        (e.time, 0, f"{n:09}", e) for n, e in enumerate(cards)
    ]  # in the fold's order: opened comes first
    moments += _closings(counted, visits, sales, bookings_after)
    for at, _, _, what in sorted(moments, key=lambda m: m[:3]):
        match what:
            case Inquiry():
                book.add_inquiry(what)
            case Event() if isinstance(what.data, LeadFact):
                book.add_crm_fact(what, what.data)
            case (datetime(), None | Inquiry() as about):
                book.touch(at, about, about.office if about else None)
            case (str() as state, Inquiry() as about, None | str() as reason):
                book.finish(at, about, state, reason)
    _override(book, opened, events)
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
) -> list[tuple[datetime, int, str, object]]:
    """Moments that win or lose policy leads: hand-over, receipt, a refusal that no booking followed."""
    found: list[tuple[datetime, int, str, object]] = []
    for visit in visits:
        if visit.inquiry is not None and visit.handed_over_at is not None:
            found.append((visit.handed_over_at, 3, str(visit.id), ("won", visit.inquiry, None)))
    for sale in sales:
        if sale.inquiry is not None and sale.sold_at is not None:
            found.append((sale.sold_at, 3, str(sale.id), ("won", sale.inquiry, None)))
    for inquiry in counted:
        refused = inquiry.refusal_at
        if refused is None or any(
            back > refused for back in (*inquiry.arrivals, *bookings_after.get(inquiry.id, ()))
        ):
            continue
        found.append((refused, 3, str(inquiry.id), ("lost", inquiry, inquiry.refusal)))
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


def _override(book: LeadBook, opened: Opened, events: Sequence[Event]) -> None:
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
