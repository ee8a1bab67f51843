"""Tables of deliveries and the facts they mean, for every provider: ``data/<provider>/*.json``.

A case: ``delivery`` (``query``, ``form``, ``json`` or ``body``, ``headers``, ``method``), optionally ``source`` and
``received``; then what it means: ``facts`` (type, time, the part of the data that matters), ``probe``, or ``kept`` (a part
of the reason); ``answer`` (status, body) or, of the native contract, ``results``. ``same_ids_as`` names a case whose facts have the same ids.
"""

import json
from datetime import datetime
from typing import Any

import pytest

from ingest.adapters.registry import adapters
from tests.ingest.support import cases, delivery_of, events, told

ALL = list(cases())
PARAMS = [pytest.param(p, c, id=f"{p}: {c['name']}") for p, c in ALL]


def test_every_adapter_has_a_table() -> None:
    assert {p for p, _ in ALL} == set(adapters())


def test_names_are_unique() -> None:
    names = [(p, c["name"]) for p, c in ALL]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(("provider", "case"), PARAMS)
def test_delivery(provider: str, case: dict[str, Any]) -> None:
    one = delivery_of(provider, case)
    translation = told(one)
    expected = case.get("facts", [])
    assert [s.fact.TYPE for s in translation.said] == [f["type"] for f in expected]
    for said, fact in zip(translation.said, expected, strict=True):
        data = said.fact.model_dump(mode="json")
        wanted = fact.get("data", {})
        assert {name: data.get(name) for name in wanted} == wanted
        assert said.time == (datetime.fromisoformat(fact["time"]) if fact.get("time") else None)
    if "kept" in case:
        assert not translation.probe
        assert case["kept"] in (translation.kept or "")
    else:
        assert translation.probe == case.get("probe", False)
    answer = case.get("answer")
    if "results" in case:
        results = json.loads(translation.answer.body)["results"]
        assert [{k: r.get(k) for k in w} for r, w in zip(results, case["results"], strict=True)] == case[
            "results"
        ]
    elif answer is not None:
        assert translation.answer.status == answer.get("status", 200)
        body = translation.answer.body.decode()
        assert (json.loads(body) if not isinstance(answer["body"], str) else body) == answer["body"]
    else:
        assert translation.answer == adapters()[provider].OK
    # Whatever it was, it makes records, unless it was a probe.
    assert bool(events(one)) != translation.probe


@pytest.mark.parametrize(
    ("provider", "case"), [pytest.param(p, c, id=f"{p}: {c['name']}") for p, c in ALL if "same_ids_as" in c]
)
def test_same_ids(provider: str, case: dict[str, Any]) -> None:
    other = next(c for p, c in ALL if p == provider and c["name"] == case["same_ids_as"])
    assert {e.id for e in events(delivery_of(provider, case))} == {
        e.id for e in events(delivery_of(provider, other))
    }
