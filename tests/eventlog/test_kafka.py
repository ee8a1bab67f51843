"""The Kafka engine alone: sharing of partitions, refusals, batches, and clients that fail."""

import asyncio
import time
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import OutOfOrderSequenceNumber
from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st

from eventlog.contract import (
    AppendUnknown,
    LogRefused,
    LogUnavailable,
    Record,
)
from eventlog.kafka import KafkaLog
from eventlog.kafka.admin import check_topic, create_topic
from eventlog.kafka.partitioner import partition_of
from tests.eventlog.records import ODD_HEADERS, eventually, read_all, record, records
from tests.eventlog.test_contract import member
from tests.eventlog.topics import make_topic, new_log, settings_for


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
