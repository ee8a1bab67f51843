"""A hostile client at every port of a running service: shapes of HTTP by hand, odd values in every field, wrong methods.

Whatever it sends gets an answer that is no 5xx; what is answered with success is on the log, byte for byte; logs show no
phone, no key and no traceback; and the reports of it all can be read.
"""

import gzip
import re
import socket
import urllib.parse
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import pytest

from domain.event import Event, Evidence
from eventlog.embedded import EmbeddedLog
from eventlog.sealing import unseal
from tests.cli.service import Installation, Run, install
from tests.cli.test_service import fetch
from tests.eventlog.records import read_all

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PHONE = "89035550"  # the beginning of every phone that is sent
HOSTILE = "<script>alert(1)</script>\"'=cmd|' /C calc'!A0\u202e\x1b[31m"


@dataclass
class Place:
    """A running service, and how its ports are reached."""

    shop: Installation
    doors: tuple[str, int]
    keys: dict[str, str]
    ports: dict[str, int]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    shop = install(
        tmp_path_factory.mktemp("hostile") / "shop",
        ("pbx", "sipuni"), ("chat", "jivo"), ("landing", "form"), ("tilda", "tilda"), ("erp", "native"),
    )  # fmt: skip
    shop.environment |= {"LEADFOLD_INGEST__READ_TIMEOUT_S": "2"}
    run = Run(shop)
    try:
        run.wait_ready()
        sources = {s["name"]: s for s in shop.json("sources", "list")}
        address = urllib.parse.urlsplit(sources["pbx"]["url"])
        parts = shop.json("status")["parts"]
        yield Place(
            shop,
            (str(address.hostname), int(address.port or 0)),
            {name: s["secret"] for name, s in sources.items()},
            {name: int(urllib.parse.urlsplit(part["url"]).port or 0) for name, part in parts.items()},
        )
    finally:
        run.end()


