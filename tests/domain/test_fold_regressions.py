"""Small histories of calls, dialogues and leads on which the fold was once wrong (found by tests/oracle)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from domain.facts.calls import CallAnswered, CallEnded, CallStarted
from domain.facts.inquiries import (
    ContactMarked,
    IdentityLinked,
    InquiryCategorised,
    InquiryReattached,
    InquiryResultSet,
    RefusalRecorded,
    WalkInRegistered,
)
from domain.facts.leads import LeadOpened, LeadSplit, LeadStageEntered
from domain.facts.sales import (
    ClientArrived,
    WorkOrderOpened,
)
from domain.facts.sites import CallbackRequested, ChatFinished, ChatMessage, ChatStarted
from tests.domain.story import PHONE, Story, at


def test_what_was_said_about_a_dialogue_stays_there_when_it_is_taken_up_again() -> None:
    """R0.18: a category of the first dialogue must not move to the one of five days later."""
    story = Story()
    story.say(ChatStarted(chat_id="9", phone=PHONE), at(), source="/jivo/chat", native=("9", "1"))
    story.say(InquiryCategorised(chat_id="9", category="repair"), at(hours=1))
    story.say(ChatStarted(chat_id="9", phone=PHONE), at(days=5), source="/jivo/chat", native=("9", "2"))
    assert [i.category_id for i in story.fold().inquiries] == ["repair", None]


def test_the_final_message_knows_better_than_a_machines_leg() -> None:
    """INDEX-telephony, rule 3: the greeting picked up first, the person's own answer was lost."""
    story = Story()
    base: dict[str, Any] = {"call_id": "1", "direction": "in", "client_phone": PHONE}
    story.say(CallStarted(**base), at(), source="/sipuni/main", native=("1",))
    story.say(
        CallAnswered(**base, leg_id="0", by="ivr"), at(seconds=1), source="/sipuni/main", native=("1", "0")
    )
    end = CallEnded(
        **base, started_at=at(), answered_at=at(seconds=20), ended_at=at(seconds=80), cause="answered",
        answered_by="person",
    )  # fmt: skip
    story.say(end, at(seconds=80), source="/sipuni/main", native=("1",))
    told = story.fold()
    assert [(c.outcome, c.wait_s, c.talk_s) for c in told.calls] == [("answered", 20, 60)]
    assert [i.kind for i in told.inquiries] == ["phone"]


def test_an_end_without_a_result_after_the_autoresponder() -> None:
    """D-4.9: «автоответчик», not a plain missed call."""
    story = Story()
    base: dict[str, Any] = {"call_id": "1", "direction": "in", "client_phone": PHONE}
    story.say(CallStarted(**base), at(), source="/jivo/chat", native=("1",))
    story.say(
        CallAnswered(**base, leg_id="0", by="autoresponder"),
        at(seconds=9),
        source="/jivo/chat",
        native=("1", "0"),
    )
    end = CallEnded(**base, ended_at=at(seconds=20), cause="unknown")
    story.say(end, at(seconds=20), source="/jivo/chat", native=("1",))
    assert [c.outcome for c in story.fold().calls] == ["autoresponder"]


def test_two_phones_of_one_client_at_one_moment_are_two_calls() -> None:
    """INDEX-telephony, rule 7: two systems tell one call only when the client's phone is the same."""
    story = Story()
    story.say(IdentityLinked(a=PHONE, b="+79990000002"), at(days=-1))
    story.call("1", at())
    story.call("2", at(seconds=5), phone="+79990000002", source="/jivo/chat")
    assert [c.same_as for c in story.fold().calls] == [None, None]


def test_an_answer_that_the_other_systems_end_takes_back_leaves_no_moment() -> None:
    """The telling with its own clock lost its end; the other says that nobody answered."""
    story = Story()
    story.call("1", at(), end=False)
    story.call("2", at(seconds=5), talk=None, source="/jivo/chat")
    story.events = [
        replace(e, time_basis="received") if e.source == "/jivo/chat" else e for e in story.events
    ]
    (call,) = (c for c in story.fold().calls if c.same_as is None)
    assert (call.provider_call_id, call.outcome, call.answered_at, call.wait_s) == ("1", "missed", None, 15)


