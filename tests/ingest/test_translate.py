"""Deliveries to events: ids that do not depend on order or repetition, evidence, and what nobody could read."""

import random
from dataclasses import replace
from datetime import UTC
from typing import Any, ClassVar
from uuid import UUID

import pytest

from domain.event import Evidence, EvidencePointer
from domain.facts.company import DeliveryUnreadable
from eventlog.contract import MAX_RECORD_BYTES, record_bytes
from eventlog.sealing import unseal
from ingest.adapters.contract import Adapter, Answer, Translation
from ingest.adapters.registry import adapters
from ingest.delivery import Delivery
from ingest.limits import Limits
from ingest.sources import SourceBook
from ingest.translate import records_of, retranslate, translate
from tests.ingest.support import KEY, RECEIVED, cases, delivery, delivery_of, events, later, source


def go(one: Delivery) -> Any:
    return translate(one, adapters()[one.source.provider], KEY)


@pytest.mark.parametrize(
    ("provider", "case"), [pytest.param(p, c, id=f"{p}: {c['name']}") for p, c in cases()]
)
def test_every_delivery_of_the_tables_is_stored_and_read_back(provider: str, case: dict[str, Any]) -> None:
    one = delivery_of(provider, case)
    adapter = adapters()[provider]
    first = go(one)
    records, _ = records_of(first, one, adapter, KEY)
    assert [unseal(r) for r in records] == first.events
    for number, event in enumerate(first.events):
        assert event.source == f"/{provider}/main"
        assert event.received == RECEIVED.astimezone(UTC) or "received" in case
        assert isinstance(event.evidence, Evidence if number == 0 else EvidencePointer)
    assert [e.id for e in go(later(one, 1)).events] == [e.id for e in first.events]


def test_one_call_in_any_order_is_the_same_set_of_facts() -> None:
    phases = [
        delivery_of(p, c)
        for p, c in cases()
        if p == "sipuni"
        and "1710000000.10001" in str(c["delivery"])
        and not c["name"].startswith("the leg's")
    ]
    assert len(phases) > 7

    def world(deliveries: Any) -> Any:
        kept: dict[UUID, Any] = {}
        for one in deliveries:
            for event in events(one):
                there = kept.get(event.id)
                kept[event.id] = min(
                    filter(None, (there, event)), key=lambda e: (e.time, e.data.model_dump_json())
                )
        return {ident: (e.type, e.time, e.data) for ident, e in kept.items()}

    whole = world(phases)
    assert sorted(t for t, _, _ in whole.values()) == [
        "call.answered",
        "call.answered",
        "call.ended",
        "call.leg_ended",
        "call.leg_rang",
        "call.leg_rang",
        "call.started",
        "call.transferred",
        "recording.stored",
    ]
    dice = random.Random(7)
    for _ in range(30):
        shuffled = phases + dice.choices(phases, k=5)
        dice.shuffle(shuffled)
        assert world(shuffled) == whole


def test_legs_of_one_extension_are_told_apart_by_their_channels() -> None:
    query = "event=1&call_id=1.1&src_num=79990000001&src_type=1&dst_num=201&dst_type=2&timestamp=1710000002&channel="
    first, second = (
        events(delivery("sipuni", query=query + channel))[0].id for channel in ("SIP/a", "SIP/b")
    )
    assert first != second


def test_unreadable_deliveries_are_kept() -> None:
    one = delivery("jivo", body=b"\xff\xfe not json", headers={"content-type": "application/json"})
    result = go(one)
    (event,) = result.events
    assert result.answer == adapters()["jivo"].OK
    assert (event.type, event.time, event.time_basis) == ("delivery.unreadable", RECEIVED, "received")
    assert (event.data.provider, event.data.size) == ("jivo", len(one.body))
    assert event.evidence.body == one.body
    assert event.refs == ()
    assert events(later(one, 30))[0].id == event.id
    assert events(later(one, 3600))[0].id != event.id
    assert events(replace(one, body=one.body + b"!"))[0].id != event.id


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (delivery("sipuni", query="event=2&call_id="), "call_id is missing"),
        (delivery("jivo", value={"event_name": "chat_finished"}), "chat_id is missing"),
        (
            delivery("form", form=[(f"f{n}", "1") for n in range(50)], limits=Limits(max_fields=10)),
            "too many fields",
        ),
        (delivery("form", value=["a"]), "the body is not an object or form"),
    ],
)
def test_reasons_hold_no_data(one: Delivery, reason: str) -> None:
    assert go(one).unreadable == reason


class Broken(Adapter):
    """An adapter with a bug."""

    provider: ClassVar[str] = "form"
    OK: ClassVar[Answer] = Answer(200, b"fine")

    def translate(self, delivery: Delivery) -> Translation:
        raise RuntimeError("with the client's name: Иван")


def test_a_bug_of_an_adapter_loses_nothing() -> None:
    one = delivery("form", form={"phone": "89990000001"})
    result: Any = translate(one, Broken(), KEY)
    assert result.answer.body == b"fine"
    assert result.events[0].data.reason == "the adapter failed: RuntimeError"
    assert "Иван" not in str(result.events[0].data)


