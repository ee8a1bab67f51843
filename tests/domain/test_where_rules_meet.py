"""Worked examples where two rules meet, or where a provider's telling has an odd but real shape."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal
from zoneinfo import ZoneInfo

from domain.directory import Directory
from domain.facts.calls import CallAnswered, CallEnded, CallLegRang, CallStarted
from domain.facts.company import DictionaryChanged, EmployeeChanged, NumberAssigned
from domain.facts.inquiries import InquiryCategorised, WalkInRegistered
from domain.facts.sales import (
    BookingCancelled,
    BookingMade,
    ClientArrived,
    SaleLine,
    SaleRecorded,
    SaleRefunded,
    WorkOrderOpened,
)
from domain.facts.sites import ChatAnswered, ChatFinished, ChatMessage, ChatStarted, OfflineMessageLeft
from tests.domain.story import PHONE, Story, at

JIVO = "/jivo/chat"
OLGA = EmployeeChanged(employee_id="olga", name="Ольга Ли", logins=("o@sto.example",))


def line(minute: int, by: Literal["visitor", "agent"], agent: str | None = None) -> ChatMessage:
    return ChatMessage(at=at(minutes=minute), by=by, agent_id=agent)


def test_an_agent_who_took_a_chat_over_is_known_by_what_its_end_calls_him() -> None:
    """G9: nobody told that he accepted the dialogue; only its end names him."""
    story = Story(Directory.build([Story().say(OLGA, at(days=-9))]))
    story.say(ChatAnswered(chat_id="1", phone=PHONE, agent_id="6", agent_name="Пётр"), at(), source=JIVO)
    done = ChatFinished(
        chat_id="1",
        phone=PHONE,
        messages=(line(0, "visitor"), line(1, "agent", "6"), line(5, "agent", "7")),
        agents=("6", "7"),
        agent_names={"6": ("Пётр",), "7": ("O@sto.example", "Ольга")},
    )
    story.say(done, at(minutes=5), source=JIVO)
    assert [i.employee_id for i in story.fold().inquiries] == ["olga"]


def test_an_agent_whom_we_do_not_know_is_shown_as_the_end_of_the_chat_names_him() -> None:
    story = Story()
    done = ChatFinished(
        chat_id="1",
        phone=PHONE,
        messages=(line(0, "visitor"), line(1, "agent", "8")),
        agents=("8",),
        agent_names={"8": ("s@sto.example", "Семён")},
    )
    story.say(done, at(minutes=5), source=JIVO)
    assert [i.employee_id for i in story.fold().inquiries] == ["Семён"]


def booked(story: Story, key: str, slot: float, hours: float) -> None:
    """A booking made some hours after the start, its slot some days after it."""
    story.say(BookingMade(booking_id=key, phone=PHONE, slot=at(days=slot)), at(hours=hours))


def test_of_two_bookings_the_one_still_standing_speaks() -> None:
    """D-0.2: the second car was called off, the first one's slot is ahead: the client is expected."""
    story = Story()
    story.needs("1", at())
    booked(story, "A", 9, 1)
    booked(story, "B", 10, 2)
    story.say(BookingCancelled(booking_id="B"), at(days=1))
    (inquiry,) = story.fold().inquiries
    assert (inquiry.slot_at, inquiry.booking_cancelled_at) == (at(days=9), None)


def test_of_two_bookings_the_later_slot_speaks_whichever_was_made_first() -> None:
    """D-0.2: one slot passed without the client, another one is ahead."""
    story = Story()
    story.needs("1", at())
    booked(story, "A", 9, 1)
    booked(story, "B", 2, 2)
    (inquiry,) = story.fold().inquiries
    assert inquiry.slot_at == at(days=9)


def test_a_booking_called_off_after_the_others_day_was_over_speaks() -> None:
    """D-0.2: the client was awaited until then; a booking made again stands after the one called off."""
    story = Story()
    story.needs("1", at())
    booked(story, "A", 2, 1)
    booked(story, "B", 9, 2)
    story.say(BookingCancelled(booking_id="B"), at(days=5))
    (inquiry,) = story.fold().inquiries
    assert (inquiry.slot_at, inquiry.booking_cancelled_at) == (at(days=9), at(days=5))
    story.say(BookingMade(booking_id="C", phone=PHONE), at(days=6))
    (inquiry,) = story.fold().inquiries
    assert (inquiry.slot_at, inquiry.booking_cancelled_at) == (None, None), "no slot is agreed yet"


