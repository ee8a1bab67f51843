"""The projector's connection: every piece of work on it gets a bounded time, and a new one takes the place of a lost one."""

from __future__ import annotations

import contextlib
from collections.abc import Coroutine
from typing import Any, TypeVar

import psycopg

from projector.database import Connection, connect, within
from projector.settings import ProjectorSettings

#: However slow the database is, one piece of work gets no more seconds than this.
_LONGEST_S = 600.0

T = TypeVar("T")


class Link:
    """At most one open connection to the database of the read models."""

    def __init__(self, settings: ProjectorSettings) -> None:
        self._settings = settings
        self._conn: Connection | None = None
        self._patience_s = settings.limits.statement_s

    @property
    def up(self) -> bool:
        """Whether there is a connection, as far as is known without asking."""
        return self._conn is not None and not self._conn.broken

    @property
    def conn(self) -> Connection:
        """The connection. Raises OperationalError when there is none."""
        if self._conn is None:
            raise psycopg.OperationalError("not connected")
        return self._conn

    async def ask(self, work: Coroutine[Any, Any, T]) -> T:
        """Work on the database, within a bound that grows when it was not enough: a slow server is not a dead one.

        Raises:
            TimeoutError: it did not end; the connection is of no use any more.
        """
        try:
            result = await within(self._patience_s, work)
        except TimeoutError:
            self._patience_s = min(self._patience_s * 2, _LONGEST_S)
            raise
        self._patience_s = self._settings.limits.statement_s
        return result

    async def renew(self) -> None:
        """Close what there is and connect again. Raises OperationalError."""
        await self.close()
        self._conn = await connect(self._settings.database_url)

    async def close(self) -> None:
        """Let go of the connection; never raises for a lost one."""
        conn, self._conn = self._conn, None
        if conn is not None:
            with contextlib.suppress(psycopg.Error, OSError):
                await conn.close()
