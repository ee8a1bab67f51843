"""Reading by place, without a group: one small consumer per partition in use, and one that asks for bounds."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from datetime import UTC, datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import (
    CorruptRecordException,
    KafkaError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
)

from eventlog.contract import LogUnavailable, PositionLost, Record, RecordCorrupt, StoredRecord
from eventlog.kafka.letting_go import stop_consumer
from eventlog.kafka.settings import KafkaSettings

#: How many consumers of single partitions are kept.
_KEPT = 8

#: A consumer that nobody asked for this long stops fetching ahead, seconds.
_IDLE_S = 2.0

_FETCH_BYTES = 2 * 1024 * 1024


def stored_record(message: Any) -> StoredRecord:
    """An aiokafka message as we give it out. Nulls, which we never write, become empty bytes."""
    headers = tuple((name, value or b"") for name, value in message.headers)
    return StoredRecord(
        message.partition,
        message.offset,
        datetime.fromtimestamp(message.timestamp / 1000, UTC),
        Record(message.key or b"", message.value or b"", headers),
    )


def consumer_options(settings: KafkaSettings) -> dict[str, Any]:
    """What all our consumers have in common: nothing is read that could still be rolled back, nothing skipped silently."""
    return {
        **settings.client_options(),
        "isolation_level": "read_committed",
        "enable_auto_commit": False,
        "auto_offset_reset": "none",
        "max_partition_fetch_bytes": _FETCH_BYTES,
        "fetch_max_bytes": 16 * 1024 * 1024,
    }


class Reader:
    """Shared by all reads of one log; each partition has its own lock."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._cursors: OrderedDict[tuple[int, bool], _Cursor] = OrderedDict()
        self._asking: AIOKafkaConsumer | None = None
        self._asking_lock = asyncio.Lock()

    async def bounds(self, partitions: list[int]) -> dict[int, tuple[int, int]]:
        """By partition: first offset and next offset. Raises LogUnavailable."""
        asked = [TopicPartition(self._settings.topic, partition) for partition in partitions]
        try:
            async with asyncio.timeout(self._settings.connect_timeout_s):
                consumer = await self._asker()
                first, following = await asyncio.gather(
                    consumer.beginning_offsets(asked), consumer.end_offsets(asked)
                )
        except (KafkaError, OSError) as error:
            raise LogUnavailable(f"Kafka at {self._settings.bootstrap} does not answer: {error!r}") from error
        return {each.partition: (first[each], following[each]) for each in asked}

    async def read(
        self, partition: int, offset: int, *, max_records: int, max_wait_s: float, at_random: bool = False
    ) -> list[StoredRecord]:
        """See `EventLog.read`. Reads ``at_random`` do not disturb one that goes on from where it was."""
        key = (partition, at_random)
        cursor = self._cursors.get(key)
        if cursor is None:
            cursor = self._cursors[key] = _Cursor(self._settings, partition)
        self._cursors.move_to_end(key)
        cursor.users += 1
        try:
            async with cursor.lock:
                return await self._read(cursor, partition, offset, max_records, max_wait_s)
        except OffsetOutOfRangeError as error:
            first, following = (await self.bounds([partition]))[partition]
            raise PositionLost(partition, offset, first, following) from error
        except CorruptRecordException as error:
            raise RecordCorrupt(partition, offset, repr(error)) from error
        except (KafkaError, OSError) as error:
            raise LogUnavailable(f"Kafka at {self._settings.bootstrap} does not answer: {error!r}") from error
        finally:
            cursor.users -= 1
            await self._close_unused()

    async def _read(
        self, cursor: _Cursor, partition: int, offset: int, max_records: int, max_wait_s: float
    ) -> list[StoredRecord]:
        deadline = time.monotonic() + max_wait_s
        found = await cursor.read(offset, max_records, max_wait_s)
        if found:
            return found
        # Nothing came in time. Is there nothing, or is Kafka slow, or is the place wrong?
        first, following = (await self.bounds([partition]))[partition]
        if not first <= offset <= following:
            raise PositionLost(partition, offset, first, following)
        if offset == following:
            return await cursor.read(offset, max_records, max(0.0, deadline - time.monotonic()))
        found = await cursor.read(offset, max_records, self._settings.connect_timeout_s)
        if found:
            return found
        raise LogUnavailable(f"Kafka does not give partition {partition} from offset {offset}")

    async def close(self) -> None:
        """Stop all consumers; takes 4 s at most."""
        cursors = list(self._cursors.values())
        self._cursors.clear()
        asking, self._asking = self._asking, None
        closing = [cursor.close() for cursor in cursors]
        if asking is not None:
            closing.append(stop_consumer(asking, 2.0))
        await asyncio.gather(*closing)

    async def _close_unused(self) -> None:
        unused = [key for key in list(self._cursors)[:-_KEPT] if not self._cursors[key].users]
        for cursor in [self._cursors.pop(key) for key in unused]:
            await cursor.close()

    async def _asker(self) -> AIOKafkaConsumer:
        async with self._asking_lock:
            if self._asking is None:
                consumer = AIOKafkaConsumer(**consumer_options(self._settings))
                try:
                    await consumer.start()
                except BaseException:
                    await stop_consumer(consumer, 0.5)
                    raise
                self._asking = consumer
            return self._asking


