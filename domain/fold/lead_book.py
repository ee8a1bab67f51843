"""The leads of one client while time goes by: our policy (L1–L7, L12, L15) and the CRM's word (L16)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.directory import Directory
from domain.event import Event
from domain.facts.leads import (
    LeadFact,
    LeadLost,
    LeadOpened,
    LeadReopened,
    LeadSplit,
    LeadStageEntered,
    LeadWon,
    ResponsibleAssigned,
)
from domain.fold.bookings import Visit
from domain.fold.inquiries import Inquiry
from domain.fold.lead import Lead, Stage
from domain.identity import lead_id, row_id
from domain.rules import Rules


@dataclass(slots=True)
class Order:
    """A car in repair: from its acceptance until it is handed over or paid."""

    visit: Visit
    closed_at: datetime | None


class LeadBook:
    """All leads of one client while time goes by."""

    def __init__(self, directory: Directory, orders: Sequence[Order]) -> None:
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

    def _in_repair(self, order: Order, at: datetime) -> bool:
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