def test_after_the_fix_the_delivery_is_translated_again() -> None:
    one = delivery("form", form={"phone": "89990000001", "request_id": "7"})
    (lost,) = translate(one, Broken(), KEY).events
    (direct,) = events(one)
    facts: list[Any] = retranslate(lost, book=SourceBook([one.source]), key_secret=KEY)
    assert [e.type for e in facts] == ["form.submitted", "delivery.unreadable"]
    assert (facts[0].id, facts[0].data, facts[0].received) == (direct.id, direct.data, direct.received)
    mended = facts[1]
    assert (mended.id, mended.time) == (lost.id, lost.time)
    assert mended.revision > lost.revision
    assert mended.data.reason == "mended: 1 facts by form@3"
    assert isinstance(facts[0].evidence, Evidence)


def test_what_is_still_unreadable_gives_nothing() -> None:
    lost = events(delivery("jivo", body=b"{"))[0]
    assert retranslate(lost, book=SourceBook([source("jivo")]), key_secret=KEY) == []


def test_one_item_of_a_batch_again() -> None:
    batch = [
        {"id": "a", "type": "client.arrived", "data": {"phone": "89990000001"}},
        {"id": "b", "type": "client.departed", "data": {"phone": "89990000001"}},
    ]
    good, bad = events(delivery("native", value=batch))
    assert isinstance(bad.data, DeliveryUnreadable)
    book = SourceBook([source("native")])
    with pytest.raises(LookupError, match="points"):
        retranslate(bad, book=book, key_secret=KEY)
    assert retranslate(bad, book=book, key_secret=KEY, evidence=good.evidence) == []
    with pytest.raises(LookupError, match="no source"):
        retranslate(
            bad, book=SourceBook([source("native", name="crm")]), key_secret=KEY, evidence=good.evidence
        )


FORM = {"Name": "Анна", "Phone": "+79990000001", "tranid": "1:2", "formid": "form1"}


def test_a_source_of_the_wrong_provider_is_mended_by_its_configuration() -> None:
    (lost,) = events(delivery("jivo", form=FORM))
    assert isinstance(lost.data, DeliveryUnreadable)
    (direct,) = events(delivery("tilda", form=FORM))
    again: list[Any] = retranslate(lost, book=SourceBook([source("tilda")]), key_secret=KEY)
    assert [(e.id, e.source) for e in again] == [(direct.id, "/tilda/main"), (lost.id, "/jivo/main")]
    assert again[1].data.reason.startswith("mended")
    # A fact that the other provider's adapter read is that provider's for ever.
    with pytest.raises(LookupError, match="no source"):
        retranslate(direct, book=SourceBook([source("form")]), key_secret=KEY)


def test_a_delivery_at_the_wrong_address_is_read_as_another_source() -> None:
    (lost,) = events(delivery("jivo", form=FORM))
    site = source("tilda", name="site")
    (direct,) = events(delivery("tilda", form=FORM, config=site))
    book = SourceBook([source("jivo"), site])
    assert retranslate(lost, book=book, key_secret=KEY) == []
    again: list[Any] = retranslate(lost, book=book, key_secret=KEY, read_as=site)
    assert [(e.id, e.source) for e in again] == [(direct.id, "/tilda/site"), (lost.id, "/jivo/main")]


class NotStorable(Adapter):
    """An adapter whose facts cannot be sealed."""

    provider: ClassVar[str] = "form"

    def translate(self, delivery: Delivery) -> Translation:
        from domain.facts.sites import FormSubmitted
        from domain.said import Said

        return Translation(
            [Said(FormSubmitted.model_construct(submission_id="\ud800"), ("x",), None)], self.OK
        )


def test_what_cannot_be_sealed_is_kept_as_unreadable() -> None:
    one = delivery("form", form={"phone": "89990000001"})
    adapter = NotStorable()
    records, result = records_of(translate(one, adapter, KEY), one, adapter, KEY)
    assert result.unreadable
    assert result.events == [unseal(records[0])]
    assert result.events[0].type == "delivery.unreadable"


def test_what_is_too_large_for_the_log_is_cut() -> None:
    one = delivery("jivo", body=b"\x01" * 1_000_000)
    adapter = adapters()["jivo"]
    records, result = records_of(go(one), one, adapter, KEY)
    assert result.unreadable == "too large for the log: the evidence is cut"
    assert all(record_bytes(r) <= MAX_RECORD_BYTES for r in records)
    stored: Any = unseal(records[0])
    assert stored.data.size == 1_000_000


def test_partition_keys_hold_no_phone_and_follow_the_client() -> None:
    call = events(
        delivery(
            "sipuni",
            query="event=1&call_id=1.1&src_num=79990000001&src_type=1&dst_type=1&timestamp=1710000000",
        )
    )[0]
    form = events(delivery("form", form={"phone": "8 999 000 00 01"}))[0]
    assert call.partitionkey == form.partitionkey
    assert UUID(call.partitionkey).hex == call.partitionkey


def test_one_item_of_a_batch_is_mended_by_a_better_configuration() -> None:
    batch = [
        {"id": "a", "type": "client.arrived", "data": {"phone": "89990000001"}},
        {"id": "b", "type": "client.arrived", "data": {"phone": "223-45-67"}},
    ]
    good, bad = events(delivery("native", value=batch))
    book = SourceBook([source("native", options={"area_code": "343"})])
    again: list[Any] = retranslate(bad, book=book, key_secret=KEY, evidence=good.evidence)
    assert [e.type for e in again] == ["client.arrived", "client.arrived", "delivery.unreadable"]
    assert again[0].id == good.id
    assert again[1].data.phone == "+73432234567"
    assert (again[2].id, again[2].data.reason) == (bad.id, "mended: 2 facts by native@3")
