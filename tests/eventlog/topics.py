"""Topics of a test's own on a running broker, and the log on them."""

import uuid
from dataclasses import replace

from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from eventlog.kafka import KafkaLog, KafkaSettings
from eventlog.kafka.admin import create_topic


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
