"""Small histories on which the fold was once wrong; found by comparing it with the oracle (tests/oracle)."""

from __future__ import annotations

from domain.facts.inquiries import InquiryCategorised
from domain.facts.sites import ChatStarted
from tests.domain.story import PHONE, Story, at


def test_what_was_said_about_a_dialogue_stays_there_when_it_is_taken_up_again() -> None:
    """R0.18: a category of the first dialogue must not move to the one of five days later."""
    story = Story()
    story.say(ChatStarted(chat_id="9", phone=PHONE), at(), source="/jivo/chat", native=("9", "1"))
    story.say(InquiryCategorised(chat_id="9", category="repair"), at(hours=1))
    story.say(ChatStarted(chat_id="9", phone=PHONE), at(days=5), source="/jivo/chat", native=("9", "2"))
    assert [i.category_id for i in story.fold().inquiries] == ["repair", None]
