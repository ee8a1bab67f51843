"""One fault at a time, each with the answer that a provider gets and the state that it leaves."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import psycopg
import pytest

from deploy.kafka.broker import why_unavailable
from leadfold.demo.sent import Sent
from leadfold.wiring import spool_path
from tests.faults import looking
from tests.faults.client import Record, RememberingPoster
from tests.faults.deliveries import history
from tests.faults.installation import Place
from tests.faults.quiet import Seen, post_once, quiet_run
from tests.faults.services import EmbeddedService, KafkaService, Service
from tests.support.require import unavailable

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SENT = history(31)[:240]


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """What an undisturbed service makes of it."""
    return asyncio.run(quiet_run(tmp_path_factory.mktemp("quiet"), SENT))


@pytest.fixture
def kafka(tmp_path: Path) -> KafkaService:
    """Not started."""
    if reason := why_unavailable():
        unavailable("kafka", reason)
    return KafkaService(tmp_path / "kafka", receivers=1, changes={"ingest": {"spool_max_bytes": 1_048_576}})


async def post(place: Place, sent: list[Sent], *, give_up_s: float = 0) -> Record:
    """Post through one receiver, eight at a time."""
    record = Record()
    async with RememberingPoster(place.targets(), record, give_up_s=give_up_s) as poster:
        queue = iter(sent)

        async def worker() -> None:
            for one in queue:
                await poster.post(one)

        await asyncio.gather(*(worker() for _ in range(8)))
    assert record.slow == []
    return record


async def settled(service: Service, expected: Seen) -> None:
    """Everything is visible, equal and green, without a hand."""
    await asyncio.gather(*(place.wait() for place in service.places))
    assert looking.differences(expected.rows, looking.tables(service.database_url)) == {}
    async with asyncio.timeout(60):
        for place in service.places:
            while looking.green(await place.json("status")):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.5)


@asynccontextmanager
async def disk_that_takes_nothing(pid: int) -> AsyncIterator[None]:
    """What a full disk is to one process: every write to a file fails."""
    process = psutil.Process(pid)
    before = process.rlimit(psutil.RLIMIT_FSIZE)
    process.rlimit(psutil.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        process.rlimit(psutil.RLIMIT_FSIZE, before)


async def test_disk_full_on_the_embedded_engine(tmp_path: Path, expected: Seen) -> None:
    """Log and spool lie on one disk: nothing can take it, so 503 with Retry-After; the repeat makes no double."""
    async with EmbeddedService(tmp_path / "embedded") as service:
        (place,) = service.places
        assert len((await post(place, SENT[:60])).accepted) == 60
        pid = place.pid("ingest")
        assert pid is not None
        async with disk_that_takes_nothing(pid):
            record = await post(place, SENT[60:120])
            assert set(record.statuses) == {503}
            assert record.without_retry_after == 0
        assert place.pid("ingest") == pid, "it died of a full disk"
        assert len((await post(place, SENT[60:], give_up_s=30)).accepted) == 180
        await settled(service, expected)


@pytest.mark.kafka
async def test_spool_that_takes_nothing_while_the_broker_is_gone(kafka: KafkaService, expected: Seen) -> None:
    async with kafka:
        (place,) = kafka.places
        pid = place.pid("ingest")
        assert pid is not None
        kafka.weather("broker", "cut")
        async with disk_that_takes_nothing(pid):
            record = await post(place, SENT[60:100])  # the first ones are probes, with nothing to keep
            assert set(record.statuses) == {503}
            assert record.without_retry_after == 0
        kafka.weather("broker", "pass")
        repeated = await post(place, SENT, give_up_s=30)
        assert len(repeated.accepted) == len(SENT)
        await settled(kafka, expected)


@pytest.mark.kafka
async def test_ingest_killed_on_a_full_disk_takes_deliveries_while_the_broker_is_there(
    kafka: KafkaService, expected: Seen
) -> None:
    async with kafka:
        place = kafka.places[0]
        part = kafka.part("ingest 1")
        part.kill()
        part.disk_full = True
        part.start()
        record = await post(place, SENT[:1], give_up_s=30)
        assert set(record.statuses) <= {0, 200}
        assert len(record.accepted) == 1, "it did not start"
        assert set((await post(place, SENT[1:120])).statuses) == {200}
        pid = part.pid
        assert pid is not None
        psutil.Process(pid).rlimit(psutil.RLIMIT_FSIZE, (-1, -1))
        await asyncio.sleep(4)
        kafka.weather("broker", "cut")
        record = await post(place, SENT[120:])
        assert set(record.statuses) == {200}, "the spool is used once the disk has room again"
        kafka.weather("broker", "pass")
        assert part.pid == pid
        await settled(kafka, expected)


@pytest.mark.kafka
async def test_full_spool_while_the_broker_is_half_open(kafka: KafkaService, expected: Seen) -> None:
    async with kafka:
        place = kafka.places[0]
        await post_once(kafka, SENT[:40])
        kafka.weather("broker", "half_open")
        record = Record()
        for _ in range(8):  # until the smallest spool that can be had, 1 MiB, is full
            again = await post(place, SENT)
            record.statuses += again.statuses
            record.without_retry_after += again.without_retry_after
            if again.statuses[503]:
                break
        assert set(record.statuses) == {200, 503}
        assert record.without_retry_after == 0
        kafka.weather("broker", "pass")
        repeated = await post(place, SENT, give_up_s=30)
        assert len(repeated.accepted) == len(SENT)
        await settled(kafka, expected)


@pytest.mark.kafka
async def test_spool_record_torn_in_the_middle(kafka: KafkaService, expected: Seen) -> None:
    async with kafka:
        place = kafka.places[0]
        kafka.weather("broker", "cut")
        assert len((await post(place, SENT)).accepted) == len(SENT)
        kafka.part("ingest 1").kill()
        torn = tear(spool_path(place.settings))
        kafka.part("ingest 1").start()
        kafka.weather("broker", "pass")
        await place.ready("ingest")
        for each in kafka.places:
            await each.wait()
        missing = {row[1:-1] for row in expected.rows["fact"]} - {
            row[1:-1] for row in looking.tables(kafka.database_url)["fact"]
        }
        assert len(missing) <= 1, "more than the torn record is missing"
        with sqlite3.connect(spool_path(place.settings)) as spool:
            assert spool.execute("select position from set_aside").fetchall() == [(torn,)]
        await post(place, SENT)
        await settled(kafka, expected)


def tear(path: Path) -> int:
    """Zero half of the record in the middle, as a write that was cut short does; its position."""
    with sqlite3.connect(path) as spool:
        positions = [row[0] for row in spool.execute("select position from records order by position")]
        middle = int(positions[len(positions) // 2])
        (value,) = spool.execute("select value from records where position = ?", (middle,)).fetchone()
        half = len(value) // 2
        spool.execute(
            "update records set value = ? where position = ?",
            (value[:half] + bytes(len(value) - half), middle),
        )
    spool.close()
    return middle


async def test_position_edited_to_a_lower_value(tmp_path: Path, expected: Seen) -> None:
    async with EmbeddedService(tmp_path / "embedded") as service:
        await post_once(service, SENT[:150])
        await service.places[0].wait()
        with psycopg.connect(service.database_url) as conn:
            conn.execute("update leadfold.position set next_offset = 40")
        await post_once(service, SENT[150:])
        await settled(service, expected)


@pytest.mark.kafka
@pytest.mark.parametrize("partitions", [1, 24])
async def test_topic_with_few_and_many_partitions(tmp_path: Path, expected: Seen, partitions: int) -> None:
    if reason := why_unavailable():
        unavailable("kafka", reason)
    async with KafkaService(tmp_path / "kafka", partitions=partitions) as service:
        await post_once(service, SENT[:120])
        with psycopg.connect(service.database_url) as conn:
            conn.execute('update leadfold.position set next_offset = 0 where "partition" = 0')
        service.part("projector 1").kill()
        await post_once(service, SENT[120:])
        service.part("projector 1").start()
        await service.places[0].ready("project")
        await settled(service, expected)
