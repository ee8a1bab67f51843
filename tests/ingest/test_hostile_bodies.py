"""Bodies at the edge of JSON and beyond it: a clear answer, and nothing that a source sends is lost."""

import gzip
import json
import time
from typing import Any

import pytest
import structlog

from ingest.limits import Limits
from ingest.signatures import sign
from ingest.sources import SourceBook
from ingest.translate import retranslate
from tests.ingest.doors import SOURCES, Door, OpenDoor
from tests.ingest.support import KEY, SECRET

WALKIN = '{"type":"walkin.registered","id":"1","data":{"walkin_id":"1","phone":"89990000001","name":"Иван"}}'
HEADERS = {"X-Api-Key": SECRET + "-erp"}

#: Body → status and words of the answer of POST /v1/events.
NATIVE: list[tuple[str, bytes, int, str]] = [
    ("null", b"null", 200, "must be an object"),
    ("text", b'"x"', 200, "must be an object"),
    ("number", b"1", 200, "must be an object"),
    ("true", b" true ", 200, "must be an object"),
    ("empty object", b"{}", 200, "is missing"),
    ("events that are no list", b'{"events":null}', 200, "is missing"),
    ("NaN", b"NaN", 400, "the body is not JSON"),
    ("Infinity inside", b'{"type":-Infinity}', 400, "the body is not JSON"),
    ("NUL", WALKIN.encode().replace(b"1", b"\0"), 400, "the body is not JSON"),
    ("goes on", WALKIN.encode() + b" x", 400, "the body is not JSON"),
    ("xml", b"<a/>", 400, "the body is not JSON"),
    ("form", b"type=walkin.registered&id=1", 400, "the body is not JSON"),
    ("cp1251", WALKIN.encode("cp1251"), 400, "the body is not UTF-8: its Content-Type must name the charset"),
    ("latin-1", WALKIN.replace("Иван", "é").encode("latin-1"), 400, "the body is not UTF-8"),
    ("deep", b"[" * 100_000, 400, "nested too deeply"),
    ("deep and whole", b"[" * 5_000 + b"]" * 5_000, 400, "nested too deeply"),
    ("brotli", b"\x0b\x02\x80abc\x03", 400, "the body is n"),
    ("one key twice", WALKIN.replace('"id"', '"type":"x","id"').encode(), 200, "unknown"),
    ("BOM", b"\xef\xbb\xbf" + WALKIN.encode(), 200, '"accepted":1'),
    ("UTF-16", WALKIN.encode("utf-16"), 200, '"accepted":1'),
    ("lone surrogate", WALKIN.replace("Иван", r"\ud800 Иван").encode(), 200, '"accepted":1'),
    ("escaped NUL", WALKIN.replace("Иван", r"И\u0000ван").encode(), 200, '"accepted":1'),
    ("5000 digits", WALKIN.replace('"id":"1"', f'"id":{"9" * 5000}').encode(), 200, '"accepted":1'),
    ("1e999", WALKIN.replace('"89990000001"', "1e999").encode(), 200, '"accepted":1'),
]


@pytest.mark.parametrize("kind", ["application/json", ""])
async def test_native(door: Door, kind: str) -> None:
    headers = HEADERS | ({"Content-Type": kind} if kind else {})
    for name, body, status, words in NATIVE:
        got = await door.client.post(
            "/v1/events", data=body, headers=headers, skip_auto_headers=["Content-Type"]
        )
        text = await got.text()
        assert (got.status, words in text) == (status, True), f"{name}: {text}"
        event = (await door.events())[-1]
        assert event.evidence.body == body, name
        assert (event.type == "delivery.unreadable") == ('"accepted":1' not in text), name


@pytest.mark.parametrize("path", ["/in/pbx", "/in/hits", "/in/chat", "/in/landing", "/in/site"])
async def test_every_adapter_keeps_it_and_answers_success(door: Door, path: str) -> None:
    address = path if path == "/in/site" else f"{path}/{SECRET}"
    headers = {"Token": SECRET, "Content-Type": "application/json"}
    for name, body, *_ in NATIVE:
        got = await door.client.post(address, data=body, headers=headers)
        assert got.status == 200, name
        kept = {e.evidence.body for e in await door.events() if hasattr(e.evidence, "body")}
        assert body in kept or body == b"{}", name  # that is how providers try an address


