"""What the tests of this folder share within one worker: the quiet run, and a Kafka and a Postgres behind proxies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.kafka.broker import why_unavailable
from tests.faults.quiet import Seen, quiet_run
from tests.faults.servers import Servers
from tests.faults.services import KafkaService
from tests.faults.single import SENT
from tests.support import run_dir
from tests.support.require import unavailable

MakeKafka = Callable[..., KafkaService]


@pytest.fixture(scope="session")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """What an undisturbed service makes of `SENT`."""
    return asyncio.run(quiet_run(tmp_path_factory.mktemp("quiet"), SENT))


@pytest.fixture(scope="session")
def servers(worker_id: str) -> Iterator[Servers]:
    """Started ones, for services one after the other. To be cut and slowed through their proxies, never killed."""
    if reason := why_unavailable():
        unavailable("kafka", reason)
    made = Servers(run_dir.current() / f"servers-{worker_id}")
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture
def make_kafka(servers: Servers, tmp_path: Path) -> MakeKafka:
    """A service on the shared servers, not started; arguments as of `KafkaService`. One receiver unless told."""

    def make(**given: Any) -> KafkaService:
        return KafkaService(tmp_path / "kafka", servers=servers, **{"receivers": 1, **given})

    return make
