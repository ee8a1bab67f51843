"""From one client's story to the rows of the read model (domain/rows.py). No decisions here, only writing down."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from domain.directory import Directory
from domain.event import Event
from domain.facts.base import Subject
from domain.facts.sites import CallbackRequested, ChatFact, ContactCaptured, FormSubmitted, MessageFact
from domain.fold.calls import Call, Leg
from domain.fold.contacts import Contact
from domain.fold.inquiries import Inquiry, is_new, talker
from domain.fold.linking import speaking
from domain.fold.person import Story
from domain.identity import row_id
from domain.refs import kind_of, value_of
from domain.rows import (
    BookingRow,
    CallLegRow,
    CallRow,
    ClientAliasRow,
    ClientRow,
    InquiryRow,
    LeadAliasRow,
    LeadRow,
    Rows,
    SaleLineRow,
    SaleRow,
    StageRow,
    TouchRow,
    VisitRow,
)


def write(story: Story, directory: Directory, rows: Rows) -> None:
    """Append all rows of one client."""
    order = {e.id.int: n for n, e in enumerate(story.person.events)}  # a UUID is hashed in Python
    _client(story, rows)
    past = [*(v.arrived_at for v in story.visits), *(s.sold_at for s in story.sales)]
    for inquiry in story.opened.inquiries:
        new = is_new(inquiry, story.opened, past, directory)
        rows["inquiry"].append(_inquiry(story, inquiry, directory, order, new=new))
    for call in story.calls:
        _call(story, call, directory, order, rows)
    _touches(story, directory, order, rows)
    _leads(story, directory, order, rows)
    _money(story, directory, order, rows)


def _in_order(events: list[UUID], order: dict[int, int]) -> tuple[UUID, ...]:
    if len(events) < 2:
        return tuple(events)
    ids = {e.int: e for e in events}
    return tuple([ids[one] for one in sorted(ids, key=lambda one: order.get(one, len(order)))])


def _client(story: Story, rows: Rows) -> None:
    person = story.person
    events = person.events
    known = bool(person.refs)
    internal = not known and story.calls and all(c.direction == "internal" for c in story.calls)
    rows["client"].append(
        ClientRow(
            client_id=person.client_id,
            kind="marked" if person.mark else "known" if known else "internal" if internal else "anonymous",
            mark=person.mark,
            name=next((n for e in reversed(events) if (n := _name(e))), None),
            phones=tuple(sorted(value_of(r) for r in person.refs if kind_of(r) == "phone")),
            emails=tuple(sorted(value_of(r) for r in person.refs if kind_of(r) == "email")),
            first_seen_at=events[0].time,
            last_seen_at=events[-1].time,
            events=tuple(e.id for e in events),
        )
    )
    rows["client_alias"] += [ClientAliasRow(a, person.client_id) for a in sorted(person.aliases)]


def _name(event: Event) -> str | None:
    fact = event.data
    if isinstance(fact, Subject):
        return fact.client_name
    return (
        fact.name if isinstance(fact, (FormSubmitted, CallbackRequested, ChatFact, ContactCaptured)) else None
    )


def _inquiry(
    story: Story, i: Inquiry, directory: Directory, order: dict[int, int], *, new: bool
) -> InquiryRow:
    booked = sorted((b for b in story.bookings if b.inquiry is i), key=lambda b: (b.made_at, b.key))
    last = speaking(booked, directory)
    contact = i.contact
    calls = [c.call for c in i.contacts if c.call is not None]
    excluded = f"mark:{story.person.mark}" if story.person.mark else contact.excluded
    return InquiryRow(
        inquiry_id=i.id,
        client_id=story.person.client_id,
        lead_id=i.lead_id,
        opened_at=i.opened_at,
        direction=i.direction,
        kind=i.kind,
        source=contact.source,
        channel=i.channel,
        utm=dict(contact.utm),
        page=contact.page,
        office_id=i.office,
        office_zone=directory.zone_of(i.office),
        employee_id=i.employee,
        employee_basis=i.employee_basis,
        team=directory.team_of(i.employee, i.opened_at),
        category_id=i.category,
        categorised_at=i.categorised_at,
        is_target=i.is_target,
        result=i.result,
        result_at=i.result_at,
        refusal_reason_id=i.refusal,
        refusal_at=i.refusal_at,
        booked_at=booked[0].made_at if booked else None,
        slot_at=last.slot_at if last else None,
        slot_day_end=last.day_end(directory) if last else None,
        booking_cancelled_at=last.cancelled_at if last else None,
        no_show_at=last.no_show_at if last else None,
        arrived_at=min(i.arrivals, default=None),
        receipts=i.receipts,
        sales=i.sales,
        margin=i.margin,
        margin_incomplete=i.margin_incomplete,
        pay_rate=directory.arrival_rate(i.employee, i.opened_at, i.office),
        calls=len(calls),
        talk_s=sum(c.talk_s or 0 for c in calls),
        first_touch_at=i.first_touch_at,
        reached_at=i.reached_at,
        missed_fate=i.fate,
        left_message=any(c.voicemail for c in calls),
        duplicates=i.duplicates,
        new_client=new,
        excluded=excluded,
        events=_in_order(i.events, order),
    )


def _call(story: Story, call: Call, directory: Directory, order: dict[int, int], rows: Rows) -> None:
    inquiry = story.inquiry_of.get((call.same_as or call).contact_id)
    report = "callback" if call.is_callback else call.direction
    number = directory.number_on(call.line, call.started_at)
    unknown = (
        (call.last_event_at or call.started_at)
        + directory.rules_at(call.started_at).span("unknown_end_hours")
        if call.cause is None
        else None
    )
    real = call.same_as is None and call.direction != "internal"
    rows["call"].append(
        CallRow(
            call_id=call.id,
            client_id=story.person.client_id,
            inquiry_id=inquiry.id if inquiry else None,
            touch_id=row_id("touch", str(call.contact_id)) if real else None,
            source=call.source,
            provider_call_id=call.provider_call_id,
            direction=call.direction,
            report_direction=report,
            client_phone=call.client_phone,
            line=call.line,
            started_at=call.started_at,
            answered_at=call.answered_at,
            ended_at=call.ended_at,
            unknown_at=unknown,
            outcome=call.outcome,
            cause=call.cause,
            answered_by=call.answered_by,
            wait_s=call.wait_s,
            talk_s=call.talk_s,
            ext=call.ext,
            employee_id=call.holder(call.ext, directory),
            recording_url=call.recording_url,
            voicemail=call.voicemail,
            returns_inquiry=bool(inquiry and inquiry.contact.call is not call and call.direction == "out"),
            same_as=call.same_as.id if call.same_as else None,
            channel=(number.channel if number else None) or call.utm.get("source"),
            marks=dict(call.marks),
            events=_in_order(call.events, order),
        )
    )
    for leg in call.legs:
        rows["call_leg"].append(_leg(story, call, leg, directory, order))


def _leg(story: Story, call: Call, leg: Leg, directory: Directory, order: dict[int, int]) -> CallLegRow:
    return CallLegRow(
        leg_id=row_id("leg", str(call.id), leg.leg_id),
        call_id=call.id,
        client_id=story.person.client_id,
        ext=leg.ext,
        employee_id=call.holder(leg.ext, directory),
        rang_at=leg.rang_at,
        answered_at=leg.answered_at,
        ended_at=leg.ended_at or (call.ended_at if leg.answered_at else None),
        status=leg.status or ("answered" if leg.answered_at else None),
        transferred_from=leg.transferred_from,
        events=_in_order(leg.events, order),
    )


def _touches(story: Story, directory: Directory, order: dict[int, int], rows: Rows) -> None:
    for contact in story.contacts:
        if contact.kind in ("call", "chat"):
            inquiry = story.inquiry_of.get(contact.id)
            lead = inquiry.lead_id if inquiry else _lead_at(story, contact.at)
            rows["touch"].append(_contact_touch(story, contact, inquiry, lead, directory, order))
    for event in story.messages:
        fact = event.data
        if isinstance(fact, MessageFact):
            rows["touch"].append(
                TouchRow(
                    touch_id=row_id("touch", str(event.id)),
                    client_id=story.person.client_id,
                    lead_id=_lead_at(story, event.time),
                    inquiry_id=None,
                    channel=fact.channel,
                    direction="out" if event.type == "message.sent" else "in",
                    at=event.time,
                    ended_at=None,
                    answered=False,
                    talk_s=None,
                    employee_id=directory.employee_id(fact.by, event.time, source=event.source_name),
                    events=(event.id,),
                )
            )


def _contact_touch(
    story: Story, contact: Contact, inquiry: Inquiry | None, lead: UUID | None, directory: Directory,
    order: dict[int, int],
) -> TouchRow:  # fmt: skip
    call = contact.call
    return TouchRow(
        touch_id=row_id("touch", str(contact.id)),
        client_id=story.person.client_id,
        lead_id=lead,
        inquiry_id=inquiry.id if inquiry else None,
        channel=contact.kind,
        direction=call.direction if call else "in",
        at=contact.at,
        ended_at=contact.ended_at,
        answered=contact.answered_at is not None,
        talk_s=call.talk_s if call else None,
        employee_id=call.holder(call.ext, directory) if call else talker(contact, directory),
        events=_in_order(contact.events, order),
    )


def _lead_at(story: Story, at: datetime) -> UUID | None:
    """The lead open at a moment, for touches outside any inquiry (L12, D-2.16)."""
    fit = [le for le in story.leads if le.opened_at <= at and (le.closed_at is None or at <= le.closed_at)]
    return max(fit, key=lambda le: (le.opened_at, le.id)).id if fit else None


def _leads(story: Story, directory: Directory, order: dict[int, int], rows: Rows) -> None:
    for lead in story.leads:
        first = lead.inquiries[0] if lead.inquiries else None
        responsible = lead.responsibles[-1][1] if lead.responsibles else (first.employee if first else None)
        silence: timedelta = directory.rules_at(lead.last_activity_at).span("continue_days")
        rows["lead"].append(
            LeadRow(
                lead_id=lead.id,
                client_id=story.person.client_id,
                crm_id=lead.crm_id,
                opened_by=lead.opened_by,
                type=lead.type,
                channel=lead.channel,
                pipeline=lead.pipeline,
                office_id=lead.office,
                opened_at=lead.opened_at,
                state=lead.state,
                stage_id=lead.stages[-1].stage if lead.stages else None,
                closed_at=lead.closed_at,
                lost_reason_id=lead.reason,
                amount=lead.amount,
                responsible_id=responsible,
                last_activity_at=lead.last_activity_at,
                expires_at=lead.last_activity_at + silence if lead.state == "open" else None,
                reopened=lead.reopened,
                previous_lead_id=lead.previous,
                inquiries=len(lead.inquiries),
                events=_in_order(
                    [*lead.events, *(e for i in lead.inquiries for e in i.contact.events)], order
                ),
            )
        )
        rows["lead_alias"] += [LeadAliasRow(a, lead.id) for a in sorted(lead.aliases)]
        for stage in lead.stages:
            rows["stage"].append(
                StageRow(
                    row_id("stage", str(stage.event)), lead.id, story.person.client_id, stage.pipeline,
                    stage.stage, stage.entered_at, stage.left_at, stage.by, (stage.event,),
                )
            )  # fmt: skip


def _money(story: Story, directory: Directory, order: dict[int, int], rows: Rows) -> None:
    client = story.person.client_id
    for b in story.bookings:
        rows["booking"].append(
            BookingRow(
                booking_id=b.id,
                booking_key=b.key,
                client_id=client,
                inquiry_id=b.inquiry.id if b.inquiry else None,
                lead_id=b.inquiry.lead_id if b.inquiry else None,
                kind=b.kind,
                made_at=b.made_at,
                first_slot_at=b.first_slot_at,
                slot_at=b.slot_at,
                slot_day_end=b.day_end(directory),
                moves=b.moves,
                cancelled_at=b.cancelled_at,
                cancel_reason_id=b.cancel_reason,
                no_show_at=b.no_show_at,
                arrived_at=b.visit.arrived_at if b.visit else None,
                employee_id=directory.employee_id(b.by, b.made_at),
                office_id=b.office or (b.inquiry.office if b.inquiry else None),
                events=_in_order(b.events, order),
            )
        )
    for v in story.visits:
        rows["visit"].append(
            VisitRow(
                visit_id=v.id,
                client_id=client,
                inquiry_id=v.inquiry.id if v.inquiry else None,
                lead_id=v.inquiry.lead_id if v.inquiry else None,
                booking_id=v.booking.id if v.booking else None,
                order_key=v.order,
                arrived_at=v.arrived_at,
                handed_over_at=v.handed_over_at,
                employee_id=directory.employee_id(v.by, v.arrived_at),
                office_id=v.office or (v.inquiry.office if v.inquiry else None),
                events=_in_order(v.events, order),
            )
        )
    for s in story.sales:
        rows["sale"].append(
            SaleRow(
                sale_id=s.id,
                receipt_key=s.key,
                client_id=client,
                inquiry_id=s.inquiry.id if s.inquiry else None,
                lead_id=s.inquiry.lead_id if s.inquiry else None,
                visit_id=s.visit.id if s.visit else None,
                document=s.document,
                sold_at=s.sold_at,
                sales=s.sales,
                margin=s.margin,
                margin_incomplete=s.incomplete,
                refunded=s.refunded,
                refunded_at=s.refunded_at,
                employee_id=directory.employee_id(s.by, s.at or datetime.min.replace(tzinfo=UTC)),
                events=_in_order(s.events, order),
            )
        )
        for line in s.lines:
            rows["sale_line"].append(
                SaleLineRow(
                    line.id, s.id, client, line.at, line.kind, line.name, line.qty, line.amount, line.cost,
                    line.margin, (line.event,),
                )
            )  # fmt: skip