def kamchatka(day: int, hours: float) -> datetime:
    """A moment by the clock of Kamchatka, nine hours before Moscow's; March days."""
    return datetime(2026, 3, day, tzinfo=ZoneInfo("Asia/Kamchatka")) + timedelta(hours=hours)


def far_east() -> Story:
    """A company of Moscow with an office on Kamchatka, whose number clients call."""
    office = DictionaryChanged(
        dictionary="office", item="kam", label="Камчатка", attrs={"timezone": "Asia/Kamchatka"}
    )
    number = NumberAssigned(number="+74150000001", office="kam")
    return Story(Directory.build([Story().say(fact, at(days=-9)) for fact in (office, number)]))


def wanted(story: Story, call_id: str, when: datetime) -> None:
    """A call to Kamchatka's number with a target category."""
    story.call(call_id, when, line="+74150000001")
    story.say(InquiryCategorised(call_id=call_id, category="repair"), when + timedelta(minutes=2))


def test_an_arrival_and_its_order_of_one_day_of_the_clients_office_are_one_arrival() -> None:
    """R0.21: at nine in the morning of Kamchatka it is midnight in Moscow; neither fact tells the office."""
    story = far_east()
    wanted(story, "1", kamchatka(5, 12))
    wanted(story, "2", kamchatka(9, 12))
    story.say(ClientArrived(phone=PHONE), kamchatka(12, 8.8))
    story.say(WorkOrderOpened(order_id="O", phone=PHONE), kamchatka(12, 9.2))
    told = story.fold()
    assert [i.arrived_at for i in told.inquiries] == [None, kamchatka(12, 8.8)]
    assert len(told.rows["visit"]) == 1


def test_a_walk_in_on_the_day_of_his_slot_by_the_offices_clock_is_the_bookings_arrival() -> None:
    """R0.17, D-0.2: in Moscow the day of the slot was over at nine o'clock of Kamchatka."""
    story = far_east()
    wanted(story, "1", kamchatka(9, 12))
    story.say(BookingMade(booking_id="B", phone=PHONE, slot=kamchatka(12, 8.5)), kamchatka(9, 13))
    story.say(WalkInRegistered(walkin_id="W", phone=PHONE), kamchatka(12, 9.1))
    (inquiry,) = story.fold().inquiries
    assert inquiry.arrived_at == kamchatka(12, 9.1)


def test_a_walk_in_after_the_day_of_his_slot_by_the_offices_clock_is_an_inquiry() -> None:
    """R0.17, D-0.2: in Moscow the day of the slot goes on until nine in the morning of Kamchatka's next day."""
    story = far_east()
    wanted(story, "1", kamchatka(9, 12))
    story.say(BookingMade(booking_id="B", phone=PHONE, slot=kamchatka(12, 17)), kamchatka(9, 13))
    story.say(WalkInRegistered(walkin_id="W", phone=PHONE), kamchatka(13, 8.5))
    assert [(i.kind, i.arrived_at) for i in story.fold().inquiries] == [("phone", None), ("visit", None)]


def test_a_receipt_of_the_day_by_the_offices_clock_is_of_that_days_visit() -> None:
    """D-0.5: paid a little before the gate told of the arrival, across midnight in Moscow."""
    story = far_east()
    wanted(story, "1", kamchatka(3, 12))
    story.say(ClientArrived(phone=PHONE), kamchatka(4, 12))
    wanted(story, "2", kamchatka(9, 12))
    story.say(
        SaleRecorded(receipt_id="R", phone=PHONE, lines=(SaleLine(price=Decimal(5)),)), kamchatka(12, 8.9)
    )
    story.say(ClientArrived(phone=PHONE), kamchatka(12, 9.1))
    assert [i.sales for i in story.fold().inquiries] == [0, 5]


def forwarded(story: Story, *, transferred_from: str | None, number: str = "79160000202") -> None:
    """Two minutes: 201 talks (when the call is handed on by it), then a phone outside; both legs are told."""
    told: dict[str, Any] = {"call_id": "1", "direction": "in", "client_phone": PHONE}
    handed: dict[str, Any] = {"leg_id": number, "transferred_from": transferred_from}
    story.say(CallStarted(**told), at(), native=("1",))
    if transferred_from:
        story.say(CallAnswered(**told, leg_id="201", ext="201"), at(seconds=10), native=("1", "201"))
    story.say(CallLegRang(**told, **handed), at(seconds=20), native=("1", number))
    story.say(CallAnswered(**told, **handed), at(seconds=40), native=("1", number))
    end = CallEnded(
        **told, started_at=at(), ended_at=at(minutes=2), cause="answered", exts_rung=("201", number)
    )
    story.say(end, at(minutes=2), native=("1",))


