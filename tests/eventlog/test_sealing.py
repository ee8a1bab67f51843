"""Sealing: what goes in comes out, in CloudEvents binary mode; what can't be read is a value, not an exception."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from domain.event import Event, Evidence, EvidencePointer
from domain.facts.inquiries import InquiryCategorised, WalkInRegistered
from domain.fold.history import supersedes
from domain.said import Said, make_events
from eventlog.contract import Record
from eventlog.sealing import Undecodable, seal, unseal
from tests.domain.story import at


def events(body: bytes = b"{}") -> list[Event]:
    """Two facts of one delivery."""
    return make_events(
        [
            Said(WalkInRegistered(walkin_id="w1", phone="+79031234567", client_name="Пётр"), ("w1",), at()),
            Said(InquiryCategorised(phone="+79031234567", category="repair"), ("c1",), None, subject="w1"),
        ],
        source="/native/crm",
        received=at(minutes=1),
        revision=3,
        evidence=Evidence(UUID(int=1), "POST", "/v1/events", "", (("content-type", "x"),), body, "native@3"),
        key_secret=b"k",
    )


@pytest.mark.parametrize("body", [b"", "тело".encode(), bytes(range(256))])
def test_round_trip(body: bytes) -> None:
    for event in events(body):
        assert unseal(seal(event)) == event


def test_second_fact_points_to_the_first() -> None:
    first, second = events()
    assert isinstance(first.evidence, Evidence)
    assert second.evidence == EvidencePointer(UUID(int=1), first.id)
    assert second.time_basis == "received"
    assert second.time == at(minutes=1)


def test_no_personal_data_outside_the_value() -> None:
    record = seal(events()[0])
    outside = record.key + b"".join(raw for _, raw in record.headers)
    assert b"9031234567" not in outside
    assert {"ce_id", "ce_type", "ce_source", "ce_specversion", "ce_time"} <= {
        name for name, _ in record.headers
    }


@pytest.mark.parametrize(
    "broken",
    [
        lambda r: r._replace(value=b"{"),
        lambda r: r._replace(value=b"[]"),
        lambda r: r._replace(value=b"{}"),
        lambda r: r._replace(headers=()),
        lambda r: r._replace(value=b'{"fact":{"walkin_id":7},"refs":[]}'),
        lambda r: r._replace(headers=tuple((n, b"\xff" if n == "ce_time" else v) for n, v in r.headers)),
        lambda r: r._replace(
            headers=tuple((n, v.replace(b":v1", b":v9") if n == "ce_dataschema" else v) for n, v in r.headers)
        ),
    ],
)
def test_unreadable_records_are_values(broken: object) -> None:
    record: Record = broken(seal(events()[0]))  # type: ignore[operator]
    told = unseal(record)
    assert isinstance(told, Undecodable)
    assert told.reason
    assert "9031234567" not in told.reason


def test_winner_of_one_id_is_a_function_of_the_set() -> None:
    (event, _) = events()
    later = replace(event, time=event.time + timedelta(seconds=1))
    better = replace(later, revision=4)
    assert supersedes(event, later)
    assert not supersedes(later, event)
    assert supersedes(better, event)
