"""Disks that are full, that are read-only at the start and that become so: 503 only when neither log nor spool has room."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from tests.faults.conftest import MakeKafka
from tests.faults.disks import disk_that_takes_nothing, small_disk
from tests.faults.quiet import Seen
from tests.faults.services import EmbeddedService
from tests.faults.single import SENT, post, settled, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


async def test_one_small_disk_for_everything_is_full(tmp_path: Path, expected: Seen) -> None:
    """Log, spool, Postgres and our own log files on one disk: 503 with Retry-After; then room, and all is well."""
    with small_disk(tmp_path / "embedded", tmp_path / "scratch", mebibytes=160) as disk:
        async with EmbeddedService(disk.at) as service:
            (place,) = service.places
            assert len((await post(place, SENT[:60])).accepted) == 60
            pid = place.pid("ingest")
            async with disk.full(pid):
                record = await post(place, SENT[60:120])
                assert record.statuses[503] > 0
                assert set(record.statuses) <= {200, 503}  # SQLite may have some room left in its own files
                assert record.without_retry_after == 0
                assert (await place.call("status")).returncode == 0
            assert len((await post(place, SENT[60:120], give_up_s=30)).accepted) == 60
            assert pid is not None
            async with disk_that_takes_nothing(pid):  # not even where there was room before
                record = await post(place, SENT[120:180])
                assert set(record.statuses) == {503}
                assert record.without_retry_after == 0
            assert len((await post(place, SENT[120:], give_up_s=30)).accepted) == 120
            assert place.pid("ingest") == pid, "it died of a full disk"
            await settled(service, expected)


async def test_the_disk_of_the_log_is_full_and_that_of_the_spool_is_not(
    tmp_path: Path, expected: Seen
) -> None:
    """The spool takes it, and ships it by itself once there is room."""
    service = EmbeddedService(tmp_path / "embedded")
    (place,) = service.places
    with small_disk(place.data / "events", tmp_path / "scratch", mebibytes=4) as disk:
        async with service:
            assert set((await post(place, SENT[:60])).statuses) == {200}
            async with disk.full(place.pid("ingest")):
                record = await post(place, SENT[60:])
                assert set(record.statuses) == ({200} if disk.real else {503})
                if disk.real:
                    assert (await place.json("status"))["spool"]["records"] > 0
            assert set((await post(place, SENT, give_up_s=30)).statuses) <= {200, 503}
            await settled(service, expected)


@pytest.mark.kafka
async def test_the_disk_of_the_spool_is_full_while_the_broker_is_gone(
    make_kafka: MakeKafka, tmp_path: Path, expected: Seen
) -> None:
    kafka = make_kafka()
    (place,) = kafka.places
    with small_disk(place.data, tmp_path / "scratch", mebibytes=4) as disk:
        async with kafka:
            pid = place.pid("ingest")
            kafka.weather("broker", "cut")
            assert set((await post(place, SENT[:40])).statuses) == {200}  # the first ones find out
            async with disk.full(pid):
                record = await post(place, SENT[40:80])
                assert record.statuses[503] > 0
                assert set(record.statuses) <= {200, 503}
                assert record.without_retry_after == 0
                kafka.weather("broker", "pass")  # the broker has room, though the disk has none
                assert set((await post(place, SENT[80:160], give_up_s=20)).statuses) <= {200, 503}
                assert set((await post(place, SENT[160:200])).statuses) == {200}
            assert len((await post(place, SENT, give_up_s=30)).accepted) == len(SENT)
            assert place.pid("ingest") == pid
            await settled(kafka, expected)


@pytest.mark.kafka
async def test_ingest_killed_on_a_full_disk_takes_deliveries_while_the_broker_is_there(
    make_kafka: MakeKafka, expected: Seen
) -> None:
    async with make_kafka() as kafka:
        place = kafka.places[0]
        part = kafka.part("ingest 1")
        part.kill()
        part.disk_full = True
        part.start()
        record = await post(place, SENT[:1], give_up_s=30)
        assert set(record.statuses) <= {0, 200}
        assert len(record.accepted) == 1, "it did not start"
        assert set((await post(place, SENT[1:120])).statuses) == {200}
        assert part.pid is not None
        psutil.Process(part.pid).rlimit(psutil.RLIMIT_FSIZE, (-1, -1))
        await until(lambda: "ingest.spool_back" in kafka.part("ingest 1").told(), "the spool is open")
        kafka.weather("broker", "cut")
        record = await post(place, SENT[120:])
        assert set(record.statuses) == {200}, "the spool is used once the disk has room again"
        kafka.weather("broker", "pass")
        await settled(kafka, expected)


@pytest.mark.kafka
async def test_read_only_at_the_start(make_kafka: MakeKafka, tmp_path: Path, expected: Seen) -> None:
    """Its data folder can't be written: the front door opens all the same, and spools once it can."""
    kafka = make_kafka()
    (place,) = kafka.places
    with small_disk(place.data, tmp_path / "scratch", mebibytes=8) as disk:
        async with kafka:
            part = kafka.part("ingest 1")
            for each in kafka.parts():
                each.kill()
            part.output_folder = tmp_path
            with disk.read_only():
                part.start()
                record = await post(place, SENT[:1], give_up_s=30)
                assert len(record.accepted) == 1, "it did not start"
                assert set((await post(place, SENT[1:80])).statuses) == {200}
            for each in kafka.parts():
                each.start()
            await until(lambda: "ingest.spool_back" in part.told(), "the spool is open")
            kafka.weather("broker", "cut")
            assert set((await post(place, SENT[80:])).statuses) == {200}
            kafka.weather("broker", "pass")
            await place.ready("project", "report")
            await settled(kafka, expected)
