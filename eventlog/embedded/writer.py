"""The one thread that writes: group commit (design §2).

While a commit is under way, further appends gather; the next commit takes all of them. A commit costs the processors some
0.13 ms whatever it holds, a row 4 µs, and to wake the thread costs both threads more than a row: so appends are handed to
it together, when a turn of the event loop brought nothing more or a handful has come. A whole batch is one INSERT
statement: Python gives up its global lock once per statement, so the thread asks for it back once per batch and not
once per row. Beside a thread that never pauses that is the difference between 4 and 140 batches of 64 rows a second.
``sys.setswitchinterval(0.0005)`` helps where requests cost Python time: with about 0.1 ms each, 64 clients, medians of
five rounds on a noisy machine were 7.5k instead of 5.5k appends a second; with nothing else to do it gained nothing.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import Literal

import structlog

from eventlog.contract import AppendFailed, AppendUnknown, LogUnavailable, Position
from eventlog.embedded.file import connect, file_id, is_damaged, primary_code, stored_after
from eventlog.embedded.rows import Row, Value
from eventlog.embedded.turns import Turns
from eventlog.gathering import Gathering

log = structlog.get_logger(__name__)

#: Rows of one INSERT: five variables each, and older SQLite libraries allow 999.
_STATEMENT_ROWS = 190
_ROW_VALUES = 5
_STATEMENT_VALUES = _STATEMENT_ROWS * _ROW_VALUES
_COLUMNS = "insert into records (stored_at, key, headers, value, crc) values "
_INSERTS = ["", *(_COLUMNS + ",".join(["(?,?,?,?,?)"] * count) for count in range(1, _STATEMENT_ROWS + 1))]

#: A commit takes no more than this; the rest waits for the next one.
_BATCH_ROWS = 2000
_BATCH_BYTES = 8 * 1024 * 1024

#: So many appends are given to the thread although more come.
_HANDFUL = 48

#: How long SQLite waits for another writing process before deadlines are looked at again, seconds.
_BUSY_S = 0.2


class _State(Enum):
    WAITING = 1  # in the queue: may still be withdrawn
    TAKEN = 2  # in a transaction: may be stored
    WITHDRAWN = 3


class Job:
    """The rows of one append and the future that gets their positions (or an AppendFailed).

    ``columns``: what is in them, one row after the other.
    """

    __slots__ = ("columns", "count", "deadline", "future", "size", "state")

    def __init__(
        self, rows: Sequence[Row], size: int, deadline: float, future: asyncio.Future[list[Position]]
    ) -> None:
        self.columns: Sequence[Value] = rows[0] if len(rows) == 1 else [each for row in rows for each in row]
        self.count = len(rows)
        self.size = size
        self.deadline = deadline  # time.monotonic()
        self.future = future
        self.state = _State.WAITING


class Writer:
    """Owns the writing connection. Made and used on one event loop; `on_stored` is called there after each commit.

    ``counts`` is the owner's: what became of appends (not of their records, but for ``appended``) and commits.
    """

    def __init__(
        self, path: Path, on_stored: Callable[[], None], counts: dict[str, int], turns: Turns | None = None
    ) -> None:
        self._path = path
        self._turns = turns  # with other processes that write; None: there are none
        self._on_stored = on_stored
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[list[Job] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()  # guards Job.state
        self._gathered: list[Job] = []  # on the loop, not yet given to the thread
        self._gathering = Gathering(_HANDFUL, self._hand_over)
        self._held: deque[Job] = (
            deque()
        )  # in the thread; also what waits again: another process held the file
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None  # the open one
        self._ended = asyncio.Event()
        self._counts = counts
        #: Bytes that ever came (counted on the loop), and those that were stored or given up (in the thread).
        self._came = self._left = 0
        #: Whether a commit failed because the file itself is broken.
        self.damaged = False
        self._thread = threading.Thread(target=self._run, name=f"eventlog-writer {path.name}", daemon=True)
        self._thread.start()

    @property
    def queued_bytes(self) -> int:
        """What is held in memory, also of appends that nobody waits for any more."""
        return self._came - self._left

    def submit(self, job: Job) -> None:
        """Queue it; its future is resolved on the loop."""
        self._came += job.size
        self._gathered.append(job)
        self._gathering.came()
        self._gathering.soon()

    def _hand_over(self) -> None:
        """Give the thread what came: to wake it, and a commit, costs more than a row."""
        if self._gathered:
            self._queue.put(self._gathered)
            self._gathered = []

    def fail(self, job: Job, error: AppendFailed) -> None:
        """Answer it, once."""
        if not job.future.done():
            kind = "append_unknown" if isinstance(error, AppendUnknown) else "append_unavailable"
            self._counts[kind] += 1
            job.future.set_exception(error)

    def withdraw(self, job: Job) -> bool:
        """Whether the job was still waiting; then it will never be stored."""
        with self._lock:
            if job.state is _State.WAITING:
                job.state = _State.WITHDRAWN
            return job.state is _State.WITHDRAWN

    async def close(self, timeout_s: float) -> None:
        """Store what is queued, then end the thread; leaves it behind when the disk does not answer in time."""
        self._hand_over()
        self._queue.put(None)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), timeout_s)

    # --- in the thread ----------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while (batch := self._take()) is not None:
                try:
                    if batch:
                        self._store(batch)
                finally:
                    if self._turns is not None:
                        self._turns.give()
        finally:
            self._drop_connection()
            if self._turns is not None:
                self._turns.close()
            self._call(self._ended.set)

    def _take(self) -> list[Job] | None:
        """All that waits, up to the limits of a commit; blocks while nothing does. None at the end."""
        jobs: list[Job] = []
        rows = size = 0
        while rows < _BATCH_ROWS and size < _BATCH_BYTES:
            if self._held:
                job = self._held.popleft()
            else:
                try:
                    more = self._queue.get(block=not jobs)
                except queue.Empty:
                    break
                if more is None:
                    if not jobs:
                        return None
                    self._queue.put(None)  # again, after this batch
                    break
                self._held.extend(more)
                continue
            if not jobs and self._turns is not None:
                self._turns.take()  # what comes while we wait for it goes with this commit; deadlines go on
            jobs.append(job)
            rows += job.count
            size += job.size
        now = time.monotonic()
        with self._lock:
            batch = [
                job
                for job in jobs
                if job.state is _State.WAITING and job.deadline > now and not job.future.cancelled()
            ]
            for job in batch:
                job.state = _State.TAKEN
        if len(batch) < len(jobs):
            self._left += size - sum(job.size for job in batch)
        return batch  # the late ones were withdrawn, or are about to be, by their own timers

    def _store(self, batch: list[Job]) -> None:
        try:
            first = self._insert(batch)
        except sqlite3.Error as error:
            if primary_code(error) == sqlite3.SQLITE_BUSY:
                self._wait_again(batch)
                return
            self._left += sum(job.size for job in batch)
            self._failed(batch, error, stored_after(error))
        except Exception as error:  # the thread must outlive whatever happened
            log.exception("eventlog.writer_failed", path=str(self._path))
            self._left += sum(job.size for job in batch)
            self._failed(batch, error, "unknown")
        else:
            self._counts["commits"] += 1
            self._left += sum(job.size for job in batch)
            self._call(lambda: self._stored(batch, first - 1))

    def _insert(self, batch: list[Job]) -> int:
        """One transaction; the position of the first row."""
        connection = self._current_connection()
        columns: list[Value] = []
        for job in batch:
            columns += job.columns
        if len(columns) <= _STATEMENT_VALUES:
            return _insert_rows(connection, columns)
        connection.execute("begin immediate")
        try:
            first = _insert_rows(connection, columns[:_STATEMENT_VALUES])
            for start in range(_STATEMENT_VALUES, len(columns), _STATEMENT_VALUES):
                _insert_rows(connection, columns[start : start + _STATEMENT_VALUES])
            connection.execute("commit")
        except BaseException:
            with suppress(sqlite3.Error):
                if connection.in_transaction:
                    connection.execute("rollback")
            raise
        return first

    def _current_connection(self) -> sqlite3.Connection:
        """The open one, unless the file was moved away under us: what is written there would be lost."""
        file = file_id(self._path)
        if self._connection is None or file != self._file:
            self._drop_connection()
            self._connection = connect(self._path, busy_timeout_s=_BUSY_S)
            self._file = file
        return self._connection

    def _wait_again(self, batch: list[Job]) -> None:
        with self._lock:
            for job in batch:
                job.state = _State.WAITING
        self._held.extendleft(reversed(batch))

    def _failed(self, batch: list[Job], error: Exception, stored: Literal["no", "unknown"]) -> None:
        self._counts["commit_failures"] += 1
        self.damaged = self.damaged or is_damaged(error)
        log.error(
            "eventlog.write_failed", path=str(self._path), error=str(error), stored=stored, appends=len(batch)
        )
        # A fresh connection next time: this one may have a broken view of the file (disk full, gone, remounted).
        self._drop_connection()
        kind: type[AppendFailed] = LogUnavailable if stored == "no" else AppendUnknown
        text = f"cannot write the event log {self._path}: {error}"
        self._call(lambda: self._fail(batch, kind, text))

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def _call(self, function: Callable[[], object]) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(function)

    # --- on the loop ------------------------------------------------------------------------------------------

    def _fail(self, batch: list[Job], kind: type[AppendFailed], text: str) -> None:
        for job in batch:
            self.fail(
                job, kind(text)
            )  # an exception of its own: a shared one would gather everybody's traceback

    def _stored(self, batch: list[Job], offset: int) -> None:
        """Answer the appends; their rows lie one after the other from ``offset`` on."""
        stored = 0
        for job in batch:
            if not job.future.done():
                job.future.set_result([Position(0, offset + index) for index in range(job.count)])
                stored += job.count
            offset += job.count
        self._counts["appended"] += stored
        self._on_stored()


def _insert_rows(connection: sqlite3.Connection, columns: Sequence[Value]) -> int:
    """Position of the first of these rows; they lie one after the other."""
    count = len(columns) // _ROW_VALUES
    last = connection.execute(_INSERTS[count], columns).lastrowid
    assert last is not None
    return last - count + 1