class _Cursor:
    """A consumer of one partition that remembers where it is."""

    def __init__(self, settings: KafkaSettings, partition: int) -> None:
        self.lock = asyncio.Lock()
        self.users = 0  # who has it or waits for it: it must not be closed then
        self._settings = settings
        self._place = TopicPartition(settings.topic, partition)
        self._consumer: AIOKafkaConsumer | None = None
        self._next = -1
        self._idle: asyncio.TimerHandle | None = None

    async def read(self, offset: int, max_records: int, max_wait_s: float) -> list[StoredRecord]:
        """Records from ``offset`` on, or none within the time. Raises what aiokafka raises."""
        consumer = await self._started()
        if self._idle is not None:
            self._idle.cancel()
        if offset != self._next:
            consumer.seek(self._place, offset)
            self._next = offset
        consumer.resume(self._place)
        try:
            answer = await consumer.getmany(
                self._place, timeout_ms=int(max_wait_s * 1000), max_records=max_records
            )
        except NoOffsetForPartitionError:
            answer = {}  # noticed before the first seek
        except CorruptRecordException:
            self._next = -1
            if max_records == 1:
                raise
            # Somewhere in what was fetched; aiokafka keeps the good ones before it to itself. One by one then.
            return await self.read(offset, 1, self._settings.connect_timeout_s)
        except BaseException:
            self._next = -1  # seek again
            raise
        finally:
            self._idle = asyncio.get_running_loop().call_later(_IDLE_S, self._rest)
        found = [
            stored_record(message) for message in answer.get(self._place, ()) if message.offset >= offset
        ]
        if found:
            self._next = found[-1].offset + 1
        return found

    async def close(self) -> None:
        """Stop; takes 4 s at most."""
        consumer, self._consumer = self._consumer, None
        if self._idle is not None:
            self._idle.cancel()
        if consumer is not None:
            await stop_consumer(consumer, 2.0)

    async def _started(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            # A short fetch: the connection is busy for that long after a seek away from the end.
            consumer = AIOKafkaConsumer(**consumer_options(self._settings), fetch_max_wait_ms=100)
            try:
                async with asyncio.timeout(self._settings.connect_timeout_s):
                    await consumer.start()
            except BaseException:
                await stop_consumer(consumer, 0.5)
                raise
            consumer.assign([self._place])
            self._consumer = consumer
            self._next = -1
        return self._consumer

    def _rest(self) -> None:
        if self._consumer is not None:
            self._consumer.pause(self._place)
