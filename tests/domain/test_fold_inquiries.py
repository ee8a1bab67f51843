"""Worked examples of inquiries by hand: R0.x, D-0.x, L8–L13."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from typing import Any

from domain.directory import Directory
from domain.facts.calls import CallAnswered, CallEnded, CallStarted
from domain.facts.company import DictionaryChanged, EmployeeChanged, Extension
from domain.facts.inquiries import (
    ContactMarked,
    InquiryCategorised,
    InquiryResultSet,
    RefusalRecorded,
    WalkInRegistered,
)
from domain.facts.sales import (
    BookingCancelled,
    BookingMade,
    BookingMoved,
    ClientArrived,
    ClientNoShow,
    SaleLine,
    SaleRecorded,
    SaleRefunded,
    WorkOrderOpened,
)
from domain.facts.sites import ChatAnswered, ChatStarted
from domain.rows import CallLegRow
from tests.domain.story import PHONE, Story, at


def test_an_answered_call_is_a_phone_inquiry_of_who_talked() -> None:
    story = Story()
    ident = story.call("1", at(), talk=60, wait=10)
    (inquiry,) = story.fold().inquiries
    assert inquiry.inquiry_id == ident
    assert (inquiry.kind, inquiry.direction, inquiry.employee_id) == ("phone", "in", "ext:201")
    (call,) = story.fold().calls
    assert (call.outcome, call.wait_s, call.talk_s) == ("answered", 10, 60)


def test_category_target_result_last_wins() -> None:
    story = Story()
    story.call("1", at())
    story.say(InquiryCategorised(call_id="1", category="Прочее"), at(minutes=5))
    story.say(InquiryCategorised(call_id="1", category="Услуги по ремонту"), at(minutes=9))
    story.say(InquiryResultSet(call_id="1", result="Запись", by="irina"), at(minutes=9))
    (inquiry,) = story.fold().inquiries
    assert (inquiry.category_id, inquiry.is_target, inquiry.result) == ("repair", True, "booked")
    assert (inquiry.employee_id, inquiry.employee_basis) == ("irina", "result")


def test_missed_called_back_stays_missed_and_takes_the_category() -> None:
    """D-0.9, L8: the return call is a touch of the missed inquiry, not an outgoing one."""
    story = Story()
    missed = story.call("1", at(), talk=None)
    story.call("2", at(minutes=20), direction="out", talk=120)
    story.say(InquiryCategorised(call_id="2", category="repair"), at(minutes=30))
    told = story.fold()
    (inquiry,) = told.inquiries
    assert (inquiry.inquiry_id, inquiry.kind, inquiry.missed_fate) == (missed, "missed", "returned")
    assert inquiry.is_target
    assert (inquiry.calls, inquiry.first_touch_at) == (2, at(minutes=20))
    assert len(told.touches) == 2
    assert {t.inquiry_id for t in told.touches} == {missed}


def test_several_missed_rings_are_one_inquiry_until_processed() -> None:
    """L10, R0.15."""
    story = Story()
    story.call("1", at(), talk=None)
    story.call("2", at(minutes=5), talk=None)
    story.call("3", at(minutes=10), direction="out", talk=None)
    story.call("4", at(minutes=20), talk=None)
    told = story.fold()
    assert [i.kind for i in told.inquiries] == ["missed", "missed"]
    assert [i.calls for i in told.inquiries] == [3, 1]
    assert told.inquiries[0].duplicates == 1


def test_missed_again_after_a_day_is_another_inquiry() -> None:
    story = Story()
    story.call("1", at(), talk=None)
    story.call("2", at(days=1, minutes=1), talk=None)
    assert len(story.fold().inquiries) == 2


def test_client_who_calls_again_himself() -> None:
    """L9: two inquiries, one lead; the missed one is «дозвонился сам»."""
    story = Story()
    story.call("1", at(), talk=None)
    story.call("2", at(minutes=3))
    told = story.fold()
    assert [i.kind for i in told.inquiries] == ["missed", "phone"]
    assert told.inquiries[0].missed_fate == "self"
    assert len(told.leads) == 1


def test_form_then_our_call_is_one_site_inquiry() -> None:
    """L11."""
    story = Story()
    form = story.form("t:1", at())
    story.call("1", at(hours=3), direction="out")
    told = story.fold()
    (inquiry,) = told.inquiries
    assert (inquiry.inquiry_id, inquiry.kind, inquiry.reached_at) == (form, "site", at(hours=3, seconds=10))


def test_call_a_day_after_the_form_is_a_touch_only() -> None:
    story = Story()
    story.form("t:1", at())
    story.call("1", at(hours=25), direction="out")
    told = story.fold()
    (inquiry,) = told.inquiries
    assert inquiry.calls == 0
    assert {t.lead_id for t in told.touches} == {told.leads[0].lead_id}


def test_outgoing_call_is_an_inquiry_only_with_a_category() -> None:
    """D-0.10."""
    story = Story()
    story.call("1", at(), direction="out", ext="202")
    assert story.fold().inquiries == []
    story.say(InquiryCategorised(call_id="1", category="repair"), at(minutes=5))
    (inquiry,) = story.fold().inquiries
    assert (inquiry.direction, inquiry.kind, inquiry.employee_id) == ("out", "phone", "ext:202")


def test_same_form_twice_within_ten_minutes() -> None:
    """L13."""
    story = Story()
    story.form("t:1", at(), form_id="f1")
    story.form("t:2", at(minutes=10), form_id="f1")
    story.form("t:3", at(minutes=21), form_id="f1")
    told = story.fold()
    assert [i.duplicates for i in told.inquiries] == [1, 0]


def test_booking_from_a_continuation_belongs_to_the_target_inquiry() -> None:
    """D-0.5."""
    story = Story()
    first = story.call("1", at())
    story.say(InquiryCategorised(call_id="1", category="repair"), at(minutes=2))
    story.call("2", at(days=1))
    story.say(InquiryCategorised(call_id="2", category="continuation"), at(days=1, minutes=2))
    story.say(BookingMade(booking_id="B1", call_id="2", slot=at(days=3)), at(days=1, minutes=3))
    told = story.fold()
    assert told.bookings[0].inquiry_id == first
    assert told.inquiry(first).booked_at == at(days=1, minutes=3)


def test_attribution_window_and_arrival_close_an_inquiry() -> None:
    """D-0.5: not older than 30 days, and without an arrival yet."""
    story = Story()
    old = story.call("1", at())
    story.say(InquiryCategorised(call_id="1", category="repair"), at(minutes=2))
    story.say(ClientArrived(phone=PHONE), at(days=2))
    story.say(BookingMade(booking_id="B1", phone=PHONE, slot=at(days=5)), at(days=3))
    story.say(BookingMade(booking_id="B2", phone=PHONE, slot=at(days=40)), at(days=31))
    told = story.fold()
    assert told.inquiry(old).arrived_at == at(days=2)
    assert [b.inquiry_id for b in told.bookings] == [None, None]


def test_moved_booking_is_the_same_one() -> None:
    story = Story()
    ident = story.call("1", at())
    story.say(InquiryCategorised(call_id="1", category="repair"), at(minutes=2))
    story.say(BookingMade(booking_id="B1", call_id="1", slot=at(days=1)), at(minutes=3))
    story.say(BookingMoved(booking_id="B1", slot=at(days=4)), at(minutes=30))
    (booking,) = story.fold().bookings
    assert (booking.moves, booking.slot_at, booking.first_slot_at) == (1, at(days=4), at(days=1))
    row = story.fold().inquiry(ident)
    assert row.slot_at == at(days=4)
    assert row.slot_day_end is not None
    assert row.slot_day_end.isoformat() == "2026-03-06T21:00:00+00:00"  # midnight in Moscow after 6 March


def test_cancelled_and_no_show_moments() -> None:
    story = Story()
    story.call("1", at())
    story.say(InquiryCategorised(call_id="1", category="repair"), at(minutes=2))
    story.say(BookingMade(booking_id="B1", call_id="1", slot=at(days=1)), at(minutes=3))
    story.say(BookingCancelled(booking_id="B1", reason="Цена"), at(hours=5))
    (inquiry,) = story.fold().inquiries
    assert (inquiry.booking_cancelled_at, inquiry.refusal_reason_id) == (at(hours=5), "price")
    story.say(BookingMoved(booking_id="B1", slot=at(days=2)), at(hours=6))
    story.say(ClientNoShow(booking_id="B1"), at(days=3))
    (inquiry,) = story.fold().inquiries
    assert (inquiry.booking_cancelled_at, inquiry.no_show_at) == (None, at(days=3))


def test_refusal_last_reason() -> None:
    story = Story()
    story.call("1", at())
    story.say(RefusalRecorded(call_id="1", reason="Цена"), at(minutes=3))
    story.say(InquiryResultSet(call_id="1", result="Отказ", reason="Непрофильный автомобиль"), at(minutes=5))
    (inquiry,) = story.fold().inquiries
    assert (inquiry.refusal_reason_id, inquiry.refusal_at) == ("not_our_car", at(minutes=5))


def test_money() -> None:
    """D-0.8: margin over all lines; work without cost costs 0; a part without cost makes it incomplete."""
    story = Story()
    story.call("1", at())
    story.say(InquiryCategorised(call_id="1", category="repair"), at(minutes=2))
    story.say(WorkOrderOpened(order_id="O1", phone=PHONE), at(days=1))
    lines = (
        SaleLine(kind="work", price=Decimal(4000), discount=Decimal("42.80")),
        SaleLine(kind="part", qty=Decimal(2), price=Decimal(1250), cost=Decimal(900)),
    )
    story.say(SaleRecorded(receipt_id="R1", order_id="O1", lines=lines), at(days=2))
    (inquiry,) = story.fold().inquiries
    assert (inquiry.sales, inquiry.margin, inquiry.receipts) == (Decimal("6457.20"), Decimal("4657.20"), 1)
    assert not inquiry.margin_incomplete
    story.say(
        SaleRefunded(receipt_id="R1", lines=(SaleLine(kind="part", price=Decimal(1250), cost=Decimal(900)),)),
        at(days=3),
    )
    (inquiry,) = story.fold().inquiries
    assert (inquiry.sales, inquiry.margin, inquiry.receipts) == (Decimal("5207.20"), Decimal("4307.20"), 1)
    story.say(SaleRefunded(receipt_id="R1"), at(days=4))
    (inquiry,) = story.fold().inquiries
    assert (inquiry.sales, inquiry.margin, inquiry.receipts) == (Decimal(0), Decimal(0), 1)


def test_part_without_cost() -> None:
    story = Story()
    story.call("1", at())
    story.say(InquiryCategorised(call_id="1", category="parts"), at(minutes=2))
    lines = (SaleLine(kind="part", price=Decimal(500)), SaleLine(kind="work", price=Decimal(300)))
    story.say(SaleRecorded(receipt_id="R1", phone=PHONE, lines=lines), at(days=2))
    (inquiry,) = story.fold().inquiries
    assert (inquiry.sales, inquiry.margin, inquiry.margin_incomplete) == (Decimal(800), Decimal(300), True)


def test_walk_in_opens_an_inquiry_unless_a_booking_waits() -> None:
    """R0.17."""
    story = Story()
    story.say(WalkInRegistered(walkin_id="W1", phone=PHONE, by="irina"), at())
    (inquiry,) = story.fold().inquiries
    assert (inquiry.kind, inquiry.arrived_at, inquiry.employee_id) == ("visit", None, "irina")
    other = Story()
    other.call("1", at())
    other.say(InquiryCategorised(call_id="1", category="repair"), at(minutes=2))
    other.say(BookingMade(booking_id="B1", call_id="1", slot=at(days=1)), at(minutes=3))
    other.say(WalkInRegistered(walkin_id="W1", phone=PHONE), at(days=1))
    (inquiry,) = other.fold().inquiries
    assert (inquiry.kind, inquiry.arrived_at) == ("phone", at(days=1))


def test_lost_end_is_unknown_not_missed() -> None:
    """D-4.18."""
    story = Story()
    story.call("1", at(), talk=None, end=False)
    told = story.fold()
    assert told.inquiries[0].kind == "phone"
    assert told.calls[0].outcome == "open"
    assert told.calls[0].unknown_at == at(hours=6)
    assert told.calls[0].talk_s is None


def test_end_that_does_not_tell_how() -> None:
    """Jivo's «end» without a recording: whether somebody talked, the phases before it tell."""
    story = Story()
    base = {"direction": "in", "client_phone": PHONE}
    said = partial(story.say, source="/jivo/chat")
    said(CallStarted.model_validate({**base, "call_id": "1"}), at(), native=("1",))
    said(CallAnswered.model_validate({**base, "call_id": "1", "leg_id": "5"}), at(seconds=7), native=("1",))
    over = {**base, "cause": "unknown", "ended_at": at(minutes=1)}
    said(CallEnded.model_validate({**over, "call_id": "1"}), at(minutes=1), native=("1",))
    said(CallEnded.model_validate({**over, "call_id": "2"}), at(minutes=1), native=("2",))
    first, second = story.fold().calls
    assert (first.outcome, first.talk_s) == ("answered", 53)
    assert second.outcome == "missed"


