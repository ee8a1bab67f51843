"""The local spool: where ingest keeps what the log did not take in time (design §4), and what ships it later.

It is the embedded engine once more, with records deleted from its head as they are shipped. A record may be shipped
twice (a crash between shipping and deleting): it has its event id, so readers drop the double.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import structlog

from eventlog.contract import (
    MAX_RECORD_BYTES,
    AppendUnknown,
    LogRefused,
    LogUnavailable,
    Record,
    RecordCorrupt,
    StoredRecord,
)
from eventlog.embedded.file import is_damaged, is_passing
from eventlog.embedded.log import EmbeddedLog
from eventlog.embedded.rows import decode, pack_headers
from eventlog.embedded.salvage import beside, finish_mending, mend

log = structlog.get_logger(__name__)

T = TypeVar("T")

_SET_ASIDE_TABLE = (
    "create table if not exists set_aside (position integer, reason text, stored_at integer, key blob, headers blob,"
    " value blob, crc integer)"
)
_MEASURE = "select count(*), coalesce(sum(length(key) + length(headers) + length(value)), 0) from records"
_OLDEST = "select stored_at from records order by position limit 1"
_HEAD = "select position, stored_at, key, headers, value, crc from records order by position limit ?"


class SpoolFull(LogUnavailable):
    """The spool holds as much as it may. Nothing was stored."""


class Spool:
    """A queue of records on the local disk, durable at every `put`. Made and used on one event loop.

    One process owns the file; a lock beside it says so. What cannot be read or shipped is set aside and counted, never
    in the way of the rest: rows in the table ``set_aside``, a damaged file beside it as ``….damaged-<time>``.

    Args:
        path: the file.
        max_bytes: limit of what waits; keys, headers and values count. The file grows to somewhat more and is reused.
    """

    def __init__(
        self, path: Path, *, max_bytes: int = 1024**3, max_record_bytes: int = MAX_RECORD_BYTES
    ) -> None:
        self.path = path
        self.max_bytes = max_bytes
        #: Records set aside since the object was made.
        self.set_aside = 0
        self._max_record_bytes = max_record_bytes
        self._log: EmbeddedLog | None = None
        self._owned: int | None = None  # descriptor of the lock
        self._depth = self._bytes = 0
        self._oldest: datetime | None = None
        self._doubtful = False  # a put was left unknown: count again
        self._arrived = asyncio.Event()

    async def start(self) -> None:
        """Open, mending a damaged file as far as possible.

        Raises:
            LogRefused: another process owns it, or the place cannot be used.
            LogUnavailable: the disk is full or read-only.
        """
        await asyncio.to_thread(self._own)
        try:
            await self._open_or_mend()
        except BaseException:
            self._disown()
            raise

    async def close(self) -> None:
        """Close; takes 5 s at most."""
        opened, self._log = self._log, None
        if opened is not None:
            await opened.close()
        self._disown()

    @property
    def depth(self) -> int:
        """Records that wait."""
        return self._depth

    @property
    def bytes(self) -> int:
        """Their keys, headers and values."""
        return self._bytes

    def oldest_age_s(self) -> float | None:
        """For how long the oldest record has waited, None when nothing waits."""
        if self._oldest is None:
            return None
        return max(0.0, (datetime.now(UTC) - self._oldest).total_seconds())

    @property
    def available(self) -> bool:
        """Whether a `put` of an ordinary record has a chance now."""
        return self._log is not None and self._bytes < self.max_bytes

    async def put(self, records: Sequence[Record], *, deadline_s: float) -> None:
        """Keep the records; returns when they are on the disk.

        Raises:
            SpoolFull, LogUnavailable, RecordTooLarge: nothing was stored.
            AppendUnknown: they may be stored.
        """
        opened = self._log
        if opened is None:
            raise LogUnavailable("the spool is not open")
        size = sum(map(_size, records))
        if self._bytes + size > self.max_bytes:
            raise SpoolFull(f"the spool holds {self._bytes} bytes and may hold {self.max_bytes}")
        self._bytes += size  # at once: others put at the same time
        try:
            await opened.append(records, deadline_s=deadline_s)
        except AppendUnknown:  # counted until it is counted again
            self._doubtful = True
            self._arrived.set()
            raise
        except BaseException:
            self._bytes -= size
            if opened.damaged:
                self._doubtful = True  # wakes the drainer, and that mends
                self._arrived.set()
            raise
        if not self._depth:
            self._oldest = datetime.now(UTC)
        self._depth += len(records)
        self._arrived.set()

    async def head(self, max_records: int) -> list[StoredRecord]:
        """The oldest records, in order. What cannot be read is set aside on the way. Raises LogUnavailable."""
        while True:
            await self._recover()
            try:
                if self._doubtful:
                    await self._measure()
                rows = await self._run(
                    lambda connection: connection.execute(_HEAD, (max_records,)).fetchall()
                )
            except LogUnavailable as error:
                if not is_damaged(error.__cause__):
                    raise
                await self._recover(damaged=True)
                continue
            found: list[StoredRecord] = []
            for position, *row in rows:
                try:
                    found.append(decode(position, tuple(row)))
                except RecordCorrupt as error:
                    await self.put_aside(error.offset, error.reason)
            if not rows and self._depth:
                self._doubtful = True  # counted twice (put and measured at once), or taken by another hand
            if found or not rows:
                return found

    async def forget(self, records: Sequence[StoredRecord]) -> None:
        """Delete these records of the `head`: they are in the log. Raises LogUnavailable."""
        positions = [(each.offset + 1,) for each in records]

        def delete(connection: sqlite3.Connection) -> None:
            with _transaction(connection):
                connection.executemany("delete from records where position = ?", positions)

        await self._run(delete)
        await self._gone(len(records), sum(_size(each.record) for each in records))

    async def put_aside(self, offset: int, reason: str) -> None:
        """Move one record, readable or not, into the table ``set_aside``. Raises LogUnavailable."""
        log.error("eventlog.spool_set_aside", path=str(self.path), offset=offset, reason=reason)

        def move(connection: sqlite3.Connection) -> int:
            connection.execute(_SET_ASIDE_TABLE)
            with _transaction(connection):
                row = connection.execute(
                    "select length(key) + length(headers) + length(value) from records where position = ?",
                    (offset + 1,),
                ).fetchone()
                connection.execute(
                    "insert into set_aside select position, ?, stored_at, key, headers, value, crc"
                    " from records where position = ?",
                    (reason, offset + 1),
                )
                connection.execute("delete from records where position = ?", (offset + 1,))
            return int(row[0] or 0) if row else 0

        size = await self._run(move)
        self.set_aside += 1
        await self._gone(1, size)

    async def wait_for_records(self, timeout_s: float) -> bool:
        """Whether anything waits, now or within the time."""
        if not self._depth and not self._doubtful:
            self._arrived.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._arrived.wait(), timeout_s)
        return bool(self._depth or self._doubtful)

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        await self.close()

    # --- inside -----------------------------------------------------------------------------------------------

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._log is None:
            raise LogUnavailable("the spool is not open")
        return await self._log.run(work)

    async def _recover(self, *, damaged: bool = False) -> None:
        """Mend what is known to be damaged, and finish what an earlier attempt (the disk was full) did not."""
        try:
            if self._log is None and self._owned is not None:
                await self._open_or_mend()
            elif self._log is not None and (damaged or self._log.damaged):
                await self._mend()
        except (LogRefused, OSError) as error:
            raise LogUnavailable(f"the spool {self.path} cannot be mended now: {error}") from error

    async def _open_or_mend(self) -> None:
        await asyncio.to_thread(finish_mending, self.path)
        try:
            await self._open()
        except (LogRefused, LogUnavailable) as error:
            if not is_damaged(error.__cause__):
                raise
            await self._mend()

    async def _open(self) -> None:
        opened = EmbeddedLog(self.path, shared=False, max_record_bytes=self._max_record_bytes)
        try:
            await opened.start()
            self._log = opened
            await self._measure()
        except BaseException:
            self._log = None
            await opened.close()
            raise

    async def _measure(self) -> None:
        """Count what is in the file; reads all of it."""
        self._doubtful = False  # before the question: a put may become unknown while it is answered
        try:
            self._depth, self._bytes = await self._run(
                lambda connection: connection.execute(_MEASURE).fetchone()
            )
        except LogUnavailable:
            self._doubtful = True
            raise
        await self._gone(0, 0)
        if self._depth:
            self._arrived.set()

    async def _gone(self, count: int, size: int) -> None:
        row = await self._run(lambda connection: connection.execute(_OLDEST).fetchone())
        self._oldest = _moment(row[0]) if row else None
        self._depth = max(0, self._depth - count)
        self._bytes = max(0, self._bytes - size)

    async def _mend(self) -> None:
        """Replace the damaged file by one with all that can still be read of it."""
        log.error("eventlog.spool_damaged", path=str(self.path))
        self._doubtful = True  # until it is open again
        damaged, self._log = self._log, None
        if damaged is not None:
            await damaged.close()
        lost, counted = await mend(self.path, self._max_record_bytes)
        self.set_aside += lost if counted else max(lost, 1)  # somebody is to look at it
        told = lost if counted else f"at least {lost}" if lost else "unknown, perhaps nothing"
        log.error("eventlog.spool_mended", path=str(self.path), lost=told)
        await self._open()

    def _own(self) -> None:
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._owned = os.open(beside(self.path, ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(self._owned, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._disown()
            raise LogRefused(f"the spool {self.path} is in use by another process") from error
        except OSError as error:
            self._disown()
            if is_passing(error):
                raise LogUnavailable(f"cannot use the spool {self.path} now: {error}") from error
            raise LogRefused(f"cannot use the spool {self.path}: {error}") from error

    def _disown(self) -> None:
        descriptor, self._owned = self._owned, None
        if descriptor is not None:
            os.close(descriptor)


def _moment(stored_at_ms: object) -> datetime:
    """When a row was stored; of a torn row, which `head` will set aside, the beginning of all time."""
    if isinstance(stored_at_ms, int):
        with suppress(ValueError, OverflowError):
            return datetime.fromtimestamp(stored_at_ms / 1000, UTC)
    return datetime.fromtimestamp(0, UTC)


def _size(record: Record) -> int:
    """As `_MEASURE` counts it in the file."""
    return len(record.key) + len(record.value) + len(pack_headers(record.headers))


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("begin immediate")
    try:
        yield
        connection.execute("commit")
    except BaseException:
        with suppress(sqlite3.Error):
            if connection.in_transaction:
                connection.execute("rollback")
        raise
