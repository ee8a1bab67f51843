"""The Kafka log: the appender, the reader and the subscriptions of one topic."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence

from eventlog.contract import EventLog, LogUnavailable, Position, Record, StoredRecord
from eventlog.kafka.admin import check_topic, identity
from eventlog.kafka.appender import Appender
from eventlog.kafka.reader import Reader
from eventlog.kafka.settings import KafkaSettings
from eventlog.kafka.subscription import KafkaSubscription


class KafkaLog(EventLog):
    """A topic as a log.

    Args:
        settings: where it is.
        writable: connect a producer at start; a log that only reads needs none.
    """

    engine = "kafka"

    def __init__(self, settings: KafkaSettings, *, writable: bool = True) -> None:
        self.settings = settings
        self._writable = writable
        self._appender: Appender | None = None
        self._reader: Reader | None = None
        self._partitions: list[int] | None = None
        self._identity: tuple[float, str] | None = None  # when it was asked (monotonic), and the answer
        self._closed = False

    async def start(self) -> None:
        """See the contract."""
        self.settings.client_options()  # refuses unusable security settings
        self._reader = Reader(self.settings)
        if not self._writable:
            await self.partitions()
            return
        self._appender = Appender(self.settings)
        await self._appender.start()

    async def close(self) -> None:
        """See the contract; takes 8 s at most."""
        self._closed = True
        closing = [each.close() for each in (self._appender, self._reader) if each is not None]
        self._appender = None
        await asyncio.gather(*closing)

    @property
    def place(self) -> str:
        """Servers and topic."""
        return f"{self.settings.bootstrap}/{self.settings.topic}"

    @property
    def available(self) -> bool:
        """Whether a producer is connected and every partition confirms."""
        return self._appender is not None and self._appender.available

    @property
    def counters(self) -> Mapping[str, int]:
        """By name: appended (records), append_unavailable, append_unknown (appends), batches, replacements."""
        return self._appender.counters if self._appender is not None else {}

    @property
    def replacements(self) -> int:
        """How often a producer that hung or turned fatal was replaced."""
        return self.counters.get("replacements", 0)

    def submit(self, records: Sequence[Record], *, deadline_s: float) -> asyncio.Future[list[Position]]:
        """See the contract. Records of one call that go to several partitions may be stored in part (AppendUnknown)."""
        if self._appender is None:
            raise LogUnavailable("the log is not open for writing")
        return self._appender.submit(records, deadline_s)

    async def identity(self, *, max_age_s: float = 0.0) -> str:
        """See the contract. Asks Kafka over a connection of its own."""
        self._open_reader()
        if self._identity is None or time.monotonic() - self._identity[0] >= max_age_s:
            self._identity = time.monotonic(), await identity(self.settings)
        return self._identity[1]

    async def partitions(self) -> list[int]:
        """See the contract. Asks Kafka once."""
        if self._partitions is None:
            self._partitions = list(range((await check_topic(self.settings)).partitions))
        return self._partitions

    async def bounds(self) -> dict[int, tuple[int, int]]:
        """See the contract."""
        return await self._open_reader().bounds(await self.partitions())

    async def read(
        self, partition: int, offset: int, *, max_records: int, max_wait_s: float
    ) -> list[StoredRecord]:
        """See the contract."""
        return await self._open_reader().read(
            partition, offset, max_records=max_records, max_wait_s=max_wait_s
        )

    async def read_at(self, partition: int, offset: int) -> StoredRecord | None:
        """See the contract."""
        if partition not in await self.partitions():
            return None
        first, following = (await self._open_reader().bounds([partition]))[partition]
        if not first <= offset < following:
            return None
        found = await self._open_reader().read(
            partition, offset, max_records=1, max_wait_s=self.settings.connect_timeout_s, at_random=True
        )
        return found[0] if found and found[0].offset == offset else None

    def subscribe(self, group: str) -> KafkaSubscription:
        """A member of the Kafka consumer group ``group``."""
        return KafkaSubscription(self.settings, group, self._open_reader())

    def _open_reader(self) -> Reader:
        if self._reader is None or self._closed:
            raise LogUnavailable("the log is not open")
        return self._reader