def test_extension_by_date() -> None:
    """R0.50: who held the extension on the local day of the call."""
    from datetime import date

    story = Story()
    first = EmployeeChanged(
        employee_id="ira", name="Ирина К.", extensions=(Extension(ext="201", valid_to=date(2026, 3, 3)),)
    )
    second = EmployeeChanged(
        employee_id="oleg", name="Олег", extensions=(Extension(ext="201", valid_from=date(2026, 3, 3)),)
    )
    said = [story.say(first, at(days=-9)), story.say(second, at(days=-9))]
    story.events.clear()
    story.directory = Directory.build(said)
    story.call("1", at(hours=11, minutes=59))  # 23:59 on 2 March in Moscow
    story.call("2", at(hours=12))
    assert [i.employee_id for i in story.fold().inquiries] == ["ira", "oleg"]


def test_marked_numbers_stay_outside() -> None:
    """G11."""
    story = Story()
    story.call("1", at())
    story.say(ContactMarked(phone=PHONE, mark="spam"), at(days=1))
    (inquiry,) = story.fold().inquiries
    assert inquiry.excluded == "mark:spam"
    story.say(ContactMarked(phone=PHONE, mark="none"), at(days=2))
    (inquiry,) = story.fold().inquiries
    assert inquiry.excluded is None


