"""Builds: a new schema filled from the log beside the live one, compared, and put live (design §6).

Filling stores all facts first, in large batches, and folds each group once at the end; then it catches up with what
came in meanwhile. The live build and its projectors are not touched until the switch.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg
import structlog

from eventlog.contract import EventLog, RecordCorrupt
from eventlog.sealing import Undecodable
from projector import builds_store, positions
from projector.batch import Applier, Batch, Item, decode
from projector.builds_store import Build
from projector.compare import TableDifference, compare
from projector.database import Connection, connect
from projector.errors import BuildError, ProjectorStopped
from projector.facts import Arrival, Place
from projector.fold_workers import fold_all
from projector.positions import Held
from projector.readmodel.tables import create_indexes
from projector.settings import Progress, ProjectorSettings, no_progress

log = structlog.get_logger(__name__)

#: Caught up: fewer records than this are left, the projector does the rest after the switch.
_SMALL_LAG = 200

#: Rounds of catching up before a log that grows faster than it is read is left to the projector.
_ROUNDS = 50


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
    compared: bool = False,
    switched: bool = True,
    purpose: str = "rebuild",
    rules: dict[str, Any] | None = None,
    known_before: datetime | None = None,
) -> Rebuilt:
    """Fill a new build; on request compare it with the live one (this build is "here"); put it live.

    ``workers`` > 1 folds in so many processes. ``rules`` and ``known_before`` make a build for comparison, which is
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
        await _Filling(event_log, settings, conn, build, progress, workers=1).go_on()


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
    """Delete all builds that are not live but for the ``keep`` newest former ones; numbers of the deleted."""
    kept = 0
    dropped = []
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
        filling = _Filling(event_log, settings, conn, build, progress, workers)
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
        # a moment is left to those that have no position yet; one that lies ahead is from before a clock was set back
        " and b.created_at not between now() - interval '10 seconds' and now()"
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


