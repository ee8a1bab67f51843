"""The two engines behind one fixture: a test that asks for `engine` runs on both, on the real thing."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from eventlog.contract import EventLog
from eventlog.kafka.admin import create_topic
from eventlog.open import LogSettings, kafka_settings, open_log

OpenLog = Callable[..., Awaitable[EventLog]]


@dataclass
class Engine:
    """A log of its own for one test, and as many objects on it as the test opens."""

    settings: LogSettings

    def __post_init__(self) -> None:
        self._opened: list[EventLog] = []

    @property
    def name(self) -> str:
        return self.settings.engine

    async def open(self, *, writable: bool = True) -> EventLog:
        log = open_log(self.settings, writable=writable)
        self._opened.append(log)
        await log.start()
        return log

    async def close(self) -> None:
        for log in self._opened:
            await log.close()


async def kafka_engine(bootstrap: str, partitions: int = 3) -> Engine:
    settings = LogSettings(
        engine="kafka", bootstrap=bootstrap, topic=f"events-{uuid.uuid4().hex[:12]}", partitions=partitions
    )
    await create_topic(kafka_settings(settings), partitions=partitions, replication=1)
    return Engine(settings)


def embedded_engine(folder: Path) -> Engine:
    return Engine(LogSettings(engine="embedded", path=folder / "events.db"))


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Engine]:
    """A fresh log on each engine in turn; what the test opened is closed after it."""
    if request.param == "embedded":
        made = embedded_engine(tmp_path)
    else:
        made = await kafka_engine(request.getfixturevalue("kafka_bootstrap"))
    yield made
    await made.close()


@pytest.fixture
async def log(engine: Engine) -> EventLog:
    """The started log of `engine`."""
    return await engine.open()
