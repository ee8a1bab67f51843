"""The Kafka engine alone: sharing of partitions, refusals, and a broker that dies, freezes and comes back."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import OutOfOrderSequenceNumber
from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st

from deploy.kafka.broker import LocalBroker
from eventlog.contract import (
    AppendFailed,
    AppendUnknown,
    LogRefused,
    LogUnavailable,
    PositionLost,
    Record,
    RecordCorrupt,
    StoredRecord,
)
from eventlog.kafka import KafkaLog, KafkaSettings
from eventlog.kafka.admin import check_topic, create_topic
from eventlog.kafka.partitioner import partition_of
from tests.eventlog.records import ODD_HEADERS, by_key, eventually, read_all, record, records
from tests.eventlog.test_contract import Member, member


def settings_for(bootstrap: str, **changes: object) -> KafkaSettings:
    made = KafkaSettings(bootstrap=bootstrap, topic=f"events-{uuid.uuid4().hex[:12]}")
    return replace(made, **changes)  # type: ignore[arg-type]


async def new_log(bootstrap: str, partitions: int = 1, **changes: object) -> KafkaLog:
    settings = settings_for(bootstrap, **changes)
    await create_topic(settings, partitions=partitions, replication=1)
    return KafkaLog(settings)


async def make_topic(bootstrap: str, name: str, config: dict[str, str], partitions: int = 1) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(name, partitions, 1, topic_configs=config)])
    await admin.close()


@given(st.binary(max_size=80), st.integers(1, 64))
def test_the_partition_of_a_key_is_kafkas_own(key: bytes, partitions: int) -> None:
    assert partition_of(key, partitions) == DefaultPartitioner()(key, list(range(partitions)), [])


async def test_another_client_puts_and_finds_keys_where_we_do(kafka_bootstrap: str) -> None:
    async with await new_log(kafka_bootstrap, partitions=6) as log:
        producer = AIOKafkaProducer(bootstrap_servers=kafka_bootstrap)
        await producer.start()
        for number in range(30):
            [ours] = await log.append([record(number, f"key-{number}")], deadline_s=5)
            theirs = await producer.send_and_wait(
                log.settings.topic,
                b"theirs",
                key=f"key-{number}".encode(),
                headers=[(name, value) for name, value in ODD_HEADERS],
            )
            assert ours.partition == theirs.partition
        # Nulls, which we never write, are read as empty.
        await producer.send_and_wait(log.settings.topic, None, key=b"key", headers=[("null", None)])
        await producer.stop()
        stored = [each.record for each in await read_all(log, at_least=61)]
        assert stored.count(Record(b"key", b"", (("null", b""),))) == 1
        assert sum(each.headers == ODD_HEADERS for each in stored) == 30


async def test_the_topic_is_made_to_keep_everything(kafka_bootstrap: str) -> None:
    settings = settings_for(kafka_bootstrap, partitions=4)
    await create_topic(settings, partitions=4, replication=1)
    topic = await check_topic(settings)
    assert topic.partitions == 4
    assert topic.config["retention.ms"] == topic.config["retention.bytes"] == "-1"
    assert topic.config["cleanup.policy"] == "delete"
    assert topic.config["message.timestamp.type"] == "LogAppendTime"
    with pytest.raises(LogRefused, match="exists already"):
        await create_topic(settings, partitions=4, replication=1)
    with pytest.raises(LogRefused, match=r"does not make the topic.*3"):
        await create_topic(settings_for(kafka_bootstrap), partitions=1, replication=3)


@pytest.mark.parametrize(
    ("config", "changes", "reason"),
    [
        ({"retention.ms": "604800000"}, {}, "retention.ms=604800000: Kafka would delete events"),
        ({"retention.bytes": "1000000"}, {}, "retention.bytes=1000000"),
        ({"cleanup.policy": "compact"}, {}, "cleanup.policy=compact"),
        ({"max.message.bytes": "100000"}, {}, "max.message.bytes=100000"),
        ({}, {"partitions": 7}, "has 2 partitions, the settings say 7"),
        (None, {}, "there is no topic"),
    ],
)
async def test_topics_that_are_refused(
    kafka_bootstrap: str, config: dict[str, str] | None, changes: dict[str, int], reason: str
) -> None:
    settings = settings_for(kafka_bootstrap, **changes)
    if config is not None:
        good = {"retention.ms": "-1", "retention.bytes": "-1", "max.message.bytes": "5000000"}
        await make_topic(kafka_bootstrap, settings.topic, good | config, partitions=2)
    for writable in (True, False):
        log = KafkaLog(settings, writable=writable)
        with pytest.raises(LogRefused, match=reason):
            await log.start()
        await log.close()


async def test_settings_that_cannot_work_are_refused_before_anything_is_asked(tmp_path: Path) -> None:
    for changes, reason in (
        ({"security_protocol": "SASL_PLAINTEXT"}, "needs a SASL user"),
        ({"security_protocol": "SSL", "ssl_cafile": tmp_path / "no.pem"}, "TLS files"),
    ):
        with pytest.raises(LogRefused, match=reason):
            await KafkaLog(settings_for("127.0.0.1:1", **changes)).start()
    assert "secret" not in repr(settings_for("127.0.0.1:1", sasl_password="secret"))


async def test_two_members_share_the_partitions_and_hand_them_over(kafka_bootstrap: str) -> None:
    async with await new_log(kafka_bootstrap, partitions=6) as log, AsyncExitStack() as stack:
        positions: dict[int, int] = {}
        await log.append(records(120, keys=40), deadline_s=5)
        one = await stack.enter_async_context(member(log, positions))
        await one.poll_until(120)
        assert one.subscription.assignment() == set(range(6))
        assert one.told == [("assigned", (0, 1, 2, 3, 4, 5))]

        async with member(log, positions) as two:
            async with asyncio.timeout(20):
                while not (len(one.subscription.assignment()) == len(two.subscription.assignment()) == 3):
                    await asyncio.gather(one.poll(), two.poll())
            assert one.told[1] == ("revoked", (0, 1, 2, 3, 4, 5))
            assert one.subscription.assignment().isdisjoint(two.subscription.assignment())
            await log.append(records(120, keys=40), deadline_s=5)
            async with asyncio.timeout(20):
                while len(one.seen) + len(two.seen) < 240:
                    await asyncio.gather(one.poll(), two.poll())
            assert two.seen, "both work"
            places = [(each.partition, each.offset) for each in one.seen + two.seen]
            assert len(places) == len(set(places)), "nobody read twice: positions were handed over"

        async with asyncio.timeout(20):  # the other one left
            while one.subscription.assignment() != set(range(6)):
                await one.poll()
        await log.append(records(12, keys=40), deadline_s=5)
        await one.poll_until(252 - len(two.seen))


async def test_a_rebalance_waits_until_the_caller_polls_again(kafka_bootstrap: str) -> None:
    async with await new_log(kafka_bootstrap, partitions=2) as log:
        positions: dict[int, int] = {}
        async with AsyncExitStack() as stack:
            one = await stack.enter_async_context(member(log, positions))
            await log.append(records(20, keys=10), deadline_s=5)
            await one.poll_until(20)
            two = await stack.enter_async_context(member(log, positions))
            for _ in range(10):  # `one` is busy with a batch; `two` knocks
                assert await two.poll() == 0
            assert one.told == [("assigned", (0, 1))]
            assert two.subscription.assignment() == set()
            async with asyncio.timeout(20):
                while not two.subscription.assignment():
                    await asyncio.gather(one.poll(), two.poll())
            assert one.told[1] == ("revoked", (0, 1))


async def test_closing_while_a_rebalance_waits_is_quick(kafka_bootstrap: str) -> None:
    async with await new_log(kafka_bootstrap, partitions=2) as log:
        async with member(log, {}) as one:
            await log.append(records(4, keys=4), deadline_s=5)
            await one.poll_until(4)
            async with member(log, {}) as two:
                await two.poll()
                started = time.monotonic()
        assert time.monotonic() - started < 8


async def test_readers_of_many_partitions_do_not_disturb_each_other(kafka_bootstrap: str) -> None:
    async with await new_log(kafka_bootstrap, partitions=12) as log:
        sent = records(600, keys=100)
        await log.append(sent, deadline_s=10)

        async def follow(partition: int) -> int:
            offset = 0
            while found := await log.read(partition, offset, max_records=7, max_wait_s=0):
                assert [each.offset for each in found] == list(range(offset, offset + len(found)))
                offset += len(found)
                at_random = await log.read_at(partition, offset // 2)
                assert at_random is not None
            return offset

        counts = await asyncio.gather(*(follow(partition) for partition in range(12)))
        assert sum(counts) == 600


async def test_more_than_the_queue_holds_is_refused_at_once(kafka_bootstrap: str) -> None:
    async with await new_log(kafka_bootstrap, queue_bytes=110_000) as log:
        outcomes = await asyncio.gather(
            *(log.append([record(n, size=20_000)], deadline_s=10) for n in range(20)), return_exceptions=True
        )
        refused = [each for each in outcomes if isinstance(each, LogUnavailable)]
        assert len(refused) == 15
        assert len(await read_all(log)) == 5
        await log.append([record(1)], deadline_s=5)


async def test_batches_larger_than_one_batch_keep_their_order(kafka_bootstrap: str) -> None:
    async with await new_log(kafka_bootstrap, batch_bytes=4_000) as log:
        sent = [record(n, size=300) for n in range(400)]
        positions = await log.append(sent, deadline_s=20)
        assert [position.offset for position in positions] == list(range(400))
        assert [each.record for each in await read_all(log)] == sent
        assert log.counters["batches"] > 20


async def test_a_fatal_error_replaces_the_producer_and_is_counted(
    kafka_bootstrap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with await new_log(kafka_bootstrap, partitions=2) as log:
        await log.append(records(5), deadline_s=5)
        appender = log._appender
        assert appender is not None
        producer = appender._producer
        assert producer is not None
        # The next batches leave with a hole in their sequence, as after a batch that failed for good.
        manager = producer._txn_manager
        number = manager.sequence_number
        monkeypatch.setattr(manager, "sequence_number", lambda place: number(place) + 7)
        with pytest.raises(AppendUnknown, match=OutOfOrderSequenceNumber.__name__):
            await log.append([record(77)], deadline_s=10)
        await eventually(lambda: log.replacements == 1)
        assert appender._producer is not producer
        await log.append(records(5), deadline_s=5)
        assert record(77) not in [each.record for each in await read_all(log)]
        assert log.counters["append_unknown"] == 1


async def test_a_client_that_refuses_a_batch_is_replaced_too(kafka_bootstrap: str) -> None:
    async with await new_log(kafka_bootstrap) as log:
        appender = log._appender
        assert appender is not None
        assert appender._producer is not None
        await appender._producer.stop()
        with pytest.raises(LogUnavailable):
            await log.append([record(1)], deadline_s=5)
        await log.append([record(2)], deadline_s=5)
        assert log.replacements == 1
        assert [each.record for each in await read_all(log)] == [record(2)]


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
