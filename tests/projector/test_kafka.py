"""Several projectors share the partitions of a Kafka topic; each comes and goes, every fact is applied once."""

import asyncio
import random
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg

from eventlog.kafka import KafkaLog, KafkaSettings
from eventlog.kafka.admin import create_topic
from tests.projector import support
from tests.projector.support import opened, project, put, running, settings, tables, visible
from tests.support.postgres import fresh_database


@asynccontextmanager
async def topic(bootstrap: str, partitions: int) -> AsyncIterator[KafkaSettings]:
    conf = KafkaSettings(bootstrap=bootstrap, topic=f"projector-{uuid.uuid4().hex[:8]}")
    await create_topic(conf, partitions=partitions, replication=1)
    yield conf


async def test_projectors_that_come_and_go_give_the_tables_of_a_quiet_run(
    kafka_bootstrap: str, tmp_path: Path, postgres_url: str
) -> None:
    events = support.history(120, seed=11)
    chance = random.Random(11)
    chance.shuffle(events)
    with fresh_database(postgres_url) as quiet, fresh_database(postgres_url) as url:
        async with opened(tmp_path) as embedded:
            await put(embedded, events)
            await project(embedded, settings(quiet))
        async with (
            topic(kafka_bootstrap, 4) as conf,
            KafkaLog(conf) as writer,
            KafkaLog(conf, writable=False) as first,
            KafkaLog(conf, writable=False) as second,
        ):
            one, two = (
                settings(url, owner="one", batch_records=15),
                settings(url, owner="two", batch_records=15),
            )
            async with running(first, one):
                await put(writer, events[:150])
                await visible(first, one, 60)
                async with running(second, two) as other:
                    for part in range(150, len(events), 40):
                        await put(writer, events[part : part + 40])
                        await asyncio.sleep(0.2)
                    await visible(second, two, 60)
                    for _ in range(200):
                        if other.status().held:
                            break
                        await asyncio.sleep(0.1)
                    assert other.status().held
                    await put(writer, events[::3])
                    await visible(second, two, 60)
                await put(writer, events[::7])
                await visible(first, one, 60)
        assert tables(url) == tables(quiet)
        with psycopg.connect(url) as conn:
            assert conn.execute("select count(*) from leadfold.position").fetchall() == [(4,)]


async def test_a_spare_projector_without_a_partition_knows_that_the_log_is_there(
    kafka_bootstrap: str, database_url: str
) -> None:
    async with (
        topic(kafka_bootstrap, 1) as conf,
        KafkaLog(conf, writable=False) as first,
        KafkaLog(conf, writable=False) as second,
        running(first, settings(database_url, owner="one")) as one,
        running(second, settings(database_url, owner="two")) as two,
    ):
        async with asyncio.timeout(30):
            while not (one.status().log_up and two.status().log_up):  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0.1)
        assert len(one.status().held) + len(two.status().held) == 1
