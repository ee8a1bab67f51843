"""Small histories of bookings, comings and receipts on which the fold was once wrong (found by tests/oracle)."""

from __future__ import annotations

from decimal import Decimal

from domain.facts.inquiries import WalkInRegistered
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
from tests.domain.story import PHONE, Story, at

LINES = (SaleLine(price=Decimal(100)),)


def test_a_booking_called_off_and_made_again_stands() -> None:
    """1.5: the last state counts; the first making is the moment it was booked."""
    story = Story()
    story.needs("1", at())
    story.say(BookingMade(booking_id="B", phone=PHONE, slot=at(days=2)), at(minutes=5))
    story.say(BookingCancelled(booking_id="B"), at(minutes=6))
    story.say(BookingMade(booking_id="B", phone=PHONE, slot=at(days=4)), at(minutes=7))
    (inquiry,) = story.fold().inquiries
    assert (inquiry.booked_at, inquiry.slot_at) == (at(minutes=5), at(days=4))
    assert inquiry.booking_cancelled_at is None


def test_a_no_show_before_the_agreed_hour_counts_unless_the_slot_was_moved_after_it() -> None:
    """D-0.2: a no-show is marked."""
    story = Story()
    story.needs("1", at())
    story.say(BookingMade(booking_id="B", phone=PHONE, slot=at(days=1)), at(minutes=5))
    story.say(BookingMoved(booking_id="B", slot=at(days=2)), at(minutes=6))
    story.say(ClientNoShow(booking_id="B"), at(days=2, minutes=-10))
    assert story.fold().inquiries[0].no_show_at == at(days=2, minutes=-10)
    story.say(BookingMoved(booking_id="B", slot=at(days=1, hours=23)), at(days=3))
    assert story.fold().inquiries[0].no_show_at is None


def test_a_walk_in_sees_the_bookings_of_its_own_time() -> None:
    """R0.17: moving the slot a week later does not make yesterday's walk-in an arrival."""
    story = Story()
    story.needs("1", at())
    story.say(BookingMade(booking_id="B", phone=PHONE, slot=at(days=1)), at(minutes=5))
    story.say(WalkInRegistered(walkin_id="W", phone=PHONE), at(days=3))
    story.say(BookingMoved(booking_id="B", slot=at(days=9)), at(days=4))
    assert [(i.kind, i.arrived_at) for i in story.fold().inquiries] == [("phone", None), ("visit", None)]


def test_the_call_that_cancels_a_booking_does_not_take_it_over() -> None:
    """D-0.5: a booking belongs to what it was made from."""
    story = Story()
    first = story.needs("1", at())
    story.say(BookingMade(booking_id="B", phone=PHONE, slot=at(days=5)), at(minutes=5))
    story.needs("2", at(days=1))
    story.say(BookingCancelled(booking_id="B", call_id="2"), at(days=1, minutes=5))
    assert [b.inquiry_id for b in story.fold().bookings] == [first]


def test_the_call_about_a_refund_does_not_take_the_receipt_over() -> None:
    story = Story()
    first = story.needs("1", at())
    story.say(SaleRecorded(receipt_id="R", phone=PHONE, lines=LINES), at(hours=1))
    story.needs("2", at(days=1))
    story.say(SaleRefunded(receipt_id="R", call_id="2", amount=Decimal(30)), at(days=1, hours=1))
    assert [(s.inquiry_id, s.sales) for s in story.fold().sales] == [(first, Decimal(70))]


def test_a_receipt_that_names_a_booking_belongs_to_its_inquiry() -> None:
    """Not to that of an older visit."""
    story = Story()
    story.needs("1", at())
    story.say(ClientArrived(phone=PHONE), at(days=1))
    second = story.needs("2", at(days=2))
    story.say(BookingMade(booking_id="B", call_id="2", slot=at(days=3)), at(days=2, minutes=5))
    story.say(SaleRecorded(receipt_id="R", booking_id="B", lines=LINES), at(days=3))
    assert [s.inquiry_id for s in story.fold().sales] == [second]


