"""The native contract beyond its tables: identities without ids, limits, the published document."""

import json
from dataclasses import replace
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.directory import Directory
from domain.facts.company import DictionaryChanged
from domain.facts.registry import FACTS
from domain.identity import event_id
from ingest import openapi
from ingest.adapters.native import TYPES
from ingest.delivery import Delivery
from ingest.limits import Limits
from tests.ingest.support import SECRET, cases, delivery, events, later, told
from tests.ingest.test_lenient import JSON

ARRIVED = {"type": "client.arrived", "data": {"phone": "89990000001"}}


def answer(one: Delivery) -> Any:
    return json.loads(told(one).answer.body)


def test_the_event_id_is_told() -> None:
    result = answer(delivery("native", value=ARRIVED | {"id": "7"}))["results"][0]
    assert result["event_id"] == str(event_id("/native/main", "client.arrived", "7"))


def test_without_an_id_a_signed_message_gives_it() -> None:
    headers = {"webhook-id": "msg_1"}
    first = events(delivery("native", value=[ARRIVED, ARRIVED], headers=headers))
    assert [e.id for e in first] == [event_id("/native/main", "client.arrived", f"msg_1/{n}") for n in (0, 1)]
    again = events(later(delivery("native", value=[ARRIVED, ARRIVED], headers=headers), 9999))
    assert [e.id for e in again] == [e.id for e in first]


def test_without_any_id_what_is_said_counts_once() -> None:
    one = delivery("native", value=[ARRIVED, ARRIVED])
    body = answer(one)
    assert (body["accepted"], body["duplicates"]) == (1, 1)
    assert [e.id for e in events(one)] == [e.id for e in events(later(one, 9999))]


def test_the_same_id_with_other_content_is_kept() -> None:
    other = {"type": "client.arrived", "data": {"phone": "89990000002"}}
    one = delivery("native", value=[ARRIVED | {"id": "1"}, other | {"id": "1"}])
    assert len(events(one)) == 2
    assert len({e.id for e in events(one)}) == 1
    assert answer(one)["duplicates"] == 1


def warned(*given: dict[str, Any], entries: tuple[DictionaryChanged, ...] = ()) -> list[Any]:
    """Warnings of each event's answer; all are accepted."""
    built = Directory.build([])
    known = replace(built, entries={**built.entries, **{(e.dictionary, e.item): e for e in entries}})
    one = delivery("native", value=list(given))
    one = replace(one, source=replace(one.source, dictionary=known))
    results = answer(one)["results"]
    assert {r["status"] for r in results} == {"accepted"}
    assert len(events(one)) == len(given)
    return [r.get("warnings", []) for r in results]


def category(word: str) -> dict[str, Any]:
    return {"type": "inquiry.categorised", "data": {"phone": "89990000001", "category": word}}


def test_a_category_that_no_dictionary_knows_is_accepted_with_a_warning() -> None:
    good, label, slip, far = warned(
        category("repair"), category("запасные части"), category("ремнт"), category("Иван Петров")
    )
    assert good == label == []
    assert [w["field"] for w in slip] == ["category"]
    assert "did you mean repair?" in slip[0]["what"]
    # An id goes before the same word in the label of another entry («repair status»).
    ((near,),) = warned(category("repiar"))
    assert "did you mean repair?" in near["what"]
    assert "continuation, order_status, other, parts, repair;" in slip[0]["what"]
    assert "did you mean" not in far[0]["what"]
    assert "Иван" not in far[0]["what"]  # an answer never quotes what was sent
    own = DictionaryChanged(dictionary="category", item="tyres", label="Шины")
    assert warned(category("шины"), entries=(own,)) == [[]]


@pytest.mark.parametrize(
    ("type_", "more"),
    [
        ("refusal.recorded", {}),
        ("booking.cancelled", {"booking_id": "1"}),
        ("inquiry.result_set", {"result": "refusal"}),
    ],
)
def test_a_refusal_reason_that_no_dictionary_knows_is_accepted_with_a_warning(
    type_: str, more: dict[str, Any]
) -> None:
    one = {"type": type_, "data": {"phone": "89990000001", "reason": "prise", **more}}
    good = {"type": type_, "data": {"phone": "89990000001", "reason": "Цена", **more}}
    ((warning,), none) = warned(one, good)
    assert warning["field"] == "reason"
    assert "did you mean price?" in warning["what"]
    assert none == []


