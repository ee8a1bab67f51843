"""Heads that are known by sight: told apart from all others, few for each source, and never taken for another request."""

from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from ingest.heads import Heads
from tests.ingest.doors import Door, OpenDoor
from tests.ingest.support import SECRET, source
from tests.ingest.test_lane import CALL, FIELDS, FORM, dialled, of_record

BODY = "phone=8903{n:07}&request_id={n}"


def sent(number: int, headers: str = FIELDS, body: str = BODY, line: str = FORM, length: str = "{}") -> bytes:
    body = body.format(n=number)
    told = f"Content-Length: {length.format(len(body))}\r\n" if length else ""
    first = line.format(n=number, secret=SECRET)
    return f"{first} HTTP/1.1\r\nHost: x\r\n{headers}{told}\r\n{body}".encode()


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What aiohttp was given."""
    seen: list[bytes] = []
    usual = web.RequestHandler.data_received

    def data_received(self: Any, data: bytes) -> None:
        seen.append(data)
        usual(self, data)

    monkeypatch.setattr(web.RequestHandler, "data_received", data_received)
    return seen


async def test_a_head_is_parsed_once(door: Door, parsed: list[bytes]) -> None:
    async with dialled(door) as caller:
        for number in range(9, 13):  # the body grows by a digit
            await caller.say(sent(number))
            assert (await caller.hear())[0] == 200
    first = parsed.count(sent(9)) + parsed.count(sent(10))
    assert 1 <= first <= 2, "the first one may come before aiohttp waits for it"
    assert sent(11) not in parsed
    records = [one.record for one in await door.log.read(0, 0, max_records=9, max_wait_s=0)]
    assert len({str(of_record(record)) for record in records}) == 1, "known or not, it is the same record"
    assert len(records) == 4


async def test_a_get_with_another_query_is_known(door: Door, parsed: list[bytes]) -> None:
    calls = [sent(number, "", "", CALL, "") for number in range(5)]
    async with dialled(door) as caller:
        for call in calls:
            await caller.say(call)
            assert (await caller.hear())[0] == 200
    assert len(parsed) <= 2
    assert sorted(e.data.call_id for e in await door.events()) == [f"{n}.5" for n in range(5)]


@pytest.mark.parametrize(
    "other",
    [
        sent(5, FIELDS + "Expect: 100-continue\r\n"),
        sent(5, FIELDS + "Connection: close\r\n"),
        sent(5, FIELDS.replace("form", "Form")),
        sent(5).replace(b"HTTP/1.1", b"HTTP/1.0"),
        sent(5).replace(b"POST", b"PUT"),
        sent(5, length="0{}"),
        sent(5, length="{}0"),
        sent(5, length="{}") + b"GET",
        sent(5)[:-1],
        sent(5, FIELDS + f"X-Length: {len(BODY.format(n=5))}\r\n"),
        sent(5, line="POST /in/landing/{secret}#x"),
        sent(5, line="POST /in/landing/ы{secret}"),
        sent(5, line="POST  /in/landing/{secret}"),
        b"\r\n" + sent(5),
        sent(5).replace(b"\r\n", b"\n"),
    ],
)
async def test_whatever_differs_is_parsed(door: Door, parsed: list[bytes], other: bytes) -> None:
    async with dialled(door) as caller:
        for number in (1, 2, 3):
            await caller.say(sent(number))
            await caller.hear()
        before = len(parsed)
        await caller.say(other)
        assert len(parsed) > before


async def test_what_follows_a_part_of_a_request_is_its_other_part(door: Door, parsed: list[bytes]) -> None:
    """A head that came in two pieces, the first while something was answered: the rest is no request of its own."""
    inner = sent(7)
    async with dialled(door) as caller:
        for number in (1, 2, 3):
            await caller.say(sent(number))
            await caller.hear()
        with door.hold(door.log.path):
            outer = f"POST /in/landing/{SECRET} HTTP/1.1\r\n{FIELDS}Content-Length: {len(inner)}\r\nX: "
            await caller.say(sent(4), outer.encode())
        assert (await caller.hear())[0] == 200
        await caller.say(inner)
        assert parsed[-1] == inner
    assert [e.data.submission_id for e in await door.events()] == ["1", "2", "3", "4"]


async def test_a_head_that_tells_of_its_delivery_is_parsed(doors: OpenDoor, parsed: list[bytes]) -> None:
    door = await doors(accept_received_header=True)
    moments = [f"2026-01-0{number}T09:00:00+00:00" for number in range(1, 5)]
    requests = [sent(n, f"{FIELDS}X-Leadfold-Received: {at}\r\n") for n, at in enumerate(moments)]
    async with dialled(door) as caller:
        for one in (sent(7), sent(8), sent(9), *requests, requests[0]):
            await caller.say(one)
            assert (await caller.hear())[0] == 200
    assert parsed[-5:] == [*requests, requests[0]]
    assert [e.received.isoformat() for e in (await door.events())[3:]] == [*moments, moments[0]]


async def test_a_wrong_key_teaches_nothing(door: Door, parsed: list[bytes]) -> None:
    wrong = sent(1, line="POST /in/landing/wrong")
    async with dialled(door) as caller:
        for _ in range(4):
            await caller.say(wrong)
            assert (await caller.hear())[0] == 404
    assert parsed == [wrong] * 4


async def test_another_secret_is_another_source(door: Door, parsed: list[bytes]) -> None:
    async with dialled(door) as caller:
        for number in (1, 2, 3):
            await caller.say(sent(number))
            await caller.hear()
        book = list(door.deps.book)
        door.deps.book.replace([source("form", name="landing", secret="another-secret")])
        await caller.say(sent(4))
        assert (await caller.hear())[0] == 404
        door.deps.book.replace(book)
    assert sent(3) not in parsed
    assert parsed[-1] == sent(4)


def test_a_source_with_new_heads_forgets_its_own_only() -> None:
    heads, noisy, quiet = Heads(1000), source("form", name="noisy"), source("form", name="quiet")

    def whole(number: int) -> Any:
        return heads.cut(sent(1, f"X-Request-Id: {number}\r\n"))

    heads.learn(quiet, whole(0), {"x-request-id": "0"})
    for number in range(1000):
        heads.learn(noisy, whole(number), {"x-request-id": str(number)})
    assert heads.find(noisy, whole(0)) is None
    assert heads.find(noisy, whole(999)) is not None
    found = heads.find(quiet, whole(0))
    assert found is not None
    assert found.headers == {"x-request-id": "0"}
    assert sum(heads.find(noisy, whole(number)) is not None for number in range(1000)) == 64
    long = heads.cut(sent(1, f"X: {'y' * 5000}\r\n"))
    assert long is not None
    heads.learn(quiet, long, {})
    assert heads.find(quiet, long) is None


@given(st.binary(max_size=60), st.binary(max_size=20))
def test_what_is_cut_can_be_put_together_again(middle: bytes, body: bytes) -> None:
    data = b"POST /in/a/b?c=d HTTP/1.1\r\nHost: x\r\n" + middle + b"\r\n\r\n" + body
    whole = Heads(1000).cut(data)
    if whole is None:
        return
    method, before, after = whole.rest
    length = b"" if after is None else b"ength: %d" % len(whole.body)
    line = f"{method} {whole.path}?{whole.query} HTTP/1.1\r\n".encode()
    assert line + before + length + (after or b"") + b"\r\n\r\n" + whole.body == data