def test_a_category_by_phone_processes_the_missed_call() -> None:
    """L10: the next missed ring is another inquiry, however the operator named the first."""
    story = Story()
    story.call("1", at(), talk=None)
    story.say(InquiryCategorised(phone=PHONE, category="other"), at(minutes=5))
    story.call("2", at(minutes=9), talk=None)
    assert [(i.calls, i.category_id) for i in story.fold().inquiries] == [(1, "other"), (1, None)]


def test_one_talk_answers_every_missed_call_that_waited() -> None:
    """L8, D-4.11: the call after it is no return of anything."""
    story = Story()
    story.call("1", at(), talk=None)
    story.call("2", at(hours=1), direction="out", talk=None)
    story.call("3", at(hours=2), talk=None)
    story.call("4", at(hours=3), direction="out")
    story.call("5", at(hours=4), direction="out")
    told = story.fold()
    assert [(i.calls, i.missed_fate) for i in told.inquiries] == [(2, "returned"), (2, "returned")]
    assert [c.returns_inquiry for c in told.calls] == [False, True, False, True, False]


def test_a_refusal_without_a_reason_is_a_refusal() -> None:
    """R0.40: the lead is lost; a reason told before stays."""
    story = Story()
    story.call("1", at())
    story.say(InquiryResultSet(call_id="1", result="Отказ"), at(minutes=5))
    told = story.fold()
    assert (told.inquiries[0].refusal_at, told.leads[0].state) == (at(minutes=5), "lost")
    story.say(RefusalRecorded(call_id="1", reason="Цена"), at(minutes=4))
    assert story.fold().inquiries[0].refusal_reason_id == "price"


def test_a_refusal_after_the_arrival_loses_the_lead() -> None:
    """The client came, heard the price and left: no booking or arrival followed."""
    story = Story()
    story.needs("1", at())
    story.say(ClientArrived(phone=PHONE), at(days=1))
    story.say(RefusalRecorded(phone=PHONE, reason="Цена"), at(days=1, hours=1))
    assert [le.state for le in story.fold().leads] == ["lost"]


def test_the_crms_lead_absorbs_ours_though_its_stage_was_told_first() -> None:
    """L16: amoCRM tells opening and first stage in one second; clocks and ids decide their order."""
    for earlier in (0, 1):
        story = Story()
        story.call("1", at())
        story.say(LeadStageEntered(lead_id="7", phone=PHONE, stage="new"), at(minutes=10))
        story.say(LeadOpened(lead_id="7", phone=PHONE), at(minutes=10, seconds=earlier))
        (lead,) = story.fold().leads
        assert (lead.crm_id, lead.inquiries) == ("7", 1)


def test_marked_contacts_open_no_leads() -> None:
    """Spec 2.3, rule 5."""
    story = Story()
    story.call("1", at())
    story.say(ContactMarked(phone=PHONE, mark="spam"), at(days=1))
    told = story.fold()
    assert told.leads == []
    assert [i.lead_id for i in told.inquiries] == [None]


def test_a_walk_in_whose_car_was_accepted_at_once_joins_the_open_lead() -> None:
    """L2, L4: the order of an inquiry itself is no earlier repair."""
    story = Story()
    story.needs("1", at())
    story.say(WalkInRegistered(walkin_id="W", phone=PHONE), at(days=1))
    story.say(WorkOrderOpened(order_id="O", phone=PHONE), at(days=1))
    story.say(InquiryCategorised(phone=PHONE, category="repair"), at(days=1))
    assert [le.inquiries for le in story.fold().leads] == [2]


def test_a_split_opens_the_new_card_by_itself() -> None:
    """L14, L18: the CRM may never tell the opening of the card that it parted off."""
    story = Story()
    story.say(LeadOpened(lead_id="A", phone=PHONE), at(days=-1))
    story.call("1", at())
    second = story.call("2", at(hours=1))
    story.say(LeadSplit(lead_id="A", new_lead_id="B", inquiry_ids=(str(second),)), at(days=1))
    told = story.fold()
    (new,) = (le for le in told.leads if le.crm_id == "B")
    assert told.inquiry(second).lead_id == new.lead_id


def test_an_operator_may_reattach_the_latest_inquiry_by_phone() -> None:
    """L18: a phone alone means the client's latest inquiry."""
    story = Story()
    first = story.call("1", at())
    story.say(LeadOpened(lead_id="A", phone=PHONE), at(days=1))
    story.say(InquiryReattached(phone=PHONE, to_lead_id="A"), at(days=2))
    (lead,) = story.fold().leads
    assert (lead.crm_id, story.fold().inquiry(first).lead_id) == ("A", lead.lead_id)


