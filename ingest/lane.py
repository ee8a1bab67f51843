"""The short way: a delivery that came whole, on a connection that was idle, needs no request object, task or response.

aiohttp makes a task, a request and a response for every delivery, and wakes two tasks; that costs as much as the log
does. What came in one piece is read, sealed and given to the log while the bytes are being received, and answered when
the log says so. Everything else (parts of a body, other methods and paths, errors) goes aiohttp's way, with the same
answers and the same records.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import Final, Protocol

from aiohttp import HttpVersion11, StreamReader
from aiohttp.http_parser import RawRequestMessage

from eventlog.contract import AppendFailed, Position, RecordTooLarge
from ingest import wire
from ingest.adapters.contract import Adapter, Answer, fault
from ingest.delivery import Delivery
from ingest.door import FrontDoor, Sealed
from ingest.heads import Heads
from ingest.sources import SourceConfig

#: Larger pieces may be held back by aiohttp's flow control.
_LARGEST: Final = 32 * 1024


class Caller(Protocol):
    """A connection, as the short way sees it."""

    def begin(self) -> None:
        """A request that aiohttp has not seen goes the short way."""

    def begin_parsed(self) -> None:
        """The one request that waits goes the short way."""

    def answer(self, data: bytes) -> None:
        """Answer the request that has begun. Nothing happens when the caller is gone."""


class Lane:
    """The short way of one front door."""

    def __init__(self, door: FrontDoor) -> None:
        self._door = door
        #: A request with its head may have so many bytes.
        self.largest = min(_LARGEST, door.deps.limits.max_body)
        self._late: set[asyncio.Task[None]] = set()
        self._heads = Heads(door.deps.limits.max_line)

    def at_once(self, caller: Caller, data: bytes) -> bool:
        """Whether these bytes are one request with a head that is known: aiohttp need not see it (see `Heads`)."""
        whole = self._heads.cut(data)
        if whole is None or (found := self._of(whole.path)) is None:
            return False
        source, adapter = found
        head = self._heads.find(source, whole)
        if head is None:
            return False
        began = time.monotonic()
        caller.begin()
        door = self._door
        try:
            delivery = Delivery(
                whole.method,
                whole.path,
                whole.query,
                head.headers,
                whole.body,
                door.deps.clock(),
                source,
                door.deps.limits,
                head.shown,
            )
            self._take(caller, delivery, adapter, began)
        except Exception as error:  # noqa: BLE001 - see `FrontDoor.failed`
            self._answer(caller, door.failed(error), began)
        return True

    def take(
        self, caller: Caller, message: RawRequestMessage, payload: StreamReader, data: bytes | None
    ) -> bool:
        """Whether this request goes the short way; it is answered then, now or later, by `Caller.answer`.

        ``data``: its bytes, where they are known to be this request and nothing else.
        """
        path, _, query = message.path.partition("?")
        if not _plain(message, payload) or (found := self._of(path)) is None:
            return False
        source, adapter = found
        began = time.monotonic()
        caller.begin_parsed()
        door = self._door
        try:
            headers = message.headers
            delivery = Delivery(
                method=message.method,
                path=path,
                query=query.partition("#")[0],
                headers=dict(zip(map(str.lower, headers), headers.values(), strict=True)),
                body=payload.read_nowait(),
                received=door.received(headers),
                source=source,
                limits=door.deps.limits,
            )
            if self._take(caller, delivery, adapter, began) and data is not None:
                self._remember(delivery, data)
        except Exception as error:  # noqa: BLE001 - see `FrontDoor.failed`
            self._answer(caller, door.failed(error), began)
        return True

    def _of(self, path: str) -> tuple[SourceConfig, Adapter] | None:
        """The source and the adapter of an address."""
        parts = path.split("/")
        if len(parts) != 4 or parts[0] or parts[1] != "in" or not parts[3]:
            return None
        deps = self._door.deps
        source = deps.book.get(parts[2])
        adapter = deps.adapters.get(source.provider) if source else None
        return None if source is None or adapter is None else (source, adapter)

    def _remember(self, delivery: Delivery, data: bytes) -> None:
        """The next request with this head need not be parsed, unless headers tell something of each delivery."""
        whole = None if wire.RECEIVED_HEADER.lower() in delivery.headers else self._heads.cut(data)
        if whole is not None:
            self._heads.learn(delivery.source, whole, delivery.headers)

    def _take(self, caller: Caller, delivery: Delivery, adapter: Adapter, began: float) -> bool:
        """Whether the delivery has the right key."""
        door = self._door
        if not adapter.authenticate(delivery):
            self._answer(caller, door.refused(delivery.source.name, why=fault(delivery)), began)
            return False
        sealed = door.prepared(delivery, adapter)
        if isinstance(sealed, Answer):
            self._answer(caller, wire.for_browsers(sealed, delivery, adapter), began)
            return True
        try:
            future = door.store.submit(sealed.records)
        except RecordTooLarge as error:
            self._later(caller, sealed, error, began)
        except Exception:
            door.released(sealed)
            raise
        else:
            if future is None:
                self._later(caller, sealed, None, began)
            else:
                future.add_done_callback(partial(self._ended, caller, sealed, began))
        return True

    def _ended(
        self, caller: Caller, sealed: Sealed, began: float, done: asyncio.Future[list[Position]]
    ) -> None:
        """The log's own future."""
        error = None if done.cancelled() else done.exception()
        if error is None and not done.cancelled():
            self._answer(caller, self._door.stored(sealed), began)
        elif isinstance(error, AppendFailed):
            self._later(caller, sealed, error, began)
        else:
            self._door.released(sealed)
            self._answer(caller, self._door.failed(RuntimeError("the log failed")), began)

    def _later(self, caller: Caller, sealed: Sealed, failed: AppendFailed | None, began: float) -> None:
        """It did not go well: what is left to do needs a task."""
        task = asyncio.create_task(self._rescued(caller, sealed, failed, began))
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    async def _rescued(
        self, caller: Caller, sealed: Sealed, failed: AppendFailed | None, began: float
    ) -> None:
        door = self._door
        try:
            answer = await door.durable(sealed, failed)
        except Exception as error:  # noqa: BLE001 - see `FrontDoor.failed`
            answer = door.failed(error)
        self._answer(caller, wire.for_browsers(answer, sealed.delivery, sealed.adapter), began)

    def _answer(self, caller: Caller, answer: Answer, began: float) -> None:
        self._door.deps.metrics.request.observe(time.monotonic() - began)
        caller.answer(wire.whole(answer))


def _plain(message: RawRequestMessage, payload: StreamReader) -> bool:
    """A request like nearly all: whole, HTTP/1.1, kept alive, not compressed."""
    return (
        payload.is_eof()
        and payload.exception() is None
        and message.method in ("POST", "GET")
        and message.version == HttpVersion11
        and not message.should_close
        and not message.upgrade
        and message.compression is None
        and "Content-Encoding" not in message.headers
        and "Expect" not in message.headers
    )
