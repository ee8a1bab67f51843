"""A TCP proxy that behaves like a network: passes, cuts, delays, or accepts and never answers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Literal, Self
from urllib.parse import parse_qs, urlsplit

from deploy.kafka.broker import free_ports

Mode = Literal["pass", "cut", "slow", "half_open"]

_CHUNK = 65_536


class Proxy:
    """Listens on ``127.0.0.1:port`` in front of a TCP port or a Unix socket. Use as an async context manager.

    Modes: ``pass``; ``cut``: open connections are reset and new ones closed at once; ``slow``: every piece is late by
    ``latency_s`` each way; ``half_open``: connections, old and new ones, stay open and nothing comes through.
    """

    def __init__(self, port: int, target: int | str, *, latency_s: float = 0.15) -> None:
        self.port = port
        self.latency_s = latency_s
        self._target = target
        self._mode: Mode = "pass"
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    def switch(self, mode: Mode) -> None:
        """Change the weather. What a half-open connection held back flows on when it passes again."""
        self._mode = mode
        if mode == "half_open":
            self._flowing.clear()
        else:
            self._flowing.set()
        if mode == "cut":
            for writer in list(self._writers):
                writer.transport.abort()

    async def open(self) -> None:
        """Listen, on this event loop."""
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", self.port)

    async def close(self) -> None:
        """Cut all connections and listen no more."""
        self.switch("cut")
        if self._server is not None:
            self._server.close()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        mine = {writer}
        self._writers.add(writer)
        try:
            await self._flowing.wait()
            if self._is("cut"):
                return
            there_reader, there = await self._connect()
            mine.add(there)
            self._writers.add(there)
            if self._is("cut"):
                return
            await asyncio.gather(self._pump(reader, there), self._pump(there_reader, writer))
        except OSError:
            return  # the other side is gone: so is the connection
        finally:
            self._writers -= mine
            for each in mine:
                each.transport.abort()

    def _is(self, mode: Mode) -> bool:
        return self._mode == mode

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self._target, int):
            return await asyncio.open_connection("127.0.0.1", self._target)
        return await asyncio.open_unix_connection(self._target)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One direction, until its end; then the whole connection is over."""
        try:
            while data := await reader.read(_CHUNK):
                if self._is("slow"):
                    await asyncio.sleep(self.latency_s)
                await self._flowing.wait()
                writer.write(data)
                await writer.drain()
        finally:
            with contextlib.suppress(OSError):
                writer.close()


def postgres_socket(database_url: str) -> str:
    """The Unix socket that a URL with ``host=<folder>`` means."""
    return str(Path(parse_qs(urlsplit(database_url).query)["host"][0]) / ".s.PGSQL.5432")


@contextlib.asynccontextmanager
async def before_postgres(database_url: str) -> AsyncIterator[tuple[str, Proxy]]:
    """Another address of the same database (given by its socket), and the proxy that it leads through."""
    parts = urlsplit(database_url)
    (port,) = free_ports(1)
    user = parts.netloc.partition("@")[0]
    async with Proxy(port, postgres_socket(database_url)) as proxy:
        yield parts._replace(netloc=f"{user}@127.0.0.1:{port}", query="").geturl(), proxy
