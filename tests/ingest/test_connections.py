"""Callers who are slow, idle, many, or do not speak HTTP: they are let go, and others are served."""

import asyncio
import resource
import socket
import time
from contextlib import AsyncExitStack
from typing import Any

import pytest

from ingest.connections import escaped
from ingest.limits import Limits
from ingest.rates import Places
from tests.ingest.doors import Door, OpenDoor
from tests.ingest.support import SECRET
from tests.ingest.test_app import CALL, FORM, PBX, call

GET = f"GET {PBX}?{CALL} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


class Caller:
    """A connection of our own, to say what no client library would."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def say(self, what: bytes) -> None:
        self.writer.write(what)
        await self.writer.drain()

    async def hear(self, within_s: float = 5.0) -> bytes:
        """Everything until the other side hangs up."""
        async with asyncio.timeout(within_s):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""


async def dial(door: Door, stack: AsyncExitStack, *, room: int = 2**16) -> Caller:
    assert door.client.port
    reader, writer = await asyncio.open_connection(door.client.host, door.client.port, limit=room)
    stack.callback(writer.close)
    return Caller(reader, writer)


async def ask(door: Door, what: bytes) -> bytes:
    async with AsyncExitStack() as stack:
        caller = await dial(door, stack)
        await caller.say(what)
        return await caller.hear()


async def counted(door: Door, name: str) -> float:
    text = await (await door.ops.get("/metrics")).text()
    return float(next(line.split()[1] for line in text.splitlines() if line.startswith(f"{name} ")))


# --- slow -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("begin", [b"", b"GET /in/pbx/x?", GET[:-2], GET + b"GET /healthz HTTP/1.1\r\nX: "])
async def test_a_head_that_trickles_is_cut_off(doors: OpenDoor, begin: bytes) -> None:
    door = await doors(limits=Limits(read_timeout_s=0.3))
    async with AsyncExitStack() as stack:
        caller = await dial(door, stack)
        await caller.say(begin)

        async def trickle() -> None:
            while True:  # each byte on its own, and always in time for a time-out between bytes
                await asyncio.sleep(0.05)
                await caller.say(b"a" if begin else b"")

        task = asyncio.create_task(trickle())
        began = time.monotonic()
        await caller.hear()
        assert 0.2 < time.monotonic() - began < 2.5
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert await counted(door, "leadfold_ingest_closed_slow_total") == 1
    assert (await door.client.get(call(1))).status == 200


async def test_a_connection_between_two_requests_is_kept_for_its_own_time(doors: OpenDoor) -> None:
    door = await doors(limits=Limits(read_timeout_s=0.2, idle_timeout_s=1.5))
    async with AsyncExitStack() as stack:
        caller = await dial(door, stack)
        for _ in range(2):
            await caller.say(GET)
            assert b"200 OK" in await caller.reader.readuntil(b'{"success":true}')
            await asyncio.sleep(0.9)
        began = time.monotonic()
        assert await caller.hear() == b""
        assert time.monotonic() - began < 1.5


async def test_bodies_on_their_way_take_no_places(doors: OpenDoor) -> None:
    """Slow bodies of somebody with a right key: others are answered meanwhile."""
    door = await doors(limits=Limits(max_in_flight=10, read_timeout_s=1.0))
    async with AsyncExitStack() as stack:
        slow = [await dial(door, stack) for _ in range(40)]
        for caller in slow:
            await caller.say(f"POST {FORM} HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\nphone=".encode())
        for number in range(20):
            assert (await door.client.get(call(number))).status == 200
        assert {(await caller.hear())[9:12] for caller in slow} == {b"408"}


@pytest.mark.parametrize(
    "path", [f"/in/landing/{SECRET}x", f"/in/erp/{SECRET}", "/v1/events", "/in/nobody/x"]
)
async def test_strangers_need_not_be_waited_for(door: Door, path: str) -> None:
    async with AsyncExitStack() as stack:
        caller = await dial(door, stack)
        began = time.monotonic()
        await caller.say(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\nab".encode())
        line = await caller.reader.readline()
        assert line.split()[1] in ((b"401",) if path == "/v1/events" else (b"404", b"408"))
        if not path.startswith("/in/erp"):  # a native source may also be known by the signature of its body
            assert time.monotonic() - began < 1


@pytest.mark.parametrize(
    "what",
    [
        b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n",
        f"GET {PBX} HTTP/1.1\r\nHost: x\r\n\r\n".encode(),  # Sipuni tries the address: nothing to be stored
    ],
    ids=["document", "delivery"],
)
async def test_answers_that_nobody_reads(doors: OpenDoor, what: bytes) -> None:
    door = await doors(limits=Limits(read_timeout_s=0.4))
    async with AsyncExitStack() as stack:
        line = socket.socket()
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.setblocking(False)
        assert door.client.port
        await asyncio.get_running_loop().sock_connect(line, (door.client.host, door.client.port))
        _, writer = await asyncio.open_connection(sock=line, limit=1024)
        stack.callback(writer.close)
        writer.write(what * 60_000)
        began = time.monotonic()
        while await counted(door, "leadfold_ingest_connections"):
            assert time.monotonic() - began < 40, "the connection is still open"
            await asyncio.sleep(0.1)
    assert await counted(door, "leadfold_ingest_closed_slow_total") == 1
    assert (await door.client.get(call(1))).status == 200


# --- many -------------------------------------------------------------------------------------------------------


async def test_thousands_of_idle_connections_leave_room(doors: OpenDoor) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(8192, hard) if hard != resource.RLIM_INFINITY else 8192
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    most = (wanted - 500) // 2 // 2  # both ends are ours
    door = await doors(limits=Limits(max_connections=most))
    async with AsyncExitStack() as stack:
        idle = [await dial(door, stack) for _ in range(most)]
        busy = await dial(door, stack)
        for number in range(most // 2):
            one = await dial(door, stack)
            if number % 200 == 0:
                await one.say(GET)
                assert b"200 OK" in await asyncio.wait_for(one.reader.readline(), 3)
                await busy.say(GET)
                assert b"success" in await asyncio.wait_for(busy.reader.readuntil(b"}"), 3)
        assert await idle[0].hear() == b""
        assert await counted(door, "leadfold_ingest_connections") <= most
        assert await counted(door, "leadfold_ingest_closed_crowded_total") >= most // 2 - most // 8
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_half_of_the_places_are_never_one_sources() -> None:
    places = Places(10)
    assert [places.take("loud") for _ in range(6)] == [True] * 5 + [False]
    assert [places.take("quiet") for _ in range(6)] == [True] * 5 + [False]
    assert places.taken == 10
    places.give("loud")
    assert [places.take("loud"), places.take("other")] == [True, False]


async def test_a_source_that_fills_its_places_is_told_and_others_are_served(doors: OpenDoor) -> None:
    door = await doors(limits=Limits(max_in_flight=4), deadline_s=2.0, with_spool=False)
    with door.hold(door.log.path):
        loud = [asyncio.create_task(door.client.get(call(n))) for n in range(8)]
        await asyncio.sleep(0.3)
        told = [(t.result().status, t.result().headers["Retry-After"]) for t in loud if t.done()]
        assert told == [(503, "5")] * 6
        quiet = asyncio.create_task(door.client.post(FORM, data={"phone": "89990000001"}))
        await asyncio.sleep(0.2)
        assert not quiet.done()  # it has a place, and waits for the log
    assert (await quiet).status == 200
    await asyncio.gather(*loud)


# --- no HTTP, or hardly -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "what",
    [
        f"FOO {PBX} HTTP/1.1\r\n\r\n",
        f"GET {PBX} HTTP/1.1\r\nBad Header: {SECRET}\r\n\r\n",
        f"GET {PBX}?{'a' * 40_000} HTTP/1.1\r\nHost: x\r\n\r\n",
        f"GET {PBX} HTTP/1.1\r\nHost: x\r\nX: {'a' * 40_000}\r\n\r\n",
        f"GET {PBX} HTTP/1.1\r\nHost: x\r\n" + "".join(f"X{n}: {SECRET}\r\n" for n in range(200)) + "\r\n",
        f"POST {PBX} HTTP/1.1\r\nHost: x\r\nContent-Length: -3\r\n\r\n",
        f"POST {PBX} HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        f"POST {PBX} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n{SECRET}",
        "\x16\x03\x01\x00\xa5hello\r\n\r\n",
    ],
)
async def test_what_cannot_be_parsed_is_not_quoted(door: Door, what: str) -> None:
    got = await ask(door, what.encode("latin-1"))
    head, _, body = got.partition(b"\r\n\r\n")
    assert head.split()[1] == b"400"
    assert b"aiohttp" not in got
    assert SECRET.encode() not in got
    assert body == b'{"result":"error","error":"this is no HTTP request that can be read"}'


@pytest.mark.parametrize("charset", ["utf-8", "cp1251"])
async def test_raw_letters_in_a_query_are_a_delivery(door: Door, charset: str) -> None:
    got = await ask(
        door,
        f"GET {PBX}?{CALL}&treeName=Вход HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode(charset),
    )
    assert b"200 OK" in got
    (event,) = await door.events()
    assert event.evidence.query == f"{CALL}&treeName=" + "".join(
        f"%{byte:02X}" for byte in "Вход".encode(charset)
    )


def test_only_the_request_line_is_escaped() -> None:
    body: Any = "POST /in/x?a=1 HTTP/1.1\r\nX: é\r\n\r\nпривет".encode()
    assert escaped(body) == body
    assert escaped("GET /é HTTP/1.1\r\n\r\né".encode()) == b"GET /%C3%A9 HTTP/1.1\r\n\r\n" + "é".encode()
    assert escaped("GET /é".encode()) == "GET /é".encode()