def test_a_former_lead_id_leads_to_one_living_lead() -> None:
    """Links and exports (spec 2.4): the id of a living lead is nobody's alias; previous leads exist."""
    story = Story()
    story.call("1", at())
    second = story.call("2", at(days=1))
    for n, card in enumerate("AB"):
        story.say(LeadOpened(lead_id=card, phone=PHONE), at(days=2, hours=n))
    story.say(InquiryReattached(call_id="1", to_lead_id="A"), at(days=3))
    living = {le.lead_id for le in story.fold().leads}
    aliases = [r[0] for r in story.fold().rows["lead_alias"]]
    assert not living & set(aliases)
    story.say(InquiryReattached(inquiry_id=second, to_lead_id="B"), at(days=3, hours=1))
    aliases = [r[0] for r in story.fold().rows["lead_alias"]]
    assert len(aliases) == len(set(aliases)) == 2


def test_two_calls_by_one_request_that_nobody_told_are_outgoing() -> None:
    """D-4.6: «обратный» is a request and our call; an API call that a manager ordered is no widget's."""
    story = Story()
    base: dict[str, Any] = {"direction": "out", "client_phone": PHONE, "callback_id": "cb"}
    for n in (1, 2):
        key = str(n)
        story.say(CallStarted(**base, call_id=key), at(hours=n), source="/sipuni/main", native=(key,))
        story.say(InquiryCategorised(call_id=key, category="repair"), at(hours=n, minutes=5))
    told = story.fold()
    assert [(i.direction, i.calls) for i in told.inquiries] == [("out", 1), ("out", 1)]
    assert [c.report_direction for c in told.calls] == ["out", "out"]


def test_an_end_that_gives_the_answers_moment_was_answered() -> None:
    """The answer itself was lost and the result is a word that nobody knows."""
    story = Story()
    end = CallEnded(
        call_id="1", direction="in", client_phone=PHONE, started_at=at(), answered_at=at(seconds=5),
        ended_at=at(seconds=65), cause="unknown",
    )  # fmt: skip
    story.say(end, at(seconds=65), source="/sipuni/main", native=("1",))
    assert [(c.outcome, c.talk_s) for c in story.fold().calls] == [("answered", 60)]


@pytest.mark.parametrize("chat", range(8))
def test_a_callback_of_one_message_with_its_request_answers_it(chat: int) -> None:
    """D-4.6: Jivo tells the request and our call in one message, at one moment; ids must not decide which was first."""
    story = Story()
    key = f"{chat}-callback"
    base: dict[str, Any] = {"call_id": key, "direction": "out", "client_phone": PHONE, "callback_id": key}
    story.say(CallbackRequested(callback_id=key, phone=PHONE), at(), source="/jivo/chat", native=(key,))
    story.say(CallStarted(**base), at(), source="/jivo/chat", native=(key,))
    end = CallEnded(**base, started_at=at(), ended_at=at(seconds=40), cause="failed")
    story.say(end, at(seconds=40), source="/jivo/chat", native=(key,))
    told = story.fold()
    assert [(i.kind, i.direction, i.calls) for i in told.inquiries] == [("site", "in", 1)]
    assert [c.report_direction for c in told.calls] == ["callback"]


def test_a_callback_that_the_telephony_saw_before_its_request_answers_it() -> None:
    """D-4.6: Jivo gives no times, so its request is as late as its message; the PBX tells the true second."""
    story = Story()
    told_by_jivo: dict[str, Any] = {
        "call_id": "7", "direction": "out", "client_phone": PHONE, "callback_id": "7"
    }  # fmt: skip
    story.say(
        CallbackRequested(callback_id="7", phone=PHONE), at(seconds=2), source="/jivo/chat", native=("7",)
    )
    story.say(CallStarted(**told_by_jivo), at(seconds=2), source="/jivo/chat", native=("7",))
    story.call("1", at(), direction="out", wait=30, talk=90)
    story.say(InquiryCategorised(call_id="1", category="repair"), at(minutes=5))
    told = story.fold()
    assert [(i.kind, i.direction, i.category_id, i.calls) for i in told.inquiries] == [
        ("site", "in", "repair", 1)
    ]
    (inquiry,) = told.inquiries
    assert inquiry.first_touch_at == inquiry.opened_at == at(seconds=2)
    assert [c.report_direction for c in told.calls if c.same_as is None] == ["callback"]


