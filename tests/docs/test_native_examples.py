"""docs/native-api.md is true: each of its examples is posted to the native adapter and accepted, each chapter has one."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ingest.adapters.native import TYPES
from tests.ingest.support import delivery, events, told

PAGE = (Path(__file__).parents[2] / "docs" / "native-api.md").read_text(encoding="utf-8")
BLOCKS = [json.loads(block) for block in re.findall(r"^```json\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)]
EXAMPLES = [block for block in BLOCKS if "type" in block]
#: Types that a CRM, ERP or operator is the one to tell.
TOLD_BY_CRM = {
    t
    for t in TYPES
    if not t.startswith(("call.", "chat.", "form.", "callback.", "recording.", "message.", "contact.c"))
}


def posted(event: Any) -> Any:
    one = delivery("native", value=event)
    answer = told(one).answer
    assert answer.status == 200
    return json.loads(answer.body) | {"types": [e.type for e in events(one)]}


@pytest.mark.parametrize("example", EXAMPLES, ids=[e["id"] for e in EXAMPLES])
def test_the_example_is_accepted(example: dict[str, Any]) -> None:
    said = posted(example)
    assert said["results"][0]["status"] == "accepted", said
    assert said["types"] == [example["type"]]


def test_all_examples_are_one_batch() -> None:
    distinct = {(e["type"], e["id"]): e for e in EXAMPLES}
    said = posted(list(distinct.values()))
    assert said["accepted"] == len(distinct)


def test_nothing_in_an_example_is_ignored() -> None:
    for example in EXAMPLES:
        (event,) = events(delivery("native", value=example))
        assert set(example["data"]) <= set(type(event.data).model_fields), example["id"]


def test_every_type_that_a_crm_tells_has_an_example() -> None:
    shown = {e["type"] for e in EXAMPLES}
    missing = TOLD_BY_CRM - shown - {"lead.split", "task.rescheduled", "task.cancelled"}
    assert not missing


def test_the_answer_on_the_page_is_the_answer() -> None:
    shown = next(block for block in BLOCKS if "results" in block)
    said = posted(
        [EXAMPLES[1], {"id": "b-2", "type": "booking.moved", "data": {"booking_id": "1", "slot": "завтра"}}]
    )
    assert set(shown) == set(said) - {"types"}
    assert [set(r) for r in shown["results"]] == [set(r) for r in said["results"]]
    assert shown["results"][1]["errors"] == said["results"][1]["errors"]


def test_statuses_of_the_page() -> None:
    assert told(delivery("native", body=b"not json")).answer.status == 400
    assert told(delivery("native", value=[{}] * 501)).answer.status == 413
    walk_in = next(e for e in EXAMPLES if e["type"] == "walkin.registered")
    assert posted(walk_in)["results"][0]["inquiry_id"]
