"""Every event version ever written is read by today's code and says what it said."""

from dataclasses import replace
from pathlib import Path

import pytest

from domain.facts.registry import FACTS
from domain.upcasting import LADDER
from leadfold.schemas import golden

FILE = Path(__file__).parents[2] / "schemas" / "golden" / "events.jsonl"


@pytest.fixture(scope="module")
def lines() -> list[golden.Golden]:
    return golden.read(FILE.read_text(encoding="utf-8"))


def test_every_golden_record_is_understood(lines: list[golden.Golden]) -> None:
    assert golden.problems(lines) == []
    assert {line.type for line in lines} == set(FACTS)


def test_a_lost_field_is_found(lines: list[golden.Golden]) -> None:
    line = next(one for one in lines if one.type == "call.ended")
    more = replace(line, says={**line.says, "fact": {**line.says["fact"], "was_here": 1}})
    assert golden.problems([*lines, more]) == ["golden call.ended v1: fact.was_here is gone"]


def test_a_changed_value_an_unreadable_record_and_a_missing_line_are_found(
    lines: list[golden.Golden],
) -> None:
    line = lines[0]
    changed = replace(line, says={**line.says, "refs": ["phone:+1"]})
    assert any("refs was" in p for p in golden.problems([changed, *lines[1:]]))
    broken = replace(line, value='{"fact": {}}')
    assert any("can no longer be read" in p for p in golden.problems([broken, *lines[1:]]))
    assert any(p.endswith("no line") for p in golden.problems(lines[1:]))


def test_a_new_version_needs_a_step_and_a_line(
    lines: list[golden.Golden], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = FACTS["call.voicemail_left"]

    class Newer(model):  # type: ignore[misc, valid-type]
        VERSION = 2
        minutes: int = 0

    monkeypatch.setitem(FACTS, "call.voicemail_left", Newer)
    found = golden.problems(lines)
    assert "call.voicemail_left: no step from version 1" in found
    assert "golden call.voicemail_left v2: no line" in found
    monkeypatch.setitem(
        LADDER, ("call.voicemail_left", 1), lambda data: {**data, "minutes": data["seconds"] // 60}
    )
    mended = golden.renewed(lines)
    assert golden.problems(mended) == []
    assert len(mended) == len(lines) + 1
    lifted = next(one for one in mended if one.type == "call.voicemail_left" and one.version == 1)
    assert (lifted.says_version, lifted.says["fact"]["minutes"]) == (2, 0)
