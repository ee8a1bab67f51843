"""Closing aiokafka clients within a bound. Their own `stop` waits for a broker that may be gone for good.

The only place that reaches into aiokafka's private parts; written against 0.14.
"""
# ruff: noqa: SLF001 - there is no public way to end a client that waits

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, ProducerClosed

log = structlog.get_logger(__name__)


async def stop_producer(producer: AIOKafkaProducer, patience_s: float) -> None:
    """Stop it in order within ``patience_s`` seconds, else by force. Unconfirmed batches then fail. Never raises."""
    if not await _within(producer.stop(), patience_s):
        await drop_producer(producer)


async def drop_producer(producer: AIOKafkaProducer) -> None:
    """End it now: nothing more is sent, unconfirmed batches fail with ProducerClosed. Takes 2 s at most."""
    producer._closed = True
    producer._message_accumulator._closed = True
    sender = producer._sender.sender_task
    if sender is not None:
        sender.cancel()
    await _within(producer.client.close(), 1.0)  # pending requests fail, so the sender's own tasks end
    if sender is not None:
        await _end([sender], 0.5)
    # Whoever still waits for a batch hears that nobody knows.
    producer._message_accumulator.fail_all(ProducerClosed("the producer was replaced"))


async def stop_consumer(consumer: AIOKafkaConsumer, patience_s: float) -> None:
    """Leave the group and stop within ``patience_s`` seconds, else by force. Never raises."""
    try:
        if not await _within(consumer.stop(), patience_s):
            await _drop_consumer(consumer)
    finally:
        # Cancelled before its stop began, it would call itself unclosed on the terminal.
        consumer._closed = True


async def _drop_consumer(consumer: AIOKafkaConsumer) -> None:
    coordinator, fetcher = consumer._coordinator, consumer._fetcher
    names = ("_coordination_task", "_heartbeat_task", "_commit_refresh_task", "_reset_committed_task")
    tasks: list[Any] = [getattr(coordinator, name, None) for name in names]
    if fetcher is not None:
        tasks += [fetcher._fetch_task, *fetcher._pending_tasks]
    await _within(consumer._client.close(), 1.0)
    await _end([task for task in tasks if isinstance(task, asyncio.Task)], 0.5)


async def stop_admin(admin: AIOKafkaAdminClient) -> None:
    """Close within a second. Never raises."""
    await _within(admin.close(), 1.0)


async def _within(closing: Coroutine[Any, Any, object], patience_s: float) -> bool:
    """Whether the coroutine came to its end in time.

    It gets a task of its own: aiokafka awaits tasks that it has cancelled itself, and their CancelledError must not be
    taken for one of ours.
    """
    task = asyncio.ensure_future(closing)
    try:
        await asyncio.wait([task], timeout=patience_s)
    finally:
        if not task.done():
            task.cancel()
    if not task.done():
        await asyncio.wait([task], timeout=0.5)
    if not task.done() or task.cancelled():
        return False
    error = task.exception()
    if isinstance(error, KafkaError | OSError):
        log.info("eventlog.kafka_close", error=repr(error))
    elif error is not None:  # a failed client must not keep us from closing the others
        log.error("eventlog.kafka_close", exc_info=error)
    return True


async def _end(tasks: Iterable[asyncio.Task[Any]], patience_s: float) -> None:
    waiting = [task for task in tasks if not task.done()]
    for task in waiting:
        task.cancel()
    if waiting:
        done, _ = await asyncio.wait(waiting, timeout=patience_s)
        for task in done:
            if not task.cancelled():
                task.exception()  # seen
