"""Whatever an authenticated source sends: no exception, an answer as the provider wants it, and a record."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.adapters.registry import adapters
from tests.fuzz.claims import check
from tests.ingest.support import SECRET, cases, delivery, delivery_of
from tests.ingest.test_lenient import JSON

pytestmark = pytest.mark.slow


def names_in(value: Any) -> Any:
    """Every field name that the tables of a provider use."""
    if isinstance(value, dict):
        return set(value) | {n for v in value.values() for n in names_in(v)}
    if isinstance(value, list):
        return {n for v in value for n in names_in(v)}
    return set()


WORDS: dict[str, set[str]] = {p: set() for p in adapters()}
VALUES: dict[str, set[str]] = {p: set() for p in adapters()}
for _provider, _case in cases():
    _one = delivery_of(_provider, _case)
    try:
        _fields = _one.fields
    except ValueError:
        continue
    WORDS[_provider] |= names_in(_fields)
    VALUES[_provider] |= {v for v in _fields.values() if isinstance(v, str)}

HARD = st.sampled_from(
    [
        "",
        "0",
        "-1",
        "1e400",
        "9" * 30,
        "\x00",
        "\ud800",
        "null",
        "<b>",
        "'; drop table",
        "%",
        "1710000000",
        "79990000001",
        "_id1",
        "[",
        "]",
        "a[b]",
        "\u202e",
        "0001-01-01T00:00:00",
        "NaN",
        "é" * 600,
    ]
)


def values(provider: str) -> Any:
    return st.one_of(HARD, st.sampled_from(sorted(VALUES[provider]) or [""]), st.text(max_size=20))


def fields(provider: str) -> Any:
    names = st.one_of(st.sampled_from(sorted(WORDS[provider])), st.text(max_size=10))
    return st.lists(st.tuples(names, values(provider)), max_size=15)


def objects(provider: str) -> Any:
    leaf = (
        values(provider)
        | st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
    )
    names = st.sampled_from(sorted(WORDS[provider]))
    inner = st.recursive(
        leaf, lambda x: st.lists(x, max_size=4) | st.dictionaries(names, x, max_size=8), max_leaves=25
    )
    return st.dictionaries(names, inner, max_size=12)


def encode(pairs: Any) -> Any:
    return urlencode([(k.encode("utf-8", "replace"), v.encode("utf-8", "replace")) for k, v in pairs])


@pytest.mark.parametrize("provider", sorted(adapters()))
@given(st.data())
def test_forms_and_queries(provider: str, data: st.DataObject) -> None:
    query = encode(data.draw(fields(provider)))
    body = encode(data.draw(fields(provider))).encode()
    kind = data.draw(st.sampled_from(["application/x-www-form-urlencoded", "", "application/json"]))
    check(delivery(provider, query=query, body=body, headers={"content-type": kind}))


@pytest.mark.parametrize("provider", sorted(adapters()))
@given(st.data())
def test_objects(provider: str, data: st.DataObject) -> None:
    value = data.draw(objects(provider) | JSON)
    check(delivery(provider, body=json.dumps(value).encode(), headers={"content-type": "application/json"}))


@pytest.mark.parametrize("provider", sorted(adapters()))
@given(st.data())
def test_one_changed_field_of_a_real_delivery(provider: str, data: st.DataObject) -> None:
    tables = [c for p, c in cases() if p == provider]
    one = delivery_of(provider, data.draw(st.sampled_from(tables)))
    body = bytearray(one.body)
    query = one.query
    if body:
        at = data.draw(st.integers(0, len(body) - 1))
        body[at : at + data.draw(st.integers(0, 6))] = data.draw(st.binary(max_size=6))
    if query:
        at = data.draw(st.integers(0, len(query) - 1))
        query = query[:at] + data.draw(st.text(max_size=4)) + query[at + data.draw(st.integers(0, 6)) :]
    check(delivery(provider, query=query, body=bytes(body), headers=dict(one.headers), config=one.source))


@pytest.mark.parametrize("provider", sorted(adapters()))
@given(
    st.binary(max_size=300),
    st.text(max_size=60),
    st.dictionaries(
        st.sampled_from(["content-type", "referer", "authorization", "webhook-id", "user-agent"]),
        st.text(max_size=40),
    ),
)
def test_noise(provider: str, body: bytes, query: str, headers: dict[str, str]) -> None:
    check(delivery(provider, body=body, query=query, headers=headers))


@pytest.mark.parametrize("query", ["0[1, ]", "0[a]=1&1[a]=2", f"county={SECRET}&phone=89990000001"])
@pytest.mark.parametrize("provider", sorted(adapters()))
def test_what_fuzzing_found(provider: str, query: str) -> None:
    kind = {"content-type": "application/x-www-form-urlencoded"}
    check(delivery(provider, query=query))
    check(delivery(provider, body=query.encode(), headers=kind))
    check(delivery(provider, query="phone=89990000001", headers={"referer": f"https://sto.example/?{query}"}))
