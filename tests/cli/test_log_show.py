"""``leadfold log show``: an event with the webhook it came from, wherever on the log that lies."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import pytest

from domain.event import Evidence
from domain.facts.company import DeliveryUnreadable
from domain.facts.sales import ClientArrived
from domain.said import Said, make_events
from eventlog.contract import EventLog, StoredRecord
from eventlog.sealing import seal
from leadfold.cli import log as command
from leadfold.event_text import as_json
from leadfold.settings import Secrets, Settings
from projector.readmodel.history import FactPlace

AT = datetime(2026, 3, 2, 10, tzinfo=UTC)
FIRST, SECOND = make_events(
    [Said(ClientArrived(phone=phone), (phone,), AT) for phone in ("+79031234567", "+79037654321")],
    source="/native/crm",
    received=AT,
    revision=1,
    evidence=Evidence(UUID(int=1), "POST", "/v1/events", "", (), b'[{"type": "client.arrived"}]', "native@1"),
    key_secret=b"k",
)


class Log:
    """Records by their places."""

    def __init__(self, *places: tuple[int, int]) -> None:
        records = zip(places, (FIRST, SECOND), strict=True)
        self.records = {place: StoredRecord(*place, AT, seal(event)) for place, event in records}

    async def read_at(self, partition: int, offset: int) -> StoredRecord | None:
        return self.records.get((partition, offset))


async def shown(log: Log, place: tuple[int, int], monkeypatch: pytest.MonkeyPatch, *, known: bool) -> Any:
    (carrier, carrier_offset), _ = log.records

    async def located(_settings: Settings, event_id: str) -> FactPlace | None:
        assert event_id == str(SECOND.id)
        return FactPlace(SECOND.id, 1, *place, FIRST.id, carrier, carrier_offset, False) if known else None

    monkeypatch.setattr(command, "_place_in_database", located)
    settings = Settings(secrets=Secrets.model_validate({"key_secret": "k" * 40}), data_dir=Path("/nowhere"))
    return await command._with_carrier(settings, cast("EventLog", log), as_json(log.records[place]))


async def test_the_webhook_is_found_in_another_partition(monkeypatch: pytest.MonkeyPatch) -> None:
    found = await shown(Log((3, 9), (0, 5)), (0, 5), monkeypatch, known=True)
    assert found["id"] == SECOND.id
    assert found["evidence"]["body_json"] == [{"type": "client.arrived"}]


async def test_without_the_read_models_it_is_looked_for_right_before(monkeypatch: pytest.MonkeyPatch) -> None:
    found = await shown(Log((0, 4), (0, 5)), (0, 5), monkeypatch, known=False)
    assert found["evidence"]["body"] == '[{"type": "client.arrived"}]'
    elsewhere = await shown(Log((3, 9), (0, 5)), (0, 5), monkeypatch, known=False)
    assert elsewhere["evidence"]["carried_by"] == FIRST.id
    assert "body" not in elsewhere["evidence"]


def test_a_line_of_an_unreadable_delivery_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    fact = DeliveryUnreadable(provider="native", reason="the body is not JSON", size=4)
    (event,) = make_events(
        [Said(fact, ("1",), AT)],
        source="/native/crm",
        received=AT,
        revision=1,
        evidence=Evidence(UUID(int=2), "POST", "/v1/events", "", (), b"{bad", "native@1"),
        key_secret=b"k",
    )
    command._show_line(StoredRecord(0, 7, AT, seal(event)), as_json=False)
    command._show_line(StoredRecord(0, 8, AT, seal(FIRST)), as_json=False)
    unreadable, usual = capsys.readouterr().out.splitlines()
    assert unreadable.endswith(f"{event.id}  the body is not JSON")
    assert usual.endswith(str(FIRST.id))
