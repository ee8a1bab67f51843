"""From settings to a log."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from eventlog.contract import MAX_RECORD_BYTES, EventLog

if TYPE_CHECKING:
    from eventlog.kafka import KafkaSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """Which log, and how to reach it. ``path`` is for the embedded engine, the rest for Kafka."""

    engine: Literal["embedded", "kafka"] = "embedded"
    path: Path = Path("data/events.db")
    max_record_bytes: int = MAX_RECORD_BYTES

    bootstrap: str = "127.0.0.1:9092"
    topic: str = "leadfold.events"
    partitions: int | None = None  # refuse to start when the topic has another number; None takes what it has
    client_id: str = "leadfold"
    security_protocol: str = "PLAINTEXT"
    sasl_mechanism: str = "PLAIN"
    sasl_username: str | None = None
    sasl_password: str | None = field(default=None, repr=False)
    ssl_cafile: Path | None = None
    ssl_certfile: Path | None = None
    ssl_keyfile: Path | None = None


def open_log(settings: LogSettings, *, writable: bool = True, create: bool = True) -> EventLog:
    """The log of these settings, not started. To be called on a running event loop.

    Args:
        settings: which one.
        writable: whether `append` will be called; a Kafka log that only reads connects no producer.
        create: make a missing embedded file; a missing topic is never made (`eventlog.kafka.admin.create_topic`).
    """
    if settings.engine == "embedded":
        from eventlog.embedded import EmbeddedLog

        return EmbeddedLog(settings.path, create=create, max_record_bytes=settings.max_record_bytes)
    # aiokafka is imported by those who use it: it would double the start of the embedded default.
    from eventlog.kafka import KafkaLog

    return KafkaLog(kafka_settings(settings), writable=writable)


def kafka_settings(settings: LogSettings) -> KafkaSettings:
    """The Kafka part, for `eventlog.kafka.admin`."""
    from eventlog.kafka import KafkaSettings

    return KafkaSettings(
        bootstrap=settings.bootstrap,
        topic=settings.topic,
        partitions=settings.partitions,
        client_id=settings.client_id,
        security_protocol=settings.security_protocol,
        sasl_mechanism=settings.sasl_mechanism,
        sasl_username=settings.sasl_username,
        sasl_password=settings.sasl_password,
        ssl_cafile=settings.ssl_cafile,
        ssl_certfile=settings.ssl_certfile,
        ssl_keyfile=settings.ssl_keyfile,
        max_record_bytes=settings.max_record_bytes,
    )