def test_without_a_dictionary_nobody_is_warned() -> None:
    assert "warnings" not in answer(delivery("native", value=category("ремнт")))["results"][0]


def test_too_long_a_batch() -> None:
    one = delivery("native", value=[ARRIVED] * 4, limits=Limits(max_batch=3))
    assert told(one).answer.status == 413
    assert events(one)[0].type == "delivery.unreadable"
    assert told(delivery("native", value=[ARRIVED] * 500)).answer.status == 200


def test_a_very_long_id_is_its_own() -> None:
    one, two = (
        answer(delivery("native", value=ARRIVED | {"id": "x" * 500 + end}))["results"][0] for end in "ab"
    )
    assert one["event_id"] != two["event_id"]


def test_no_personal_data_in_answers() -> None:
    for provider, case in cases():
        if provider == "native":
            for sent in ("89990000001", "999", "Петров", "дорого", "завтра"):
                text = told(delivery(provider, value=case["delivery"].get("json", {}))).answer.body.decode()
                results = json.loads(text).get("results", [])
                assert not any(sent in json.dumps(r.get("errors", ""), ensure_ascii=False) for r in results)


EVENTS = st.fixed_dictionaries(
    {},
    optional={
        "id": st.one_of(st.text(max_size=5), st.integers(), st.none()),
        "type": st.one_of(st.sampled_from(sorted(FACTS)), st.text(max_size=8), st.none()),
        "time": st.one_of(st.text(max_size=12), st.sampled_from(["2026-01-01", "0001-01-01T00:00:00"]), JSON),
        "data": st.one_of(
            JSON,
            st.dictionaries(
                st.sampled_from(sorted({f for m in FACTS.values() for f in m.model_fields})),
                JSON | st.just("79990000001"),
                max_size=8,
            ),
        ),
    },
)


@given(st.one_of(st.lists(EVENTS | JSON, max_size=4), EVENTS, st.fixed_dictionaries({"events": JSON})))
def test_whatever_is_sent_each_event_is_kept_and_answered(value: Any) -> None:
    one = delivery("native", value=value)
    translation = told(one)
    body = json.loads(translation.answer.body)
    assert translation.answer.status == 200
    assert body["accepted"] + body["duplicates"] + body["unreadable"] == len(body["results"])
    assert SECRET not in translation.answer.body.decode()
    stored = {str(e.id) for e in events(one)}
    assert {r["event_id"] for r in body["results"]} == stored


def document() -> Any:
    return json.loads(json.dumps(openapi.build()))


def test_the_document_has_every_type_but_the_unreadable_one() -> None:
    mapping = document()["components"]["schemas"]["Event"]["discriminator"]["mapping"]
    assert set(mapping) == set(TYPES) == set(FACTS) - {"delivery.unreadable"}


def test_the_document_is_the_same_each_time_and_its_references_exist() -> None:
    text = json.dumps(openapi.build())
    assert text == json.dumps(openapi.build())
    schemas = document()["components"]["schemas"]
    refs = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert refs <= set(schemas)
    for schema in schemas.values():
        jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize(
    "case", [c for p, c in cases() if p == "native" and "results" in c], ids=lambda c: c["name"]
)
def test_answers_are_as_published(case: dict[str, Any]) -> None:
    doc = document()
    schema = {"$ref": "#/components/schemas/Results", "components": doc["components"]}
    jsonschema.validate(answer(delivery("native", value=case["delivery"].get("json", ARRIVED))), schema)


def test_events_as_published_are_accepted() -> None:
    doc = document()
    schema = {"$ref": "#/components/schemas/Event", "components": doc["components"]}
    good = {"id": "1", "type": "InquiryCategorised", "data": {"phone": "+79990000001", "category": "repair"}}
    jsonschema.validate(good, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(good | {"type": "no.such"}, schema)
    assert answer(delivery("native", value=good))["accepted"] == 1
