"""A broker that dies, freezes, loses a topic or a byte, and comes back; clients append all the while."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from deploy.kafka.broker import LocalBroker
from eventlog.contract import (
    AppendFailed,
    AppendUnknown,
    LogUnavailable,
    PositionLost,
    Record,
    RecordCorrupt,
    StoredRecord,
)
from eventlog.kafka import KafkaLog
from eventlog.kafka.admin import create_topic
from tests.eventlog.records import by_key, eventually, read_all, record, records
from tests.eventlog.test_contract import Member, member
from tests.eventlog.topics import new_log


class Client:
    """Appends one record after the other and remembers every outcome, and how long it took."""

    def __init__(self, log: KafkaLog, name: str, deadline_s: float) -> None:
        self.log = log
        self.name = name
        self.deadline_s = deadline_s
        self.stored: list[Record] = []
        self.unknown: list[Record] = []
        self.refused: list[Record] = []
        self.longest_s = 0.0
        self.stop = False

    async def run(self) -> None:
        number = 0
        while not self.stop:
            each = record(number, self.name)
            number += 1
            started = time.monotonic()
            try:
                await self.log.append([each], deadline_s=self.deadline_s)
                self.stored.append(each)
            except AppendUnknown:
                self.unknown.append(each)
            except LogUnavailable:
                self.refused.append(each)
            self.longest_s = max(self.longest_s, time.monotonic() - started)
            await asyncio.sleep(0.01)

    def check(self, stored: list[Record]) -> None:
        assert [each for each in stored if each in self.stored] == self.stored, "acknowledged, in order, once"
        assert not any(each in self.refused for each in stored), "refused means not stored"
        assert self.longest_s < self.deadline_s + 0.5


@pytest.fixture
async def own_log(kafka_broker: LocalBroker) -> AsyncIterator[KafkaLog]:
    """A log on a broker of this test's own."""
    log = await new_log(kafka_broker.bootstrap, partitions=3, stall_s=2.0)
    await log.start()
    yield log
    await log.close()


async def storm(log: KafkaLog, during: object, deadline_s: float = 1.0) -> list[Client]:
    """Clients append while ``during`` runs; ends when the log takes records again."""
    clients = [Client(log, f"client-{n}", deadline_s) for n in range(6)]
    tasks = [asyncio.create_task(client.run()) for client in clients]
    await asyncio.sleep(0.5)
    await during()  # type: ignore[operator]
    await eventually(lambda: log.available, 40)
    before = [len(client.stored) for client in clients]
    await eventually(lambda: all(len(c.stored) > b + 5 for c, b in zip(clients, before, strict=True)), 20)
    for client in clients:
        client.stop = True
    await asyncio.gather(*tasks)
    stored = by_key(await read_all(log))
    for client in clients:
        client.check(stored[client.name.encode()])
    return clients


@pytest.mark.slow
async def test_a_killed_broker_costs_nobody_more_than_a_deadline(
    kafka_broker: LocalBroker, own_log: KafkaLog
) -> None:
    async def outage() -> None:
        await asyncio.to_thread(kafka_broker.kill)
        await asyncio.sleep(4)
        assert not own_log.available
        started = time.monotonic()
        with pytest.raises(AppendFailed):
            await own_log.append([record(1, "probe")], deadline_s=1)
        assert time.monotonic() - started < 0.2, "known to be away: no waiting"
        with pytest.raises(LogUnavailable):
            await own_log.bounds()
        with pytest.raises(LogUnavailable):
            await own_log.read(0, 0, max_records=1, max_wait_s=0.1)
        await asyncio.to_thread(kafka_broker.start)

    clients = await storm(own_log, outage)
    assert all(client.refused for client in clients)


@pytest.mark.slow
async def test_a_frozen_broker_costs_the_producer_its_place(
    kafka_broker: LocalBroker, own_log: KafkaLog
) -> None:
    async def outage() -> None:
        kafka_broker.freeze()
        await asyncio.sleep(5)  # longer than the deadline and the stall together
        assert not own_log.available
        kafka_broker.thaw()

    clients = await storm(own_log, outage)
    assert any(client.unknown for client in clients)
    assert own_log.replacements >= 1


@pytest.mark.slow
async def test_a_short_freeze_costs_nothing_but_time(kafka_broker: LocalBroker, own_log: KafkaLog) -> None:
    async def outage() -> None:
        kafka_broker.freeze()
        await asyncio.sleep(1.2)
        kafka_broker.thaw()

    clients = await storm(own_log, outage, deadline_s=4.0)
    assert not any(client.unknown or client.refused for client in clients)
    assert own_log.replacements == 0


