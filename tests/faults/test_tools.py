"""The harness's own tools do what the storm relies on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from tests.faults.deliveries import history, storm
from tests.faults.installation import fixed_port
from tests.faults.plan import plan
from tests.support.proxy import Proxy

KINDS = ("kill a", "freeze b", "cut c", "half-open c")


@pytest.fixture
async def proxy() -> AsyncIterator[Proxy]:
    """In front of a server that gives back what it gets."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data)
        writer.close()

    target = fixed_port()
    server = await asyncio.start_server(echo, "127.0.0.1", target)
    async with Proxy(fixed_port(), target, latency_s=0.1) as made:
        yield made
    server.close()


async def asked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, text: bytes) -> bytes:
    writer.write(text)
    async with asyncio.timeout(0.5):
        return await reader.read(100)


async def test_passes_and_delays(proxy: Proxy) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    assert await asked(reader, writer, b"one") == b"one"
    proxy.switch("slow")
    began = time.monotonic()
    assert await asked(reader, writer, b"two") == b"two"
    assert time.monotonic() - began >= 0.2
    writer.close()


async def test_cut_ends_old_connections_and_refuses_new_ones(proxy: Proxy) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    assert await asked(reader, writer, b"one") == b"one"
    proxy.switch("cut")
    assert await nothing(reader, writer)
    assert await nothing(*await asyncio.open_connection("127.0.0.1", proxy.port))


async def nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Whether the connection ends, one way or the other, without an answer."""
    try:
        return await asked(reader, writer, b"two") == b""
    except ConnectionError:
        return True
    finally:
        writer.transport.abort()


async def test_half_open_accepts_and_says_nothing_until_it_passes_again(proxy: Proxy) -> None:
    old = await asyncio.open_connection("127.0.0.1", proxy.port)
    assert await asked(*old, b"one") == b"one"
    proxy.switch("half_open")
    new = await asyncio.open_connection("127.0.0.1", proxy.port)
    for connection in (old, new):
        with pytest.raises(TimeoutError):
            await asked(*connection, b"two")
    proxy.switch("pass")
    for reader, writer in (old, new):
        async with asyncio.timeout(1):
            assert await reader.read(100) == b"two"
        writer.close()


def test_a_plan_is_its_seed_and_every_kind_has_its_turn() -> None:
    faults = plan(3, KINDS, seconds=60, every_s=3)
    assert faults == plan(3, KINDS, seconds=60, every_s=3)
    assert {f.kind for f in faults[:4]} == set(KINDS)
    assert all(0 < f.at_s < 60 for f in faults)


def test_only_a_long_storm_has_minutes_of_silence() -> None:
    kinds = (*KINDS, "silent c")
    assert "silent c" not in {f.kind for f in plan(3, kinds, seconds=60, every_s=3)}
    lasting = [f.lasting_s for f in plan(3, kinds, seconds=900, every_s=20) if f.kind == "silent c"]
    assert lasting
    assert all(60 <= seconds <= 140 for seconds in lasting)


def test_a_storm_posts_everything_at_least_once_to_both_receivers() -> None:
    sent = history(3, days=3)
    posted = list(storm(sent, 3, 2, window=20))
    assert {one.at for _, one in posted} == {one.at for one in sent}
    assert len({one.at for one in sent}) == len(sent)
    assert {receiver for receiver, _ in posted} == {0, 1}
    assert len(posted) > 1.3 * len(sent)
    assert [one for _, one in posted] != sorted((one for _, one in posted), key=lambda s: s.at)
