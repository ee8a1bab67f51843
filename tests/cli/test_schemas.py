"""The published contracts: up to date, valid, and never changed in a way that readers would not survive."""

import copy
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from domain.facts.registry import FACTS
from eventlog.sealing import seal
from ingest import openapi as native
from leadfold.schemas import openapi, publish
from leadfold.schemas.compat import breaking
from leadfold.schemas.events import all_schemas
from leadfold.schemas.samples import sample
from leadfold.schemas.yaml import dump

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "schemas"


def test_published_files_are_up_to_date() -> None:
    assert publish.outdated(FOLDER) == []


def test_contracts_speak_to_readers_not_of_numbers_of_requirements() -> None:
    for name, text in {**publish.contents(), "/openapi.json": json.dumps(native.build())}.items():
        assert not re.findall(r"\b(?:D-\d+\.\d+|R\d+\.\d+|[GL]\d{1,2}|spec \d)", text), name


def test_check_fails_when_stale_and_write_mends_it(tmp_path: Path) -> None:
    folder = tmp_path / "schemas"
    shutil.copytree(FOLDER, folder)
    (folder / "asyncapi.yaml").write_text("old")
    (folder / "events" / "call.ended.v1.json").unlink()

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "leadfold.schemas", "--folder", str(folder), *more]
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)

    checked = run("--check")
    assert checked.returncode == 1
    assert "asyncapi.yaml: stale" in checked.stderr
    assert "call.ended.v1.json: missing" in checked.stderr
    assert run().returncode == 0
    assert run("--check").returncode == 0


def test_a_breaking_change_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "schemas")
    path = tmp_path / "schemas" / "events" / "call.ended.v1.json"
    before = json.loads(path.read_text())
    before["properties"]["fact"]["properties"]["was_here"] = {"type": "string"}
    path.write_text(json.dumps(before))
    (tmp_path / "schemas" / "asyncapi.yaml").write_text("old")
    assert publish.write(tmp_path / "schemas") == [
        f"{path}: breaks readers: fact.was_here: removed or renamed"
    ]
    assert (tmp_path / "schemas" / "asyncapi.yaml").read_text() == "old"
    (tmp_path / "schemas" / "events" / "call.forgotten.v1.json").write_text("{}")
    assert any("call.forgotten is gone" in p for p in publish.breaks(tmp_path / "schemas"))


OLD: dict[str, Any] = {
    "type": "object",
    "properties": {
        "a": {"type": "integer", "minimum": 0},
        "b": {"anyOf": [{"type": "string", "maxLength": 5}, {"type": "null"}]},
        "c": {"enum": ["x", "y"]},
        "d": {"$ref": "#/$defs/D"},
        "e": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["a"],
    "$defs": {"D": {"type": "object", "properties": {"k": {"type": "string"}}}},
}


def changed(path: str, value: Any) -> dict[str, Any]:
    schema = copy.deepcopy(OLD)
    place: Any = schema
    *above, last = path.split("/")
    for part in above:
        place = place[int(part)] if isinstance(place, list) else place[part]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return schema


@pytest.mark.parametrize(
    ("path", "value", "found"),
    [
        ("properties/a", None, "a: removed or renamed"),
        ("properties/a/type", "string", "a: was integer, is string"),
        ("properties/a/minimum", 1, "a: minimum was 0, is 1"),
        ("properties/a/maximum", 9, "a: maximum 9 is new"),
        ("properties/b/anyOf/0/maxLength", 4, "b: maxLength was 5, is 4"),
        ("properties/b", {"type": "string", "maxLength": 5}, "b: was null, is string"),
        ("properties/c/enum", ["x"], "c: no longer allowed: ['y']"),
        ("properties/e/items/type", "integer", "e[]: was string, is integer"),
        ("properties/e/items/pattern", "a", "e[]: pattern was None, is 'a'"),
        ("$defs/D/properties/k", None, "d.k: removed or renamed"),
        ("required", ["a", "c"], "c: became required"),
    ],
)
def test_breaking_changes(path: str, value: Any, found: str) -> None:
    assert breaking(OLD, changed(path, value)) == [found]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("properties/f", {"type": "string"}),
        ("properties/a/type", "number"),
        ("properties/a/minimum", -5),
        ("properties/b/anyOf/0/maxLength", 50),
        ("properties/c/enum", ["x", "y", "z"]),
        ("properties/e", {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}]}),
        ("required", []),
    ],
)
def test_additions_and_wider_types_break_nobody(path: str, value: Any) -> None:
    assert breaking(OLD, changed(path, value)) == []


def test_no_schema_breaks_itself() -> None:
    for name, schema in all_schemas().items():
        assert breaking(schema, schema) == [], name


@pytest.mark.parametrize("type_", sorted(FACTS))
def test_a_sealed_event_fits_its_schema(type_: str) -> None:
    schema = json.loads((FOLDER / "events" / f"{type_}.v{FACTS[type_].VERSION}.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    value = json.loads(seal(sample(FACTS[type_])).value)
    jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(value)


def test_asyncapi_points_to_files_that_are_there() -> None:
    document = yaml.safe_load((FOLDER / "asyncapi.yaml").read_text(encoding="utf-8"))
    assert document["asyncapi"] == "3.0.0"
    messages = document["components"]["messages"]
    assert {m["name"] for m in messages.values()} == set(FACTS)
    for message in messages.values():
        assert (FOLDER / message["payload"]["schema"]["$ref"]).is_file()
    assert document["channels"]["events"]["bindings"]["kafka"]["topicConfiguration"]["retention.ms"] == -1


def test_openapi_names_both_interfaces_and_its_references_lead_somewhere() -> None:
    document = openapi.build()
    assert {"/v1/events", "/api/v1/reports/inquiries"} <= set(document["paths"])
    names = set(document["components"]["schemas"])

    def references(value: Any) -> set[str]:
        if isinstance(value, dict):
            own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
            return own.union(*(references(v) for v in value.values()), set())
        return set().union(*(references(v) for v in value)) if isinstance(value, list) else set()

    assert {r.rpartition("/")[2] for r in references(document)} <= names


TEXT = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]) | st.just("\n"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(TEXT, JSON, min_size=1, max_size=5))
def test_yaml_is_read_back_as_it_was(value: dict[str, Any]) -> None:
    assert yaml.safe_load(dump(value)) == value