@pytest.mark.slow
async def test_closing_with_the_broker_gone_is_bounded(kafka_broker: LocalBroker, own_log: KafkaLog) -> None:
    async with member(own_log, {}) as only:
        await own_log.append(records(10), deadline_s=5)
        await only.poll_until(10)
        kafka_broker.freeze()
        appends = [asyncio.create_task(own_log.append([record(n)], deadline_s=60)) for n in range(5)]
        await asyncio.sleep(0.2)
        started = time.monotonic()
        await only.subscription.close()
        assert time.monotonic() - started < 6
        started = time.monotonic()
        await own_log.close()
        assert time.monotonic() - started < 9
        outcomes = await asyncio.gather(*appends, return_exceptions=True)
        assert all(isinstance(each, AppendUnknown) for each in outcomes)


@pytest.mark.slow
async def test_a_log_whose_broker_comes_later_connects_by_itself(kafka_broker: LocalBroker) -> None:
    log = await new_log(kafka_broker.bootstrap, connect_timeout_s=1.0)
    kafka_broker.stop()
    with pytest.raises(LogUnavailable):
        await log.start()
    with pytest.raises(LogUnavailable):
        await log.append([record(1)], deadline_s=5)
    await asyncio.to_thread(kafka_broker.start)
    await eventually(lambda: log.available, 20)
    await log.append([record(2)], deadline_s=5)
    assert [each.record for each in await read_all(log)] == [record(2)]
    assert log.replacements == 0, "there was none to replace"
    await log.close()


@pytest.mark.slow
async def test_a_subscriber_survives_a_restarted_broker(kafka_broker: LocalBroker, own_log: KafkaLog) -> None:
    positions: dict[int, int] = {}
    async with member(own_log, positions) as only:
        await own_log.append(records(10), deadline_s=5)
        await only.poll_until(10)
        await asyncio.to_thread(kafka_broker.kill)
        for _ in range(5):
            assert await only.poll() == 0
        await asyncio.to_thread(kafka_broker.start)
        await eventually(lambda: own_log.available, 30)
        await own_log.append(records(10), deadline_s=5)
        await only.poll_until(20, timeout_s=40)
        assert by_key(only.seen) == by_key(await read_all(own_log))


@pytest.mark.slow
async def test_a_topic_that_was_deleted_is_refused_not_made_again(kafka_broker: LocalBroker) -> None:
    log = await new_log(kafka_broker.bootstrap, stall_s=1.0)
    async with log, member(log, {}) as only:
        await log.append(records(10), deadline_s=5)
        await only.poll_until(10)
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka_broker.bootstrap)
        await admin.start()
        await admin.delete_topics([log.settings.topic])
        reasons: list[str] = []

        async def refused() -> bool:
            try:
                await log.append([record(1)], deadline_s=0.7)
            except AppendFailed as error:
                reasons.append(str(error))
            await asyncio.sleep(0.1)
            return bool(reasons) and "there is no topic" in reasons[-1]

        async with asyncio.timeout(20):
            while not await refused():
                pass
        # Made again by hand and empty: the old positions are lost, and that is said.
        await create_topic(log.settings, partitions=1, replication=1)
        await eventually(lambda: log.available, 20)
        await log.append([record(5)], deadline_s=5)
        with pytest.raises(PositionLost):
            await only.poll_until(1000, timeout_s=30)
        await admin.close()


@pytest.mark.slow
async def test_a_rotten_batch_is_noticed_and_can_be_passed(
    kafka_broker: LocalBroker, own_log: KafkaLog
) -> None:
    for number in range(6):  # one batch each
        await own_log.append([Record(b"key", b"marker-%d" % number * 20, ())], deadline_s=5)
    [partition] = {each.partition for each in await read_all(own_log)}
    kafka_broker.stop()
    rot(kafka_broker, own_log.settings.topic, b"marker-3")
    await asyncio.to_thread(kafka_broker.start)
    await eventually(lambda: own_log.available, 30)

    assert [s.offset for s in await own_log.read(partition, 0, max_records=1, max_wait_s=5)] == [0]
    found: list[StoredRecord] = []

    async def read_on() -> None:
        while True:
            found.extend(await own_log.read(partition, len(found), max_records=100, max_wait_s=5))

    with pytest.raises(RecordCorrupt) as caught:
        await read_on()
    assert [each.offset for each in found] == [0, 1, 2]
    assert (caught.value.partition, caught.value.offset) == (partition, 3)
    assert [s.offset for s in await own_log.read(partition, 4, max_records=100, max_wait_s=5)] == [4, 5]

    async with member(own_log, {}) as only:
        with pytest.raises(RecordCorrupt) as caught:
            await only.poll_until(6)
        assert (caught.value.partition, caught.value.offset) == (partition, 3)
        await pass_by(only, partition, 4)
        assert [each.offset for each in only.seen] == [0, 1, 2, 4, 5]


async def pass_by(only: Member, partition: int, offset: int) -> None:
    await only.subscription.seek(partition, offset)
    await only.poll_until(5)


def rot(broker: LocalBroker, topic: str, what: bytes) -> None:
    """Change one byte on the broker's disk."""
    for segment in (broker.data_dir / "data").glob(f"{topic}-*/*.log"):
        content = bytearray(segment.read_bytes())
        at = content.find(what)
        if at >= 0:
            content[at] ^= 0xFF
            segment.write_bytes(content)
