"""The embedded log: appends through the writer thread, reads through a few reading threads."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

import structlog

from eventlog.contract import (
    MAX_RECORD_BYTES,
    AppendUnknown,
    EventLog,
    LogError,
    LogUnavailable,
    Position,
    PositionLost,
    Record,
    RecordCorrupt,
    StoredRecord,
    check_records,
)
from eventlog.deadlines import Deadlines
from eventlog.embedded.file import connect, file_id, identity_of, prepare
from eventlog.embedded.rows import decode, encode
from eventlog.embedded.subscription import EmbeddedSubscription
from eventlog.embedded.turns import Turns
from eventlog.embedded.writer import Job, Writer

log = structlog.get_logger(__name__)

T = TypeVar("T")

#: A reader that waits looks again after this many seconds: first often, then less so.
_FIRST_LOOK_S = 0.002
_LAST_LOOK_S = 0.015

#: Between attempts to open a file that could not be opened at the start, seconds.
_AGAIN_S = 1.0

#: Appends that wait for the disk may take so much memory.
QUEUE_BYTES = 64 * 1024 * 1024

#: One answer of `read` ends after this many bytes (but holds at least one record).
_READ_BYTES = 16 * 1024 * 1024

_SELECT = "select position, stored_at, key, headers, value, crc from records "


class EmbeddedLog(EventLog):
    """A SQLite file as a log of one partition, 0.

    Any number of processes may read it, and more than one may write it (they take turns); offsets stay contiguous.

    Args:
        path: the file; beside it SQLite keeps ``-wal`` and ``-shm``.
        create: make the file when it is missing; otherwise `start` refuses.
        shared: other processes may write it too; it is written in fair turns then.
        max_record_bytes: limit of key + value + headers.
        queue_bytes: appends beyond this fail at once instead of filling the memory while the disk does not answer.
    """

    engine = "embedded"

    def __init__(
        self,
        path: Path,
        *,
        create: bool = True,
        shared: bool = True,
        max_record_bytes: int = MAX_RECORD_BYTES,
        queue_bytes: int = QUEUE_BYTES,
    ) -> None:
        self.path = path
        self._shared = shared
        self._create = create
        self._max_record_bytes = max_record_bytes
        self._queue_bytes = queue_bytes
        self._writer: Writer | None = None
        self._deadlines: Deadlines | None = None
        self._started = False
        self._opening: asyncio.Task[None] | None = None  # after a start that found nobody
        self._closing = False
        self._readers = ThreadPoolExecutor(max_workers=2, thread_name_prefix="eventlog-reader")
        self._local = threading.local()  # one reading connection per thread, and the file it is of
        self._file: tuple[int, int] | None = None  # what was read last, by whichever thread
        self._connections: list[sqlite3.Connection] = []
        self._changed = asyncio.Event()  # set when this object stored something
        self._counts = dict.fromkeys(
            ("appended", "append_unavailable", "append_unknown", "commits", "commit_failures"), 0
        )

    async def start(self) -> None:
        """See the contract; refuses a file that is missing, damaged, not ours, or on a drive without shared memory."""
        try:
            await self._open()
        except LogUnavailable:
            self._opening = asyncio.create_task(self._open_at_last(), name="eventlog-embedded-open")
            raise

    async def _open(self) -> None:
        await asyncio.get_running_loop().run_in_executor(
            self._readers, lambda: prepare(self.path, create=self._create)
        )
        self._started = True

    async def _open_at_last(self) -> None:
        """The disk was full, or another process held the file: again until it works."""
        while not self._started:
            await asyncio.sleep(_AGAIN_S)
            try:
                await self._open()
            except LogError as error:
                log.warning("eventlog.not_open", path=str(self.path), error=str(error))

    async def close(self) -> None:
        """See the contract; takes 5 s at most."""
        self._closing = True
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.gather(self._opening, return_exceptions=True)
        if self._writer is not None:
            await self._writer.close(5.0)
        self._readers.shutdown(wait=False, cancel_futures=True)
        self._changed.set()
        # No interrupt(): it would also interrupt what the last close does, moving the -wal file into the log.
        await asyncio.to_thread(self._close_connections)

    def _close_connections(self) -> None:
        self._readers.shutdown(wait=True)
        while self._connections:
            self._connections.pop().close()

    @property
    def place(self) -> str:
        """The path of the file."""
        return str(self.path)

    @property
    def available(self) -> bool:
        """Whether the log is open."""
        return self._started and not self._closing

    @property
    def damaged(self) -> bool:
        """Whether an append found the file itself broken. A spool can mend it; a log needs its backup."""
        return self._writer is not None and self._writer.damaged

    @property
    def counters(self) -> Mapping[str, int]:
        """appended, append_unavailable, append_unknown (appends, not records), commits, commit_failures."""
        return dict(self._counts)

    def submit(self, records: Sequence[Record], *, deadline_s: float) -> asyncio.Future[list[Position]]:
        """See the contract. One fsync for all calls that wait at the same moment."""
        if not self.available:
            self._counts["append_unavailable"] += 1
            raise LogUnavailable("the event log is not open")
        future: asyncio.Future[list[Position]] = asyncio.get_running_loop().create_future()
        if not records:
            future.set_result([])
            return future
        size = sum(check_records(records, self._max_record_bytes))
        if self._writer is None or self._deadlines is None:  # readers never have them
            turns = Turns(self.path) if self._shared else None
            self._writer = Writer(self.path, self._changed.set, self._counts, turns)
            self._deadlines = Deadlines()
        if self._writer.queued_bytes + size > self._queue_bytes:
            self._counts["append_unavailable"] += 1
            raise LogUnavailable("more waits for the disk than the queue holds; nothing was stored")
        now_ms = time.time_ns() // 1_000_000
        rows = [encode(record, now_ms) for record in records]
        job = Job(rows, size, time.monotonic() + deadline_s, future)
        self._deadlines.add(deadline_s, future, partial(_expire, self._writer, job))
        self._writer.submit(job)
        return future

    async def identity(self, *, max_age_s: float = 0.0) -> str:
        """See the contract: made with the file, and read anew each time."""
        del max_age_s
        return await self.run(identity_of)

    async def partitions(self) -> list[int]:
        """Always [0]."""
        return [0]

    async def bounds(self) -> dict[int, tuple[int, int]]:
        """See the contract."""
        return {0: await self.run(_bounds)}

    async def read(
        self, partition: int, offset: int, *, max_records: int, max_wait_s: float
    ) -> list[StoredRecord]:
        """See the contract. Sees what other processes append within 20 ms."""
        deadline = time.monotonic() + max_wait_s
        look_s = _FIRST_LOOK_S
        while True:
            self._changed.clear()
            found = await self.run(lambda connection: _read(connection, partition, offset, max_records))
            left_s = deadline - time.monotonic()
            if found or left_s <= 0 or self._closing:
                return found
            try:
                await asyncio.wait_for(self._changed.wait(), min(look_s, left_s))
            except TimeoutError:
                look_s = min(look_s * 1.5, _LAST_LOOK_S)

    async def read_at(self, partition: int, offset: int) -> StoredRecord | None:
        """See the contract."""
        if partition != 0 or offset < 0:
            return None
        return await self.run(lambda connection: _read_at(connection, offset))

    def subscribe(self, group: str) -> EmbeddedSubscription:
        """A member that always has partition 0: whoever owns the position (its epoch) makes the others stop."""
        return EmbeddedSubscription(self, group)

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run ``work`` in a reading thread; the spool, which is such a file too, has more to do than to read.

        Raises:
            LogUnavailable: for whatever SQLite says; its error is the ``__cause__``.
        """
        if not self.available:
            raise LogUnavailable("the event log is not open")
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._readers, self._with_connection, work
            )
        except sqlite3.Error as error:
            raise LogUnavailable(f"cannot read the event log {self.path}: {error}") from error
        except RuntimeError as error:  # the pool was shut down between the check and the call
            raise LogUnavailable("the event log is not open") from error

    def _with_connection(self, work: Callable[[sqlite3.Connection], T]) -> T:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        file = file_id(self.path)
        before, self._file = self._file, file
        if connection is not None and file != self._local.file:
            self._drop_connection(connection)
            connection = None
        if before not in (None, file):
            # Whoever reads on must first ask whether his position belongs to what lies there now.
            raise LogUnavailable(f"the event log {self.path} was replaced by another file")
        if connection is None:
            connection = self._local.connection = connect(self.path)
            self._local.file = file
            self._connections.append(connection)
        try:
            return work(connection)
        except sqlite3.Error:
            self._drop_connection(connection)
            raise

    def _drop_connection(self, connection: sqlite3.Connection) -> None:
        """A fresh one next time."""
        self._local.connection = None
        self._connections.remove(connection)
        connection.close()


