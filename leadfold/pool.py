"""A small pool of database connections for pages: opened when needed, reused, dropped when broken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from psycopg import AsyncConnection, OperationalError
from psycopg.pq import TransactionStatus

from projector.database import address, within

Conn = AsyncConnection[Any]

#: A connection that was idle has to answer within so many seconds.
_ALIVE_S = 2.0


class Pool:
    """Lends connections in autocommit, at most ``size`` at a time.

    Args:
        url: gives the address of the database, asked for every new connection; None while there is none.
        size: more borrowers than that wait.
        options: settings of each session, as ``-c name=value``.
    """

    def __init__(self, url: Callable[[], str | None], *, size: int = 8, options: str = "") -> None:
        self._url = url
        self._options = options
        self._free = asyncio.Semaphore(size)
        self._idle: list[Conn] = []

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Conn]:
        """A connection for one request; what it left open is rolled back. Raises psycopg.OperationalError."""
        async with self._free:
            conn = await self._take()
            try:
                yield conn
            finally:
                await self._give_back(conn)

    async def _take(self) -> Conn:
        while self._idle:
            conn = self._idle.pop()
            if not conn.closed:
                try:  # the server may have been restarted meanwhile, or the network may swallow everything
                    await within(_ALIVE_S, conn.execute("select 1"))
                except (OperationalError, TimeoutError):
                    await conn.close()
                else:
                    return conn
        url = await asyncio.to_thread(self._url)
        if url is None:
            raise OperationalError("the embedded Postgres does not run")
        mine = {"options": self._options, "application_name": "leadfold-report"}
        return await AsyncConnection.connect(**(address(url) | mine), autocommit=True)

    async def _give_back(self, conn: Conn) -> None:
        if conn.closed or conn.broken:
            return
        if conn.info.transaction_status is not TransactionStatus.IDLE:
            await conn.close()
            return
        self._idle.append(conn)

    async def close(self) -> None:
        """Close the idle ones."""
        while self._idle:
            await self._idle.pop().close()
