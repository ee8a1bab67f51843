"""One fault at a time, each with the answer that a provider gets and the state that it leaves."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import psycopg
import pytest

from leadfold.wiring import spool_path
from tests.faults import looking
from tests.faults.client import Record
from tests.faults.conftest import MakeKafka
from tests.faults.quiet import Seen, post_once
from tests.faults.services import EmbeddedService
from tests.faults.single import SENT, post, settled

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

#: The smallest that can be had.
SMALL_SPOOL = {"ingest": {"spool_max_bytes": 1_048_576}}


@pytest.mark.kafka
async def test_full_spool_while_the_broker_is_half_open(make_kafka: MakeKafka, expected: Seen) -> None:
    async with make_kafka(changes=SMALL_SPOOL) as kafka:
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
async def test_spool_record_torn_in_the_middle(make_kafka: MakeKafka, expected: Seen) -> None:
    async with make_kafka(changes=SMALL_SPOOL) as kafka:
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
@pytest.mark.parametrize("partitions", [1, 24])  # 6 are the rule in this folder
async def test_topic_with_few_and_many_partitions(
    make_kafka: MakeKafka, expected: Seen, partitions: int
) -> None:
    """Two projectors, one of which dies; a position is set back by hand meanwhile."""
    async with make_kafka(partitions=partitions, receivers=2) as service:
        await post_once(service, SENT[:120])
        with psycopg.connect(service.database_url) as conn:
            conn.execute('update leadfold.position set next_offset = 0 where "partition" = 0')
        service.part("projector 1").kill()
        await post_once(service, SENT[120:])
        service.part("projector 1").start()
        await service.places[0].ready("project")
        await settled(service, expected)
