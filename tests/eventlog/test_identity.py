"""A log is known by its identity, and a record by its digest: nothing is read from the wrong place unheard."""

import asyncio
import shutil
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from eventlog.contract import EventLog, LogRefused, LogUnavailable, Record
from eventlog.embedded import EmbeddedLog
from eventlog.identity import digest, same_log
from eventlog.kafka import KafkaLog
from eventlog.kafka.admin import create_topic
from tests.eventlog.conftest import Engine, embedded_engine
from tests.eventlog.records import read_all, record, records
from tests.eventlog.topics import settings_for


async def test_every_object_on_a_log_tells_the_same_identity(engine: Engine) -> None:
    one, two = await engine.open(), await engine.open(writable=False)
    told = await one.identity()
    assert told.startswith(f"{engine.name}:")
    await one.append(records(5), deadline_s=5)
    assert (await one.identity(), await two.identity()) == (told, told)


async def test_other_logs_have_other_identities(log: EventLog, tmp_path: Path) -> None:
    other = embedded_engine(tmp_path / "other")
    try:
        assert not same_log(await log.identity(), await (await other.open()).identity())
    finally:
        await other.close()


async def test_a_record_has_one_digest_wherever_it_lies(log: EventLog) -> None:
    given = [record(1), record(2), Record(b"", b"", (("a", b"b"),)), Record(b"", b"", (("ab", b""),))]
    await log.append(given, deadline_s=5)
    stored = {digest(each.record) for each in await read_all(log)}
    assert stored == {digest(each) for each in given}
    assert len(stored) == 4


@pytest.mark.kafka
async def test_a_topic_that_was_made_again_is_another_log(kafka_bootstrap: str) -> None:
    settings = settings_for(kafka_bootstrap)
    await create_topic(settings, partitions=1, replication=1)
    async with KafkaLog(settings, writable=False) as log:
        before = await log.identity()
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka_bootstrap)
        await admin.start()
        await admin.delete_topics([settings.topic])
        with pytest.raises(LogRefused, match="no topic"):
            await _until_gone(log)
        await admin.close()
        await create_topic(settings, partitions=1, replication=1)
        after = await log.identity()
    assert before.rpartition("/")[0] == after.rpartition("/")[0]
    assert not same_log(before, after)


async def _until_gone(log: EventLog) -> None:
    for _ in range(50):  # the broker that answers hears of it a moment later
        await log.identity()
        await asyncio.sleep(0.1)


def test_a_kafka_that_learns_to_tell_ids_is_no_other_one() -> None:
    assert same_log("kafka:c/leadfold.events", "kafka:c/leadfold.events/1f")
    assert same_log("kafka:c/leadfold.events/1f", "kafka:c/leadfold.events")
    assert not same_log("kafka:c/leadfold.events", "kafka:c/leadfold.events2")
    assert same_log("", "embedded:1")
    assert not same_log("embedded:1", "embedded:2")


async def test_a_file_of_an_earlier_version_gets_an_identity_and_copies_keep_it(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    async with EmbeddedLog(path) as log:
        await log.append(records(3), deadline_s=5)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("drop table meta")
    async with EmbeddedLog(path) as log:
        told = await log.identity()
        assert told
        assert len(await read_all(log)) == 3
    shutil.copy(path, tmp_path / "copy.db")
    async with EmbeddedLog(tmp_path / "copy.db", create=False) as copy, EmbeddedLog(path) as again:
        assert await copy.identity() == await again.identity() == told


async def test_a_file_that_takes_nothing_is_read_without_an_identity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "events.db"
    async with EmbeddedLog(path) as log:
        await log.append(records(3), deadline_s=5)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("drop table meta")
        connection.execute("pragma query_only = on")
    monkeypatch.setattr(
        "eventlog.embedded.file._META",
        "pragma query_only = on; create table meta (name, value); -- {identity}",  # as a read-only disk answers
    )
    async with EmbeddedLog(path) as log:
        assert await log.identity() == ""
        assert len(await read_all(log)) == 3


async def test_who_reads_a_file_that_is_replaced_is_told_once(tmp_path: Path) -> None:
    """Reading on would go on in a file that has no name any more, or in another log at the same place."""
    path = tmp_path / "events.db"
    async with EmbeddedLog(tmp_path / "new.db") as new:
        await new.append(records(9), deadline_s=5)
    async with EmbeddedLog(path) as log:
        await log.append(records(2), deadline_s=5)
        assert len(await log.read(0, 0, max_records=9, max_wait_s=0)) == 2
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        (tmp_path / "new.db").replace(path)
        with pytest.raises(LogUnavailable, match="replaced"):
            await log.read(0, 0, max_records=9, max_wait_s=0)
        for _ in range(9):
            assert len(await log.read(0, 0, max_records=9, max_wait_s=0)) == 9


async def test_a_reading_thread_that_is_new_does_not_hide_that_the_file_was_replaced(tmp_path: Path) -> None:
    """Each thread has a connection of its own, but what was read before was read by the log."""
    path, gate = tmp_path / "events.db", threading.Event()
    async with EmbeddedLog(tmp_path / "new.db") as new:
        await new.append(records(9), deadline_s=5)
    async with EmbeddedLog(path) as log:
        await log.append(records(2), deadline_s=5)
        assert len(await log.read(0, 0, max_records=9, max_wait_s=0)) == 2
        held = asyncio.create_task(log.run(lambda _: gate.wait(20)))  # the thread that knows the former file
        try:
            await asyncio.sleep(0.1)
            for suffix in ("-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            (tmp_path / "new.db").replace(path)
            with pytest.raises(LogUnavailable, match="replaced"):
                await log.read(0, 0, max_records=9, max_wait_s=0)
            assert len(await log.read(0, 0, max_records=9, max_wait_s=0)) == 9
        finally:
            gate.set()
            await held
