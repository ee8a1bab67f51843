"""The short way of whole deliveries: the same answers and records as aiohttp's way, in order, whatever happens meanwhile."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from ingest.app import CONNECTIONS, DOOR, build_app
from ingest.lane import Lane
from ingest.limits import Limits
from tests.ingest.doors import Door, OpenDoor
from tests.ingest.support import SECRET

CALL = "GET /in/pbx/{secret}?event=1&call_id={n}.5&src_num=79031234567&src_type=1&dst_num=74951234567&dst_type=1&timestamp=1772442000"
FORM = "POST /in/landing/{secret}"
JSON = "Content-Type: application/json\r\n"
FIELDS = "Content-Type: application/x-www-form-urlencoded\r\n"

#: Request line, headers, body; {n} tells deliveries apart.
REQUESTS = {
    "a call": (CALL, "", ""),
    "a form": (FORM, FIELDS, "name=%D0%98%D0%B2%D0%B0%D0%BD&phone=8903{n:07}&request_id={n}"),
    "a form of a browser": (FORM, FIELDS + "Origin: https://site.ru\r\n", "phone=8903{n:07}&request_id=b{n}"),
    "a form in JSON": (FORM, JSON, '{{"phone": "8903{n:07}", "request_id": "j{n}"}}'),
    "a probe": (FORM, FIELDS, "test=test"),
    "no form": (FORM, JSON, '{{"broken {n}'),
    "a header's key": ("POST /in/site", "", "phone=8903{n:07}&tranid=1:{n}"),
    "a wrong key": ("POST /in/landing/wrong-secret", FIELDS, "phone=8903{n:07}"),
    "a wrong name": ("POST /in/nobody/{secret}", FIELDS, "phone=8903{n:07}"),
    "a bare name": ("POST /in/landing", FIELDS, "phone=8903{n:07}"),
    "another method": ("PUT /in/landing/{secret}", FIELDS, "phone=8903{n:07}&request_id=p{n}"),
    "events": (
        "POST /in/erp/{secret}-erp",
        JSON,
        '[{{"type": "walkin.registered", "id": "w{n}", "data": {{"walkin_id": "w{n}", "phone": "8903{n:07}"}}}}]',
    ),
}


class Caller:
    """Speaks HTTP by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def say(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(0.02)  # so that they arrive apart

    async def hear(self) -> tuple[int, dict[str, str], bytes]:
        """Status, headers without the date, body."""
        head = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)).decode()
        line, *rest = head.strip().split("\r\n")
        headers = dict(one.split(": ", 1) for one in rest if not one.startswith("Date"))
        body = await self.reader.readexactly(int(headers.get("Content-Length", "0")))
        return int(line.split()[1]), headers, body


@asynccontextmanager
async def dialled(door: Door) -> AsyncIterator[Caller]:
    reader, writer = await asyncio.open_connection(door.client.host, door.client.port)
    try:
        yield Caller(reader, writer)
    finally:
        writer.close()


def request(name: str, number: int) -> bytes:
    line, headers, body = (part.format(n=number, secret=SECRET) for part in REQUESTS[name])
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    return f"{line} HTTP/1.1\r\nHost: x\r\n{headers}{length}\r\n{body}".encode()


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """What the short way said to each request that was offered to it."""
    said: list[bool] = []
    usual, at_once = Lane.take, Lane.at_once

    def take(self: Lane, *arguments: Any) -> bool:
        said.append(usual(self, *arguments))
        return said[-1]

    def by_sight(self: Lane, *arguments: Any) -> bool:
        if found := at_once(self, *arguments):
            said.append(found)
        return found

    monkeypatch.setattr(Lane, "take", take)
    monkeypatch.setattr(Lane, "at_once", by_sight)
    return said


def plain(told: bytes) -> bytes:
    """What was told but for what tells two deliveries apart: numbers, ids, moments."""
    return re.sub(rb"[0-9a-f-]{32,36}|\d+", b"#", told)


def of_record(record: Any) -> list[Any]:
    return [plain(record.value), *((name, plain(value)) for name, value in record.headers)]


@pytest.mark.parametrize("name", list(REQUESTS))
async def test_both_ways_answer_and_keep_the_same(door: Door, taken: list[bool], name: str) -> None:
    whole, parts = request(name, 1_000_001), request(name, 1_000_002)
    cut = parts.index(b"\r\n\r\n") + (7 if REQUESTS[name][2] else -4)
    async with dialled(door) as caller:
        await caller.say(whole)
        short = await caller.hear()
    short_ways = taken.count(True)
    first = [stored.record for stored in await door.log.read(0, 0, max_records=9, max_wait_s=0)]
    async with dialled(door) as caller:
        await caller.say(parts[:cut], parts[cut:])
        long = await caller.hear()
    assert taken.count(True) == short_ways <= 1
    assert short_ways == (name not in ("a wrong name", "a bare name", "another method", "a header's key"))
    assert [short[0], plain(short[2])] == [long[0], plain(long[2])]
    assert {k: v for k, v in short[1].items() if k != "Connection"} == {
        k: v for k, v in long[1].items() if k != "Connection"
    }
    both = [stored.record for stored in await door.log.read(0, 0, max_records=9, max_wait_s=0)]
    assert [of_record(r) for r in first] == [of_record(r) for r in both[len(first) :]]


