"""Waiting until everything accepted so far is visible in the read models."""

# ruff: noqa: S608 - names of schemas pass check_schema, names of tables and columns come from domain.rows

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import psycopg

from domain.printable import counted
from eventlog.contract import EventLog, LogUnavailable
from projector.database import Connection, connect, is_gone, within
from projector.errors import OtherLog
from projector.origin import beyond, difference, known_log
from projector.positions import live_build, offsets

_LOOK_S = 0.1

#: Even when the time is over, one question gets so many seconds: ``timeout`` 0 asks whether all is visible now.
_LEAST_S = 1.0


@dataclass(frozen=True, slots=True)
class Waited:
    """How a wait ended. ``missing`` says in words what was still due; empty when all is visible.

    ``in_vain``: a longer wait would not have helped, only a person can.
    """

    visible: bool
    seconds: float
    missing: str = ""
    in_vain: bool = False


@dataclass(frozen=True, slots=True)
class _Goal:
    """Where the log ended when the wait began, and which log that is."""

    ends: Mapping[int, int]
    identity: str
    place: str


async def wait_visible(
    event_log: EventLog,
    database_url: str,
    timeout: float,  # noqa: ASYNC109 - the answer says what was missing, which a cancelled wait could not
    *,
    spool_depth: Callable[[], Awaitable[int]] | None = None,
    tell: Callable[[str], object] = lambda _missing: None,
) -> Waited:
    """Wait until all that is in the spool and on the log now is in the live build and no group waits to be folded.

    ``spool_depth`` gives the number of records in the spool; they must be on the log before its end is looked at. It
    raises LogUnavailable while it cannot say.
    ``tell`` hears again and again what is still due. ``timeout`` in seconds. Log or database away counts as not visible;
    it never raises for that. A database that went silent (frozen, half-open) is given up at the end of the time-out, a
    few seconds later at the latest. Read models that were made from another log end it at once.
    """
    started = time.monotonic()
    conn: Connection | None = None
    goal: _Goal | None = None
    missing = "nothing was asked yet"
    try:
        while True:
            left = timeout - (time.monotonic() - started)
            try:
                if goal is None:
                    missing, goal = await _look(event_log, spool_depth)
                if goal is not None:
                    conn = conn or await connect(database_url, name="leadfold-wait")
                    missing, at = await within(max(left, _LEAST_S), _missing(conn, goal))
                    await _check_ends(event_log, at, goal.ends)
                    if not missing:
                        return Waited(True, time.monotonic() - started)
            except OtherLog as error:
                return Waited(False, time.monotonic() - started, str(error), in_vain=True)
            except LogUnavailable as error:
                missing = str(error)
            except (psycopg.Error, OSError) as error:
                if not is_gone(error):
                    raise
                if conn is not None:
                    await conn.close()
                conn, missing = None, "Postgres does not answer"
            left = timeout - (time.monotonic() - started)
            if left <= 0:
                return Waited(False, time.monotonic() - started, missing)
            tell(missing)
            await asyncio.sleep(min(_LOOK_S, left))
    finally:
        if conn is not None:
            await conn.close()


async def _look(
    event_log: EventLog, spool_depth: Callable[[], Awaitable[int]] | None
) -> tuple[str, _Goal | None]:
    """What is not on the log yet in words, or where the log ends once it holds everything."""
    depth = 0 if spool_depth is None else await spool_depth()
    if depth:
        return f"{counted(depth, 'record')} in the spool", None
    identity = await event_log.identity()
    ends = {p: following for p, (_, following) in (await event_log.bounds()).items()}
    return "", _Goal(ends, identity, event_log.place)


async def _missing(conn: Connection, goal: _Goal) -> tuple[str, dict[int, int]]:
    """What is due in words, empty when nothing is, and the positions as they were then. Raises OtherLog."""
    async with conn.transaction():
        # One snapshot: a batch between two questions may move the positions and make all groups dirty.
        await conn.execute("set transaction isolation level repeatable read read only")
        cursor = await conn.execute("select to_regclass('leadfold.build')")
        known = await cursor.fetchone()
        build = await live_build(conn) if known and known[0] else None
        if build is None:
            return "" if not any(goal.ends.values()) else "no live build: the projector has not run yet", {}
        wrong = difference(await known_log(conn, build.build_id), goal.identity, goal.place)
        if wrong is not None:
            raise OtherLog(wrong)
        at = await offsets(conn, build.build_id)
        behind = sum(max(0, end - at.get(partition, 0)) for partition, end in goal.ends.items())
        if behind:
            return f"{counted(behind, 'record is', 'records are')} not applied yet", at
        dirty = await any_dirty(conn, build.schema, build.fingerprint)
        return "groups wait to be folded" if dirty else "", at


async def _check_ends(event_log: EventLog, at: Mapping[int, int], ends: Mapping[int, int]) -> None:
    """Raise OtherLog when positions lie behind the end of the log: not only behind the end it had when we began."""
    if any(offset > ends.get(partition, offset) for partition, offset in at.items()):
        wrong = beyond(at, await event_log.bounds(), event_log.place)
        if wrong is not None:
            raise OtherLog(wrong)


async def any_dirty(conn: Connection, schema: str, fingerprint: int | None) -> bool:
    """Whether a group waits to be folded."""
    return await count_dirty(conn, schema, fingerprint, limit=1) > 0


async def count_dirty(conn: Connection, schema: str, fingerprint: int | None, *, limit: int) -> int:
    """Number of groups that wait to be folded, counted up to ``limit``. Cheap when there are none."""
    total = 0
    for where in ("is null", "< %s", "> %s"):
        if "%s" in where and fingerprint is None:
            continue
        values = (fingerprint,) if "%s" in where else ()
        cursor = await conn.execute(
            f"select count(*) from (select from {schema}.grp where fingerprint {where} limit %s) g",
            (*values, limit - total),
        )
        row = await cursor.fetchone()
        total += row[0] if row else 0
        if total >= limit:
            break
    return total