def test_same_call_told_by_two_systems() -> None:
    story = Story()
    story.call("1", at())
    story.call("77", at(seconds=4), source="/jivo/chat", talk=None, end=False)
    told = story.fold()
    assert len(told.inquiries) == 1
    assert len(told.calls) == 2
    assert sum(c.same_as is not None for c in told.calls) == 1
    assert len(told.touches) == 1


def test_a_refunded_sum_is_lost_margin_until_it_takes_the_rest() -> None:
    """R0.25, D-0.8: a whole sum, at once or in parts, takes the receipt out of the margin as a whole refund does."""
    story = Story()
    line = SaleLine(kind="part", price=Decimal(100), cost=Decimal(60))
    story.say(SaleRecorded(receipt_id="R", phone=PHONE, lines=(line,)), at())
    story.say(SaleRefunded(receipt_id="R", refund_id="1", amount=Decimal(25)), at(days=1))
    assert [(s.sales, s.margin) for s in story.fold().sales] == [(Decimal(75), Decimal(15))]
    story.say(SaleRefunded(receipt_id="R", refund_id="2", amount=Decimal(75)), at(days=2))
    assert [(s.sales, s.margin, s.refunded) for s in story.fold().sales] == [
        (Decimal(0), Decimal(0), Decimal(100))
    ]
    story.say(SaleRefunded(receipt_id="R", refund_id="3", amount=Decimal(5)), at(days=3))
    assert [(s.sales, s.margin) for s in story.fold().sales] == [(Decimal(-5), Decimal(-5))], (
        "more than was paid"
    )


