"""Processes that fill a build together: each reads a stretch of the log, then all fold the groups that wait."""

# ruff: noqa: S608 - names of schemas pass check_schema

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from multiprocessing import get_context, parent_process
from typing import Any, NamedTuple, Self, TypeVar

from eventlog.contract import EventLog, LogError
from projector import builds_store, garbage
from projector.batch import Applier, Batch
from projector.builds_store import Build
from projector.database import Connection, connect, retrying
from projector.errors import BuildError
from projector.positions import Advance
from projector.reading import Stretch, batches
from projector.refold import FoldOutcome
from projector.settings import Progress, ProjectorSettings

T = TypeVar("T")

#: Gives the log once more in another process, not started. Must be picklable.
Reopen = Callable[[], EventLog]

#: Seconds that a process works before it reports.
_REPORT_S = 1.0


class Workers:
    """The processes, for one build. Leaving it ends them after the piece of work at hand (about a second)."""

    def __init__(
        self, settings: ProjectorSettings, build_id: int, number: int, reopen: Reopen | None
    ) -> None:
        self._build_id = build_id
        self._number = number
        # spawn: a fork would copy this process's connections and event loop
        self._pool = ProcessPoolExecutor(
            number,
            mp_context=get_context("spawn"),
            initializer=_begin,
            initargs=(settings, build_id, reopen),
        )

    async def __aenter__(self) -> Self:
        """Nothing happens yet: processes start with their first work."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """End the processes; what was not begun is dropped."""
        await asyncio.to_thread(self._pool.shutdown, cancel_futures=True)

    async def store(self, pieces: Sequence[Stretch], total: int, progress: Progress) -> list[Advance]:
        """Store the facts of all pieces of the log; the steps made (positions are left alone).

        Raises what `reading.batches` and `Applier.apply` raise.
        """
        done = 0
        steps: list[Advance] = []
        progress("store", 0, total)

        async def lane(piece: Stretch) -> None:
            nonlocal done
            at = piece.at
            while at < piece.end:
                step = await self._ask(_store, replace(piece, at=at))
                steps.append(step)
                done += step.next_offset - at
                at = step.next_offset
                progress("store", done, total)

        turns = asyncio.Semaphore(self._number)

        async def in_turn(piece: Stretch) -> None:
            async with turns:
                await lane(piece)

        await _all(in_turn(piece) for piece in pieces)
        return steps

    async def fold(self, conn: Connection, progress: Progress) -> None:
        """Fold groups until hardly any wait; `fold_here` afterwards finds what is left. Raises FoldFailed."""
        total = await _waiting(conn, self._build_id)
        progress("fold", 0, total)
        done = 0

        async def lane() -> None:
            nonlocal done
            while groups := await self._ask(_fold, None):
                done += groups
                progress("fold", done, total)

        await _all(lane() for _ in range(self._number))

    async def _ask(self, work: Callable[[Any], T], what: object) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work, what)
        except BrokenProcessPool as error:
            raise BuildError("a process of the rebuild was ended from outside: start it again") from error


async def _all(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Everything at the same time; the first failure ends the rest and is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            for work in works:
                group.create_task(work)
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None


async def fold_here(conn: Connection, settings: ProjectorSettings, build_id: int, progress: Progress) -> None:
    """Fold every group that waits, in this process; nothing is skipped. Raises FoldFailed."""
    applier = Applier(settings, strict=True)
    await applier.excuse(conn)
    total = await _waiting(conn, build_id)
    done = 0
    progress("fold", 0, total)
    while groups := (await applier.refold_dirty(conn, build_id)).groups:
        done += groups
        progress("fold", done, total)


async def _waiting(conn: Connection, build_id: int) -> int:
    build = await builds_store.get(conn, build_id)
    cursor = await conn.execute(f"select count(*) from {build.schema}.grp where fingerprint is null")
    row = await cursor.fetchone()
    assert row is not None, "a count"
    return int(row[0])


# --- in a process of the pool ----------------------------------------------------------------------------------------

_process: Process | None = None


class Folded(NamedTuple):
    """What a process has folded."""

    groups: int = 0
    facts: int = 0
    changed: int = 0
    dead: int = 0


class Process:
    """One worker process: its event loop, its connection and its log live as long as it does.

    ``strict``: nothing is skipped that is no dead letter of the live build (a rebuild).
    """

    def __init__(
        self, settings: ProjectorSettings, build_id: int, reopen: Reopen | None, *, strict: bool = True
    ) -> None:
        self.settings = settings
        self.build_id = build_id
        self.reopen = reopen
        self.runner = asyncio.Runner()
        self.strict = strict
        self.applier = Applier(settings, strict=strict)
        self.conn: Connection | None = None
        self.log: EventLog | None = None
        self.reading: AsyncGenerator[Batch] | None = None
        self.reached: Stretch | None = None

    async def fold(self) -> Folded:
        """Fold for about a second."""
        conn = await self._connection()
        until = time.monotonic() + _REPORT_S
        done = FoldOutcome()
        while (one := await self._fold_some(conn)).groups:
            done.add(one)
            if time.monotonic() > until:
                break
        return Folded(done.groups, done.facts, done.changed, len(done.letters))

    async def _fold_some(self, conn: Connection) -> FoldOutcome:
        async for attempt in retrying():
            with attempt:
                return await self.applier.refold_dirty(conn, self.build_id)
        raise AssertionError("unreachable: the last attempt raises")

    async def store(self, stretch: Stretch) -> Advance:
        """Store the facts of a stretch from its beginning on, for about a second; how far."""
        conn = await self._connection()
        build = await builds_store.get(conn, self.build_id)
        try:
            if self.log is None:
                assert self.reopen is not None, "the caller has seen to it"
                opened = self.reopen()
                await opened.start()
                self.log = opened
            return await self._store(conn, self.log, build, stretch)
        except LogError as error:  # some of them cannot be sent to another process
            raise BuildError(f"the log could not be read on: {error}") from error

    async def _store(self, conn: Connection, log: EventLog, build: Build, stretch: Stretch) -> Advance:
        until = time.monotonic() + _REPORT_S
        step = Advance(stretch.partition, stretch.at, stretch.at, 0)
        async for batch in await self._reading(log, build, stretch):
            async for attempt in retrying():  # another process stored facts of the same groups
                with attempt:
                    await self.applier.apply(conn, self.build_id, replace(batch, steps=()), fold=False)
            (new,) = batch.steps
            step = replace(
                step,
                next_offset=new.next_offset,
                last_time=max(filter(None, (step.last_time, new.last_time)), default=None),
                last_received=max(filter(None, (step.last_received, new.last_received)), default=None),
                mark=new.mark or step.mark,
            )
            if time.monotonic() > until:
                break
        self.reached = replace(stretch, at=step.next_offset)
        return step

    async def _reading(self, log: EventLog, build: Build, stretch: Stretch) -> AsyncGenerator[Batch]:
        """The batches of a stretch; goes on where the last call stopped, with what is read ahead already."""
        if self.reading is None or self.reached != stretch:
            if self.reading is not None:
                await self.reading.aclose()
            size = self.settings.limits.bulk_records
            self.reading = batches(log, self.applier, stretch, 0, size=size, known_before=build.known_before)
        return self.reading

    async def _connection(self) -> Connection:
        if self.conn is None:
            name = "leadfold-rebuild" if self.strict else "leadfold-helper"
            self.conn = await connect(self.settings.database_url, name=name)
            if self.strict:
                await self.applier.excuse(self.conn)
        return self.conn


def _begin(settings: ProjectorSettings, build_id: int, reopen: Reopen | None) -> None:
    global _process  # noqa: PLW0603 - one per process, made by the pool's initializer
    threading.Thread(target=_end_with_parent, daemon=True).start()
    garbage.begin()
    _process = Process(settings, build_id, reopen)


def _end_with_parent() -> None:
    """Whoever waits for work from a process that was killed would wait for ever."""
    parent = parent_process()
    assert parent is not None, "a process of a pool"
    parent.join()
    os._exit(1)


def _run(work: Callable[[Process], Coroutine[Any, Any, T]]) -> T:
    assert _process is not None, "made by the initializer"
    garbage.between()
    return _process.runner.run(work(_process))


def _fold(_: object) -> int:
    return _run(Process.fold).groups


def _store(stretch: Stretch) -> Advance:
    return _run(lambda process: process.store(stretch))
