"""Closing aiokafka clients: whatever happens in there, we go on."""

import asyncio
import time

import pytest

from eventlog.kafka.letting_go import _within


async def awaits_what_it_cancelled() -> None:
    """What aiokafka's fetcher does when it is closed while a fetch waits to be tried again."""
    task = asyncio.create_task(asyncio.sleep(60))
    await asyncio.sleep(0)
    task.cancel()
    await task


async def test_a_client_that_cancels_itself_is_no_cancellation_of_ours() -> None:
    assert await _within(awaits_what_it_cancelled(), 1.0) is False


async def test_time_is_bounded() -> None:
    began = time.monotonic()
    assert await _within(asyncio.sleep(60), 0.05) is False
    assert time.monotonic() - began < 1


async def test_an_end_and_an_error_are_ends() -> None:
    async def fails() -> None:
        raise ConnectionResetError

    assert await _within(asyncio.sleep(0), 1.0)
    assert await _within(fails(), 1.0)


async def test_our_own_cancellation_gets_through() -> None:
    task = asyncio.create_task(_within(asyncio.sleep(60), 30))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
