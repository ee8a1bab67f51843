"""A database whose positions come from another log is not read on: the projector stops, says so, and a rebuild mends it."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete

from deploy.kafka.broker import LocalBroker
from eventlog.contract import EventLog, LogUnavailable, Record
from eventlog.copy import copy_log
from eventlog.embedded import EmbeddedLog
from eventlog.kafka import KafkaLog
from eventlog.kafka.admin import create_topic
from eventlog.sealing import seal
from projector.builds import catch_up, rebuild
from projector.database import connect
from projector.errors import OtherLog
from projector.run import Projector
from projector.settings import ProjectorSettings
from projector.status import projection_status
from projector.wait import wait_visible
from tests.eventlog.topics import settings_for
from tests.projector.support import call, history, opened, project, put, query, settings, tables

Open = Callable[[], Awaitable[EventLog]]


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
async def new_log(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Open]:
    """Makes one empty log after the other, of each engine in turn."""
    async with AsyncExitStack() as stack:
        made = 0

        async def make() -> EventLog:
            nonlocal made
            made += 1
            if request.param == "embedded":
                return await stack.enter_async_context(EmbeddedLog(tmp_path / f"{made}.db"))
            conf = settings_for(request.getfixturevalue("kafka_bootstrap"))
            await create_topic(conf, partitions=2, replication=1)
            return await stack.enter_async_context(KafkaLog(conf))

        yield make


async def stops(log: EventLog, given: ProjectorSettings, error: type[Exception]) -> str:
    """Why the projector stops by itself; it wrote that into the database too."""
    projector = Projector(log, given)
    with pytest.raises(error) as caught:
        await asyncio.wait_for(projector.run(asyncio.Event()), 30)
    assert projector.status().stopped == str(caught.value)
    assert query(given.database_url, "select stopped from leadfold.build where stopped_at <= now()") == [
        (str(caught.value),)
    ]
    return str(caught.value)


async def test_a_longer_log_is_not_read_on_from_the_place_of_another(
    new_log: Open, database_url: str
) -> None:
    given = settings(database_url)
    one, other = await new_log(), await new_log()
    await put(one, [call(n, f"one{n}", n) for n in range(20)])
    await project(one, given)
    before = tables(database_url)
    await put(other, [call(n, f"other{n}", n) for n in range(300)])

    reason = await stops(other, given, OtherLog)
    assert await one.identity() in reason
    assert await other.identity() in reason
    assert "leadfold rebuild" in reason
    assert tables(database_url) == before
    await told_at_once(other, database_url, reason)
    with pytest.raises(OtherLog):
        await catch_up_former(other, given)

    await rebuild(other, given)
    await project(other, given)
    async with await connect(database_url) as conn:
        seen = await projection_status(conn, other)
    assert (seen.other_log, seen.lag_records, seen.lag_seconds) == (None, 0, 0.0)
    assert query(database_url, "select count(*) from LIVE.fact") == [(300,)]
    assert query(database_url, "select stopped from leadfold.build where state = 'live'") == [(None,)]


async def told_at_once(log: EventLog, url: str, reason: str) -> None:
    """Whoever waits hears why it is in vain, long before the time-out; a lag is not known, which is not none."""
    waited = await wait_visible(log, url, 60)
    assert (waited.visible, waited.in_vain, reason in waited.missing) == (False, True, True)
    assert "leadfold rebuild" in waited.missing
    assert waited.seconds < 20
    async with await connect(url) as conn:
        seen = await projection_status(conn, log)
    assert seen.other_log is not None
    assert reason in seen.other_log
    assert (seen.lag_records, seen.lag_seconds) == (None, None)


async def catch_up_former(log: EventLog, given: ProjectorSettings) -> None:
    """Bring a build of the former log up to date on this one."""
    async with await connect(given.database_url) as conn:
        await conn.execute("update leadfold.build set state = 'ready'")
        try:
            await catch_up(log, given, 1)
        finally:
            await conn.execute("update leadfold.build set state = 'live'")


async def test_back_on_the_right_log_it_goes_on(new_log: Open, database_url: str) -> None:
    given = settings(database_url)
    one, other = await new_log(), await new_log()
    await put(one, [call(1, "a", 1)])
    await project(one, given)
    await stops(other, given, OtherLog)
    await put(one, [call(2, "b", 2)])
    await project(one, given)
    assert query(database_url, "select count(*) from LIVE.fact") == [(2,)]
    assert query(database_url, "select stopped_at, stopped from leadfold.build") == [(None, None)]


async def test_an_installation_of_an_earlier_version_takes_the_log_it_has(
    new_log: Open, database_url: str
) -> None:
    given = settings(database_url)
    one, other = await new_log(), await new_log()
    await put(one, [call(1, "a", 1)])
    await project(one, given)
    query(database_url, "update leadfold.build set log = null")
    query(database_url, "update leadfold.position set mark = null, mark_offset = null")
    await put(one, [call(2, "b", 2)])
    await project(one, given)
    assert query(database_url, "select log from leadfold.build") == [(await one.identity(),)]
    await stops(other, given, OtherLog)


async def test_moved_to_another_engine_by_copy_and_rebuild(
    new_log: Open, tmp_path: Path, database_url: str
) -> None:
    """The documented move: nothing is counted twice, and what could not be read there may fail here too."""
    given = settings(database_url)
    target = await new_log()
    broken = Record(b"k", b"{not json", seal(call(9, "x", 1)).headers)
    async with opened(tmp_path / "from") as source:
        await put(source, history(30))
        await source.append([broken], deadline_s=5)
        await project(source, given)
        before = tables(database_url)
        await copy_log(source, target)
    await stops(target, given, OtherLog)
    await rebuild(target, given)
    await project(target, given)
    assert tables(database_url) == before


async def test_a_backup_that_was_put_back_and_grew_again_is_found_out(
    tmp_path: Path, database_url: str
) -> None:
    """The identity is the same, and there are more records than were applied: only the record itself tells."""
    given = settings(database_url)
    async with opened(tmp_path) as log:
        await put(log, [call(n, f"c{n}", n) for n in range(3)])
    shutil.copy(tmp_path / "events.db", tmp_path / "backup.db")
    async with opened(tmp_path) as log:
        await put(log, [call(n, f"lost{n}", n) for n in range(3)])
        await project(log, given)
    shutil.copy(tmp_path / "backup.db", tmp_path / "events.db")
    async with opened(tmp_path) as log:
        assert "is not there any more" in await stops(log, given, OtherLog)
        await told_at_once(log, database_url, "lie behind its end")
        await put(log, [call(n, f"new{n}", n) for n in range(20)])
        reason = await stops(log, given, OtherLog)
        assert "the record at 5" in reason
        assert "is another one now" in reason
        await rebuild(log, given)
        await project(log, given)
    assert query(database_url, "select count(*) from LIVE.fact") == [(23,)]


async def test_a_position_set_back_by_hand_does_not_hide_that_the_log_lost_its_end(
    tmp_path: Path, database_url: str
) -> None:
    given = settings(database_url)
    async with opened(tmp_path) as log:
        await put(log, [call(n, f"c{n}", n) for n in range(6)])
        await project(log, given)
        query(database_url, "update leadfold.position set next_offset = 2")
        await log.run(
            lambda connection: connection.execute("delete from records where position > 4").fetchall()
        )
        await log.run(lambda connection: connection.execute("update sqlite_sequence set seq = 4").fetchall())
        assert "is not there any more" in await stops(log, given, OtherLog)


async def test_a_file_replaced_under_a_running_projector_stops_it(tmp_path: Path, database_url: str) -> None:
    given = settings(database_url)
    async with opened(tmp_path / "new") as log:
        await put(log, [call(n, f"new{n}", n) for n in range(9)])
    async with opened(tmp_path) as log:
        await put(log, [call(1, "a", 1)])
        projector = Projector(log, given)
        running = asyncio.create_task(projector.run(asyncio.Event()))
        assert (await wait_visible(log, database_url, 20)).visible
        for suffix in ("-wal", "-shm"):
            (tmp_path / f"events.db{suffix}").unlink(missing_ok=True)
        (tmp_path / "new" / "events.db").replace(tmp_path / "events.db")
        with pytest.raises(OtherLog):
            await asyncio.wait_for(running, 20)
    assert query(database_url, "select count(*) from LIVE.fact") == [(1,)]


async def test_what_kafka_dropped_from_the_beginning_says_nothing(
    kafka_bootstrap: str, database_url: str
) -> None:
    given = settings(database_url)
    conf = settings_for(kafka_bootstrap)
    await create_topic(conf, partitions=1, replication=1)
    async with KafkaLog(conf) as log:
        await put(log, [call(n, f"c{n}", n) for n in range(5)])
        await project(log, given)
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka_bootstrap)
        await admin.start()
        await admin.delete_records({TopicPartition(conf.topic, 0): RecordsToDelete(before_offset=5)})
        await admin.close()
        await put(log, [call(9, "after", 9)])
        await project(log, given)
    assert query(database_url, "select count(*) from LIVE.fact") == [(6,)]


async def test_a_kafka_that_lost_its_end_and_grew_again_is_found_out(
    kafka_broker: LocalBroker, database_url: str
) -> None:
    """As after an unclean election: the topic keeps its id, and other records lie where ours were."""
    given = settings(database_url)
    conf = settings_for(kafka_broker.bootstrap)
    await create_topic(conf, partitions=1, replication=1)
    async with KafkaLog(conf) as log:
        identity = await log.identity()
        await put(log, [call(n, f"lost{n}", n) for n in range(5)])
        await project(log, given)
    await asyncio.to_thread(kafka_broker.stop)
    (folder,) = (kafka_broker.data_dir).rglob(f"{conf.topic}-0")
    for part in folder.iterdir():
        if part.name != "partition.metadata":  # the topic's id
            part.unlink()
    for checkpoint in kafka_broker.data_dir.rglob("*-checkpoint"):
        if checkpoint.parent != folder and "offset" in checkpoint.name:
            checkpoint.unlink()
    await asyncio.to_thread(kafka_broker.start)
    async with KafkaLog(conf) as log:
        for _ in range(100):
            try:
                await put(log, [call(n, f"new{n}", n) for n in range(9)])
                break
            except LogUnavailable:
                await asyncio.sleep(0.2)
        assert await log.identity() == identity
        assert "is another one now" in await stops(log, given, OtherLog)
