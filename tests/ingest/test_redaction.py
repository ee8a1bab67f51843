"""Secrets never reach the evidence, whatever way they came; what remains translates to the same facts."""

import json
from base64 import b64encode
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventlog.sealing import unseal
from ingest import redaction
from ingest.adapters.registry import adapters
from ingest.delivery import Delivery
from ingest.translate import evidence_of, records_of, translate
from tests.ingest.support import KEY, SECRET, cases, delivery, delivery_of, source


def evidence(one: Delivery) -> Any:
    return evidence_of(one, adapters()[one.source.provider])


def all_bytes(e: Any) -> Any:
    return json.dumps([e.path, e.query, e.headers]).encode() + e.body


def test_path() -> None:
    e = evidence(delivery("sipuni", query="event=1"))
    assert e.path == "/in/main/***"
    assert SECRET.encode() not in all_bytes(e)


def test_a_wrong_or_odd_path_keeps_nothing_behind_the_name() -> None:
    assert redaction.path("/in/main/a/b/c", source("form")) == "/in/main/***"
    assert redaction.path("/v1/events", source("native")) == "/v1/events"


def test_headers() -> None:
    one = delivery(
        "native",
        value={},
        headers={
            "Authorization": "Basic " + b64encode(f"u:{SECRET}".encode()).decode(),
            "X-Api-Key": SECRET,
            "User-Agent": f"agent {SECRET}",
            "Cookie": "session=1",
            "X-Forwarded-For": "203.0.113.5",
            "webhook-id": "msg_1",
        },
    )
    assert dict(evidence(one).headers) == {
        "content-type": "application/json",
        "user-agent": "agent ***",
        "webhook-id": "msg_1",
        "authorization": "***",
        "x-api-key": "***",
    }


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        ({"key_in": "query", "key_name": "k"}, {"query": f"a=1&k={SECRET}&b=2"}),
        ({"key_in": "header", "key_name": "Token2"}, {"headers": {"Token2": SECRET}}),
        ({"key_in": "body", "key_name": "k", "key_value": "abc"}, {"form": {"a": "1", "k": "abc"}}),
        ({"key_in": "body", "key_name": "k", "key_value": "abc"}, {"value": {"a": "1", "k": "abc"}}),
        ({}, {"query": {"token": "visible-elsewhere"}}),
        ({}, {"form": {"crm_token": "visible-elsewhere", "x": "1"}}),
        ({}, {"value": {"api_key": "visible-elsewhere", "x": {"password": 'p"q'}}}),
        ({}, {"body": f"left {quote(SECRET)} right".encode()}),
    ],
)
def test_keys_elsewhere(options: dict[str, str], sent: dict[str, Any]) -> None:
    e = evidence(delivery("form", config=source("form", options=options), **sent))
    raw = all_bytes(e)
    for secret in (SECRET, "visible-elsewhere", '"abc"', "=abc", 'p\\"q'):
        assert secret.encode() not in raw
    assert b"***" in raw


def test_redaction_does_not_change_what_is_meant() -> None:
    for provider, case in cases():
        one = delivery_of(provider, case)
        adapter = adapters()[provider]
        first = translate(one, adapter, KEY)
        e = evidence(one)
        again = type(one)(
            method=e.method,
            path=e.path,
            query=e.query,
            headers=dict(e.headers),
            body=e.body,
            received=one.received,
            source=one.source,
        )
        second = translate(again, adapter, KEY)
        assert [x.id for x in second.events] == [x.id for x in first.events]
        assert [x.data for x in second.events] == [x.data for x in first.events]


def test_other_data_is_verbatim() -> None:
    body = "Name=Пётр&monkey=1&tokens=2&хэш=3".encode()
    e = evidence(delivery("tilda", body=body, query="a=b&hashtag=2"))
    assert (e.body, e.query) == (body, "a=b&hashtag=2")


def test_the_id_tells_deliveries_apart() -> None:
    from tests.ingest.support import later

    one = delivery("form", form={"a": "1"})
    assert evidence(one) == evidence(one)
    assert evidence(one).delivery_id != evidence(later(one, 1)).delivery_id


@given(st.binary(max_size=200), st.text(max_size=50), st.text(max_size=40))
def test_the_secret_is_never_left(body: bytes, query: str, header: str) -> None:
    one = delivery(
        "form",
        body=body + SECRET.encode() + body,
        query=query + SECRET + query,
        headers={"user-agent": header + SECRET},
    )
    assert SECRET.encode() not in all_bytes(evidence(one))


ESCAPED = "".join(f"%{byte:02x}" for byte in SECRET.encode())
HALF = SECRET[:3] + "%2D".join(SECRET[3:].split("-"))
IN_JSON = "".join(rf"\u{ord(c):04X}" for c in SECRET)
FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize(
    ("provider", "sent"),
    [
        ("form", {"body": f"{ESCAPED}=1&phone=89031234567".encode(), "headers": FORM}),
        ("form", {"body": f"phone=89031234567&comment=a+{HALF}+b".encode(), "headers": FORM}),
        ("form", {"body": f'{{"phone": "89031234567", "comment": "a {IN_JSON} b"}}'.encode()}),
        ("tilda", {"body": f"{ESCAPED}=1&phone=89031234567".encode(), "headers": FORM}),
        ("tilda", {"body": f"phone=89031234567&tranid=1:{ESCAPED}".encode(), "headers": FORM}),
        ("sipuni", {"query": f"event=1&call_id={ESCAPED}&src_num=79031234567&dst_num=74950000000&timestamp=1700000000"
                    f"&src_type=1&dst_type=1&treeName=a{HALF}"}),
        ("native", {"body": f'{{"type": "walkin.registered", "id": "{IN_JSON}", "data": {{"walkin_id": "{IN_JSON}", '
                    '"phone": "89031234567"}}'.encode()}),
    ],
)  # fmt: skip
def test_a_key_in_a_spelling_that_nobody_uses_is_in_no_record(provider: str, sent: dict[str, Any]) -> None:
    one = delivery(provider, **sent)
    adapter = adapters()[provider]
    told = translate(one, adapter, KEY)
    records, kept = records_of(told, one, adapter, KEY)
    assert records
    for record in records:
        for spelling in (SECRET, ESCAPED, HALF, IN_JSON):
            assert spelling.encode() not in record.value
            assert spelling.replace("\\", "\\\\").encode() not in record.value
        assert b"***" in record.value
    assert [unseal(record) for record in records] == kept.events
    assert [event.id for event in kept.events] == [event.id for event in told.events]


def test_a_delivery_without_a_key_is_kept_as_it_is() -> None:
    one = delivery("form", body=b"phone=89031234567&comment=%D0%9F%31", headers=FORM)
    adapter = adapters()["form"]
    told = translate(one, adapter, KEY)
    _, kept = records_of(told, one, adapter, KEY)
    assert kept is told
