"""The Kafka engine, on aiokafka (docs/adr/0003)."""

from eventlog.kafka.log import KafkaLog
from eventlog.kafka.settings import KafkaSettings

__all__ = ["KafkaLog", "KafkaSettings"]
