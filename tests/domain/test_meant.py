"""Which inquiry a fact means that names only the client (D-0.10, R0.11), also when two systems' clocks differ."""

from __future__ import annotations

from datetime import datetime

from domain.facts.inquiries import InquiryCategorised, InquiryResultSet, RefusalRecorded
from domain.facts.sales import BookingMade
from tests.domain.story import PHONE, Story, at


def by_phone(story: Story, when: datetime, category: str = "repair") -> None:
    """A category that names the client only."""
    story.say(InquiryCategorised(phone=PHONE, category=category), when)


def test_a_category_by_phone_after_our_call_makes_it_an_outgoing_inquiry() -> None:
    """The client's old inquiry was about something else; a new client has none at all."""
    story = Story()
    old = story.call("1", at())
    story.say(InquiryCategorised(call_id="1", category="parts"), at(minutes=5))
    ours = story.call("2", at(days=20), direction="out")
    by_phone(story, at(days=20, minutes=5))
    told = story.fold()
    assert [(i.inquiry_id, i.direction, i.category_id) for i in told.inquiries] == [
        (old, "in", "parts"),
        (ours, "out", "repair"),
    ]
    fresh = Story()
    ident = fresh.call("1", at(), direction="out")
    by_phone(fresh, at(minutes=5))
    assert [(i.inquiry_id, i.direction, i.is_target) for i in fresh.fold().inquiries] == [
        (ident, "out", True)
    ]


def test_a_category_by_phone_means_the_inquiry_that_still_waits_for_one() -> None:
    """We called twice about one form; only then was it categorised."""
    story = Story()
    form = story.form("f", at())
    story.call("1", at(minutes=10), direction="out")
    story.call("2", at(minutes=40), direction="out")
    by_phone(story, at(minutes=45))
    assert [(i.inquiry_id, i.category_id) for i in story.fold().inquiries] == [(form, "repair")]
    by_phone(story, at(minutes=50), "parts")
    corrected = story.fold().inquiries
    assert [(i.inquiry_id, i.category_id) for i in corrected] == [(form, "parts")], (
        "a correction is no new inquiry"
    )


def test_a_category_by_phone_means_no_attempt_and_no_call_of_long_ago() -> None:
    story = Story()
    story.call("1", at(), direction="out", talk=None)
    by_phone(story, at(minutes=5))
    assert story.fold().inquiries == []
    story.call("2", at(days=1), direction="out")
    by_phone(story, at(days=3))
    assert story.fold().inquiries == []


def test_a_later_approach_of_the_client_is_meant_before_our_call() -> None:
    story = Story()
    story.call("1", at(), direction="out")
    back = story.call("2", at(hours=1))
    by_phone(story, at(hours=2))
    assert [(i.inquiry_id, i.category_id) for i in story.fold().inquiries] == [(back, "repair")]


def test_a_result_by_phone_follows_the_category() -> None:
    """D-0.10 asks for a category: a result or refusal alone makes no inquiry, but belongs to the one so made."""
    story = Story()
    story.call("1", at(), direction="out")
    story.say(RefusalRecorded(phone=PHONE, reason="Цена"), at(minutes=2))
    assert story.fold().inquiries == []
    by_phone(story, at(minutes=5))
    assert [(i.direction, i.refusal_reason_id) for i in story.fold().inquiries] == [("out", "price")]


# --- two systems' clocks -------------------------------------------------------------------------------------------


def test_what_was_said_just_before_the_first_inquiry_is_not_lost() -> None:
    """The CRM's clock is behind the telephony's by up to ``clock_skew_seconds``."""
    story = Story()
    ident = story.call("1", at(), talk=None)
    by_phone(story, at(seconds=-120))
    story.say(InquiryResultSet(phone=PHONE, result="Отказ", reason="Цена", by="anna"), at(seconds=-60))
    story.say(BookingMade(booking_id="B", phone=PHONE, slot=at(days=1)), at(seconds=-1))
    again = story.call("2", at(hours=1), talk=None)
    told = story.fold()
    assert [
        (i.inquiry_id, i.category_id, i.result, i.refusal_reason_id, i.booked_at) for i in told.inquiries
    ] == [(ident, "repair", "refusal", "price", at(seconds=-1)), (again, None, None, None, None)]


def test_what_was_said_long_before_the_first_inquiry_is_about_nothing() -> None:
    story = Story()
    story.call("1", at())
    by_phone(story, at(seconds=-121))
    story.say(BookingMade(booking_id="B", phone=PHONE, slot=at(days=1)), at(seconds=-121))
    told = story.fold()
    assert [(i.category_id, i.booked_at) for i in told.inquiries] == [(None, None)]


def test_an_earlier_inquiry_is_meant_before_one_of_just_after() -> None:
    story = Story()
    first = story.call("1", at())
    story.call("2", at(days=1))
    by_phone(story, at(days=1, seconds=-5))
    assert next((i.inquiry_id, i.category_id) for i in story.fold().inquiries) == (first, "repair")


def test_a_category_just_before_our_call_is_about_it() -> None:
    story = Story()
    ident = story.call("1", at(), direction="out")
    by_phone(story, at(seconds=-30))
    assert [(i.inquiry_id, i.category_id) for i in story.fold().inquiries] == [(ident, "repair")]
