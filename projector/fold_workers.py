"""Folding all dirty groups of a build, in this process or in several."""

# ruff: noqa: S608 - names of schemas pass check_schema, names of tables and columns come from domain.rows

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, parent_process

from projector.batch import Applier
from projector.database import Connection, connect
from projector.settings import Progress, ProjectorSettings, no_progress

#: Seconds that a process works before it reports.
_REPORT_S = 1.0


async def fold_all(
    conn: Connection,
    settings: ProjectorSettings,
    build_id: int,
    *,
    workers: int = 1,
    progress: Progress = no_progress,
) -> int:
    """Fold every dirty group; nothing is skipped. Number of groups folded. Raises FoldFailed."""
    cursor = await conn.execute("select schema_name from leadfold.build where build_id = %s", (build_id,))
    row = await cursor.fetchone()
    assert row is not None, "a build that is being filled"
    cursor = await conn.execute(f"select count(*) from {row[0]}.grp where fingerprint is null")
    counted = await cursor.fetchone()
    total = counted[0] if counted else None
    progress("fold", 0, total)
    if workers <= 1:
        return await _fold_here(conn, settings, build_id, total, progress)
    done = 0
    loop = asyncio.get_running_loop()
    # spawn: a fork would copy this process's connections and event loop
    with ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=_begin, initargs=(settings,)
    ) as pool:
        running = {loop.run_in_executor(pool, _work, build_id) for _ in range(workers)}
        try:
            while running:
                finished, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for one in finished:
                    if groups := one.result():
                        done += groups
                        running.add(loop.run_in_executor(pool, _work, build_id))
                progress("fold", done, total)
        finally:
            for one in running:
                one.cancel()
            await asyncio.gather(*running, return_exceptions=True)
    return done + await _fold_here(conn, settings, build_id, total, no_progress)


async def _fold_here(
    conn: Connection, settings: ProjectorSettings, build_id: int, total: int | None, progress: Progress
) -> int:
    applier = Applier(settings, strict=True)
    await applier.excuse(conn)
    done = 0
    while groups := (await applier.refold_dirty(conn, build_id)).groups:
        done += groups
        progress("fold", done, total)
    return done


# --- in a process of the pool ----------------------------------------------------------------------------------------

_process: _Process | None = None


class _Process:
    """One worker process: its event loop and its connection live as long as it does."""

    def __init__(self, settings: ProjectorSettings) -> None:
        self.settings = settings
        self.runner = asyncio.Runner()
        self.applier = Applier(settings, strict=True)
        self.conn: Connection | None = None

    async def work(self, build_id: int) -> int:
        """Fold for about a second; number of groups folded."""
        if self.conn is None:
            self.conn = await connect(self.settings.database_url, name="leadfold-rebuild")
            await self.applier.excuse(self.conn)
        until = time.monotonic() + _REPORT_S
        done = 0
        while groups := (await self.applier.refold_dirty(self.conn, build_id)).groups:
            done += groups
            if time.monotonic() > until:
                break
        return done


def _begin(settings: ProjectorSettings) -> None:
    threading.Thread(target=_follow_parent, name="follow-parent", daemon=True).start()
    global _process  # noqa: PLW0603 - one per process, made by the pool's initializer
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)  # histories are many objects without cycles
    _process = _Process(settings)


def _follow_parent() -> None:
    """End with the process that started us: a rebuild that was killed goes on filling nothing, and holds nothing."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(build_id: int) -> int:
    assert _process is not None, "made by the initializer"
    return _process.runner.run(_process.work(build_id))
