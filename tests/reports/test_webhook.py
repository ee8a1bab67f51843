"""The raw webhook of an event, made readable: in a batch the event's own item is marked."""

import json
from dataclasses import replace
from typing import Any

import pytest

from domain.event import Event, Evidence
from ingest.adapters.registry import adapters
from ingest.translate import translate
from reports.web.webhook import webhook
from tests.ingest.support import delivery

ARRIVED: list[dict[str, Any]] = [
    {"id": "a-1", "type": "client.arrived", "data": {"phone": "89990000001"}},
    {"id": 17, "type": "ClientArrived", "data": {"phone": "89990000002", "comment": '"item" item-'}},
    {"id": "a-1", "type": "inquiry.categorised", "data": {"phone": "89990000003", "category": "repair"}},
]


def told(value: Any, headers: dict[str, str] | None = None) -> list[Event]:
    one = delivery("native", value=value, headers=headers or {})
    return list(translate(one, adapters()["native"], b"k").events)


def shown(event: Event, carrier: Event) -> Any:
    assert isinstance(carrier.evidence, Evidence)
    return webhook(carrier.evidence, event)


@pytest.mark.parametrize("wrapped", [False, True])
def test_each_event_of_a_batch_finds_its_item(wrapped: bool) -> None:
    events = told({"events": ARRIVED} if wrapped else ARRIVED)
    assert len(events) == 3
    for number, event in enumerate(events):
        hook = shown(event, events[0])
        assert hook.place == (number + 1, 3)
        assert json.loads(hook.item) == ARRIVED[number]
        whole = json.loads(hook.body + hook.item + hook.after)
        assert whole == ({"events": ARRIVED} if wrapped else ARRIVED)


def test_items_without_ids_are_found_by_their_place_in_a_signed_message() -> None:
    bare = [{k: v for k, v in item.items() if k != "id"} for item in ARRIVED]
    events = told(bare, {"webhook-id": "msg_1"})
    assert [shown(e, events[0]).place for e in events] == [(1, 3), (2, 3), (3, 3)]


def test_half_a_character_is_shown_as_it_was_written() -> None:
    (event,) = told(ARRIVED[0])
    assert isinstance(event.evidence, Evidence)
    evidence = replace(event.evidence, body=b'[{"a": "\\ud83d"}, "\xd1\x8f"]')
    body = webhook(evidence, event).body
    assert "\\ud83d" in body
    body.encode()


def test_nothing_is_marked_where_there_is_nothing_to_tell_apart() -> None:
    (alone,) = told(ARRIVED[0])
    hook = shown(alone, alone)
    assert (hook.item, hook.after, hook.place) == ("", "", (0, 0))
    assert json.loads(hook.body) == ARRIVED[0]
    events = told(ARRIVED)
    stranger = replace(events[0], source="/native/other")
    assert shown(stranger, events[0]).item == ""
