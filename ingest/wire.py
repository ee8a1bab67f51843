"""From aiohttp's request to a delivery, from an answer to aiohttp's response."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Final

from aiohttp import web

from ingest.adapters.contract import Answer, json_answer
from ingest.decoding import TooLarge, decompress
from ingest.delivery import Delivery
from ingest.limits import Limits, Unreadable
from ingest.sources import SourceConfig

_REFUSALS: Final = {
    "too_large": json_answer({"result": "error", "error": "the delivery is too large"}, 413),
    "too_slow": json_answer({"result": "error", "error": "the body did not arrive in time"}, 408),
    "broken": json_answer({"result": "error", "error": "the body was cut off"}, 400),
}


class Dropped(Exception):
    """There is no whole body. ``outcome`` is the word of the metrics: too_large, too_slow, broken."""

    def __init__(self, outcome: str) -> None:
        super().__init__(outcome)
        self.outcome = outcome
        self.answer = _REFUSALS[outcome]


async def body_of(request: web.Request, limits: Limits) -> bytes:
    """The whole body without its content encoding; as it came when the encoding is unknown or broken.

    Raises:
        Dropped: too large (before or after decompression), too slow, or cut off.
    """
    if not request.can_read_body:
        return b""
    if (request.content_length or 0) > limits.max_body:
        raise Dropped("too_large")
    try:
        async with asyncio.timeout(limits.read_timeout_s):
            body = await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise Dropped("too_large") from error
    except TimeoutError as error:
        raise Dropped("too_slow") from error
    except (web.RequestPayloadError, ConnectionError, EOFError) as error:
        raise Dropped("broken") from error
    encoding = request.headers.get("Content-Encoding")
    if not encoding:
        return body
    try:
        return decompress(body, encoding, limits.max_body)
    except TooLarge as error:
        raise Dropped("too_large") from error
    except Unreadable:
        return body  # nobody will be able to read it; it is kept, and the record says so


def delivery_of(
    request: web.Request, body: bytes, source: SourceConfig, *, received: datetime, limits: Limits
) -> Delivery:
    """The delivery; path and query byte for byte as sent."""
    path, _, query = request.raw_path.partition("?")
    if not path.startswith("/"):  # an absolute address in the request line
        path, query = request.rel_url.raw_path, request.rel_url.raw_query_string
    return Delivery(
        method=request.method,
        path=path,
        query=query.partition("#")[0],
        headers={name.lower(): value for name, value in request.headers.items()},
        body=body,
        received=received,
        source=source,
        limits=limits,
    )


def respond(answer: Answer) -> web.Response:
    """The answer; the connection is closed where the rest of a body would have to be waited for."""
    headers = {"Content-Type": f"{answer.content_type}; charset=utf-8", **answer.headers}
    if answer.status == 204:
        headers.pop("Content-Type")
    response = web.Response(status=answer.status, body=answer.body, headers=headers)
    if answer.status >= 400 and answer in _REFUSALS.values():
        response.force_close()
    return response
