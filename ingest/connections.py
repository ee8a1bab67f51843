"""Connections of the front door: how long and how many. A caller who is slow or idle takes no room from others.

aiohttp waits without end for the head of a request that has begun and for a caller who does not read his answer, and
quotes what it cannot parse in its own answer, secrets and all. So the protocol is ours, as thin as can be.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final, cast

from aiohttp import StreamReader, web
from aiohttp.http_parser import RawRequestMessage

from ingest.lane import Lane
from ingest.limits import Limits
from ingest.wire import UNREAD

_LOOK_S: Final = 0.5
#: When there is no room, so many of the idle connections are closed at once: looking for them costs a sort.
_SHARE: Final = 16
_BROKEN: Final = b'{"result":"error","error":"this is no HTTP request that can be read"}'
_FAILED: Final = b'{"result":"error","error":"it failed here"}'


class Connection(web.RequestHandler):
    """One connection. Loop times since when a head is waited for, and since when an answer is not read; 0: not so."""

    __slots__ = ("_beginning", "_held", "_lane", "_told", "head_since", "line", "partial", "unread_since")

    def __init__(
        self, manager: Listener, lane: Lane, *, loop: asyncio.AbstractEventLoop, **settings: Any
    ) -> None:
        super().__init__(manager, loop=loop, **settings)
        self._lane = lane
        self._held: asyncio.Future[None] | None = None  # aiohttp waits here while the short way is taken
        self._beginning = False  # and here before it waits for the first time
        self.head_since = self.unread_since = 0.0
        self.partial = False  # a head has begun
        self._told = True  # aiohttp's parser was given whole requests only, and holds nothing back
        self.line: asyncio.Transport | None = None  # aiohttp forgets its own when it wants to close

    @property
    def idle(self) -> bool:
        """Nothing is being answered."""
        return self._waiter is not None and not self._waiter.done()

    @property
    def last_used(self) -> float:
        """Loop time of the beginning or of the last answer, all shifted by the same."""
        return self._next_keepalive_close_time

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The head of the first request has to come now."""
        super().connection_made(transport)
        self.line = cast("asyncio.Transport", transport)  # uvloop's is none by descent
        self.head_since = self._loop.time()
        if isinstance(self._manager, Listener):
            self._manager.make_room()

    @property
    def _untouched(self) -> bool:
        """Nothing came yet, and aiohttp does not wait yet: one who calls for one delivery sends it at once."""
        return self._waiter is None and not self._request_count

    async def start(self) -> None:
        """aiohttp's own. A first request that came before this and goes the short way is answered first."""
        if self._request_in_progress:
            self._held = self._loop.create_future()
            self._beginning = True
            await self._held
        if self._manager is not None:  # he may have gone meanwhile
            await super().start()

    def data_received(self, data: bytes) -> None:
        """aiohttp's own, and a look whether a head has begun that is not whole."""
        lane = None
        if (self.idle or self._untouched) and not (self._close or self._force_close):
            lane = self._lane
        if lane is not None and (self.partial or len(data) > lane.largest):
            lane = None
        if lane is not None and self._told and lane.at_once(self, data):
            return
        if not self.partial and not data.isascii() and (self.idle or not self._request_count):
            data = escaped(data)
        if lane is None:
            self._feed(data)
        elif self._taken(lane, data):
            return
        waiter = self._waiter
        # the first bytes may come before aiohttp waits for them
        if self._request_count and (waiter is None or waiter.done()):
            self.head_since, self.partial = 0.0, False
        elif not self.partial:
            self.partial = True
            self.head_since = self.head_since or self._loop.time()

    def _feed(self, data: bytes) -> None:
        """To aiohttp. Whether its parser holds nothing back afterwards can be told of one whole request only."""
        before = len(self._messages)
        super().data_received(data)
        self._told = (
            self._told and len(self._messages) == before + 1 and _ends_so(data, *self._messages[before])
        )

    def _taken(self, lane: Lane, data: bytes) -> bool:
        """Whether one whole request came that goes the short way; otherwise aiohttp is told what came."""
        self._held, self._waiter = self._waiter, None  # aiohttp shall sleep on
        self._feed(data)
        if len(self._messages) == 1 and not self._upgraded:
            message, payload = self._messages[0]
            if isinstance(message, RawRequestMessage) and lane.take(
                self, message, payload, data if self._told else None
            ):
                return True
        self._wake()
        return False

    def begin(self) -> None:
        """A request that aiohttp has not seen goes the short way."""
        self._held, self._waiter = self._waiter, None
        self._request_count += 1
        self._begin()

    def begin_parsed(self) -> None:
        """The one request that waits goes the short way."""
        self._messages.popleft()
        if self._parser is not None:
            self._parser.message_consumed()
        self._begin()

    def _begin(self) -> None:
        if self._manager is not None:
            self._manager.requests_count += 1
        self.head_since, self.partial = 0.0, False
        self._request_in_progress = True

    def answer(self, data: bytes) -> None:
        """Answer the request that has begun. Nothing happens when the caller is gone."""
        self._request_in_progress = False
        if self._handler_waiter is not None and not self._handler_waiter.done():
            self._handler_waiter.set_result(None)
        transport = self.transport
        if transport is not None and not transport.is_closing():
            transport.write(data)
            if transport.get_write_buffer_size() > UNREAD:
                self.force_close()  # he asks and asks, and reads no answer
            self._next_keepalive_close_time = ends = self._loop.time() + self._keepalive_timeout
            if self._keepalive_handle is None:
                self._keepalive_handle = self._loop.call_at(ends, self._process_keepalive)
        self._wake()

    def _wake(self) -> None:
        """aiohttp's turn again: what came meanwhile, or the end."""
        waiter, self._held = self._held, None
        beginning, self._beginning = self._beginning, False
        if waiter is None or waiter.done():
            return
        if not beginning:
            self._waiter = waiter
        if self._close or self._force_close:
            waiter.cancel()
        elif self._messages or beginning:
            waiter.set_result(None)

    def resume_reading(self, resume_parser: bool = True) -> None:
        """aiohttp asks for it after each body: only where reading was paused there is something to do."""
        if self._reading_paused or self._buffer_paused:
            super().resume_reading(resume_parser)

    def pause_writing(self) -> None:
        """The caller does not read what we answered."""
        super().pause_writing()
        self.unread_since = self._loop.time()

    def resume_writing(self) -> None:
        """He does now."""
        super().resume_writing()
        self.unread_since = 0.0

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """An answer that does not quote the request."""
        super().handle_error(request, status, exc, message)
        body = _BROKEN if status < 500 else _FAILED
        answer = web.Response(status=status, body=body, content_type="application/json")
        answer.headers["Server"] = "leadfold"
        answer.force_close()
        return answer