def test_an_agent_of_a_chat_is_found_by_email_or_name_and_shown_by_name() -> None:
    """Jivo calls its agents by numbers: nobody knows «3146»."""
    told = [
        Story().say(
            EmployeeChanged(employee_id="olga", name="Ольга", logins=("o@sto.example",)), at(days=-9)
        ),
        Story().say(EmployeeChanged(employee_id="ivan", name="Иван П."), at(days=-9)),
    ]
    names: tuple[dict[str, str], ...] = (
        {"agent_email": "O@sto.example"},
        {"agent_name": "Иван П."},
        {"agent_name": "Мария"},
        {},
    )
    for said, who in zip(names, ("olga", "ivan", "Мария", "3146"), strict=True):
        story = Story(Directory.build(told))
        answer = ChatAnswered.model_validate({"chat_id": "1", "phone": PHONE, "agent_id": "3146", **said})
        story.say(ChatStarted(chat_id="1", phone=PHONE), at(), source="/jivo/chat")
        story.say(answer, at(minutes=1), source="/jivo/chat")
        told_again = story.fold()
        assert [i.employee_id for i in told_again.inquiries] == [who]
        assert [t.employee_id for t in told_again.touches] == [who]


def test_an_agent_of_a_call_is_found_by_email_or_name_and_shown_by_name() -> None:
    """Jivo's calls name their agents as its chats do: one person is one row of the report."""
    olga = EmployeeChanged(employee_id="olga", name="Ольга", logins=("o@sto.example",))
    sales = EmployeeChanged(employee_id="ivan", name="Иван", extensions=(Extension(ext="201"),))
    told = [Story().say(olga, at(days=-9)), Story().say(sales, at(days=-9))]
    cases: tuple[tuple[str, tuple[str, ...] | None, str], ...] = (
        ("3146", ("O@sto.example", "О."), "olga"),
        ("201", ("O@sto.example",), "olga"),
        ("201", ("m@sto.example", "Мария"), "ivan"),
        ("3146", ("m@sto.example", "Мария"), "Мария"),
        ("3146", None, "ext:3146"),
    )
    for ext, names, who in cases:
        story = Story(Directory.build(told))
        call: dict[str, Any] = {"call_id": "1", "direction": "in", "client_phone": PHONE, "ext": ext}
        story.say(CallStarted.model_validate(call), at(), source="/jivo/chat")
        answer = CallAnswered.model_validate(call | {"leg_id": ext, "ext_names": names})
        story.say(answer, at(minutes=1), source="/jivo/chat")
        end = CallEnded.model_validate(call | {"ended_at": at(minutes=2), "cause": "unknown"})
        story.say(end, at(minutes=2), source="/jivo/chat")
        rows = story.fold()
        assert [i.employee_id for i in rows.inquiries] == [who]
        assert [(c.ext, c.employee_id) for c in rows.calls] == [(ext, who)]
        assert [leg.employee_id for leg in rows.rows["call_leg"] if isinstance(leg, CallLegRow)] == [who]


def test_a_walk_ins_office_may_be_given_by_its_label() -> None:
    office = DictionaryChanged(dictionary="office", item="ekb", label="Екатеринбург")
    story = Story(Directory.build([Story().say(office, at(days=-9))]))
    story.say(WalkInRegistered(walkin_id="W", phone=PHONE, office="екатеринбург"), at())
    assert [i.office_id for i in story.fold().inquiries] == ["ekb"]
