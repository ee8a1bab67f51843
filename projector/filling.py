"""Filling one build from the log: store all facts, fold each group once, make the indexes, catch up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import aclosing

from domain.rows import TABLES
from eventlog.contract import EventLog
from projector import builds_store, origin, positions
from projector.batch import Applier
from projector.builds_store import Build
from projector.database import Connection
from projector.positions import Held
from projector.reading import Stretch, batches
from projector.readmodel.tables import create_indexes
from projector.settings import Progress, ProjectorSettings
from projector.workers import Reopen, Workers, fold_here

#: Caught up: fewer records than this are left, the projector does the rest after the switch.
_SMALL_LAG = 200

#: Rounds of catching up before a log that grows faster than it is read is left to the projector.
_ROUNDS = 50

#: Fewer records than this are not worth a process that reads them.
_FEW = 5_000


class Filling:
    """One run of `projector.builds.fill`."""

    def __init__(
        self,
        event_log: EventLog,
        settings: ProjectorSettings,
        conn: Connection,
        build: Build,
        progress: Progress,
        workers: int = 1,
        reopen: Reopen | None = None,
    ) -> None:
        self._log = event_log
        self._settings = settings
        self._conn = conn
        self._build = build
        self._progress = progress
        self._workers = workers
        self._reopen = reopen
        self._applier = Applier(settings, strict=True)
        self._held: dict[int, Held] = {}

    async def run(self) -> None:
        """Store, fold, index, catch up."""
        conn, build_id = self._conn, self._build.build_id
        bounds = await self._log.bounds()
        await origin.check_log(conn, build_id, self._log)
        self._held = await positions.take(conn, build_id, sorted(bounds), self._settings.owner, polite_s=None)
        await self._begin_at({p: first for p, (first, _) in bounds.items() if first})
        await self._applier.adopt(conn, build_id)
        await self._applier.excuse(conn)
        ends = {p: following for p, (_, following) in bounds.items()}
        if self._workers > 1:
            async with Workers(self._settings, build_id, self._workers, self._reopen) as workers:
                await self._store_by(workers, ends)
                await self._analyze("fact", "ref", "grp")
                await workers.fold(conn, self._progress)
        else:
            await self._store(ends, "store")
            await self._analyze("fact", "ref", "grp")
        await fold_here(conn, self._settings, build_id, self._progress)
        self._progress("index", 0, None)
        await conn.execute(create_indexes(self._build.schema))
        await self._analyze(*TABLES)
        await self._catch_up()
        await positions.release(conn, build_id, self._held)
        await builds_store.mark(conn, build_id, "ready")

    async def go_on(self) -> None:
        """Catch up a build that was finished before, folded with today's settings and code."""
        conn, build_id = self._conn, self._build.build_id
        partitions = sorted(await self._log.bounds())
        await origin.check_log(conn, build_id, self._log)
        self._held = await positions.take(conn, build_id, partitions, self._settings.owner, polite_s=None)
        try:
            await origin.check_places(self._log, self._held)
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

    async def _store_by(self, workers: Workers, until: Mapping[int, int]) -> None:
        """`_store` in several processes, each far from the others on the log, so that they seldom meet in a group.

        The position moves when all of it is stored: a build that was left half-way is made anew, never gone on with.
        """
        stretches = list(self._stretches(until))
        total = sum(one.end - one.at for one in stretches)
        if self._reopen is None or total < _FEW:
            await self._store(until, "store")
            return
        pieces = list(_pieces(stretches, -(-total // self._workers)))
        steps = await workers.store(pieces, total, self._progress)
        whole = [
            positions.Advance(
                one.partition,
                one.at,
                one.end,
                self._held[one.partition].epoch,
                max(
                    (s.last_time for s in steps if s.partition == one.partition and s.last_time), default=None
                ),
                max(
                    (s.last_received for s in steps if s.partition == one.partition and s.last_received),
                    default=None,
                ),
                max((s.mark for s in steps if s.partition == one.partition and s.mark), default=None),
            )
            for one in stretches
        ]
        await positions.advance(self._conn, self._build.build_id, whole)
        self._held |= {step.partition: Held(step.next_offset, step.epoch) for step in whole}

    def _stretches(self, until: Mapping[int, int]) -> Iterable[Stretch]:
        for partition, end in sorted(until.items()):
            if partition in self._held and self._held[partition].next_offset < end:
                yield Stretch(partition, self._held[partition].next_offset, end)

    async def _store(self, until: Mapping[int, int], phase: str) -> None:
        """All records below ``until``, facts only."""
        stretches = list(self._stretches(until))
        total = sum(one.end - one.at for one in stretches)
        done = 0
        self._progress(phase, 0, total)
        for stretch in stretches:
            found = batches(
                self._log,
                self._applier,
                stretch,
                self._held[stretch.partition].epoch,
                size=self._settings.limits.bulk_records,
                known_before=self._build.known_before,
            )
            async with aclosing(found):
                async for batch in found:
                    await self._applier.apply(self._conn, self._build.build_id, batch, fold=False)
                    for step in batch.steps:
                        done += step.next_offset - step.floor
                        self._held[step.partition] = Held(step.next_offset, step.epoch)
                    self._progress(phase, done, total)

    async def _analyze(self, *tables: str) -> None:
        for table in tables:
            await self._conn.execute(f'analyze {self._build.schema}."{table}"')


def _pieces(stretches: Iterable[Stretch], most: int) -> Iterable[Stretch]:
    for one in stretches:
        for at in range(one.at, one.end, most):
            yield Stretch(one.partition, at, min(at + most, one.end))