def test_an_arrival_told_twice_on_a_day_is_one() -> None:
    """R0.21, D-0.5: the second word must not give the arrival to an older inquiry as well."""
    story = Story()
    story.needs("1", at())
    story.needs("2", at(days=1))
    story.say(ClientArrived(phone=PHONE), at(days=2))
    story.say(ClientArrived(phone=PHONE), at(days=2, minutes=5))
    assert [i.arrived_at for i in story.fold().inquiries] == [None, at(days=2)]


def test_an_arrival_told_with_and_without_its_booking_is_one() -> None:
    story = Story()
    story.needs("1", at())
    story.needs("2", at(days=1))
    story.say(BookingMade(booking_id="b", phone=PHONE, slot=at(days=2)), at(days=1, hours=1))
    story.say(ClientArrived(phone=PHONE), at(days=2, minutes=-5))
    story.say(ClientArrived(booking_id="b"), at(days=2))
    told = story.fold()
    assert [i.arrived_at for i in told.inquiries] == [None, at(days=2, minutes=-5)]
    assert [b.arrived_at for b in told.bookings] == [at(days=2, minutes=-5)]


def test_two_visits_of_a_day_by_the_senders_own_ids_are_two() -> None:
    story = Story()
    story.needs("1", at())
    story.needs("2", at(days=1))
    story.say(ClientArrived(phone=PHONE, visit_id="v1"), at(days=2))
    story.say(ClientArrived(phone=PHONE, visit_id="v2"), at(days=2, minutes=5))
    assert [i.arrived_at for i in story.fold().inquiries] == [at(days=2, minutes=5), at(days=2)]


def test_a_refund_told_twice_is_one() -> None:
    """G10: the sender's id of the refund, whatever the ids of its messages; the last telling counts."""
    story = Story()
    story.needs("1", at())
    story.say(SaleRecorded(receipt_id="r", phone=PHONE, lines=LINES), at(days=1))
    story.say(SaleRefunded(receipt_id="r", refund_id="1", amount=Decimal(50)), at(days=2))
    story.say(SaleRefunded(receipt_id="r", refund_id="1", amount=Decimal(30)), at(days=3))
    story.say(SaleRefunded(receipt_id="r", refund_id="2", amount=Decimal(1)), at(days=4))
    told = story.fold()
    assert [(i.sales, i.receipts) for i in told.inquiries] == [(Decimal(69), 1)]
    assert [(s.refunded, s.refunded_at) for s in told.sales] == [(Decimal(31), at(days=4))]


def test_a_returned_line_without_its_cost_takes_that_of_the_receipt() -> None:
    """D-0.8: its cost is known; the margin is complete and does not exceed the sales."""
    story = Story()
    story.needs("1", at())
    lines = (
        SaleLine(kind="work", name="Замена", price=Decimal(4000), cost=Decimal(1000)),
        SaleLine(kind="part", name="Колодки", qty=Decimal(2), price=Decimal(1500), cost=Decimal(900)),
    )
    back = (
        SaleLine(kind="work", name="Замена", price=Decimal(4000)),
        SaleLine(kind="part", name="Колодки", qty=Decimal(1), price=Decimal(1500)),
    )
    story.say(SaleRecorded(receipt_id="r", phone=PHONE, lines=lines), at(days=1))
    story.say(SaleRefunded(receipt_id="r", lines=back), at(days=2))
    (inquiry,) = story.fold().inquiries
    assert (inquiry.sales, inquiry.margin, inquiry.margin_incomplete) == (Decimal(1500), Decimal(600), False)


def test_two_work_orders_of_one_day_are_one_coming() -> None:
    """R0.21: the second must not mark another inquiry as arrived."""
    story = Story()
    older, newer = story.needs("1", at()), story.needs("2", at(days=1))
    story.say(WorkOrderOpened(order_id="works", phone=PHONE), at(days=2))
    story.say(WorkOrderOpened(order_id="parts", phone=PHONE), at(days=2, hours=1))
    told = story.fold()
    assert [told.inquiry(i).arrived_at for i in (older, newer)] == [None, at(days=2)]
    story.say(WorkOrderOpened(order_id="next", phone=PHONE), at(days=3))
    assert story.fold().inquiry(older).arrived_at == at(days=3)
