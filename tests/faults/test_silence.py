"""Who is silent without being dead: frozen projectors that wake up as zombies, half-open brokers and databases."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.faults.client import Record, RememberingPoster, post_paced
from tests.faults.conftest import MakeKafka
from tests.faults.disks import FailingDisk
from tests.faults.quiet import Seen
from tests.faults.services import EmbeddedService, KafkaService
from tests.faults.single import SENT, post, settled, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

#: Each of the two is silent for two thirds of it: longer than the time-outs of requests, producers and the consumer group.
#: Minutes of it are a matter of `make soak`.
SILENT_S = 48.0


def owners(service: KafkaService) -> dict[int, Any]:
    """Owner and epoch of each partition."""
    with psycopg.connect(service.database_url) as conn:
        rows = conn.execute('select "partition", owner, epoch from leadfold.position').fetchall()
    return {row[0]: (row[1], row[2]) for row in rows}


@pytest.mark.kafka
async def test_zombies_whose_partitions_moved_change_nothing(make_kafka: MakeKafka, expected: Seen) -> None:
    """Each projector in turn is frozen until the other has all partitions and has moved on, and then wakes up."""
    async with make_kafka(receivers=2) as kafka:
        await post(kafka.places[0], SENT[:60])
        for number, name in enumerate(("projector 1", "projector 2")):
            before = owners(kafka)
            await until(lambda: len({o for o, _ in owners(kafka).values()}) == 2, "both have partitions")
            kafka.part(name).signal(signal.SIGSTOP)
            mine = SENT[60 + 90 * number :][:90]
            assert set((await post(kafka.places[number], mine[:45])).statuses) == {200}
            await until(lambda: len({o for o, _ in owners(kafka).values()}) == 1, "one has them all")
            (survivor,) = {o for o, _ in owners(kafka).values()}
            assert (await kafka.places[1 - number].json("wait"))["visible"]
            kafka.part(name).signal(signal.SIGCONT)
            assert set((await post(kafka.places[number], mine[45:])).statuses) == {200}
            await until(lambda s=survivor: {o for o, _ in owners(kafka).values()} != {s}, "they share again")  # type: ignore[misc]
            assert all(epoch >= before[p][1] for p, (_, epoch) in owners(kafka).items() if p in before)
        await settled(kafka, expected)


@pytest.mark.kafka
async def test_broker_and_postgres_say_nothing_for_longer_than_their_time_outs(
    make_kafka: MakeKafka, expected: Seen
) -> None:
    """The broker alone, both, Postgres alone; posts go on all the while, and none of them waits or is refused."""
    async with make_kafka() as kafka:
        place, record = kafka.places[0], Record()
        await post(place, SENT[:20])

        async def weather() -> None:
            kafka.weather("broker", "half_open")
            await asyncio.sleep(SILENT_S / 3)
            kafka.weather("postgres", "half_open")
            await asyncio.sleep(SILENT_S / 3)
            kafka.weather("broker", "pass")
            await asyncio.sleep(SILENT_S / 3)
            kafka.weather("postgres", "pass")

        async with RememberingPoster(place.targets(), record) as poster:
            rest = [(0, one) for one in SENT[20:]]
            await asyncio.gather(weather(), post_paced([poster], rest, per_s=len(rest) / SILENT_S))
        assert set(record.statuses) == {200}
        assert record.slow == []
        await settled(kafka, expected)


async def test_a_log_that_becomes_read_only_under_those_who_write(tmp_path: Path, expected: Seen) -> None:
    """As ext4 does when its device fails. The spool takes it; after the administrator's mend nothing is missing."""
    service = EmbeddedService(tmp_path / "embedded")
    place = service.places[0]
    disk = FailingDisk(tmp_path / "image", place.data / "events")
    real = FailingDisk.available(tmp_path / "scratch")
    if real:
        disk.make()
    try:
        async with service:
            assert set((await post(place, SENT[:60])).statuses) == {200}
            if real:
                disk.fail()
            assert set((await post(place, SENT[60:180])).statuses) == {200}
            assert (await place.call("status")).returncode == 0
            if real:
                assert (await place.json("status"))["spool"]["records"] > 0
        if real:
            disk.mend()
        async with service:
            assert set((await post(place, SENT[180:])).statuses) == {200}
            await settled(service, expected)
    finally:
        disk.gone()


@pytest.mark.kafka
async def test_a_spool_that_becomes_read_only_beside_a_kafka_that_comes_and_goes(
    make_kafka: MakeKafka, tmp_path: Path, expected: Seen
) -> None:
    """While Kafka is there nobody misses the spool; without both it is 503, and nothing that was accepted is lost."""
    kafka = make_kafka()
    (place,) = kafka.places
    disk = FailingDisk(tmp_path / "image", place.data / "spool")
    real = FailingDisk.available(tmp_path / "scratch")
    if real:
        disk.make()
    try:
        async with kafka:
            ingest = kafka.part("ingest 1")
            kafka.weather("broker", "cut")
            assert set((await post(place, SENT[:40])).statuses) == {200}, "the spool takes it"
            if real:
                disk.fail()
                refused = await post(place, SENT[40:41], give_up_s=6)
                assert set(refused.statuses) == {503}, "neither takes it"
            kafka.weather("broker", "pass")
            back = await post(place, SENT[40:120], give_up_s=60)
            assert len(back.accepted) == 80, "Kafka is back"
            if real:
                await until(lambda: "eventlog.spool_not_shipped" in ingest.told(), "it cannot be let go")
            assert set((await post(place, SENT[120:180])).statuses) == {200}, "Kafka takes it alone"
            ingest.kill()
            if real:
                disk.mend()
            ingest.start()
            await place.ready("ingest")
            kafka.weather("broker", "cut")
            assert set((await post(place, SENT[180:])).statuses) == {200}, "the spool is there again"
            kafka.weather("broker", "pass")
            await settled(kafka, expected)
    finally:
        disk.gone()
