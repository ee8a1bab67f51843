"""Rebuilds in several processes: the same tables, the same refusals, and nothing left of one that was killed."""

import asyncio
import sys
import time
from datetime import timedelta
from functools import partial
from pathlib import Path

import psutil
import psycopg
import pytest

from eventlog.embedded import EmbeddedLog
from eventlog.sealing import seal
from projector import filling, positions
from projector.builds import rebuild, sweep
from projector.database import connect
from projector.errors import ProjectorStopped
from projector.settings import Folding
from tests.projector import support
from tests.projector.support import call, live, opened, poison, project, put, query, settings, tables
from tests.projector.test_builds import refuses
from tests.support.postgres import LocalPostgres, fresh_database

pytestmark = pytest.mark.slow


@pytest.fixture
def reopen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "partial[EmbeddedLog]":
    """The log again; and every record is worth a process."""
    monkeypatch.setattr(filling, "_FEW", 1)
    return partial(EmbeddedLog, tmp_path / "events.db")


async def test_several_processes_make_the_same_tables(
    tmp_path: Path, database_url: str, reopen: "partial[EmbeddedLog]"
) -> None:
    given = settings(database_url, refold_groups=5, bulk_records=20)
    phases = []
    async with opened(tmp_path) as log:
        await put(log, support.history(60))
        await put(log, support.history(60)[::2])  # what comes twice is read by different processes
        await put(log, [poison(1, "p", 2)])
        await log.append([seal(call(3, "x", 1))._replace(value=b"{")], deadline_s=5)
        await project(log, given)
        before = tables(database_url)
        told = query(database_url, _STANDING, 1)
        result = await rebuild(
            log, given, workers=2, reopen=reopen, compared=True, progress=lambda *told: phases.append(told)
        )
        (end,) = {bound[1] for bound in (await log.bounds()).values()}
    assert all(one.same for one in result.differences)
    assert tables(database_url) == before
    assert query(database_url, _STANDING, 2) == told
    assert ("store", end, end) in phases
    letters = "select kind, count(*) from leadfold.deadletter where build_id = 2 group by 1 order by 1"
    assert query(database_url, letters) == [("fact", 1), ("record", 1)]


_STANDING = (
    'select "partition", next_offset, last_time, last_received from leadfold.position where build_id = %s'
)


async def test_a_cut_of_knowledge_holds_in_every_process(
    tmp_path: Path, database_url: str, reopen: "partial[EmbeddedLog]"
) -> None:
    given = settings(database_url)
    async with opened(tmp_path) as log:
        await put(log, [call(n, f"c{n}", n) for n in range(10)])
        cut = support.START + timedelta(minutes=4)
        result = await rebuild(log, given, workers=2, reopen=reopen, known_before=cut)
    assert query(database_url, f"select count(*) from {result.build.schema}.touch") == [(4,)]


async def test_a_failure_in_another_process_is_told_as_it_is(
    tmp_path: Path, database_url: str, reopen: "partial[EmbeddedLog]"
) -> None:
    given = settings(database_url)
    async with opened(tmp_path) as log:
        await put(log, [call(1, "a", 1)])
        await project(log, given)
        strict = settings(database_url, folding=Folding(refuses, "test-2"))
        with pytest.raises(ProjectorStopped, match="cannot be folded"):
            await rebuild(log, strict, workers=2, reopen=reopen)
        await log.append([seal(call(3, "x", 1))._replace(value=b"{")], deadline_s=5)
        with pytest.raises(ProjectorStopped, match="offset 1 cannot be read"):
            await rebuild(log, given, workers=2, reopen=reopen)
    states = query(database_url, "select state from leadfold.build order by build_id")
    assert states == [("live",), ("dropped",), ("dropped",)]


async def test_what_was_switched_to_outlives_a_kill_of_postgres(
    tmp_path: Path, postgres_server: LocalPostgres, reopen: "partial[EmbeddedLog]"
) -> None:
    with fresh_database(postgres_server.url) as url:
        given = settings(url, refold_groups=5, bulk_records=20)
        async with opened(tmp_path) as log:
            await put(log, support.history(60))
            await project(log, given)
            before = tables(url)
            await rebuild(log, given, workers=2, reopen=reopen)
            postgres_server.kill()
            postgres_server.start()
            assert live(url) == "build_0002"
            assert tables(url) == before
            assert query(url, _NOT_DURABLE) == []
            assert query(url, _STANDING, 2) == query(url, _STANDING, 1)
            await put(log, [call(900, "after", 1)])
            await project(log, given)
            assert query(url, "select count(*) from LIVE.fact") == [(len(before["fact"]) + 1,)]


#: Relations that a crash would empty, or indexes that it left unusable.
_NOT_DURABLE = (
    "select c.oid::regclass::text from pg_class c left join pg_index i on i.indexrelid = c.oid"
    " where c.relnamespace = 'build_0002'::regnamespace and (c.relpersistence <> 'p' or not coalesce(i.indisvalid, true))"
)


@pytest.mark.parametrize("phase", ["store", "fold"])
async def test_a_rebuild_that_was_killed_is_swept_and_made_again(
    tmp_path: Path, database_url: str, reopen: "partial[EmbeddedLog]", phase: str
) -> None:
    given = settings(database_url)
    async with opened(tmp_path) as log:
        await put(log, support.history(400))
        await project(log, given)
        before = tables(database_url)
        await _killed_in(phase, tmp_path, database_url)
        assert tables(database_url) == before
        with psycopg.connect(database_url, autocommit=True) as conn:
            conn.execute(
                "update leadfold.build set created_at = now() - interval '1 minute' where build_id = 2"
            )
        async with await connect(database_url) as conn:
            for _ in range(100):  # its session ends when the system has noticed
                if await sweep(conn) == [2]:
                    break
                await asyncio.sleep(0.1)
            assert (live := await positions.live_build(conn)) is not None
            assert live.build_id == 1
        assert query(database_url, "select to_regnamespace('build_0002')::text") == [(None,)]
        await rebuild(log, given, workers=2, reopen=reopen)
    assert tables(database_url) == before


_AT_WORK = "select count(*) from pg_stat_activity where application_name = 'leadfold-rebuild' and datname = current_database()"


def _reads(url: str) -> None:
    """Until there is a process that reads, beside the first one."""
    while query(url, _AT_WORK) < [(2,)]:
        time.sleep(0.01)


async def _killed_in(phase: str, tmp_path: Path, url: str) -> None:
    """Start a rebuild, kill -9 its first process when the phase has begun, and see the others go."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.projector.rebuilding", str(tmp_path / "events.db"), url,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            while not (await process.stdout.readline()).startswith(phase.encode()):
                pass
            if phase == "store":
                await asyncio.to_thread(_reads, url)
        assert process.returncode is None
    finally:
        others = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        await process.wait()
    _, alive = await asyncio.to_thread(psutil.wait_procs, others, timeout=20)
    assert alive == []
