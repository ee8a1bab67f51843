"""Group commit to Kafka, and the producer that is replaced when it fails (design §2, docs/adr/0003).

aiokafka's `send` pays a future and a coroutine per record, and its idempotent producer never gives up: with the broker
gone it holds every caller until the broker is back. Here, callers queue their records by partition; one task makes a
batch per partition of all that waits and sends it; one confirmation answers all of them. What gathers during a commit
goes with the next one, so there is no linger. Every call has its own deadline, kept by us.

A partition that let a deadline pass is *suspect*: appends to it fail at once until it confirms something. A producer
whose batch fails for good (its sequence numbers then have a hole), or stays unconfirmed for `stall_s`, is replaced by a
new one, as soon as one can be started; the appends that were with the old one are *unknown*.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    AuthenticationFailedError,
    InvalidTimestampError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
)

from eventlog.contract import (
    AppendFailed,
    AppendUnknown,
    LogError,
    LogRefused,
    LogUnavailable,
    Position,
    Record,
    RecordTooLarge,
    check_records,
)
from eventlog.deadlines import Deadlines
from eventlog.gathering import Gathering
from eventlog.kafka.admin import check_topic
from eventlog.kafka.lanes import Batch, Call, Lane
from eventlog.kafka.letting_go import drop_producer, stop_producer
from eventlog.kafka.partitioner import partition_of
from eventlog.kafka.settings import KafkaSettings

log = structlog.get_logger(__name__)

#: While a batch is out, records of other partitions wait this long at most for its confirmation to go with it, seconds.
_PATIENCE_S = 0.005

#: After a confirmation, records are gathered for this long: a third more of them in a batch, seconds.
_GATHER_S = 0.002

#: After so many appends a request goes out although more come.
_HANDFUL = 64

#: Between attempts to start a new producer, seconds: doubled from the first to the last.
_FIRST_BACKOFF_S = 0.1
_LAST_BACKOFF_S = 2.0

#: A confirmation may take this long without anybody's short deadline making its partition suspect, seconds.
_SUSPICION_S = 0.5

#: Kafka says so before it stores anything, so these alone are a sure no.
_NOT_STORED = (MessageSizeTooLargeError, RecordListTooLargeError, InvalidTimestampError)


class Appender:
    """The writing half of a Kafka log. Made and used on one event loop."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._lanes: list[Lane] = []
        self._producer: AIOKafkaProducer | None = None
        self._down = LogUnavailable("Kafka: not connected yet")  # why appends fail while `_is_down`
        self._is_down = True
        self._closing = False
        self._queued_bytes = 0
        self._out = 0  # batches that are with a producer
        self._deadlines = Deadlines()
        self._wake = asyncio.Event()
        self._gathering = Gathering(_HANDFUL, self._wake.set)
        self._settled = asyncio.Event()  # for `close`: nothing waits and nothing is out
        self._nudge: asyncio.TimerHandle | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._pump = asyncio.create_task(self._run(), name="eventlog-kafka-appender")
        self._reconnecting: asyncio.Task[None] | None = None
        self._dropping: set[asyncio.Task[None]] = set()
        self._counts = dict.fromkeys(
            ("appended", "append_unavailable", "append_unknown", "batches", "replacements"), 0
        )

    @property
    def counters(self) -> Mapping[str, int]:
        """By name: appended (records), append_unavailable, append_unknown (appends), batches, replacements."""
        return dict(self._counts)

    @property
    def available(self) -> bool:
        """Whether an append has a chance now."""
        return not self._closing and not self._is_down and not any(lane.suspect for lane in self._lanes)

    async def start(self) -> None:
        """Check the topic and connect. After LogUnavailable it goes on trying by itself.

        Raises:
            LogRefused, LogUnavailable.
        """
        try:
            self._use(await self._connect())
        except LogUnavailable as error:
            self._down = error
            self._reconnecting = asyncio.create_task(self._reconnect(None), name="eventlog-kafka-connect")
            raise

    async def close(self, patience_s: float = 3.0) -> None:
        """Give what was accepted ``patience_s`` seconds to be confirmed, then let go."""
        self._closing = True
        deadline = time.monotonic() + patience_s
        if self._producer is not None and self._busy:
            self._settled.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._settled.wait(), patience_s)
        for timer in (self._nudge, self._watch):
            if timer is not None:
                timer.cancel()
        tasks = [task for task in (self._pump, self._reconnecting) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        producer, self._producer = self._producer, None
        if producer is not None:
            await stop_producer(producer, max(0.5, deadline - time.monotonic()))
        self._answer_all(AppendUnknown("the log was closed before Kafka confirmed"))
        if self._dropping:
            await asyncio.wait(self._dropping, timeout=2.0)

    def submit(self, records: Sequence[Record], deadline_s: float) -> asyncio.Future[list[Position]]:
        """See `EventLog.submit`."""
        try:
            return self._submit(records, deadline_s)
        except LogUnavailable:
            self._counts["append_unavailable"] += 1
            raise

    def _submit(self, records: Sequence[Record], deadline_s: float) -> asyncio.Future[list[Position]]:
        loop = asyncio.get_running_loop()
        call = Call(len(records), loop.create_future(), self._counts)
        if not records:
            call.future.set_result([])
            return call.future
        if self._closing or self._is_down:
            raise LogUnavailable("the log is closed" if self._closing else str(self._down))
        sizes = check_records(records, self._settings.max_record_bytes)
        total = sum(sizes)
        if self._queued_bytes + total > self._settings.queue_bytes:
            raise LogUnavailable("more waits for Kafka than the queue holds; nothing was stored")
        lanes = [self._lanes[partition_of(record.key, len(self._lanes))] for record in records]
        for lane in lanes:
            if lane.suspect:
                raise LogUnavailable(f"partition {lane.partition} does not confirm; nothing was stored")
        for index, lane in enumerate(lanes):
            lane.waiting.append((records[index], sizes[index], call, index))
        self._queued_bytes += total
        self._gathering.came()
        # Soon when nothing is out, else together with what the confirmation sets free, or a little later.
        if not self._out:
            self._gathering.soon()
        elif self._nudge is None:
            self._nudge = loop.call_later(_PATIENCE_S, self._nudged)
        self._deadlines.add(deadline_s, call.future, partial(self._expire, call, lanes, deadline_s))
        return call.future

    # --- batches ----------------------------------------------------------------------------------------------

    @property
    def _busy(self) -> bool:
        return any(lane.batch is not None or lane.waiting for lane in self._lanes)

    def _nudged(self) -> None:
        self._nudge = None
        self._gathering.soon()

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            now, now_ms = time.monotonic(), time.time_ns() // 1_000_000
            for lane in self._lanes:
                producer = self._producer
                if producer is None:
                    break  # `_use` wakes us again
                if lane.ready:
                    try:
                        await self._send(producer, lane, now, now_ms)
                    except Exception:  # this task must outlive whatever happened: everybody depends on it
                        log.exception("eventlog.kafka_send_failed", partition=lane.partition)
                        lane.lose(AppendUnknown("sending failed; the records may be stored"))
                        self._queued_bytes -= lane.refuse_waiting(LogUnavailable("sending failed"))

    async def _send(self, producer: AIOKafkaProducer, lane: Lane, now: float, now_ms: int) -> None:
        builder = producer.create_batch()
        self._queued_bytes -= lane.fill(builder, now, now_ms)
        batch = lane.batch
        if batch is None:
            return
        builder.close()  # without this aiokafka's own `send` could add to it, and our offsets would be wrong
        try:
            # Nothing of this partition is queued or out, so this returns without waiting for a broker.
            confirmation = await producer.send_batch(builder, self._settings.topic, partition=lane.partition)
        except (KafkaError, AssertionError) as error:  # aiokafka asserts that the partition exists
            lane.lose(LogUnavailable(f"Kafka's client did not take the batch: {error!r}"))
            self._replace(producer, repr(error))
            return
        self._counts["batches"] += 1
        self._out += 1
        confirmation.add_done_callback(partial(self._confirmed, producer, lane, batch))

    def _confirmed(
        self, producer: AIOKafkaProducer, lane: Lane, batch: Batch, done: asyncio.Future[Any]
    ) -> None:
        self._out -= 1
        error = None if done.cancelled() else done.exception()  # asked in any case: an unseen one is reported
        if lane.batch is not batch:
            return  # given up meanwhile
        if error is None and not done.cancelled():
            lane.confirm(done.result().offset)
        else:
            lane.lose(_meaning(error, len(batch.entries)))
            self._replace(producer, repr(error))
        if not self._busy:
            self._settled.set()
        # Those who were answered come back in a moment: what they bring goes with what has waited.
        if self._nudge is not None:
            self._nudge.cancel()
        self._nudge = asyncio.get_running_loop().call_later(_GATHER_S, self._nudged)

    # --- deadlines and replacement ----------------------------------------------------------------------------

    def _expire(self, call: Call, lanes: Sequence[Lane], deadline_s: float) -> None:
        if call.over:
            return
        if call.sent:
            call.fail(AppendUnknown("no confirmation from Kafka in time; the records may be stored"))
        else:
            call.fail(LogUnavailable("Kafka did not take the records in time; nothing was stored"))
        now = time.monotonic()
        for lane in lanes:
            if lane.batch is not None and now - lane.batch.since >= max(deadline_s / 2, _SUSPICION_S):
                lane.suspect = True
        if self._watch is None:
            self._look_for_stalls()

    def _look_for_stalls(self) -> None:
        """Replace the producer when a suspect partition has not confirmed for `stall_s`; look again when it may."""
        self._watch = None
        since = [lane.batch.since for lane in self._lanes if lane.suspect and lane.batch is not None]
        if not since or self._producer is None:
            return
        left_s = min(since) + self._settings.stall_s - time.monotonic()
        if left_s > 0:
            self._watch = asyncio.get_running_loop().call_later(left_s, self._look_for_stalls)
        else:
            self._replace(self._producer, f"no confirmation for {self._settings.stall_s:g} s", keep=True)

    def _replace(self, producer: AIOKafkaProducer, reason: str, *, keep: bool = False) -> None:
        """Put a new producer in the place of this one. With ``keep`` the old one may still confirm until then."""
        if producer is not self._producer or self._closing:
            return
        log.warning("eventlog.kafka_producer_replaced", topic=self._settings.topic, reason=reason)
        self._producer = None
        if not keep:
            self._drop(producer)
        self._reconnecting = asyncio.create_task(
            self._reconnect(producer if keep else None, replaces=True), name="eventlog-kafka-connect"
        )

    async def _reconnect(self, old: AIOKafkaProducer | None, *, replaces: bool = False) -> None:
        try:
            fresh = await self._connect_at_last()
        finally:
            if old is not None:
                self._drop(old)
        self._counts["replacements"] += replaces
        self._use(fresh)

    async def _connect_at_last(self) -> AIOKafkaProducer:
        backoff_s = _FIRST_BACKOFF_S
        while True:
            try:
                return await self._connect()
            except LogError as error:  # also LogRefused: the topic may be mended while we run
                self._go_down(error)
                await asyncio.sleep(backoff_s * random.uniform(0.75, 1.25))  # noqa: S311 - spreads load
                backoff_s = min(backoff_s * 2, _LAST_BACKOFF_S)

    async def _connect(self) -> AIOKafkaProducer:
        """A started producer on a topic that was checked just now."""
        settings = self._settings
        topic = await check_topic(settings)
        if self._lanes and topic.partitions != len(self._lanes):
            raise LogRefused(
                f"the topic {settings.topic} now has {topic.partitions} partitions, it had {len(self._lanes)}: restart"
            )
        producer = AIOKafkaProducer(
            **settings.client_options(),
            acks="all",
            enable_idempotence=True,
            linger_ms=0,
            max_batch_size=settings.batch_bytes,
            max_request_size=settings.max_record_bytes * 2,  # ours is the limit that counts
        )
        try:
            async with asyncio.timeout(settings.connect_timeout_s):
                await producer.start()
                await producer.partitions_for(settings.topic)
        except BaseException as error:
            await drop_producer(producer)
            if isinstance(error, AuthenticationFailedError):
                raise LogRefused(f"Kafka at {settings.bootstrap} refuses this user: {error}") from error
            if isinstance(error, KafkaError | OSError):
                raise LogUnavailable(f"Kafka at {settings.bootstrap} does not answer: {error!r}") from error
            raise
        if not self._lanes:
            if topic.config.get("message.timestamp.type") != "LogAppendTime":
                log.warning(
                    "eventlog.topic_dated_by_clients",
                    topic=settings.topic,
                    advice="set message.timestamp.type=LogAppendTime, or Kafka refuses what a machine sends whose clock"
                    " is ahead by more than message.timestamp.after.max.ms: it waits in the spool then",
                )
            self._lanes = [Lane(partition) for partition in range(topic.partitions)]
        return producer

    def _use(self, producer: AIOKafkaProducer) -> None:
        for lane in self._lanes:
            lane.lose(
                AppendUnknown("the producer was replaced before Kafka confirmed; the records may be stored")
            )
            lane.suspect = False
        self._producer = producer
        if self._is_down:
            log.info("eventlog.kafka_connected", topic=self._settings.topic, partitions=len(self._lanes))
        self._is_down = False
        self._wake.set()

    def _go_down(self, error: LogError) -> None:
        """No producer can be had: whoever waits hears it now, and whoever comes at once."""
        if not self._is_down:
            log.error("eventlog.kafka_down", topic=self._settings.topic, error=str(error))
        self._is_down = True
        self._down = LogUnavailable(str(error))
        for lane in self._lanes:
            self._queued_bytes -= lane.refuse_waiting(self._down)

    def _drop(self, producer: AIOKafkaProducer) -> None:
        task = asyncio.create_task(drop_producer(producer), name="eventlog-kafka-drop")
        self._dropping.add(task)
        task.add_done_callback(self._dropping.discard)

    def _answer_all(self, error: AppendFailed) -> None:
        for lane in self._lanes:
            lane.lose(error)
            lane.refuse_waiting(LogUnavailable("the log was closed; nothing was stored"))
            for _, _, call, _ in lane.waiting:
                call.fail(AppendUnknown(*error.args))


def _meaning(error: BaseException | None, records: int) -> AppendFailed:
    """What a failed batch means for its appends."""
    if isinstance(error, MessageSizeTooLargeError) and records == 1:
        return RecordTooLarge("Kafka refuses the record as too large for the topic")
    if isinstance(error, _NOT_STORED):
        return LogUnavailable(f"Kafka refuses the batch: {error!r}")
    return AppendUnknown(f"Kafka did not confirm: {error!r}; the records may be stored")
