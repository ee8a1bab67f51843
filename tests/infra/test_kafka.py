"""The Kafka that tests get is a real one, and breaks and mends like one."""

import socket
import time
import uuid
from pathlib import Path

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import UnknownTopicOrPartitionError

from deploy.kafka.broker import (
    ARCHIVE,
    LIBS,
    BrokerUnavailableError,
    LocalBroker,
    free_ports,
    serves,
    why_unavailable,
)
from tests.support.kafka_service import JVM_OPTIONS
from tests.support.require import unavailable


async def create_topic(bootstrap: str, partitions: int = 3) -> str:
    topic = f"infra.{uuid.uuid4().hex[:8]}"
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        answer = await admin.create_topics([NewTopic(topic, partitions, 1)])
        assert [error for _topic, error, *_rest in answer.topic_errors] == [0]
    finally:
        await admin.close()
    return topic


async def produce(bootstrap: str, topic: str, values: list[bytes]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True)
    await producer.start()
    try:
        for value in values:
            await producer.send_and_wait(topic, value, partition=0)
    finally:
        await producer.stop()


async def consume(bootstrap: str, topic: str) -> list[bytes]:
    partition = TopicPartition(topic, 0)
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        end = (await consumer.end_offsets([partition]))[partition]
        values: list[bytes] = []
        while await consumer.position(partition) < end:
            batches = await consumer.getmany(partition, timeout_ms=1000)
            values += [record.value for records in batches.values() for record in records]
        return values
    finally:
        await consumer.stop()


async def test_shared_broker_takes_and_gives_back(kafka_bootstrap: str) -> None:
    topic = await create_topic(kafka_bootstrap)
    values = [f"звонок {number}".encode() for number in range(20)]
    await produce(kafka_bootstrap, topic, values)
    assert await consume(kafka_bootstrap, topic) == values


async def test_missing_topic_stays_missing(kafka_bootstrap: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    await admin.start()
    try:
        name = f"missing.{uuid.uuid4().hex[:8]}"
        (answer,) = await admin.describe_topics([name])
        assert answer["error_code"] == UnknownTopicOrPartitionError.errno
        assert name not in await admin.list_topics()
    finally:
        await admin.close()


def test_shared_broker_is_the_same_for_all(kafka_bootstrap: str, request: pytest.FixtureRequest) -> None:
    assert serves(kafka_bootstrap)
    assert request.getfixturevalue("kafka_bootstrap") == kafka_bootstrap


@pytest.mark.slow
async def test_acknowledged_records_survive_kill_and_restart(kafka_broker: LocalBroker) -> None:
    topic = await create_topic(kafka_broker.bootstrap)
    await produce(kafka_broker.bootstrap, topic, [b"before"])
    pid = kafka_broker.pid
    assert pid is not None

    kafka_broker.kill()
    assert not psutil.pid_exists(pid)
    assert not serves(kafka_broker.bootstrap)

    kafka_broker.start()
    assert kafka_broker.pid != pid
    await produce(kafka_broker.bootstrap, topic, [b"after"])
    assert await consume(kafka_broker.bootstrap, topic) == [b"before", b"after"]


@pytest.mark.slow
def test_frozen_broker_is_connected_but_silent(kafka_broker: LocalBroker) -> None:
    kafka_broker.freeze()
    started = time.monotonic()
    assert not serves(kafka_broker.bootstrap)
    assert time.monotonic() - started > 1  # it waited: the port still takes connections
    kafka_broker.thaw()
    deadline = time.monotonic() + 30
    while not serves(kafka_broker.bootstrap):
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.mark.kafka
def test_taken_port_is_named(tmp_path: Path) -> None:
    if reason := why_unavailable():
        unavailable("kafka", reason)
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        broker = LocalBroker(tmp_path, taken, *free_ports(1))
        with pytest.raises(BrokerUnavailableError, match=f"port {taken} is taken"):
            broker.start()


def test_missing_jars_are_explained(tmp_path: Path) -> None:
    port, controller_port = free_ports(2)
    broker = LocalBroker(tmp_path / "data", port, controller_port, libs=tmp_path)
    with pytest.raises(BrokerUnavailableError, match="make kafka-jars"):
        broker.start()


@pytest.mark.slow
@pytest.mark.kafka
def test_an_archive_of_classes_that_does_not_fit_is_done_without(tmp_path: Path) -> None:
    if reason := why_unavailable():
        unavailable("kafka", reason)
    libs = tmp_path / "kafka" / "libs"
    libs.parent.mkdir()
    libs.symlink_to(LIBS)
    (libs.parent / ARCHIVE).write_bytes(b"of another Java, or torn" * 1000)
    with LocalBroker(tmp_path / "data", *free_ports(2), libs=libs, jvm_options=JVM_OPTIONS) as broker:
        assert serves(broker.bootstrap)


def test_free_ports_differ_and_are_free() -> None:
    ports = free_ports(5)
    assert len(set(ports)) == 5
    for port in ports:
        socket.create_server(("127.0.0.1", port)).close()
