"""Waiting until everything accepted so far is visible in the read models."""

# ruff: noqa: S608 - names of schemas pass check_schema, names of tables and columns come from domain.rows

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import psycopg

from eventlog.contract import EventLog, LogUnavailable
from eventlog.identity import same_log
from projector.database import Connection, connect, is_gone, within
from projector.positions import live_build

_LOOK_S = 0.1

#: Even when the time is over, one question gets so many seconds: ``timeout`` 0 asks whether all is visible now.
_LEAST_S = 1.0


@dataclass(frozen=True, slots=True)
class Waited:
    """How a wait ended. ``missing`` says in words what was still due; empty when all is visible."""

    visible: bool
    seconds: float
    missing: str = ""


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
    ``tell`` hears again and again what is still due. ``timeout`` in seconds. Log or database away counts as not visible; it never raises for that. A database that went
    silent (frozen, half-open) is given up at the end of the time-out, a few seconds later at the latest.
    """
    started = time.monotonic()
    conn: Connection | None = None
    ends: dict[int, int] | None = None
    identity = ""
    missing = "nothing was asked yet"
    try:
        while True:
            left = timeout - (time.monotonic() - started)
            try:
                if ends is None:
                    missing = await _spooled(spool_depth)
                    if not missing:
                        identity = await event_log.identity()
                        ends = {p: following for p, (_, following) in (await event_log.bounds()).items()}
                if ends is not None:
                    conn = conn or await connect(database_url, name="leadfold-wait")
                    missing = await within(max(left, _LEAST_S), _missing(conn, ends, identity))
                    missing = missing or await _beyond(conn, event_log)
                    if not missing:
                        return Waited(True, time.monotonic() - started)
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


async def _spooled(spool_depth: Callable[[], Awaitable[int]] | None) -> str:
    depth = 0 if spool_depth is None else await spool_depth()
    return f"{depth} records in the spool" if depth else ""


async def _missing(conn: Connection, ends: dict[int, int], identity: str) -> str:
    async with conn.transaction():
        # One snapshot: a batch between two questions may move the positions and make all groups dirty.
        await conn.execute("set transaction isolation level repeatable read read only")
        return await _missing_now(conn, ends, identity)


async def _missing_now(conn: Connection, ends: dict[int, int], identity: str) -> str:
    cursor = await conn.execute("select to_regclass('leadfold.build')")
    known = await cursor.fetchone()
    build = await live_build(conn) if known and known[0] else None
    if build is None:
        return "" if not any(ends.values()) else "no live build: the projector has not run yet"
    # As JSON: before an updated projector has begun, the column is not there.
    cursor = await conn.execute(
        "select to_jsonb(b) ->> 'log' from leadfold.build b where build_id = %s", (build.build_id,)
    )
    row = await cursor.fetchone()
    if row and not same_log(row[0] or "", identity):
        return "the read models were made from another log"
    cursor = await conn.execute(
        'select "partition", next_offset from leadfold.position where build_id = %s', (build.build_id,)
    )
    at: dict[int, int] = dict(await cursor.fetchall())
    behind = sum(max(0, end - at.get(partition, 0)) for partition, end in ends.items())
    if behind:
        return f"{behind} records are not applied yet"
    return "groups wait to be folded" if await any_dirty(conn, build.schema, build.fingerprint) else ""


async def _beyond(conn: Connection, event_log: EventLog) -> str:
    """Positions behind the end of the log were made on another one. The log is asked last: it only grows."""
    at = await within(_LEAST_S * 5, _positions(conn))
    ends = await event_log.bounds()
    beyond = [p for p, offset in sorted(at.items()) if p in ends and offset > ends[p][1]]
    return f"the positions of partitions {beyond} lie behind the end of the log" if beyond else ""


async def _positions(conn: Connection) -> dict[int, int]:
    cursor = await conn.execute("select to_regclass('leadfold.build')")
    known = await cursor.fetchone()
    if not known or not known[0]:
        return {}
    cursor = await conn.execute(
        'select "partition", next_offset from leadfold.position join leadfold.build using (build_id)'
        " where state = 'live'"
    )
    return dict(await cursor.fetchall())


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