async def test_nothing_said_is_nothing_kept(door: Door) -> None:
    for body, status in ((b"", 400), (b"  ", 400), (b"[]", 200), (b'{"events":[]}', 200)):
        got = await door.client.post("/v1/events", data=body, headers=HEADERS)
        assert got.status == status
    assert "the body is empty" in await (await door.client.post("/v1/events", headers=HEADERS)).text()
    assert await door.events() == []


async def test_long_numbers_stay_two_numbers(door: Door) -> None:
    for last in "12":
        body = WALKIN.replace('"id":"1"', f'"id":1234567890123456789012345678{last}').replace("Иван", last)
        got = await (await door.client.post("/v1/events", data=body.encode(), headers=HEADERS)).json()
        assert got["results"][0]["id"] == f"1234567890123456789012345678{last}"
    assert len({e.id for e in await door.events()}) == 2


def layers(count: int) -> bytes:
    body = WALKIN.encode()
    for _ in range(count):
        body = gzip.compress(body)
    return body


async def test_encodings(doors: OpenDoor) -> None:
    door = await doors(limits=Limits(max_body=10_000))
    half = len(WALKIN.encode()) // 2
    pieces = gzip.compress(WALKIN.encode()[:half]) + gzip.compress(WALKIN.encode()[half:])
    bomb = gzip.compress(gzip.compress(b"\0" * 20_000_000))
    told: list[Any] = []
    for body, encoding in (
        (layers(2), "gzip, gzip"),
        (pieces, "GZIP"),
        (WALKIN.encode(), "gzip"),  # some name it and do not do it
        (bomb, "gzip, gzip"),
        (gzip.compress(b"") * 5_00, "gzip"),
        (gzip.compress(WALKIN.encode()) + b"junk", "gzip"),
        (gzip.compress(WALKIN.encode())[:-8], "gzip"),
        (WALKIN.encode(), ", ".join(["identity"] * 500)),
    ):
        got = await door.client.post(
            "/v1/events", data=body, headers=HEADERS | {"Content-Encoding": encoding}, compress=None
        )
        told.append(got.status)
    assert told == [200, 200, 200, 413, 400, 400, 400, 200]
    kept = [e for e in await door.events() if e.type == "delivery.unreadable"]
    # of what is too large when it is unpacked, the head
    assert [dict(e.evidence.headers)["content-encoding"] for e in kept] == ["gzip, gzip", *["gzip"] * 3]


async def test_too_many_layers_are_kept_and_can_be_read_later(door: Door) -> None:
    body = layers(5)
    headers = HEADERS | {"Content-Encoding": ", ".join(["gzip"] * 5)}
    assert (await door.client.post("/v1/events", data=body, headers=headers)).status == 400
    (event,) = await door.events()
    assert event.evidence.body == body
    book = SourceBook(SOURCES)
    assert retranslate(event, book=book, key_secret=KEY) == []
    again = retranslate(event, book=book, key_secret=KEY, limits=Limits(max_encodings=5))
    assert [e.type for e in again] == ["walkin.registered", "delivery.unreadable"]
    assert again[0].data.model_dump()["walkin_id"] == json.loads(WALKIN)["data"]["walkin_id"]


async def test_a_signed_message_sent_again_is_one_fact_and_outside_the_window_refused(door: Door) -> None:
    body = WALKIN.replace('"id":"1",', "").encode()
    now = int(time.time())

    async def send(stamp: int) -> int:
        signature = sign(SECRET + "-crm", "msg_1", stamp, body)
        headers = {"webhook-id": "msg_1", "webhook-timestamp": str(stamp), "webhook-signature": signature}
        return (await door.client.post("/v1/events", data=body, headers=headers)).status

    assert [await send(now), await send(now), await send(now + 60)] == [200, 200, 200]
    assert [await send(now - 400), await send(now + 400)] == [401, 401]
    assert len({e.id for e in await door.events()}) == 1


async def test_a_flood_of_wrong_keys_is_a_line_or_two(door: Door) -> None:
    with structlog.testing.capture_logs() as told:
        for _ in range(50):
            assert (await door.client.get("/in/pbx/wrong")).status == 404
    lines = [t for t in told if t["event"] == "ingest.refused"]
    assert 1 <= len(lines) <= 10
    assert {line["reason"] for line in lines} == {"another key in the address"}
