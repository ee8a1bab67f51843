"""Everything breaks while providers post: nothing lost, nothing doubled, always answered, green afterwards."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from deploy.kafka.broker import why_unavailable
from tests.faults.deliveries import history
from tests.faults.harness import broken_promises, described, ride
from tests.faults.plan import plan
from tests.faults.quiet import Seen, quiet_run
from tests.faults.services import EmbeddedService, KafkaService, Service
from tests.support.require import unavailable

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

SEED = 4


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """What an undisturbed service makes of the same deliveries."""
    return asyncio.run(quiet_run(tmp_path_factory.mktemp("quiet"), history(SEED)))


async def weathered(service: Service, expected: Seen, *, seconds: float, every_s: float) -> None:
    sent = history(SEED)
    faults = plan(SEED, list(service.harms), seconds=seconds, every_s=every_s)
    async with service:
        outcome = await ride(service, sent, faults, seed=SEED, per_s=2 * len(sent) / seconds, say=print)
    print(described(outcome))
    assert broken_promises(outcome, expected, sent) == []


async def test_embedded(tmp_path: Path, calm: Seen) -> None:
    """With two front doors, which write the log by turns."""
    service = EmbeddedService(tmp_path / "storm", changes={"ingest": {"processes": 2}})
    await weathered(service, calm, seconds=30, every_s=4)


@pytest.mark.kafka
async def test_kafka(tmp_path: Path, calm: Seen) -> None:
    if reason := why_unavailable():
        unavailable("kafka", reason)
    await weathered(KafkaService(tmp_path / "storm"), calm, seconds=60, every_s=3)