async def test_what_comes_meanwhile_is_answered_in_order(door: Door, taken: list[bool]) -> None:
    async with dialled(door) as caller:
        with door.hold(door.log.path):
            await caller.say(request("a call", 1), request("a wrong key", 2), request("a call", 3)[:40])
            assert taken == [True], "one at a time"
        await caller.say(request("a call", 3)[40:])
        assert [(await caller.hear())[0] for _ in range(3)] == [200, 404, 200]
        await caller.say(request("a call", 4) + request("a probe", 5) + request("a call", 6))
        assert [(await caller.hear())[0] for _ in range(3)] == [200, 200, 200]
        await caller.say(request("a call", 7))
        assert (await caller.hear())[0] == 200
    assert taken == [True, True]
    assert sorted(e.data.call_id for e in await door.events()) == ["1.5", "3.5", "4.5", "6.5", "7.5"]


async def test_a_caller_who_goes_away_leaves_his_delivery_and_no_place_taken(door: Door) -> None:
    app = door.client.app
    assert app is not None
    with door.hold(door.log.path):
        async with dialled(door) as caller:
            await caller.say(request("a call", 1))
            assert app[DOOR].in_flight == 1
        await asyncio.sleep(0.05)
    assert len(await door.wait_for(1)) == 1
    for _ in range(100):
        if not (app[DOOR].in_flight or app[CONNECTIONS].open):
            break
        await asyncio.sleep(0.02)
    assert (app[DOOR].in_flight, app[CONNECTIONS].open) == (0, 0)


async def test_who_waits_when_the_service_stops_is_answered(door: Door, taken: list[bool]) -> None:
    async with dialled(door) as caller:
        with door.hold(door.log.path):
            await caller.say(request("a call", 1))
            stopping = asyncio.create_task(door.client.close())
            await asyncio.sleep(0.1)
        assert (await caller.hear())[0] == 200
        assert await caller.reader.read() == b"", "and then the connection is closed"
        await asyncio.wait_for(stopping, 5)
    assert taken == [True]


async def test_an_idle_connection_is_closed_after_its_time_and_not_while_it_is_answered(
    doors: OpenDoor,
) -> None:
    door = await doors(limits=Limits(idle_timeout_s=0.3), deadline_s=5.0)
    async with dialled(door) as caller:
        with door.hold(door.log.path):
            await caller.say(request("a call", 1))
            await asyncio.sleep(0.6)
        assert (await caller.hear())[0] == 200
        assert await asyncio.wait_for(caller.reader.read(), 5) == b""


@pytest.mark.parametrize(
    "more", ["Connection: close\r\n", "Expect: 100-continue\r\n", "Content-Encoding: gzip\r\n"]
)
async def test_what_is_out_of_the_ordinary_goes_the_long_way(
    door: Door, taken: list[bool], more: str
) -> None:
    async with dialled(door) as caller:
        usual = request("a form", 1)
        await caller.say(usual.replace(b"Host: x\r\n", f"Host: x\r\n{more}".encode()))
        answer = await caller.hear()
        if answer[0] == 100:
            answer = await caller.hear()
        assert answer[0] == 200
    assert taken == [False]


class Line(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def write(self, data: Any) -> None:
        self.written += data

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def statuses(self) -> list[str]:
        return re.findall(r"HTTP/1.1 (\d+)", self.written.decode())


@asynccontextmanager
async def begun(door: Door) -> AsyncIterator[tuple[Any, Line]]:
    """A connection of which aiohttp's task has not run yet."""
    runner = web.AppRunner(build_app(replace(door.deps, drain=False)))
    await runner.setup()
    assert runner.server is not None
    connection, line = runner.server(), Line()
    connection.connection_made(line)
    yield connection, line
    await runner.cleanup()


async def answers(line: Line, count: int) -> list[str]:
    for _ in range(300):
        if len(line.statuses()) >= count:
            break
        await asyncio.sleep(0.01)
    return line.statuses()


@pytest.mark.parametrize("first", ["a call", "a wrong key", "a probe", "another method"])
async def test_the_first_request_may_come_before_aiohttp_waits(
    door: Door, taken: list[bool], first: str
) -> None:
    async with begun(door) as (connection, line):
        connection.data_received(request(first, 1))
        connection.data_received(request("a probe", 2))
        await asyncio.sleep(0)
        connection.data_received(request("a wrong key", 3) + request("a call", 4))
        told = {"a call": "200", "a wrong key": "404", "a probe": "200", "another method": "200"}[first]
        assert await answers(line, 4) == [told, "200", "404", "200"]
        connection.data_received(request("a call", 5))
        assert (await answers(line, 5))[4:] == ["200"]
    assert taken[0] == (first != "another method")


async def test_a_first_request_is_answered_before_the_service_stops(door: Door) -> None:
    async with begun(door) as (connection, line):
        with door.hold(door.log.path):
            connection.data_received(request("a call", 1))
            await asyncio.sleep(0.05)
            stopping = asyncio.create_task(connection.shutdown(5))
            await asyncio.sleep(0.05)
            assert line.statuses() == []
        assert await answers(line, 1) == ["200"]
        await asyncio.wait_for(stopping, 4)
        assert line.closed


async def test_a_caller_may_go_before_aiohttp_begins(door: Door) -> None:
    async with begun(door) as (connection, line):
        connection.data_received(request("a probe", 1))
        assert line.statuses() == ["200"]
        task = connection._task_handler
        connection.connection_lost(None)
        await asyncio.wait_for(task, 5)


async def test_a_caller_may_go_after_his_first_request(door: Door) -> None:
    async with begun(door) as (connection, line):
        with door.hold(door.log.path):
            connection.data_received(request("a call", 1))
            await asyncio.sleep(0.05)
            task = connection._task_handler
            line.closed = True
            connection.connection_lost(None)
        assert len(await door.wait_for(1)) == 1
        await asyncio.wait([task], timeout=5)
        assert task.cancelled()
        assert line.statuses() == []