def test_a_call_handed_on_to_an_employees_own_phone_is_his_talk() -> None:
    """G9, R0.50: he talked last, or alone of several phones that rang; his leg has a number and no extension."""
    ivan = EmployeeChanged(employee_id="ivan", name="Иван", phones=("+79160000202",))
    for by in ("201", None):
        story = Story(Directory.build([Story().say(ivan, at(days=-9))]))
        forwarded(story, transferred_from=by)
        assert [i.employee_id for i in story.fold().inquiries] == ["ivan"], by


def test_a_leg_that_a_provider_merely_numbers_is_nobodys_phone() -> None:
    story = Story()
    forwarded(story, transferred_from="201", number="1710000000.10001")
    assert [i.employee_id for i in story.fold().inquiries] == ["ext:201"]


def left_message(story: Story, when: datetime) -> None:
    """A message of a client who found nobody online."""
    story.say(OfflineMessageLeft(chat_id="1", message_id="1", phone=PHONE), when, source=JIVO)


def test_our_call_answers_a_message_that_was_left_when_nobody_was_online() -> None:
    """L11, G9: one inquiry, and who called back has talked in it; later than a day it answers nothing."""
    for hours, calls, who in ((20, 1, "ext:202"), (25, 0, None)):
        story = Story()
        left_message(story, at())
        story.call("2", at(hours=hours), direction="out", ext="202")
        (inquiry,) = story.fold().inquiries
        assert (inquiry.kind, inquiry.calls, inquiry.employee_id) == ("chat", calls, who)
        story.say(InquiryCategorised(call_id="2", category="repair"), at(hours=hours + 1))
        kinds = [(i.kind, i.category_id) for i in story.fold().inquiries]
        told = [("chat", None), ("phone", "repair")] if not calls else [("chat", "repair")]
        assert kinds == told


def test_our_call_after_a_chat_that_was_answered_is_a_mere_touch() -> None:
    story = Story()
    story.say(ChatStarted(chat_id="1", phone=PHONE), at(), source=JIVO)
    story.say(ChatAnswered(chat_id="1", phone=PHONE, agent_id="oleg"), at(minutes=1), source=JIVO)
    story.call("2", at(hours=1), direction="out", ext="202")
    (inquiry,) = story.fold().inquiries
    assert (inquiry.calls, inquiry.employee_id) == (0, "oleg")


def test_a_client_who_left_a_message_and_calls_himself_is_reached() -> None:
    """L9: his call is an inquiry of its own; our later call answers nothing."""
    story = Story()
    left_message(story, at())
    story.call("2", at(hours=1))
    story.call("3", at(hours=2), direction="out", ext="202")
    told = [(i.kind, i.calls, i.reached_at is not None) for i in story.fold().inquiries]
    assert told == [("chat", 0, True), ("phone", 1, True)]


def test_a_walk_in_registered_after_the_gate_told_of_his_arrival_has_arrived() -> None:
    """R0.17, R0.21: gate and reception do not tell in one order; an older inquiry that was no target gets nothing."""
    for before in (False, True):
        story = Story()
        if before:
            story.call("1", at(days=-3))
            story.say(InquiryCategorised(call_id="1", category="other"), at(days=-3, minutes=2))
        story.say(WorkOrderOpened(order_id="O", phone=PHONE), at(minutes=-20))
        story.say(WalkInRegistered(walkin_id="W", phone=PHONE), at())
        story.say(InquiryCategorised(phone=PHONE, category="repair"), at(minutes=5))
        assert [i.arrived_at for i in story.fold().inquiries][-1] == at(minutes=-20)


def test_an_arrival_before_a_walk_in_is_of_the_target_inquiry_that_awaited_it() -> None:
    """D-0.5 goes before the walk-in of the day; an arrival of another day is not his."""
    story = Story()
    story.needs("1", at(days=-3))
    story.say(ClientArrived(phone=PHONE), at(minutes=-20))
    story.say(WalkInRegistered(walkin_id="W", phone=PHONE), at())
    assert [i.arrived_at for i in story.fold().inquiries] == [at(minutes=-20), None]
    story = Story()
    story.say(ClientArrived(phone=PHONE), at(days=-1))
    story.say(WalkInRegistered(walkin_id="W", phone=PHONE), at())
    assert [i.arrived_at for i in story.fold().inquiries] == [None]