def _expire(writer: Writer, job: Job) -> None:
    if job.future.done():
        return
    if writer.withdraw(job):
        writer.fail(job, LogUnavailable("the event log did not answer in time; nothing was stored"))
    else:
        writer.fail(job, AppendUnknown("no confirmation from the disk in time; the records may be stored"))


def _bounds(connection: sqlite3.Connection) -> tuple[int, int]:
    row = connection.execute(
        "select (select min(position) from records),"
        " coalesce((select seq from sqlite_sequence where name = 'records'), 0)"
    ).fetchone()
    following = int(row[1])
    return (int(row[0]) - 1 if row[0] is not None else following, following)


def _read(
    connection: sqlite3.Connection, partition: int, offset: int, max_records: int
) -> list[StoredRecord]:
    if partition != 0:
        raise PositionLost(partition, offset, 0, 0)
    found: list[StoredRecord] = []
    missing = False
    size = 0
    cursor = connection.execute(
        _SELECT + "where position > ? order by position limit ?", (offset, max_records)
    )
    for position, *row in cursor:
        if position != offset + 1 + len(found):
            missing = not found
            break
        try:
            found.append(decode(position, tuple(row)))
        except RecordCorrupt:
            if found:
                break  # give the good ones; the next read starts at the bad one
            raise
        size += sum(len(column) for column in row[1:4])
        if size >= _READ_BYTES:
            break
    cursor.close()
    if not found:
        first, following = _bounds(connection)
        if not first <= offset <= following:
            raise PositionLost(0, offset, first, following)
        if missing:
            raise RecordCorrupt(0, offset, "the row is missing")
    return found


def _read_at(connection: sqlite3.Connection, offset: int) -> StoredRecord | None:
    row = connection.execute(_SELECT + "where position = ?", (offset + 1,)).fetchone()
    return None if row is None else decode(row[0], row[1:])