def say(port: int, sent: bytes) -> bytes:
    """Everything that is answered until the other side closes, or is silent for a while after an answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as wire:
        heard = b""
        try:
            wire.sendall(sent)
            while piece := wire.recv(65_536):
                heard += piece
                wire.settimeout(0.15)
        except (TimeoutError, ConnectionError):
            pass
    return heard


def statuses(heard: bytes) -> list[int]:
    return [int(code) for code in re.findall(rb"HTTP/1\.[01] (\d{3}) ", heard)]


def request(line: str, *headers: str, body: bytes = b"", length: bool = True) -> bytes:
    head = [f"{line} HTTP/1.1", "Host: localhost", *headers]
    if body and length:
        head.append(f"Content-Length: {len(body)}")
    return "\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + body


def chunked(*pieces: bytes, extension: bytes = b"") -> bytes:
    return b"".join(b"%x%s\r\n%s\r\n" % (len(p), extension, p) for p in pieces) + b"0\r\n\r\n"


FORM = "Content-Type: application/x-www-form-urlencoded"
JSON = "Content-Type: application/json"


def shapes(path: str, mark: str) -> dict[str, bytes]:
    """Ways to post one form: right ones, odd ones, wrong ones."""
    body = f"phone={PHONE}001&name={mark}".encode()
    more = f"phone={PHONE}002&name={mark}-smuggled".encode()
    post, n = f"POST {path}", len(body)
    inner = request(f"POST {path}", FORM, body=more)
    te = "Transfer-Encoding: chunked"
    return {
        "plain": request(post, FORM, body=body),
        "absolute target": request(f"POST http://evil.example{path}", FORM, body=body),
        "own host, other scheme": request(f"POST ftp://localhost{path}", FORM, body=body),
        "two slashes": request(f"POST /{path}", FORM, body=body),
        "slash at the end": request(f"{post}/", FORM, body=body),
        "escaped slash": request(f"POST {path.replace('/in/landing/', '/in/landing%2F')}", FORM, body=body),
        "escaped letters": request(f"POST {path.replace('landing', '%6c%61nding')}", FORM, body=body),
        "dots": request(f"POST /in/../in/./landing/{path.rpartition('/')[2]}", FORM, body=body),
        "NUL in the path": request(f"{post}%00", FORM, body=body),
        "parameters": request(f"{post};x=1", FORM, body=body),
        "fragment": request(f"{post}#x", FORM, body=body),
        "query of ampersands": request(f"{post}?{'&' * 3000}", FORM, body=body),
        "chunked": request(post, FORM, te) + chunked(body),
        "chunked with extensions": request(post, FORM, te) + chunked(body[:9], body[9:], extension=b';a="b;c";d=e'),
        "long extension": request(post, FORM, te) + chunked(body, extension=b";" + b"x" * 70_000),
        "trailers": request(post, FORM, te, "Trailer: X") + chunked(body)[:-2] + b"X: y\r\nHost: evil\r\n\r\n",
        "chunked and length": request(post, FORM, te, f"Content-Length: {n}") + chunked(body) + inner,
        "chunked twice": request(post, FORM, te, te) + chunked(body) + inner,
        "chunked, spelled oddly": request(post, FORM, "Transfer-Encoding: xchunked") + chunked(body) + inner,
        "chunked, identity": request(post, FORM, "Transfer-Encoding: chunked, identity") + chunked(body),
        "chunked by tab": request(post, FORM, "Transfer-Encoding:\tchunked") + chunked(body),
        "size with a sign": request(post, FORM, te) + b"+%x\r\n%s\r\n0\r\n\r\n" % (n, body),
        "size of 17 digits": request(post, FORM, te) + b"f" * 17 + b"\r\n" + body,
        "size with 0x": request(post, FORM, te) + b"0x%x\r\n%s\r\n0\r\n\r\n" % (n, body),
        "bare line feeds": request(post, FORM, body=body).replace(b"\r\n", b"\n"),
        "two lengths": request(post, FORM, f"Content-Length: {n}", f"Content-Length: {n}", body=body, length=False),
        "two lengths that differ": request(post, FORM, "Content-Length: 3", f"Content-Length: {n}", body=body, length=False),
        "lengths in one": request(post, FORM, f"Content-Length: {n}, {n}", body=body, length=False),
        "length with a sign": request(post, FORM, f"Content-Length: +{n}", body=body, length=False),
        "length in unicode": request(post, FORM, "Content-Length: \xb2", body=body, length=False),
        "length of underscores": request(post, FORM, "Content-Length: 1_0", body=body, length=False),
        "length of 30 digits": request(post, FORM, f"Content-Length: {'9' * 30}", body=body, length=False),
        "length too short": request(post, FORM, "Content-Length: 5", body=body, length=False) + inner,
        "length too long": request(post, FORM, f"Content-Length: {n + 50}", body=body, length=False),
        "space before the colon": request(post, FORM, f"Content-Length : {n}", body=body, length=False),
        "folded header": request(post, FORM, "X-One: a\r\n b", f"Content-Length: {n}", body=body, length=False),
        "header without a colon": request(post, FORM, "Nonsense", body=body),
        "NUL in a header": request(post, FORM, "X-One: a\0b", body=body),
        "headers twice": request(post, FORM, FORM, JSON, "Content-Encoding: gzip", "Content-Encoding: br", body=body),
        "hosts twice": request(post, FORM, "Host: evil.example", body=body),
        "lower case": request(post.replace("POST", "post"), FORM, body=body),
        "HTTP/1.0": request(post, FORM, body=body).replace(b"HTTP/1.1", b"HTTP/1.0"),
        "HTTP/1.9": request(post, FORM, body=body).replace(b"HTTP/1.1", b"HTTP/1.9"),
        "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + request(post, FORM, body=body),
        "HTTP/0.9": f"GET {path}\r\n".encode(),
        "expects": request(post, FORM, "Expect: 100-continue", body=body),
        "expects the unknown": request(post, FORM, "Expect: a miracle", body=body),
        "upgrade": request(post, FORM, "Connection: Upgrade", "Upgrade: websocket", body=body),
        "h2c": request(post, FORM, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: A", body=body),
        "two at once": request(post, FORM, body=body) + inner,
        "gzip of gzip": request(post, FORM, "Content-Encoding: gzip", body=gzip.compress(gzip.compress(body))),
        "gzip that lies": request(post, FORM, "Content-Encoding: gzip", body=body),
        "an encoding nobody knows": request(post, FORM, "Content-Encoding: zstd, *", body=body),
        "ten thousand fields": request(post, FORM, body=body + b"".join(b"&f%d=1" % i for i in range(10_000))),
        "one long field": request(post, FORM, body=body + b"&x=" + b"y" * 400_000),
        "one long name": request(post, FORM, body=body + b"&" + b"y" * 100_000 + b"=1"),
        "deep brackets": request(post, FORM, body=body + b"&a" + b"[b]" * 5_000 + b"=1"),
        "invalid UTF-8": request(post, FORM, body=body + b"&comment=\xff\xfe%FF%ED%A0%80"),
        "a charset that is none": request(post, f"{FORM}; charset=zip", body=body),
        "a charset that runs": request(post, f"{FORM}; charset=rot13", body=body),
        "idna": request(post, f"{FORM}; charset=idna", body=body),
        "broken multipart": request(post, "Content-Type: multipart/form-data; boundary=B", body=b"--B\r\n" + body),
        "multipart without a boundary": request(post, "Content-Type: multipart/form-data", body=body),
        "hostile words": request(
            post, FORM, body=body + b"&comment=" + urllib.parse.quote(HOSTILE).encode() + b"&utm_source=%3Cimg+src%3Dx%3E"
        ),
    }  # fmt: skip


VALUES = (
    "\u0667\u0669\u0660\u0663\u0665\u0665\u0665\u0660\u0660\u0660\u0661", "\uff18\uff19\uff10\uff13\uff15", "\u00b2\u00b3", "1e400", "-0", "NaN",
    "Infinity", "9" * 5000, "1" + "0" * 400 + ".5", "0x10", "1_000", "+", "0000-00-00", "10000-01-01", "\ud7ff", "\ufffe", "",
)  # fmt: skip
RAW_JSON = (
    "NaN", "1e400", "-1e400", "9" * 5000, "1." + "1" * 5000, "[" * 3000 + "]" * 3000, '{"a":' * 900 + "1" + "}" * 900,
    r'"\ud800"', r'"\u0000"', "null", "true", "[]", "{}", '{"a":1,"a":2}', '"' + "x" * 300_000 + '"',
)  # fmt: skip


def deliveries(place: Place) -> Iterator[tuple[str, bytes, str]]:
    """What an authenticated source may send with odd values: name, request, and a mark that stands in it."""
    keys, n = place.keys, 0
    call = {
        "event": "1", "call_id": "1", "src_num": f"{PHONE}101", "src_type": "1", "dst_num": "74950000001", "dst_type": "1",
        "timestamp": "1772355600", "status": "ANSWER", "call_start_timestamp": "1772355600",
    }  # fmt: skip
    for value in VALUES:
        for field in call:
            n += 1
            told = {**call, field: value, "treeName": f"mark{n}."}
            query = urllib.parse.urlencode(told, errors="surrogatepass")
            yield f"call {field}={value[:20]!r}", request(f"GET /in/pbx/{keys['pbx']}?{query}"), f"mark{n}."
        for source, field in (
            ("landing", "phone"),
            ("landing", "email"),
            ("tilda", "Phone"),
            ("tilda", "tranid"),
        ):
            n += 1
            told = {"phone": f"{PHONE}102", "Phone": f"{PHONE}102", "comments": f"mark{n}.", field: value}
            body = urllib.parse.urlencode(told, errors="surrogatepass").encode()
            yield (
                f"{source} {field}={value[:20]!r}",
                request(f"POST /in/{source}/{keys[source]}", FORM, body=body),
                f"mark{n}.",
            )
    chat = (
        '{{"event_name":"chat_finished","chat_id":{a},"widget_id":"w","visitor":{{"name":{b},"phone":"{phone}103","number":{c}}},'
        '"chat":{{"messages":[{{"message":{d},"timestamp":{e},"type":"visitor"}}],"rate":{f}}},"mark":"mark{n}."}}'
    )
    event = (
        '{{"type":"walkin.registered","id":{a},"time":{b},"data":{{"walkin_id":{c},"phone":{d},"name":{e},"office_id":{f}}},'
        '"mark":"mark{n}."}}'
    )
    plain = {
        "a": '"7"',
        "b": '"2026-03-01T10:00:00+03:00"',
        "c": '"w7"',
        "d": f'"{PHONE}104"',
        "e": '"Иван"',
        "f": '"o"',
    }
    for raw in RAW_JSON:
        for field in plain:
            for path, template, auth in (
                (f"/in/chat/{keys['chat']}", chat, "X: y"),
                ("/v1/events", event, f"Authorization: Bearer {keys['erp']}"),
            ):
                n += 1
                body = template.format(**{**plain, field: raw}, n=n, phone=PHONE).encode(
                    "utf-8", "surrogatepass"
                )
                yield (
                    f"{path[:8]} {field}={raw[:20]!r}",
                    request(f"POST {path}", JSON, auth, body=body),
                    f"mark{n}.",
                )


async def kept(place: Place) -> bytes:
    """Every query and body on the log, unpacked where they came packed."""
    found = []
    async with EmbeddedLog(place.shop.folder / "data" / "events" / "events.db", create=False) as log:
        for stored in await read_all(log):
            event = unseal(stored.record)
            assert isinstance(event, Event)
            if isinstance(event.evidence, Evidence):
                body = event.evidence.body
                with suppress(OSError, EOFError, zlib.error):
                    body = gzip.decompress(body)
                found += [event.evidence.query.encode(), body]
    return b"\n".join(found)


async def test_shapes_of_http_at_the_front_door(place: Place) -> None:
    path = f"/in/landing/{place.keys['landing']}"
    taken: dict[str, list[int]] = {}
    for n, name in enumerate(shapes(path, "")):
        heard = say(place.doors[1], shapes(path, f"shape{n}x")[name])
        assert heard or name == "HTTP/0.9", name
        assert all(code < 500 for code in statuses(heard)), f"{name}: {heard[:300]!r}"
        taken[name] = statuses(heard)
    text = await kept(place)
    there = {name for n, name in enumerate(taken) if f"shape{n}x".encode() in text}
    success = {name for name, codes in taken.items() if 200 in codes}
    assert success == there  # nothing answered is lost, and nothing refused was taken in secret
    assert {name for name in taken if f"shape{list(taken).index(name)}x-smuggled".encode() in text} == {
        "two at once"
    }
    assert success >= {
        "plain",
        "absolute target",
        "escaped letters",
        "slash at the end",
        "chunked with extensions",
        "expects",
    }
    assert success.isdisjoint(
        {"chunked and length", "chunked twice", "two lengths that differ", "length too short", "space before the colon",
         "folded header", "NUL in a header", "bare line feeds", "size with a sign", "escaped slash", "dots"}
    )  # fmt: skip
    quiet(place)


def quiet(place: Place) -> None:
    """All parts are ready, and no log tells of a failure, a phone or a key."""
    assert place.shop.json("status")["ready"]
    for file in (place.shop.folder / "data" / "logs").glob("*.jsonl"):
        told = file.read_text(encoding="utf-8")
        for word in ("Traceback", "exc_value", "failed", "died", PHONE, *place.keys.values()):
            assert word not in told, (file.name, word)


async def test_odd_values_in_every_field(place: Place) -> None:
    marks = {}
    for name, sent, mark in deliveries(place):
        heard = say(place.doors[1], sent.replace(b"Host: localhost", b"Host: localhost\r\nConnection: close"))
        assert statuses(heard) in ([200], [400], [413]), f"{name}: {heard[:300]!r}"
        if statuses(heard) == [200] or b"/v1/events" in sent[:20]:
            marks[mark] = name
    text = await kept(place)
    assert {name for mark, name in marks.items() if mark.encode() not in text} == set()
    assert len(marks) > 300
    place.shop.ok("wait", "--timeout", "120", timeout=150)
    assert place.shop.json("status")["projection"]["dead_letters"] == 0
    read_through(place)
    quiet(place)


def read_through(place: Place) -> None:
    """Every surface of the report can be read, and nothing that was sent acts in a page."""
    pages, period = f"http://127.0.0.1:{place.ports['report']}", "from=2024-01-01&to=2027-12-31"
    rows = place.shop.json("sql", "select inquiry_id from inquiry order by opened_at desc limit 30")
    assert rows
    for path in (
        *(
            f"/reports/inquiries{end}?{period}&lang={lang}"
            for end in ("", "/rows", ".csv")
            for lang in ("ru", "en")
        ),
        *(f"/inquiries/{row['inquiry_id']}" for row in rows),
    ):
        status, page = fetch(pages + path)
        assert status == 200, path
        assert "<script>alert" not in page, path
        assert "<img src=x" not in page, path


METHODS = ("HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "PATCH", "CONNECT", "PROPFIND", "FOO", "GET")
TARGETS = (
    "/", "*", "//", "/%00", "/%2e%2e/%2e%2e/etc/passwd", "/in", "/in/", "/in/%00/%00", "/v1/events", "/openapi.json", "/healthz",
    "/readyz", "/metrics", "/reports/inquiries", "/reports/inquiries?from=0000-01-01&to=10000-01-01", "/api/v1/reports/inquiries",
    "/reports/inquiries?from=2026-03-01&from=2026-03-02&filter=a&filter[]=b", "/reports/inquiries?zone=../../etc/passwd",
    "/reports/inquiries?zone=Europe/Moscow%00", "/reports/inquiries?as_of=9999-12-31T23:59:59-23:59", "/events/0", "/static/x/y",
    "/reports/inquiries.xlsx?from=0001-01-01&to=0001-01-01", "/reports/inquiries.csv?from=9999-12-31&to=9999-12-31",
    "/reports/inquiries?as_of=0001-01-01T00:00:00%2B23:59", "/reports/inquiries?" + "&".join(f"a{n}=1" for n in range(900)),
    "http://evil.example/reports/inquiries", "localhost:80", "/\xff\xfe", "/reports/inquiries?x=\xff",
)  # fmt: skip


@pytest.mark.parametrize("part", ["doors", "ingest", "project", "report"])
def test_methods_and_targets_at_every_port(place: Place, part: str) -> None:
    port = place.doors[1] if part == "doors" else place.ports[part]
    for target in TARGETS:
        for method in METHODS:
            heard = say(port, request(f"{method} {target}", "Connection: close"))
            codes = statuses(heard)
            assert codes, (method, target)
            assert codes[0] < 500, (method, target, heard[:300])
            if method == "TRACE":
                assert b"Connection: close\r\nHost" not in heard
            if method == "HEAD" and codes[0] != 400:
                assert heard.partition(b"\r\n\r\n")[2] == b"", (target, heard[:300])
    for name, sent in shapes("/healthz", "x").items():
        assert all(code < 500 for code in statuses(say(port, sent))), name
    quiet(place)
