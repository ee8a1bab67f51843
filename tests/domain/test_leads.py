"""Lead rules L1–L18 (spec 2.4), on worked examples."""

from __future__ import annotations

from decimal import Decimal

from domain.facts.inquiries import InquiryCategorised, InquiryReattached, RefusalRecorded
from domain.facts.leads import LeadLost, LeadOpened, LeadsMerged, LeadSplit, LeadStageEntered, LeadWon
from domain.facts.sales import SaleLine, SaleRecorded, VehicleHandedOver, WorkOrderOpened
from domain.identity import lead_id
from tests.domain.story import PHONE, Story, at


def target(story: Story, call: str, when: float, category: str = "repair") -> None:
    """A call on a day with a category."""
    story.call(call, at(days=when))
    story.say(InquiryCategorised(call_id=call, category=category), at(days=when, minutes=5))


def test_inquiries_join_while_the_lead_is_alive_and_open_a_new_one_after_silence() -> None:
    """L1, L2, L3."""
    story = Story()
    target(story, "1", 0)
    target(story, "2", 30)
    target(story, "3", 60.01)
    first, second = story.fold().leads
    assert (first.inquiries, second.inquiries) == (2, 1)
    assert first.expires_at == at(days=60)
    assert second.previous_lead_id == first.lead_id


def test_won_lead() -> None:
    """L5: a target category opens a repeat lead at once; a question within 7 days joins the won one."""
    story = Story()
    target(story, "1", 0)
    lines = (SaleLine(price=Decimal(100)),)
    story.say(WorkOrderOpened(order_id="O", phone=PHONE), at(days=1))
    story.say(SaleRecorded(receipt_id="R", order_id="O", lines=lines), at(days=2))
    story.call("2", at(days=5))
    target(story, "3", 6)
    first, second = story.fold().leads
    assert (first.state, first.inquiries) == ("won", 2)
    assert (second.state, second.inquiries) == ("open", 1)


def test_car_in_repair() -> None:
    """L4: a question about the order joins the order's lead; a new need opens a lead."""
    story = Story()
    target(story, "1", 0)
    story.say(WorkOrderOpened(order_id="O", phone=PHONE), at(days=1))
    target(story, "2", 2, "order_status")
    target(story, "3", 3, "parts")
    story.say(VehicleHandedOver(order_id="O"), at(days=4))
    first, second = story.fold().leads
    assert (first.inquiries, first.state) == (2, "won")
    assert second.inquiries == 1


def test_lost_lead_reopens_for_a_target_inquiry() -> None:
    """L6."""
    story = Story()
    target(story, "1", 0)
    story.say(RefusalRecorded(call_id="1", reason="price"), at(minutes=9))
    assert story.fold().leads[0].state == "lost"
    target(story, "2", 20)
    (lead,) = story.fold().leads
    assert (lead.state, lead.reopened, lead.inquiries) == ("open", 1, 2)


def test_non_target_leaves_the_counts() -> None:
    """L7."""
    story = Story()
    target(story, "1", 0, "other")
    (lead,) = story.fold().leads
    assert lead.state == "non_target"
    target(story, "2", 1)
    (lead,) = story.fold().leads
    assert (lead.state, lead.inquiries) == ("open", 2)


def test_crm_lead_absorbs_ours() -> None:
    """L16."""
    story = Story()
    inquiry = story.call("1", at())
    story.say(LeadOpened(lead_id="777", phone=PHONE, stage="new", responsible="irina"), at(minutes=10))
    story.say(LeadStageEntered(lead_id="777", stage="Квалификация"), at(minutes=40))
    story.say(LeadWon(lead_id="777", amount=Decimal(5000)), at(days=3))
    told = story.fold()
    (lead,) = told.leads
    assert (lead.crm_id, lead.state, lead.stage_id, lead.responsible_id) == (
        "777",
        "won",
        "qualified",
        "irina",
    )
    assert (lead_id(inquiry), lead.lead_id) in told.rows["lead_alias"]
    assert [s.stage_id for s in told.rows["stage"]] == ["new", "qualified"]  # type: ignore[union-attr]


def test_crm_lead_later_than_half_an_hour_stands_beside() -> None:
    story = Story()
    story.call("1", at())
    story.say(LeadOpened(lead_id="777", phone=PHONE), at(minutes=31))
    story.say(LeadLost(lead_id="777", reason="Цена"), at(minutes=32))
    policy, crm = story.fold().leads
    assert (policy.opened_by, crm.state, crm.lost_reason_id) == ("policy", "lost", "price")


def test_operators_override_the_policy() -> None:
    """L14, L18."""
    story = Story()
    story.say(LeadOpened(lead_id="A", phone=PHONE), at(days=-1))
    first = story.call("1", at())
    second = story.call("2", at(hours=1))
    story.say(LeadOpened(lead_id="B", phone=PHONE), at(days=2))
    story.say(LeadSplit(lead_id="A", new_lead_id="B", inquiry_ids=(str(second),)), at(days=2, minutes=1))
    told = story.fold()
    assert told.inquiry(first).lead_id != told.inquiry(second).lead_id
    story.say(InquiryReattached(inquiry_id=first, to_lead_id="B"), at(days=3))
    told = story.fold()
    assert told.inquiry(first).lead_id == told.inquiry(second).lead_id
    story.say(LeadsMerged(lead_id="A", other_lead_id="B"), at(days=4))
    told = story.fold()
    assert [lead.crm_id for lead in told.leads] == ["A"]
    assert {i.lead_id for i in told.inquiries} == {told.leads[0].lead_id}