def log(*said: tuple[float, str]) -> tuple[ChatMessage, ...]:
    """Messages of a dialogue: (hours, by)."""
    return tuple(ChatMessage.model_validate({"at": at(hours=h), "by": by}) for h, by in said)


def finished(story: Story, chat: str, *said: tuple[float, str], nth: str = "1") -> None:
    """Jivo's whole log of a dialogue."""
    done = ChatFinished(chat_id=chat, phone=PHONE, messages=log(*said), agents=("oleg",))
    story.say(done, at(hours=max(h for h, _ in said)), source="/jivo/chat", native=(chat, nth))


def test_a_day_of_silence_inside_one_log_parts_two_inquiries() -> None:
    """R0.18: a dialogue that was closed days later tells of both approaches in one log."""
    story = Story()
    finished(
        story,
        "9",
        (0, "visitor"),
        (1, "agent"),
        (25, "visitor"),
        (49.5, "visitor"),
        (50, "agent"),
        (99, "agent"),
    )
    story.say(InquiryCategorised(chat_id="9", category="repair"), at(hours=51))
    first, second = story.fold().inquiries
    assert [first.opened_at, second.opened_at] == [at(), at(hours=49.5)]
    assert [first.category_id, second.category_id] == [None, "repair"]
    assert [first.reached_at, second.reached_at] == [at(hours=1), at(hours=50)]
    assert first.inquiry_id != second.inquiry_id


def test_two_silences_inside_one_log_part_three_inquiries() -> None:
    story = Story()
    finished(story, "9", (0, "visitor"), (30, "visitor"), (60, "visitor"))
    told = story.fold().inquiries
    assert [i.opened_at for i in told] == [at(), at(hours=30), at(hours=60)]
    assert len({i.inquiry_id for i in told}) == 3


def test_a_dialogue_finished_twice_keeps_its_first_reply() -> None:
    """R2.x first touch: the second log of the same dialogue does not take back the reply of the first."""
    story = Story()
    finished(story, "9", (0, "visitor"), (0.1, "agent"))
    finished(story, "9", (2, "visitor"), (2.1, "agent"), nth="2")
    (inquiry,) = story.fold().inquiries
    assert (inquiry.first_touch_at, inquiry.reached_at) == (at(hours=0.1), at(hours=0.1))


def test_a_client_who_tries_our_other_number_at_once_called_twice() -> None:
    """L9, INDEX-telephony, rule 7: two offices, two accounts; the first call was over before the second began."""
    story = Story()
    story.call("1", at(), talk=None, wait=25)
    story.call("2", at(seconds=60), source="/sipuni/other", line="+74990000022")
    told = story.fold()
    assert [(i.kind, i.missed_fate) for i in told.inquiries] == [("missed", "self"), ("phone", None)]
    assert [c.same_as for c in told.calls] == [None, None]


def test_two_talks_with_two_offices_are_two_calls() -> None:
    """The same, both answered: only the numbers differ."""
    story = Story()
    story.call("1", at(), talk=30, wait=5)
    story.call("2", at(seconds=60), talk=30, wait=5, source="/sipuni/other", line="+74990000022")
    assert [i.talk_s for i in story.fold().inquiries] == [30, 30]


def test_the_clients_own_call_answers_his_form() -> None:
    """Our call of an hour later answers nothing any more."""
    story = Story()
    form = story.form("f", at())
    story.call("1", at(hours=1))
    story.call("2", at(hours=2), direction="out")
    told = story.fold()
    assert told.inquiry(form).reached_at == at(hours=1, seconds=10)
    assert [c.returns_inquiry for c in told.calls] == [False, False]


def test_a_return_is_counted_from_the_last_ring() -> None:
    """L8, L10: he rang again a day later."""
    story = Story()
    story.call("1", at(), talk=None)
    story.call("2", at(hours=24), talk=None)
    story.call("3", at(hours=96), direction="out")
    assert [(i.calls, i.missed_fate) for i in story.fold().inquiries] == [(3, "returned")]
