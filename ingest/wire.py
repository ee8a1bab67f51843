"""From aiohttp's request to a delivery, from an answer to aiohttp's response."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from http import HTTPStatus
from typing import Final

from aiohttp import HttpVersion11, web
from aiohttp.helpers import rfc822_formatted_time

from ingest.adapters.contract import Adapter, Answer, json_answer
from ingest.decoding import TooLarge, decompress
from ingest.delivery import Delivery
from ingest.limits import Limits, Unreadable
from ingest.sources import SourceConfig

_REFUSALS: Final = {
    "too_large": json_answer({"result": "error", "error": "the delivery is too large"}, 413),
    "too_slow": json_answer({"result": "error", "error": "the body did not arrive in time"}, 408),
    "broken": json_answer({"result": "error", "error": "the body was cut off"}, 400),
}


_UNPACKED: Final = web.RequestKey("leadfold.unpacked", bool)
#: When a delivery came, ISO-8601 with an offset; believed only with ``accept_received_header``.
RECEIVED_HEADER: Final = "X-Leadfold-Received"
CORS: Final = {"Access-Control-Allow-Origin": "*", "Vary": "Origin"}
#: So much is kept of a body that is too large, when its sender is known.
HEAD_BYTES: Final = 64 * 1024
#: Answers that one connection may leave unread, bytes.
UNREAD: Final = 256 * 1024


class Dropped(Exception):
    """There is no whole body. ``outcome`` is the word of the metrics: too_large, too_slow, broken.

    ``head``: the beginning of a body that is too large, as it came.
    """

    def __init__(self, outcome: str, head: bytes = b"") -> None:
        super().__init__(outcome)
        self.outcome = outcome
        self.answer = _REFUSALS[outcome]
        self.head = head


async def body_of(request: web.Request, limits: Limits) -> bytes:
    """The whole body without its content encoding; as it came when the encoding is unknown or broken.

    Raises:
        Dropped: too large (before or after decompression), too slow, or cut off.
    """
    if not request.can_read_body:
        return b""
    if (request.content_length or 0) > limits.max_body:
        try:
            head = await _arriving(request, limits, HEAD_BYTES)
        except Dropped as dropped:
            raise Dropped("too_large") from dropped
        raise Dropped("too_large", head[:HEAD_BYTES])
    if request.content.is_eof():  # as nearly always: all of it came with the headers
        body = _here(request)
    else:
        body = await _arriving(request, limits, limits.max_body + 1)
    if len(body) > limits.max_body:
        raise Dropped("too_large", body[:HEAD_BYTES])
    encoding = request.headers.get("Content-Encoding")
    if not encoding:
        return body
    try:
        unpacked = decompress(body, encoding, limits)
    except TooLarge as error:
        raise Dropped("too_large", body[:HEAD_BYTES]) from error
    except Unreadable:
        return body  # nobody will be able to read it; it is kept, and the record says so
    request[_UNPACKED] = True
    return unpacked


def _here(request: web.Request) -> bytes:
    try:
        return request.content.read_nowait()
    except (web.RequestPayloadError, ConnectionError, EOFError) as error:
        raise Dropped("broken") from error


async def _arriving(request: web.Request, limits: Limits, most: int) -> bytes:
    """The body, or what came of it once that is ``most`` bytes or a little more."""
    pieces: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(limits.read_timeout_s):
            while size < most and (piece := await request.content.readany()):
                pieces.append(piece)
                size += len(piece)
            return b"".join(pieces)
    except TimeoutError as error:
        raise Dropped("too_slow") from error
    except (web.RequestPayloadError, ConnectionError, EOFError) as error:
        raise Dropped("broken") from error


def delivery_of(
    request: web.Request, body: bytes, source: SourceConfig, *, received: datetime, limits: Limits
) -> Delivery:
    """The delivery; path and query byte for byte as sent."""
    path, _, query = request.raw_path.partition("?")
    if not path.startswith("/"):  # an absolute address in the request line
        path, query = request.rel_url.raw_path, request.rel_url.raw_query_string
    headers = dict(zip(map(str.lower, request.headers), request.headers.values(), strict=True))
    if "content-encoding" in headers and _UNPACKED in request:
        del headers["content-encoding"]  # it says how the body came: from here on, how it still is
    return Delivery(
        method=request.method,
        path=path,
        query=query.partition("#")[0],
        headers=headers,
        body=body,
        received=received,
        source=source,
        limits=limits,
    )


async def alive(_: web.Request) -> web.Response:
    """``/healthz``: the process answers."""
    return web.Response(body=b'{"alive":true}', content_type="application/json")


class Whole(web.Response):
    """A response that is written in one piece, head and body, from parts that were made once."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(status=answer.status, body=answer.body)
        self._answer = answer

    @property
    def keep_alive(self) -> bool:
        """Yes: see `respond`."""
        return True

    async def prepare(self, request: web.BaseRequest) -> None:
        """As aiohttp asks for it: nothing of ours depends on the request."""
        transport = request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("nobody waits for the answer any more")
        transport.write(whole(self._answer))
        if transport.get_write_buffer_size() > UNREAD:
            raise ConnectionResetError("he asks and asks, and reads no answer")

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing is left to write."""


def for_browsers(answer: Answer, delivery: Delivery, adapter: Adapter) -> Answer:
    """The answer, so that a page of another host may read it where browsers post."""
    if adapter.BROWSERS and delivery.header("origin"):
        return replace(answer, headers={**answer.headers, **CORS})
    return answer


def whole(answer: Answer) -> bytes:
    """An answer on a connection that is kept alive, head and body."""
    head = _head(
        answer.status,
        answer.content_type,
        tuple(answer.headers.items()) if answer.headers else (),
        len(answer.body),
        rfc822_formatted_time(),
    )
    return head + answer.body


@lru_cache(maxsize=256)
def _head(
    status: int, content_type: str, headers: tuple[tuple[str, str], ...], length: int, date: str
) -> bytes:
    lines = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        f"Content-Type: {content_type}; charset=utf-8",
        *(f"{name}: {value}" for name, value in headers),
        f"Content-Length: {length}",
        f"Date: {date}",
        "Server: leadfold",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


def respond(answer: Answer, request: web.BaseRequest | None = None) -> web.Response:
    """The answer; the connection is closed where the rest of a body would have to be waited for."""
    if (
        request is not None
        and answer.status == 200
        and request.version == HttpVersion11
        and request.keep_alive
        and request.method in ("POST", "GET")
    ):
        return Whole(answer)
    headers = {
        "Content-Type": f"{answer.content_type}; charset=utf-8",
        "Server": "leadfold",
        **answer.headers,
    }
    if answer.status == 204:
        headers.pop("Content-Type")
    response = web.Response(status=answer.status, body=answer.body, headers=headers)
    if answer.status >= 400 and answer in _REFUSALS.values():
        response.force_close()
    return response