class _Filling:
    """One run of `fill`."""

    def __init__(
        self,
        event_log: EventLog,
        settings: ProjectorSettings,
        conn: Connection,
        build: Build,
        progress: Progress,
        workers: int,
    ) -> None:
        self._log = event_log
        self._settings = settings
        self._conn = conn
        self._build = build
        self._progress = progress
        self._workers = workers
        self._applier = Applier(settings, strict=True)
        self._held: dict[int, Held] = {}

    async def run(self) -> None:
        """Store, fold, index, catch up."""
        conn, build_id = self._conn, self._build.build_id
        bounds = await self._log.bounds()
        self._held = await positions.take(conn, build_id, sorted(bounds), self._settings.owner, polite_s=None)
        await self._begin_at({p: first for p, (first, _) in bounds.items() if first})
        await self._applier.adopt(conn, build_id)
        await self._applier.excuse(conn)
        await self._store({p: following for p, (_, following) in bounds.items()}, "store")
        await self._analyze("fact", "ref", "grp")
        await fold_all(conn, self._settings, build_id, workers=self._workers, progress=self._progress)
        self._progress("index", 0, None)
        await conn.execute(create_indexes(self._build.schema))
        await self._analyze()
        await self._catch_up()
        await positions.release(conn, build_id, self._held)
        await builds_store.mark(conn, build_id, "ready")

    async def go_on(self) -> None:
        """Catch up a build that was finished before, folded with today's settings and code."""
        conn, build_id = self._conn, self._build.build_id
        partitions = sorted(await self._log.bounds())
        self._held = await positions.take(conn, build_id, partitions, self._settings.owner, polite_s=None)
        try:
            await self._applier.adopt(conn, build_id)
            await self._applier.excuse(conn)
            await self._fold_dirty()
            await self._catch_up()
        finally:
            await positions.release(conn, build_id, self._held)

    async def _fold_dirty(self) -> None:
        while (await self._applier.refold_dirty(self._conn, self._build.build_id)).groups:
            pass

    async def _catch_up(self) -> None:
        for _ in range(_ROUNDS):
            bounds = await self._log.bounds()
            left = sum(
                following - self._held[p].next_offset
                for p, (_, following) in bounds.items()
                if p in self._held
            )
            if left == 0:
                break
            await self._store({p: following for p, (_, following) in bounds.items()}, "catch up")
            await self._fold_dirty()
            if left <= _SMALL_LAG:
                break

    async def _begin_at(self, firsts: Mapping[int, int]) -> None:
        for partition, first in firsts.items():
            await self._conn.execute(
                'update leadfold.position set next_offset = %s where build_id = %s and "partition" = %s',
                (first, self._build.build_id, partition),
            )
            self._held[partition] = Held(first, self._held[partition].epoch)

    async def _store(self, until: Mapping[int, int], phase: str) -> None:
        """All records below ``until``, facts only; reading and decoding go on while Postgres works."""
        total = sum(end - self._held[p].next_offset for p, end in until.items() if p in self._held)
        done = 0
        self._progress(phase, 0, total)
        waiting: asyncio.Queue[Batch | None] = asyncio.Queue(maxsize=1)
        reader = asyncio.create_task(self._read_all(until, waiting))
        try:
            while (batch := await _next(waiting, reader)) is not None:
                await self._applier.apply(self._conn, self._build.build_id, batch, fold=False)
                for step in batch.steps:
                    done += step.next_offset - step.floor
                self._progress(phase, done, total)
        finally:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)

    async def _read_all(self, until: Mapping[int, int], waiting: asyncio.Queue[Batch | None]) -> None:
        for partition, end in sorted(until.items()):
            if partition in self._held:
                async for batch in self._read(partition, end):
                    await waiting.put(batch)
        await waiting.put(None)

    async def _read(self, partition: int, end: int) -> AsyncIterator[Batch]:
        size = self._settings.limits.bulk_records
        while (at := self._held[partition].next_offset) < end:
            try:
                records = await self._log.read(partition, at, max_records=min(size, end - at), max_wait_s=5.0)
            except RecordCorrupt as error:
                fault = Item(Place(partition, error.offset), Undecodable(error.reason, None))
                step = positions.Advance(partition, at, error.offset + 1, self._held[partition].epoch)
                batch = Batch((fault,), (step,))
            else:
                if not records:
                    raise BuildError(
                        f"partition {partition}: the log gives nothing at {at}, though it goes on to {end}"
                    )
                batch = decode({partition: records}, self._held)
            self._held[partition] = Held(batch.steps[0].next_offset, self._held[partition].epoch)
            self._check(batch)
            yield self._known(batch)

    def _check(self, batch: Batch) -> None:
        for item in batch.items:
            if isinstance(item.content, Undecodable) and not self._applier.excused(item.place):
                raise ProjectorStopped(
                    f"the record at partition {item.place.partition}, offset {item.place.offset} cannot be read:"
                    f" {item.content.reason}; the rebuild was given up, the live build is as it was"
                )

    def _known(self, batch: Batch) -> Batch:
        cut = self._build.known_before
        if cut is None:
            return batch
        kept = tuple(
            item
            for item in batch.items
            if not isinstance(item.content, Arrival) or item.content.event.received < cut
        )
        return Batch(kept, batch.steps)

    async def _analyze(self, *tables: str) -> None:
        from domain.rows import TABLES

        for table in tables or TABLES:
            await self._conn.execute(f'analyze {self._build.schema}."{table}"')


async def _next(waiting: asyncio.Queue[Batch | None], reader: asyncio.Task[None]) -> Batch | None:
    """The next batch; raises what the reader raised."""
    getting = asyncio.ensure_future(waiting.get())
    try:
        await asyncio.wait({getting, reader}, return_when=asyncio.FIRST_COMPLETED)
        if reader.done() and reader.exception() is not None:
            reader.result()
        return await getting
    finally:
        getting.cancel()
