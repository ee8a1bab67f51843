"""The header by which a replay dates its deliveries: believed only where the settings say so."""

from datetime import UTC, datetime, timedelta

import pytest

from ingest.wire import RECEIVED_HEADER
from tests.ingest.doors import OpenDoor
from tests.ingest.support import SECRET

PATH = f"/in/landing/{SECRET}"
FORM = {"phone": "89990000001", "message": "Замена масла"}


@pytest.mark.parametrize("given", ["2026-03-01T09:00:00+03:00", "2026-03-01T06:00:00Z"])
async def test_a_replay_says_when_a_delivery_came(doors: OpenDoor, given: str) -> None:
    door = await doors(accept_received_header=True)
    assert (await door.client.post(PATH, data=FORM, headers={RECEIVED_HEADER: given})).status == 200
    (event,) = await door.events()
    assert event.received == event.time == datetime(2026, 3, 1, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    ("believed", "given"), [(False, "2026-03-01T06:00:00Z"), (True, "2026-03-01T06:00:00"), (True, "soon")]
)
async def test_otherwise_it_came_now(doors: OpenDoor, believed: bool, given: str) -> None:
    door = await doors(accept_received_header=believed)
    assert (await door.client.post(PATH, data=FORM, headers={RECEIVED_HEADER: given})).status == 200
    (event,) = await door.events()
    assert datetime.now(UTC) - event.received < timedelta(minutes=1)