class Listener(web.Server):
    """All connections of one application."""

    def __init__(self, usual: web.Server, limits: Limits, lane: Lane) -> None:
        super().__init__(
            usual.request_handler,
            request_factory=usual.request_factory,
            loop=usual._loop,  # noqa: SLF001
            **usual._kwargs,  # noqa: SLF001
        )
        self._limits = limits
        self._lane = lane
        self._ending = 0
        self.closed = {"slow": 0, "crowded": 0}

    def __call__(self) -> web.RequestHandler:
        """A protocol for a new connection."""
        return Connection(self, self._lane, loop=self._loop, **self._kwargs)

    def make_room(self) -> None:
        """Close the connections that were idle longest when there are too many; the newest when none is idle."""
        most = self._limits.max_connections
        if len(self._connections) - self._ending <= most:
            return
        mine = [c for c in self._connections if isinstance(c, Connection) and c.line is not None]
        resting = sorted((c for c in mine if c.idle), key=lambda c: c.last_used)
        for one in resting[: max(1, most // _SHARE)] or mine[-1:]:
            self._end(one, "crowded")

    def sweep(self, now: float) -> None:
        """Close connections that have waited too long for a head or for the reader of an answer."""
        latest = now - self._limits.read_timeout_s
        for one in list(self._connections):
            if isinstance(one, Connection) and (
                0.0 < one.head_since < latest or 0.0 < one.unread_since < latest
            ):
                self._end(one, "slow")

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        """As aiohttp asks for it."""
        if isinstance(handler, Connection) and handler.line is None:
            self._ending -= 1
        super().connection_lost(handler, exc)

    def _end(self, one: Connection, why: str) -> None:
        line, one.line = one.line, None
        one.head_since = one.unread_since = 0.0
        if line is not None:
            self.closed[why] += 1
            self._ending += 1
            line.abort()  # close() would wait for a caller who does not read


def _ends_so(data: bytes, message: object, payload: StreamReader) -> bool:
    """Whether these bytes end where this request does."""
    if not isinstance(message, RawRequestMessage) or not payload.is_eof():
        return False
    return len(data.partition(b"\r\n\r\n")[2]) == int(message.headers.get("Content-Length", "0"))


def escaped(data: bytes) -> bytes:
    """A request line with raw letters in it (UTF-8, Windows-1251) as if its sender had escaped them, byte for byte."""
    line, end, rest = data.partition(b"\r\n")
    if not end or line.isascii():
        return data
    return b"".join(b"%%%02X" % byte if byte > 127 else bytes((byte,)) for byte in line) + end + rest


class Connections:
    """Serves an application by connections of ours, by whatever runner it is started."""

    def __init__(self, app: web.Application, limits: Limits, lane: Lane) -> None:
        self._lane = lane
        self._limits = limits
        self._listeners: list[Listener] = []
        # aiohttp has no public way to choose the protocol of an application
        self._aiohttps = app._make_handler  # noqa: SLF001
        app._make_handler = self._make  # type: ignore[method-assign]  # noqa: SLF001
        app.cleanup_ctx.append(self._watched)

    @property
    def open(self) -> int:
        """How many there are."""
        return sum(len(one.connections) for one in self._listeners)

    def closed(self, why: str) -> int:
        """How many were closed because they were ``slow`` or it was ``crowded``."""
        return sum(one.closed[why] for one in self._listeners)

    def _make(self, **settings: Any) -> Listener:
        listener = Listener(self._aiohttps(**settings), self._limits, self._lane)
        self._listeners.append(listener)
        return listener

    async def _watched(self, _: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(self._watch())
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_LOOK_S)
            for one in self._listeners:
                one.sweep(loop.time())
