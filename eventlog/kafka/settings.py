"""Where the Kafka is, how to talk to it, and the limits we keep."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiokafka.helpers import create_ssl_context

from eventlog.contract import MAX_RECORD_BYTES, LogRefused

#: What a record batch adds to its records at most, for the topic's own limit.
BATCH_OVERHEAD_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaSettings:
    """Settings of one Kafka log. Times in seconds, sizes in bytes."""

    bootstrap: str  # "host:port,host:port"
    topic: str = "leadfold.events"
    partitions: int | None = None  # what the topic must have; None takes what it has
    client_id: str = "leadfold"

    security_protocol: str = "PLAINTEXT"  # PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL
    sasl_mechanism: str = "PLAIN"  # PLAIN, SCRAM-SHA-256, SCRAM-SHA-512
    sasl_username: str | None = None
    sasl_password: str | None = field(default=None, repr=False)
    ssl_cafile: Path | None = None
    ssl_certfile: Path | None = None
    ssl_keyfile: Path | None = None

    max_record_bytes: int = MAX_RECORD_BYTES
    batch_bytes: int = 512 * 1024  # of one batch; a single record may be larger
    queue_bytes: int = 64 * 1024 * 1024  # appends beyond this fail at once instead of filling the memory
    request_timeout_s: float = 10.0  # of one request to a broker
    connect_timeout_s: float = 5.0  # of a new producer, of a check of the topic
    stall_s: float = (
        5.0  # a batch unconfirmed for longer, after a missed deadline, costs the producer its place
    )

    def client_options(self) -> dict[str, Any]:
        """Arguments that every aiokafka client takes.

        Raises:
            LogRefused: a certificate file cannot be read, or user and password are missing.
        """
        options: dict[str, Any] = {
            "bootstrap_servers": [server.strip() for server in self.bootstrap.split(",") if server.strip()],
            "client_id": self.client_id,
            "request_timeout_ms": int(self.request_timeout_s * 1000),
            "security_protocol": self.security_protocol,
        }
        if self.security_protocol in ("SSL", "SASL_SSL"):
            try:
                options["ssl_context"] = create_ssl_context(
                    cafile=self.ssl_cafile, certfile=self.ssl_certfile, keyfile=self.ssl_keyfile
                )
            except OSError as error:  # ssl.SSLError is one
                raise LogRefused(f"cannot use the TLS files for Kafka: {error}") from error
        if self.security_protocol in ("SASL_PLAINTEXT", "SASL_SSL"):
            if self.sasl_username is None or self.sasl_password is None:
                raise LogRefused(f"security_protocol {self.security_protocol} needs a SASL user and password")
            options |= {
                "sasl_mechanism": self.sasl_mechanism,
                "sasl_plain_username": self.sasl_username,
                "sasl_plain_password": self.sasl_password,
            }
        return options
