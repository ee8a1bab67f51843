"""Everything breaks while providers post: nothing lost, nothing doubled, always answered, green afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.kafka.broker import why_unavailable
from tests.faults.deliveries import history
from tests.faults.harness import broken_promises, described, ride
from tests.faults.plan import plan
from tests.faults.quiet import quiet_run
from tests.faults.services import EmbeddedService, KafkaService, Service
from tests.support.require import unavailable

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

SEED = 4


async def weathered(service: Service, folder: Path, *, seconds: float, every_s: float) -> None:
    sent = history(SEED)
    faults = plan(SEED, list(service.harms), seconds=seconds, every_s=every_s)
    async with service:
        outcome = await ride(service, sent, faults, seed=SEED, per_s=2 * len(sent) / seconds, say=print)
    print(described(outcome))
    expected = await quiet_run(folder, sent)
    assert broken_promises(outcome, expected, sent) == []


async def test_embedded(tmp_path: Path) -> None:
    """With two front doors, which write the log by turns."""
    service = EmbeddedService(tmp_path / "storm", changes={"ingest": {"processes": 2}})
    await weathered(service, tmp_path / "quiet", seconds=30, every_s=4)


@pytest.mark.kafka
async def test_kafka(tmp_path: Path) -> None:
    if reason := why_unavailable():
        unavailable("kafka", reason)
    await weathered(KafkaService(tmp_path / "storm"), tmp_path / "quiet", seconds=60, every_s=3)