def test_who_came_or_bought_before_his_first_inquiry_is_no_new_client() -> None:
    """R0.30: his past may be told by receipts alone, of days before; what an inquiry led to says nothing of it."""
    for days, told, new in (
        (-9, SaleRecorded(receipt_id="R", phone=PHONE, lines=(SaleLine(price=Decimal(5)),)), False),
        (-9, ClientArrived(phone=PHONE), False),
        (0, WorkOrderOpened(order_id="O", phone=PHONE), True),
        (2, ClientArrived(phone=PHONE), True),
    ):
        story = Story()
        story.say(told, at(days=days, minutes=-20))
        story.say(WalkInRegistered(walkin_id="W", phone=PHONE), at())
        story.needs("1", at(days=30))
        assert [i.new_client for i in story.fold().inquiries] == [new, False], told


def receipt(story: Story, key: str, days: float, price: int) -> None:
    """A receipt that names nothing but the client."""
    line = SaleLine(price=Decimal(price))
    story.say(SaleRecorded(receipt_id=key, phone=PHONE, lines=(line,)), at(days=days))


def test_a_receipt_after_a_visit_was_paid_is_of_the_inquiry_that_followed_it() -> None:
    """D-0.5: parts ordered by phone and paid days later, without an arrival of their own."""
    story = Story()
    story.needs("1", at())
    story.say(ClientArrived(phone=PHONE), at(days=2))
    receipt(story, "A", 2, 100)
    story.needs("2", at(days=9))
    receipt(story, "B", 11, 7)
    assert [(int(i.sales), i.receipts) for i in story.fold().inquiries] == [(100, 1), (7, 1)]


def test_the_first_receipt_after_a_visit_pays_it_though_the_client_has_called_again() -> None:
    """D-0.5: a repair takes days; a receipt of a day on which he came is that day's."""
    story = Story()
    story.needs("1", at())
    story.say(ClientArrived(phone=PHONE), at(days=2))
    story.needs("2", at(days=9))
    receipt(story, "A", 11, 100)
    assert [i.sales for i in story.fold().inquiries] == [100, 0]
    story = Story()
    story.needs("1", at())
    story.say(ClientArrived(phone=PHONE), at(days=2))
    receipt(story, "A", 2.01, 100)
    story.needs("2", at(days=2.02))
    receipt(story, "B", 2.03, 7)
    assert [i.sales for i in story.fold().inquiries] == [107, 0]


def test_visits_of_two_systems_with_one_number_are_two_clients() -> None:
    """Spec 2.3: CRM and ERP count their visits each by itself; the first one's twelfth is not the other's."""
    story = Story()
    story.say(WalkInRegistered(walkin_id="12", phone=PHONE), at(), source="/native/crm")
    story.call("1", at(days=-2), phone="+79990000009")
    story.say(ClientArrived(visit_id="12", phone="+79990000009"), at(days=1), source="/native/erp")
    assert [(i.kind, i.arrived_at) for i in story.fold().inquiries] == [
        ("phone", at(days=1)),
        ("visit", None),
    ]
    story.say(ClientArrived(visit_id="12"), at(minutes=-5), source="/native/crm")
    assert [i.arrived_at for i in story.fold().inquiries] == [at(days=1), at(minutes=-5)]


def returned(name: str, price: str) -> tuple[int, bool]:
    """Margin, and whether it is incomplete, after two of «Колодки» were sold and one line was returned."""
    story = Story()
    pads = SaleLine(kind="part", name="Колодки", qty=Decimal(2), price=Decimal(100), cost=Decimal(60))
    oil = SaleLine(kind="part", name="Масло", price=Decimal(50), cost=Decimal(20))
    story.say(SaleRecorded(receipt_id="R", phone=PHONE, lines=(pads, oil)), at())
    back = SaleLine(kind="part", name=name, price=Decimal(price))
    story.say(SaleRefunded(receipt_id="R", lines=(back,)), at(days=1))
    (sale,) = story.fold().sales
    return int(sale.margin), sale.margin_incomplete


def test_a_returned_part_takes_its_cost_along_however_its_name_is_written() -> None:
    """D-0.8: of 110 roubles of margin 40 go back with one of the pads; a part that nobody sold has an unknown cost."""
    assert returned("Колодки", "100") == (70, False)
    assert returned(" колодки ", "100") == (70, False)
    assert returned("Колодки тормозные", "100") == (70, False), "the only part of this price"
    assert returned("Колодки", "90") == (80, False), "given back at another price"
    assert returned("Свечи", "30") == (110, True)
