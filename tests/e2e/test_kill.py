"""kill -9 of everything in the middle of a posting client: what was answered with success is there exactly once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from deploy.kafka.broker import why_unavailable
from leadfold.demo.sent import Sent
from tests.faults import looking
from tests.faults.client import Record, RememberingPoster, post_paced
from tests.faults.deliveries import history
from tests.faults.quiet import Seen, look, quiet_run
from tests.faults.services import EmbeddedService, KafkaService, Service
from tests.support.require import unavailable

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SEED = 23
#: The kill comes when so many deliveries were accepted; those under way are answered by nobody.
BEFORE_THE_KILL = 250


async def post(service: Service, sent: list[Sent], record: Record, *, give_up_s: float) -> None:
    posters = [RememberingPoster(place.targets(), record, give_up_s=give_up_s) for place in service.places]
    for poster in posters:
        await poster.__aenter__()
    try:
        turns = ((n % len(posters), one) for n, one in enumerate(sent))
        await post_paced(posters, turns, per_s=400, at_once=48)
    finally:
        for poster in posters:
            await poster.__aexit__(None, None, None)


async def killed_while_posting(
    service: Service,
    kill: Callable[[], Awaitable[None]],
    revive: Callable[[], Awaitable[None]],
    expected: Seen,
) -> None:
    sent = history(SEED)
    record = Record()

    async def killer() -> None:
        while len(record.accepted) < BEFORE_THE_KILL:  # noqa: ASYNC110 - the condition is another task's set
            await asyncio.sleep(0.002)
        await kill()

    await asyncio.gather(post(service, sent, record, give_up_s=0), killer())
    unanswered = [one for one in sent if one.at not in record.accepted]
    assert len(record.accepted) >= BEFORE_THE_KILL
    assert unanswered, "all of it was posted before the kill"
    assert set(record.statuses) <= {0, 200, 201, 202, 204}

    await revive()
    for place in service.places:
        await place.wait()
    async with service.log() as log:
        assert looking.missing(expected.logged, await looking.logged(log), record.accepted) == []
    ids = looking.fact_ids(service.database_url)
    promised = {i for at in record.accepted for i in expected.logged.by_delivery.get(at, ())}
    assert promised <= ids

    again = Record()
    await post(service, unanswered, again, give_up_s=60)
    assert len(again.accepted) == len(unanswered)
    for place in service.places:
        await place.wait()
    got = await look(service)
    assert looking.differences(expected.rows, got.rows) == {}
    assert looking.paths(expected.report, got.report) == []


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """What an undisturbed service makes of the same deliveries."""
    return asyncio.run(quiet_run(tmp_path_factory.mktemp("quiet"), history(SEED)))


async def test_embedded(tmp_path: Path, expected: Seen) -> None:
    async with EmbeddedService(tmp_path / "killed") as service:
        await killed_while_posting(service, service.kill, service.start, expected)


@pytest.mark.kafka
async def test_kafka(tmp_path: Path, expected: Seen) -> None:
    if reason := why_unavailable():
        unavailable("kafka", reason)
    async with KafkaService(tmp_path / "killed") as service:
        await killed_while_posting(service, service.kill, service.revive, expected)
