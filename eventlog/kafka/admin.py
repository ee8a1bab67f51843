"""The topic: made right once, checked at every start."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    AuthenticationFailedError,
    IncompatibleBrokerVersion,
    KafkaError,
    TopicAlreadyExistsError,
    for_code,
)

from eventlog.contract import LogRefused, LogUnavailable
from eventlog.kafka.letting_go import stop_admin
from eventlog.kafka.protocol import TopicIdsRequest, ask
from eventlog.kafka.settings import BATCH_OVERHEAD_BYTES, KafkaSettings


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as it is: number of partitions, and its configuration in Kafka's own names and texts."""

    partitions: int
    config: Mapping[str, str]


def topic_config(settings: KafkaSettings) -> dict[str, str]:
    """What `create_topic` sets: records stay for ever, the largest record fits, and the broker's clock dates them.

    By a client's clock the broker would refuse everything of a machine whose clock is more than an hour ahead.
    """
    return {
        "message.timestamp.type": "LogAppendTime",
        "cleanup.policy": "delete",
        "retention.ms": "-1",
        "retention.bytes": "-1",
        "max.message.bytes": str(settings.max_record_bytes + BATCH_OVERHEAD_BYTES),
    }


async def create_topic(settings: KafkaSettings, *, partitions: int, replication: int) -> None:
    """Make the topic; returns when it can be used.

    Raises:
        LogRefused: it is there already, or Kafka does not want to make it so (too few brokers, no permission).
        LogUnavailable: Kafka does not answer.
    """
    topic = NewTopic(settings.topic, partitions, replication, topic_configs=topic_config(settings))
    async with _admin(settings) as admin:
        answer = (await admin.create_topics([topic])).to_object()
        _refuse_errors(answer, settings)
        while not await _sees(admin, settings.topic):  # noqa: ASYNC110 - Kafka tells nobody
            await asyncio.sleep(0.05)


async def _sees(admin: AIOKafkaAdminClient, name: str) -> bool:
    """Whether the broker that answers knows the topic with all its leaders: it hears of a new one a moment later."""
    for entry in await admin.describe_topics():
        if entry["topic"] == name:
            return all(partition["leader"] >= 0 for partition in entry["partitions"])
    return False


def _refuse_errors(answer: Mapping[str, Any], settings: KafkaSettings) -> None:
    for entry in answer["topic_errors"]:
        error = for_code(entry["error_code"])
        if error is TopicAlreadyExistsError:
            raise LogRefused(f"the topic {settings.topic} exists already")
        if entry["error_code"]:
            raise LogRefused(
                f"Kafka does not make the topic {settings.topic}: {entry.get('error_message') or error.__name__}"
            )


async def check_topic(settings: KafkaSettings) -> Topic:
    """The topic, when it may be used as an event log.

    Raises:
        LogRefused: missing, other number of partitions than set, finite retention, compaction, too small a limit.
        LogUnavailable: Kafka does not answer within ``connect_timeout_s``.
    """
    async with _admin(settings) as admin:
        topic = await _describe(admin, settings)
    name = settings.topic
    if settings.partitions is not None and topic.partitions != settings.partitions:
        raise LogRefused(
            f"the topic {name} has {topic.partitions} partitions, the settings say {settings.partitions}: "
            "a key would move to another partition and lose its order"
        )
    for option in ("retention.ms", "retention.bytes"):
        if topic.config.get(option) != "-1":
            raise LogRefused(
                f"the topic {name} has {option}={topic.config.get(option)}: Kafka would delete events. "
                f"Set it to -1 (kafka-configs.sh --alter --topic {name} --add-config {option}=-1)"
            )
    if topic.config.get("cleanup.policy") != "delete":
        raise LogRefused(
            f"the topic {name} has cleanup.policy={topic.config.get('cleanup.policy')}: Kafka would delete all but "
            "the last event of a key. Set it to delete"
        )
    if int(topic.config.get("max.message.bytes", "0")) < settings.max_record_bytes + BATCH_OVERHEAD_BYTES:
        raise LogRefused(
            f"the topic {name} has max.message.bytes={topic.config.get('max.message.bytes')}, records may have "
            f"{settings.max_record_bytes} bytes: set it to at least {settings.max_record_bytes + BATCH_OVERHEAD_BYTES}"
        )
    return topic


async def _describe(admin: AIOKafkaAdminClient, settings: KafkaSettings) -> Topic:
    # All topics: a request by name would create a missing one where the broker allows that.
    found = {entry["topic"]: entry for entry in await admin.describe_topics()}
    entry = found.get(settings.topic)
    if entry is None:
        raise LogRefused(
            f"there is no topic {settings.topic} at {settings.bootstrap} (or no permission to see it): "
            "make it with `LEADFOLD_LOG__ENGINE=kafka leadfold log create`"
        )
    answers = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, settings.topic)])
    config: dict[str, str] = {}
    for answer in answers:
        for resource in answer.to_object()["resources"]:
            if resource["error_code"]:
                raise LogRefused(
                    f"cannot read the configuration of the topic {settings.topic} "
                    f"({for_code(resource['error_code']).__name__}): this user needs DescribeConfigs"
                )
            for option in resource["config_entries"]:
                config[option["config_names"]] = option["config_value"]
    return Topic(len(entry["partitions"]), config)


async def identity(settings: KafkaSettings) -> str:
    """See `EventLog.identity`: id of the cluster, name of the topic and Kafka's own id of it.

    A topic that was deleted and made again has another id. A Kafka before 2.8 has no such ids; then what is left must do.
    """
    async with _admin(settings) as admin:
        try:
            found = (await ask(admin, TopicIdsRequest())).to_object()
        except (NotImplementedError, IncompatibleBrokerVersion):  # how aiokafka says that the broker is older
            cluster = await admin.describe_cluster()
            return f"kafka:{cluster['cluster_id']}/{settings.topic}"
    for entry in found["topics"]:
        if entry["name"] == settings.topic and not entry["error_code"]:
            topic = UUID(bytes=entry["topic_id"])
            known = f"kafka:{found['cluster_id']}/{settings.topic}"
            return f"{known}/{topic}" if topic.int else known
    raise LogRefused(
        f"there is no topic {settings.topic} at {settings.bootstrap} (or no permission to see it)"
    )


@asynccontextmanager
async def _admin(settings: KafkaSettings) -> AsyncIterator[Any]:
    admin = AIOKafkaAdminClient(**settings.client_options())
    try:
        async with asyncio.timeout(settings.connect_timeout_s):
            await admin.start()
            yield admin
    except AuthenticationFailedError as error:
        raise LogRefused(f"Kafka at {settings.bootstrap} refuses this user: {error}") from error
    except (KafkaError, OSError) as error:  # TimeoutError is an OSError
        raise LogUnavailable(f"Kafka at {settings.bootstrap} does not answer: {error!r}") from error
    finally:
        await stop_admin(admin)
