"""A damaged file: what can still be read of it, row by row, and a new one in its place."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Final, Literal

from eventlog.contract import Record, RecordCorrupt, StoredRecord
from eventlog.embedded.file import connect, prepare
from eventlog.embedded.log import EmbeddedLog
from eventlog.embedded.rows import decode

#: Records copied in one transaction.
_BATCH = 500

_OPEN_END = 2**62

#: Where even the number of rows cannot be read, give up after this many unreadable ones in a row.
_GIVE_UP = 10_000

_ROW = "select position, stored_at, key, headers, value, crc from records where position = ?"


#: In the place of rows of which not even the number is known; perhaps there were none.
UNKNOWN: Final = "unknown"


def salvage(path: Path) -> Iterator[StoredRecord | Literal["unknown"] | None]:
    """The rows of the file in order, None for each that was there and is lost, UNKNOWN where nobody can count them.

    Rows of a page that SQLite cannot use at all are lost without being counted when its neighbours hide them.
    """
    try:
        connection = connect(path)
    except sqlite3.Error:
        yield UNKNOWN  # not even a database any more
        return
    with closing(connection):
        first, last = _range(connection)
        failures = 0  # in a row
        position = first
        while position <= last and failures < _GIVE_UP:
            try:
                row = connection.execute(_ROW, (position,)).fetchone()
            except sqlite3.Error:
                failures += 1
            else:
                yield from [None] * failures
                failures = 0
                if row is not None:
                    yield _decoded(row[0], row[1:])
                elif last == _OPEN_END:
                    return
            position += 1
        if last != _OPEN_END:
            yield from [None] * failures
        elif failures:
            yield UNKNOWN  # without a known end most of these never were


def _decoded(position: int, row: tuple[object, ...]) -> StoredRecord | None:
    try:
        return decode(position, row)
    except RecordCorrupt:
        return None


def _range(connection: sqlite3.Connection) -> tuple[int, int]:
    """First and last position, as well as they can be told; the last is open when nothing tells it."""
    answers = []
    for sql, default in (
        ("select position from records order by position limit 1", 1),
        ("select seq from sqlite_sequence where name = 'records'", None),
        ("select position from records order by position desc limit 1", None),
    ):
        try:
            row = connection.execute(sql).fetchone()
        except sqlite3.Error:
            row = None
        answers.append(row[0] if row is not None and isinstance(row[0], int) else default)
    first, *lasts = answers
    known = [last for last in lasts if last is not None]
    return first or 1, max(known) if known else _OPEN_END


def beside(path: Path, suffix: str) -> Path:
    """The file of that name with a suffix: ``spool.db`` and ``.lock`` give ``spool.db.lock``."""
    return path.with_name(path.name + suffix)


async def mend(path: Path, max_record_bytes: int) -> tuple[int, bool]:
    """Replace a damaged file by a new one with what can be read of it; how many rows were lost, and whether that is all.

    The damaged one stays beside it. A crash at any moment loses nothing: a copy that is not complete is thrown away,
    one that is complete is put in place by `finish_mending`.
    """
    copy = beside(path, ".mending")
    _remove(copy)
    lost, counted = 0, True
    fresh = EmbeddedLog(copy, shared=False, max_record_bytes=max_record_bytes)
    await fresh.start()
    try:
        rows = salvage(path)
        while found := await asyncio.to_thread(lambda: list(islice(rows, _BATCH))):
            readable: list[Record] = [stored.record for stored in found if isinstance(stored, StoredRecord)]
            lost += found.count(None)
            counted = counted and UNKNOWN not in found
            await fresh.append(readable, deadline_s=60)
    finally:
        await fresh.close()  # the last one to close moves the write-ahead log into the file
    copy.rename(beside(path, ".mended"))
    await asyncio.to_thread(finish_mending, path)
    return lost, counted


def finish_mending(path: Path) -> None:
    """Put a complete copy in the place of the damaged file; nothing to do is fine. Blocks."""
    _remove(beside(path, ".mending"))
    mended = beside(path, ".mended")
    if not mended.exists():
        return
    stamp = f".damaged-{int(time.time())}"
    for suffix in ("-shm", "-wal", ""):
        part = beside(path, suffix)
        if part.exists():
            part.rename(beside(path, stamp + suffix))
    mended.rename(path)
    prepare(path, create=False)


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        beside(path, suffix).unlink(missing_ok=True)
