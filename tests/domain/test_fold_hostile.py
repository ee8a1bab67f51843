"""The fold of facts whose ids collide: whatever a sender with a right key says, there is one row for each key."""

from collections import Counter
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from domain.directory import Directory
from domain.event import Event
from domain.facts.company import DeliveryUnreadable
from domain.facts.inquiries import WalkInRegistered
from domain.facts.sites import CallbackRequested, FormSubmitted
from domain.fold import fold_group
from tests.domain.story import PHONE, Story, at
from tests.ingest.support import delivery, events
from tests.support.hostile import EVENTS

OTHER = "+79031234568"


def told(objects: list[dict[str, Any]]) -> list[Event]:
    found = [e for one in objects for e in events(delivery("native", value=one))]
    return [e for e in found if not isinstance(e.data, DeliveryUnreadable)]


def walkin(number: int, phone: str) -> dict[str, Any]:
    return {"type": "walkin.registered", "id": str(number), "data": {"walkin_id": "1", "phone": phone}}


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(objects=st.lists(EVENTS, max_size=12), data=st.data())
@example(objects=[walkin(1, PHONE), walkin(2, PHONE)], data=None)
@example(objects=[walkin(1, PHONE), walkin(2, OTHER)], data=None)
def test_one_row_for_each_key_in_any_order(objects: list[dict[str, Any]], data: st.DataObject | None) -> None:
    facts = told(objects)
    rows = fold_group(facts, Directory.build(()))
    for table, found in rows.items():
        assert not [key for key, count in Counter(row[0] for row in found).items() if count > 1], table
    shuffled = data.draw(st.permutations(facts)) if data else facts[::-1]
    again = fold_group(shuffled, Directory.build(()))
    assert {t: set(map(repr, r)) for t, r in again.items()} == {t: set(map(repr, r)) for t, r in rows.items()}


def test_a_walkin_told_again_under_another_id_is_one_inquiry() -> None:
    story = Story()
    story.say(WalkInRegistered(walkin_id="7", phone=PHONE), at())
    story.say(WalkInRegistered(walkin_id="7", phone=PHONE, by="anna", office="north"), at(minutes=3))
    (inquiry,) = story.fold().inquiries
    assert inquiry.opened_at == at()
    assert set(inquiry.events) == {e.id for e in story.events}
    assert inquiry.office_id == "north"


def test_a_form_told_again_beyond_the_window_is_one_inquiry_and_counts_once_it_has_a_contact() -> None:
    story = Story()
    story.say(FormSubmitted(submission_id="5"), at())
    story.say(FormSubmitted(submission_id="5", phone=PHONE), at(days=2))
    (inquiry,) = story.fold().inquiries
    assert inquiry.excluded is None


def test_a_callback_told_again_is_one_inquiry() -> None:
    story = Story()
    story.say(CallbackRequested(callback_id="5", phone=PHONE), at())
    story.say(CallbackRequested(callback_id="5", phone=PHONE), at(days=6))
    (inquiry,) = story.fold().inquiries
    assert inquiry.opened_at == at()
