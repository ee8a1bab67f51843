"""Worked examples where two rules meet, or where a provider's telling has an odd but real shape."""

from __future__ import annotations

from typing import Literal

from domain.directory import Directory
from domain.facts.company import EmployeeChanged
from domain.facts.sales import BookingCancelled, BookingMade
from domain.facts.sites import ChatAnswered, ChatFinished, ChatMessage
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
