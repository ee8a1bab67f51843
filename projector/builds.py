"""Builds: a new schema filled from the log beside the live one, compared, and put live (design §6).

Filling stores all facts first, in large batches, and folds each group once at the end; then it catches up with what
came in meanwhile. The live build and its projectors are not touched until the switch.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg
import structlog

from eventlog.contract import EventLog
from projector import builds_store, positions
from projector.builds_store import Build
from projector.compare import TableDifference, compare
from projector.database import Connection, connect
from projector.errors import BuildError
from projector.filling import Filling
from projector.settings import Progress, ProjectorSettings, no_progress
from projector.workers import Reopen

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """A finished rebuild. ``former`` is the build that was live, None when nothing was switched."""

    build: Build
    differences: list[TableDifference] = field(default_factory=list)
    switched: bool = False
    former: int | None = None


async def rebuild(
    event_log: EventLog,
    settings: ProjectorSettings,
    *,
    progress: Progress = no_progress,
    workers: int = 1,
    reopen: Reopen | None = None,
    compared: bool = False,
    switched: bool = True,
    purpose: str = "rebuild",
    rules: dict[str, Any] | None = None,
    known_before: datetime | None = None,
) -> Rebuilt:
    """Fill a new build; on request compare it with the live one (this build is "here"); put it live.

    ``workers`` > 1 folds in so many processes; with ``reopen`` (picklable, gives the same log once more) they also
    read the log and store its facts. ``rules`` and ``known_before`` make a build for comparison, which is
    never put live. Cancelling it, or any error, leaves the live build as it is and removes what was begun.

    Raises:
        ProjectorStopped, BuildError: a record or group failed that is no dead letter of the live build.
    """
    for_comparison = rules is not None or known_before is not None
    build = await fill(
        event_log,
        settings,
        progress=progress,
        workers=workers,
        reopen=reopen,
        purpose=purpose,
        rules=rules,
        known_before=known_before,
    )
    conn = await connect(settings.database_url, name="leadfold-rebuild", scans=True)
    async with conn:
        live = await positions.live_build(conn)
        differences = []
        if compared and live is not None:
            progress("compare", 0, None)
            differences = await compare(conn, build.schema, live.schema)
        if not switched or for_comparison:
            return Rebuilt(build, differences)
        progress("switch", 0, None)
        former = await switch(conn, settings, build.build_id)
        return Rebuilt(
            await builds_store.get(conn, build.build_id), differences, switched=True, former=former
        )


async def switch(conn: Connection, settings: ProjectorSettings, build_id: int) -> int | None:
    """`builds_store.switch`, tried again while long queries of readers hold the views."""
    for attempt in range(6):
        try:
            return await builds_store.switch(conn, settings, build_id)
        except psycopg.errors.LockNotAvailable:
            log.warning("projector.switch_waits", attempt=attempt + 1)
    raise BuildError("readers hold the views for more than a minute: end their queries and switch again")


async def catch_up(
    event_log: EventLog, settings: ProjectorSettings, build_id: int, *, progress: Progress = no_progress
) -> None:
    """Bring a finished build that is not live to the end of the log, so that a switch to it loses no time.

    Raises:
        BuildError: it is not finished, is live already, or is for comparison only. ProjectorStopped: as `rebuild`; what
            was caught up until then stays.
    """
    conn = await connect(settings.database_url, name="leadfold-rebuild")
    async with conn:
        build = await builds_store.get(conn, build_id)
        builds_store.check_switchable(build)
        await Filling(event_log, settings, conn, build, progress).go_on()


async def rollback(conn: Connection, settings: ProjectorSettings) -> int:
    """Put the build live again that was live before; its number. It then catches up from its own positions.

    Raises:
        BuildError: there is none.
    """
    cursor = await conn.execute(
        "select build_id from leadfold.build where state = 'old' order by retired_at desc nulls last limit 1"
    )
    row = await cursor.fetchone()
    if row is None:
        raise BuildError("there is no former build to go back to")
    await switch(conn, settings, row[0])
    return int(row[0])


async def drop_old(conn: Connection, *, keep: int = 0) -> list[int]:
    """Delete all builds that are not live but for the ``keep`` newest former ones; numbers of the deleted.

    One that is being filled stays, unless whoever filled it is gone.
    """
    kept = 0
    dropped = await sweep(conn)
    for build in await builds_store.listing(conn):
        if build.state == "old" and kept < keep:
            kept += 1
        elif build.state in {"old", "ready", "failed"}:
            await builds_store.drop(conn, build.build_id)
            dropped.append(build.build_id)
    return dropped


async def fill(
    event_log: EventLog,
    settings: ProjectorSettings,
    *,
    progress: Progress = no_progress,
    workers: int = 1,
    reopen: Reopen | None = None,
    purpose: str = "rebuild",
    rules: dict[str, Any] | None = None,
    known_before: datetime | None = None,
) -> Build:
    """A new build with everything that is on the log now, in state ``ready``. See `rebuild`."""
    conn = await connect(settings.database_url, name="leadfold-rebuild")
    async with conn:
        await builds_store.prepare(conn, settings)
        await sweep(conn)
        build = await builds_store.create(
            conn, settings, purpose=purpose, rules=rules, known_before=known_before
        )
        filling = Filling(event_log, settings, conn, build, progress, workers, reopen)
        try:
            await filling.run()
        except BaseException as error:
            log.warning("projector.build_failed", build=build.build_id, error=type(error).__name__)
            await asyncio.shield(_discard(settings, build.build_id, str(error) or type(error).__name__))
            raise
        return await builds_store.get(conn, build.build_id)


async def sweep(conn: Connection) -> list[int]:
    """Remove builds that were being filled by a process that is gone; their numbers."""
    cursor = await conn.execute(
        "select b.build_id from leadfold.build b where b.state = 'filling' and not exists ("
        " select from leadfold.position p join pg_stat_activity a on a.pid = p.backend where p.build_id = b.build_id)"
        # a moment is left to those that nobody holds yet; one that lies ahead is from before a clock was set back
        " and (exists (select from leadfold.position p where p.build_id = b.build_id and p.backend is not null)"
        "  or b.created_at not between now() - interval '10 seconds' and now())"
    )
    gone = [row[0] for row in await cursor.fetchall()]
    for build_id in gone:
        await builds_store.mark(conn, build_id, "failed", "its process ended")
        await builds_store.drop(conn, build_id)
    return gone


async def _discard(settings: ProjectorSettings, build_id: int, note: str) -> None:
    with contextlib.suppress(psycopg.Error, OSError):  # a later sweep does it, then
        conn = await connect(settings.database_url, name="leadfold-rebuild")
        async with conn:
            await builds_store.mark(conn, build_id, "failed", note[:500])
            await builds_store.drop(conn, build_id)
