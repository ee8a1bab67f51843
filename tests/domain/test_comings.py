"""What a client came for and paid, where several days and several systems tell of it (R0.17, D-0.5)."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

import pytest

from domain.facts.base import Fact
from domain.facts.inquiries import InquiryCategorised, WalkInRegistered
from domain.facts.sales import (
    BookingCancelled,
    BookingMade,
    BookingMoved,
    ClientArrived,
    SaleLine,
    SaleRecorded,
    WorkOrderOpened,
)
from domain.facts.sites import ChatFinished, ChatMessage, ChatStarted
from tests.domain.story import PHONE, Story, at

LINES = (SaleLine(price=Decimal(100)),)
EARLY: tuple[Fact, ...] = (
    ClientArrived(booking_id="B"),
    WorkOrderOpened(order_id="O", phone=PHONE, booking_id="B"),
    WalkInRegistered(walkin_id="W0", phone=PHONE),
)


def kinds(story: Story) -> list[tuple[str, datetime | None]]:
    """Each inquiry's kind, and when its client came."""
    return [(i.kind, i.arrived_at) for i in story.fold().inquiries]


@pytest.mark.parametrize("came", EARLY)
def test_a_walk_in_after_the_booking_was_kept_is_an_inquiry(came: Fact) -> None:
    """The client came before his slot; the booking is used and awaits nobody."""
    story = Story()
    story.needs("1", at())
    story.say(BookingMade(booking_id="B", phone=PHONE, slot=at(days=9)), at(minutes=5))
    story.say(came, at(days=2))
    story.say(WalkInRegistered(walkin_id="W", phone=PHONE), at(days=4))
    assert kinds(story) == [("phone", at(days=2)), ("visit", None)]


def test_a_walk_in_on_the_day_of_the_arrival_is_that_arrival() -> None:
    story = Story()
    story.needs("1", at())
    story.say(BookingMade(booking_id="B", phone=PHONE, slot=at(days=2)), at(minutes=5))
    story.say(ClientArrived(booking_id="B"), at(days=2))
    story.say(WalkInRegistered(walkin_id="W", phone=PHONE), at(days=2, hours=1))
    assert kinds(story) == [("phone", at(days=2))]


def test_a_slot_agreed_after_the_first_coming_awaits_the_client_again() -> None:
    story = Story()
    story.needs("1", at())
    story.say(BookingMade(booking_id="B", phone=PHONE, slot=at(days=1)), at(minutes=5))
    story.say(ClientArrived(booking_id="B"), at(days=1))
    story.say(BookingMoved(booking_id="B", slot=at(days=5)), at(days=2))
    story.say(WalkInRegistered(walkin_id="W", phone=PHONE), at(days=5))
    assert [i.kind for i in story.fold().inquiries] == ["phone"]


def test_a_receipt_shortly_before_the_arrival_is_not_an_older_visits() -> None:
    """The till is faster than the gate: what was paid on the day of a visit was paid for that visit."""
    story = Story()
    story.needs("1", at())
    story.say(ClientArrived(phone=PHONE), at(days=1))
    story.needs("2", at(days=8))
    story.say(SaleRecorded(receipt_id="R", phone=PHONE, lines=LINES), at(days=9))
    story.say(ClientArrived(phone=PHONE), at(days=9, hours=1))
    assert [i.sales for i in story.fold().inquiries] == [0, 100]


def test_a_receipt_after_the_days_visit_is_that_visits() -> None:
    story = Story()
    story.needs("1", at())
    story.say(ClientArrived(phone=PHONE, visit_id="1"), at(hours=1))
    story.needs("2", at(hours=2))
    story.say(SaleRecorded(receipt_id="R", phone=PHONE, lines=LINES), at(hours=3))
    story.say(ClientArrived(phone=PHONE, visit_id="2"), at(hours=4))
    assert [i.sales for i in story.fold().inquiries] == [100, 0]


def booked_and_newer(story: Story) -> tuple[UUID, UUID]:
    """A target inquiry with the booking B of the third day, and a newer target inquiry of the second."""
    first = story.call("1", at())
    story.say(InquiryCategorised(call_id="1", category="repair"), at(minutes=5))
    story.say(BookingMade(booking_id="B", call_id="1", slot=at(days=3)), at(minutes=6))
    second = story.call("2", at(days=2))
    story.say(InquiryCategorised(call_id="2", category="parts"), at(days=2, minutes=5))
    return first, second


def test_an_arrival_on_the_day_of_a_booking_is_that_bookings() -> None:
    """D-0.5: the slot of that very day is stronger evidence than a newer target inquiry."""
    story = Story()
    first, second = booked_and_newer(story)
    story.say(ClientArrived(phone=PHONE), at(days=3, hours=2))
    told = story.fold()
    assert told.inquiry(first).arrived_at == at(days=3, hours=2)
    assert told.inquiry(second).arrived_at is None
    assert told.bookings[0].arrived_at == at(days=3, hours=2)


def test_an_arrival_on_another_day_or_naming_another_inquiry_is_not_that_bookings() -> None:
    story = Story()
    first, second = booked_and_newer(story)
    story.say(ClientArrived(call_id="2"), at(days=3, hours=2))
    told = story.fold()
    assert (told.inquiry(first).arrived_at, told.inquiry(second).arrived_at) == (None, at(days=3, hours=2))
    story.events.pop()
    story.say(ClientArrived(phone=PHONE), at(days=4))
    told = story.fold()
    assert (told.inquiry(first).arrived_at, told.inquiry(second).arrived_at) == (None, at(days=4))
    story.events.pop()
    story.say(BookingCancelled(booking_id="B"), at(days=2, hours=1))
    story.say(ClientArrived(phone=PHONE), at(days=3))
    assert story.fold().inquiry(first).arrived_at is None, "called off by then"


@pytest.mark.parametrize("log", [(), (ChatMessage(at=at(hours=30), by="agent"),)])
def test_a_dialogue_closed_days_later_is_no_second_inquiry(log: tuple[ChatMessage, ...]) -> None:
    """R0.18: messages of the client open a new one; that an empty log is closed, or we wrote once more, does not."""
    story = Story()
    chat = "/jivo/chat"
    story.say(ChatStarted(chat_id="9", phone=PHONE), at(), source=chat, native=("9", "1"))
    story.say(
        ChatFinished(chat_id="9", phone=PHONE, messages=log), at(hours=31), source=chat, native=("9", "2")
    )
    assert [i.opened_at for i in story.fold().inquiries] == [at()]
    again = (ChatMessage(at=at(hours=50), by="visitor"),)
    story.say(
        ChatFinished(chat_id="9", phone=PHONE, messages=again), at(hours=50), source=chat, native=("9", "3")
    )
    assert [i.opened_at for i in story.fold().inquiries] == [at(), at(hours=50)]
