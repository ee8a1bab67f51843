"""The SQLite file: its schema, how it is opened, and what its errors mean."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import time
from pathlib import Path
from typing import Literal
from uuid import uuid4

from eventlog.contract import LogRefused, LogUnavailable

APPLICATION_ID = 0x4C44464C  # "LDFL" in the header of the file: `file events.db` shows it
SCHEMA_VERSION = 1

#: Written to the write-ahead log before it is moved into the file: larger means rarer moves and a longer -wal file.
CHECKPOINT_PAGES = 4000

#: How long `prepare` waits for another process that holds the file, seconds.
_PREPARE_S = 3.0

_SCHEMA = f"""
begin immediate;
create table if not exists records (
    position  integer primary key autoincrement,  -- offset + 1; never used twice, even when rows were deleted
    stored_at integer not null,                   -- milliseconds since 1970, UTC
    key       blob not null,
    headers   blob not null,                      -- JSON: [[name, value], ...]
    value     blob not null,
    crc       integer not null                    -- CRC-32 of key, headers, value
);
pragma application_id = {APPLICATION_ID};
pragma user_version = {SCHEMA_VERSION};
commit;
"""

#: Beside the records what the file is; files of earlier versions get it when they are opened.
_META = """
begin immediate;
create table if not exists meta (name text primary key, value text not null) without rowid;
insert or ignore into meta values ('identity', '{identity}');
commit;
"""

_HELD = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)

#: After these surely nothing was stored: SQLite found out before it wrote the commit, or could not get that far.
_NOT_STORED = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_AUTH,
        sqlite3.SQLITE_TOOBIG,
    }
)


def prepare(path: Path, *, create: bool) -> None:
    """Check the file, making it (and its folder) first when ``create`` is set and it is missing.

    Raises:
        LogRefused: missing, unreadable, damaged, from another program, or from a newer Leadfold.
        LogUnavailable: held by another process for too long, the disk is full, read-only or fails.
    """
    if not path.exists():
        if not create:
            raise LogRefused(f"there is no event log at {path}")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            if is_passing(error):
                raise LogUnavailable(f"cannot make the folder of the event log {path}: {error}") from error
            raise LogRefused(f"cannot make the folder of the event log {path}: {error}") from error
    elif not path.is_file():
        raise LogRefused(f"the event log {path} is not a file")
    deadline = time.monotonic() + _PREPARE_S
    while not _prepared(path, create=create, last_try=time.monotonic() >= deadline):
        time.sleep(0.02)  # another process is making the same file: switching to WAL does not wait in line
    _sync_folder(path.parent)


def _prepared(path: Path, *, create: bool, last_try: bool) -> bool:
    try:
        with contextlib.closing(connect(path, create=create)) as connection:
            _check(connection, path, create=create)
    except sqlite3.Error as error:
        code = primary_code(error)
        if code in _HELD and not last_try:
            return False
        if code in (*_HELD, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR) or _read_only(path):
            raise LogUnavailable(f"the event log {path} does not answer: {error}") from error
        if code == sqlite3.SQLITE_NOTADB:
            raise LogRefused(f"{path} is not an event log: it is no SQLite file") from error
        raise LogRefused(f"cannot open the event log {path}: {error}") from error
    return True


def is_passing(error: OSError) -> bool:
    """Whether a disk that is full, read-only or broken now says so: an administrator mends that, other settings don't."""
    return error.errno in (errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO)


def _read_only(path: Path) -> bool:
    """Whether the file system was mounted, or turned, read-only; SQLite names only what it could not do there."""
    try:
        return bool(os.statvfs(path.parent).f_flag & os.ST_RDONLY)
    except OSError:
        return False


def _check(connection: sqlite3.Connection, path: Path, *, create: bool) -> None:
    # In one glance: another process may be making the schema right now.
    application, tables = connection.execute(
        "select application_id, (select count(*) from sqlite_master) from pragma_application_id"
    ).fetchone()
    if application != APPLICATION_ID and tables:
        raise LogRefused(f"{path} is a SQLite file of another program, not an event log")
    version = connection.execute("pragma user_version").fetchone()[0]
    if version > SCHEMA_VERSION:
        raise LogRefused(
            f"{path} was written by a newer Leadfold (format {version}); this one reads {SCHEMA_VERSION}"
        )
    if connection.execute("pragma journal_mode = wal").fetchone()[0] != "wal":
        raise LogRefused(
            f"{path} lies on a file system without shared memory (a network drive?): WAL is not possible"
        )
    if not tables:
        if not create:
            raise LogRefused(f"there is no event log in {path}: the file is empty")
        connection.executescript(_SCHEMA)
    _name(connection)
    # Both ends of the table and the newest record must be readable; the middle is checked as it is read.
    connection.execute("select min(position), max(position) from records").fetchone()
    connection.execute("select * from records order by position desc limit 1").fetchone()


def _name(connection: sqlite3.Connection) -> None:
    """Give the file an identity if it has none. On a disk that takes nothing it can still be read without."""
    if identity_of(connection):
        return
    try:
        connection.executescript(_META.format(identity=uuid4()))
    except sqlite3.Error as error:
        if connection.in_transaction:
            connection.execute("rollback")
        if primary_code(error) not in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
            raise


def identity_of(connection: sqlite3.Connection) -> str:
    """The identity of a file; empty while it has none. Raises sqlite3.Error."""
    if not connection.execute("select 1 from sqlite_master where name = 'meta'").fetchone():
        return ""
    row = connection.execute("select value from meta where name = 'identity'").fetchone()
    return f"embedded:{row[0]}" if row else ""


def connect(path: Path, *, create: bool = False, busy_timeout_s: float = 1.0) -> sqlite3.Connection:
    """A connection in autocommit, durable at every commit. Raises sqlite3.Error."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={'rwc' if create else 'rw'}",
        uri=True,
        timeout=busy_timeout_s,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=300,  # one per batch size, see writer.py
    )
    try:
        connection.execute("pragma synchronous = full")
        connection.execute(f"pragma wal_autocheckpoint = {CHECKPOINT_PAGES}")
    except BaseException:
        connection.close()
        raise
    return connection


def file_id(path: Path) -> tuple[int, int] | None:
    """Device and inode of the file, None when there is none: whether it is still the one that was opened."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def primary_code(error: sqlite3.Error) -> int:
    """SQLite's primary result code (SQLITE_FULL, SQLITE_IOERR …), 0 when it has none."""
    code = getattr(error, "sqlite_errorcode", None)
    return code & 0xFF if isinstance(code, int) else 0


def is_damaged(error: BaseException | None) -> bool:
    """Whether SQLite says that the file itself is broken."""
    return isinstance(error, sqlite3.Error) and primary_code(error) in (
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
    )


def stored_after(error: sqlite3.Error) -> Literal["no", "unknown"]:
    """Whether a write that failed so may have been stored nevertheless.

    A failed fsync is unknown: the commit may lie in the write-ahead log and be found after a crash.
    """
    return "no" if primary_code(error) in _NOT_STORED else "unknown"


def _sync_folder(folder: Path) -> None:
    """Make the name of a new file durable; some file systems cannot, and need not."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EROFS):
            raise LogRefused(f"cannot make {folder} durable: {error}") from error
    finally:
        os.close(descriptor)
