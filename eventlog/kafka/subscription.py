"""A member of a Kafka consumer group whose positions live elsewhere.

aiokafka tells of a rebalance from its own task, at any moment. Here those messages are queued and handled inside `poll`,
so the caller is never disturbed between two polls; a revocation waits for that (bounded), an assignment does not.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import (
    CorruptRecordException,
    KafkaError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
)

from eventlog.contract import (
    LogUnavailable,
    OnAssigned,
    OnRevoked,
    PositionLost,
    StoredRecord,
    Subscription,
)
from eventlog.kafka.letting_go import stop_consumer
from eventlog.kafka.reader import Reader, consumer_options, stored_record
from eventlog.kafka.settings import KafkaSettings

log = structlog.get_logger(__name__)

#: A member that is not heard of for this long loses its partitions to the others, seconds.
_SESSION_S = 10

#: How long a rebalance waits for the caller's next poll, and the group for its members, seconds.
_REVOKE_S = 30.0
_REBALANCE_S = 60

#: One wait of the consumer: how late a poll may notice a rebalance at worst, seconds.
_SLICE_S = 0.2


class _Change:
    """Partitions taken away or given, not yet told to the caller."""

    def __init__(self, *, assigned: bool, partitions: set[int]) -> None:
        self.assigned = assigned
        self.partitions = partitions
        self.handled = asyncio.Event()


class KafkaSubscription(Subscription, ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka has no types
    """See the contract."""

    def __init__(self, settings: KafkaSettings, group: str, reader: Reader) -> None:
        self.group = group
        self._settings = settings
        self._reader = reader
        self._consumer: AIOKafkaConsumer | None = None
        self._on_assigned: OnAssigned | None = None
        self._on_revoked: OnRevoked | None = None
        self._changes: deque[_Change] = deque()
        self._changed = asyncio.Event()
        self._next: dict[int, int] = {}  # assigned partitions and what comes next
        self._fetching: asyncio.Task[Any] | None = None
        self._left_over: dict[
            int, list[StoredRecord]
        ] = {}  # fetched, but a seek of another partition came first
        self._closing = False

    async def start(self, on_assigned: OnAssigned, on_revoked: OnRevoked) -> None:
        """See the contract. The partitions come with one of the next polls."""
        self._on_assigned, self._on_revoked = on_assigned, on_revoked
        consumer = AIOKafkaConsumer(
            **consumer_options(self._settings),
            group_id=self.group,
            session_timeout_ms=_SESSION_S * 1000,
            heartbeat_interval_ms=_SESSION_S * 1000 // 4,
            rebalance_timeout_ms=_REBALANCE_S * 1000,
            max_poll_interval_ms=300_000,
        )
        try:
            async with asyncio.timeout(self._settings.connect_timeout_s):
                await consumer.start()
        except (KafkaError, OSError) as error:
            await stop_consumer(consumer, 0.5)
            raise LogUnavailable(f"Kafka at {self._settings.bootstrap} does not answer: {error!r}") from error
        except BaseException:
            await stop_consumer(consumer, 0.5)
            raise
        consumer.subscribe([self._settings.topic], listener=self)
        self._consumer = consumer

    async def poll(self, *, max_records: int, max_wait_s: float) -> dict[int, list[StoredRecord]]:
        """See the contract."""
        deadline = time.monotonic() + max_wait_s
        while True:
            await self._handle_changes()
            if self._left_over:
                answer, self._left_over = self._left_over, {}
            else:
                answer = await self._fetched(max_records, deadline)
            for partition, records in answer.items():
                self._next[partition] = records[-1].offset + 1
            if answer or (time.monotonic() >= deadline and not self._changes):
                return answer

    def pause(self, partitions: Iterable[int]) -> None:
        """See the contract."""
        if self._consumer is not None:
            self._consumer.pause(*(self._place(partition) for partition in self._ours(partitions)))

    def resume(self, partitions: Iterable[int]) -> None:
        """See the contract."""
        if self._consumer is not None:
            self._consumer.resume(*(self._place(partition) for partition in self._ours(partitions)))

    async def seek(self, partition: int, offset: int) -> None:
        """See the contract."""
        if self._consumer is None or not self._ours([partition]):
            return
        for other, records in (await self._finish_fetching()).items():
            self._left_over.setdefault(other, []).extend(records)
        self._left_over.pop(partition, None)
        if self._ours([partition]):  # still
            self._consumer.seek(self._place(partition), offset)
            self._next[partition] = offset

    async def commit_hint(self, offsets: Mapping[int, int]) -> None:
        """See the contract."""
        if self._consumer is None or not offsets:
            return
        try:
            async with asyncio.timeout(1.0):
                await self._consumer.commit(
                    {self._place(partition): offsets[partition] for partition in self._ours(offsets)}
                )
        except (KafkaError, OSError, ValueError) as error:
            log.info("eventlog.commit_hint_failed", group=self.group, error=repr(error))

    def assignment(self) -> set[int]:
        """See the contract."""
        return set(self._next)

    async def close(self) -> None:
        """See the contract; takes 5 s at most."""
        self._closing = True
        for change in self._changes:
            change.handled.set()
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await stop_consumer(consumer, 3.0)
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.gather(self._fetching, return_exceptions=True)
            self._fetching = None
        self._next.clear()

    # --- what aiokafka tells, in its own task -----------------------------------------------------------------

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Called by aiokafka before it rejoins: waits until the caller has let go in its next poll."""
        while self._changes and self._changes[-1].assigned:
            self._changes.pop()  # given and taken again before anybody heard of it
        partitions = {place.partition for place in revoked} & set(self._next)
        if not partitions or self._closing:
            return
        change = _Change(assigned=False, partitions=partitions)
        self._changes.append(change)
        self._changed.set()
        try:
            await asyncio.wait_for(change.handled.wait(), _REVOKE_S)
        except TimeoutError:
            log.warning("eventlog.revoke_not_heard", group=self.group, partitions=sorted(partitions))

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Called by aiokafka after it joined. Does not wait: no heartbeat is sent until this returns."""
        partitions = {place.partition for place in assigned}
        if partitions:
            self._changes.append(_Change(assigned=True, partitions=partitions))
            self._changed.set()

    # --- inside poll ------------------------------------------------------------------------------------------

    async def _handle_changes(self) -> None:
        while self._changes:
            change = self._changes[0]
            if change.assigned:
                await self._assign(change)
            else:
                for partition in change.partitions:
                    self._next.pop(partition, None)
                    self._left_over.pop(partition, None)
                assert self._on_revoked is not None
                try:
                    await self._on_revoked(sorted(change.partitions))
                finally:
                    change.handled.set()
                    self._forget(change)
        self._changed.clear()

    async def _assign(self, change: _Change) -> None:
        assert self._on_assigned is not None
        wanted = await self._on_assigned(sorted(change.partitions))
        bounds = await self._reader.bounds(sorted(change.partitions))
        for partition in change.partitions:
            first, following = bounds[partition]
            if not first <= wanted[partition] <= following:
                raise PositionLost(partition, wanted[partition], first, following)
        await self._finish_fetching()  # whatever it brings was read from another place: dropped
        if change not in self._changes or self._consumer is None:
            return  # taken away again meanwhile
        ours = self._consumer.assignment()
        for partition in change.partitions:
            if self._place(partition) in ours:
                self._consumer.seek(self._place(partition), wanted[partition])
                self._next[partition] = wanted[partition]
        self._forget(change)

    def _forget(self, change: _Change) -> None:
        if change in self._changes:
            self._changes.remove(change)

    async def _fetched(self, max_records: int, deadline: float) -> dict[int, list[StoredRecord]]:
        """What came until the deadline or the next change."""
        consumer = self._consumer
        if consumer is None:
            raise LogUnavailable("the subscription is not open")
        if self._fetching is None:
            left_s = min(_SLICE_S, max(0.0, deadline - time.monotonic()))
            self._fetching = asyncio.create_task(
                consumer.getmany(timeout_ms=int(left_s * 1000), max_records=max_records)
            )
        # Not cancelled when a change comes first: during a rebalance it waits for the assignment, and ends then.
        changed = asyncio.create_task(self._changed.wait())
        await asyncio.wait(
            {self._fetching, changed},
            timeout=max(0.01, deadline - time.monotonic()),
            return_when=asyncio.FIRST_COMPLETED,
        )
        changed.cancel()
        return await self._finish_fetching() if self._fetching.done() and not self._changes else {}

    async def _finish_fetching(self) -> dict[int, list[StoredRecord]]:
        """The outcome of the fetch that is under way, for the partitions that are ours."""
        task, self._fetching = self._fetching, None
        if task is None:
            return {}
        try:
            answer = await task
        except (KafkaError, OSError) as error:
            return await self._mend(error)
        found: dict[int, list[StoredRecord]] = {}
        for place, messages in answer.items():
            expected = self._next.get(place.partition)
            if expected is None:
                continue  # not ours yet, or no more: on_assigned will say where to start
            records = [stored_record(message) for message in messages if message.offset >= expected]
            if records:
                found[place.partition] = records
        return found

    async def _mend(self, error: Exception) -> dict[int, list[StoredRecord]]:
        """What a failed fetch means; raises that, or gives the one record before a corrupt one."""
        # With the error aiokafka forgot what it had taken of other partitions: from our own positions again.
        for partition in self._ours(list(self._next)):
            assert self._consumer is not None
            self._consumer.seek(self._place(partition), self._next[partition])
        if isinstance(error, NoOffsetForPartitionError):
            return {}  # noticed before the first seek of a partition
        if isinstance(error, OffsetOutOfRangeError):
            for place, offset in error.args[0].items():
                if place.partition in self._next:
                    first, following = (await self._reader.bounds([place.partition]))[place.partition]
                    raise PositionLost(place.partition, offset, first, following) from error
            return {}
        if isinstance(error, CorruptRecordException) and (found := re.search(r"partition=(\d+)", str(error))):
            # Somewhere in what was fetched: one by one, through the reader, until it is the next one.
            partition = int(found[1])
            if partition not in self._next:
                return {}
            answer = await self._reader.read(
                partition, self._next[partition], max_records=1, max_wait_s=self._settings.connect_timeout_s
            )
            if answer:
                self._next[partition] = answer[-1].offset + 1
                await self.seek(partition, self._next[partition])
            return {partition: answer} if answer else {}
        raise LogUnavailable(f"Kafka does not serve this member of {self.group}: {error!r}") from error

    def _ours(self, partitions: Iterable[int]) -> list[int]:
        """Those of ``partitions`` that aiokafka, too, still counts as ours."""
        if self._consumer is None:
            return []
        assigned = self._consumer.assignment()
        return [each for each in partitions if each in self._next and self._place(each) in assigned]

    def _place(self, partition: int) -> TopicPartition:
        return TopicPartition(self._settings.topic, partition)
