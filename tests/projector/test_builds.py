"""Builds: rebuilt tables equal the live ones, readers keep reading, projectors follow the switch."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from structlog.testing import capture_logs

from domain.directory import Directory
from domain.event import Event
from domain.rows import Rows
from eventlog.sealing import seal
from projector import builds_store
from projector.builds import drop_old, fill, rebuild, rollback
from projector.compare import compare
from projector.database import connect
from projector.errors import BuildError, ProjectorStopped
from projector.settings import Folding
from tests.projector import support
from tests.projector.support import (
    call,
    opened,
    poison,
    project,
    put,
    query,
    running,
    settings,
    tables,
    visible,
)


async def test_a_rebuild_gives_the_tables_that_it_replaces(tmp_path: Path, database_url: str) -> None:
    given = settings(database_url, bulk_records=40)
    phases = []
    async with opened(tmp_path) as log:
        await put(log, support.history(60))
        await project(log, given)
        before = tables(database_url)
        result = await rebuild(
            log, given, compared=True, progress=lambda phase, done, total: phases.append((phase, done, total))
        )
    assert result.switched
    assert result.former == 1
    assert all(one.same for one in result.differences)
    assert tables(database_url) == before
    assert tables(database_url, "build_0001") == before
    assert {phase for phase, _, _ in phases} >= {"store", "fold", "index", "compare", "switch"}
    assert ("store", phases[0][2], phases[0][2]) in phases


async def test_the_projector_follows_the_switch_and_readers_see_no_gap(
    tmp_path: Path, database_url: str
) -> None:
    given = settings(database_url)
    counts: list[int] = []
    stop = asyncio.Event()

    async def read() -> None:
        async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as conn:
            while not stop.is_set():
                cursor = await conn.execute("select count(*) from analytics.touch")
                counts.extend(row[0] for row in await cursor.fetchall())
                await asyncio.sleep(0.002)

    with capture_logs() as told:
        async with opened(tmp_path) as log, running(log, given) as projector:
            await put(log, [call(n, f"c{n}", n) for n in range(50)])
            await visible(log, given)
            reader = asyncio.create_task(read())
            for round_ in range(2):
                await rebuild(log, given)
                await put(log, [call(n, f"d{round_}-{n}", n) for n in range(10)])
                await visible(log, given)
            stop.set()
            await reader
            assert projector.status().build_id == 3
    assert [(line["build"], line["former"]) for line in told if line["event"] == "projector.switched"] == [
        (2, 1),
        (3, 2),
    ]
    assert not [line for line in told if line["log_level"] in ("warning", "error")]
    assert counts
    assert counts == sorted(counts)
    assert counts[0] == 50
    assert query(database_url, "select count(*) from analytics.touch") == [(70,)]


async def test_rollback_and_dropping(tmp_path: Path, database_url: str) -> None:
    given = settings(database_url)
    async with opened(tmp_path) as log:
        await put(log, [call(1, "a", 1)])
        await project(log, given)
        await rebuild(log, given)
        await put(log, [call(2, "b", 1)])
        await project(log, given)
        async with await connect(database_url) as conn:
            assert await rollback(conn, given) == 1
            assert query(database_url, "select count(*) from analytics.touch") == [(1,)]
            await project(log, given)
            assert query(database_url, "select count(*) from analytics.touch") == [(2,)]
            with pytest.raises(BuildError, match="live"):
                await builds_store.drop(conn, 1)
            assert await drop_old(conn) == [2]
            with pytest.raises(BuildError, match="no former"):
                await rollback(conn, given)
    assert query(database_url, "select to_regnamespace('build_0002')::text") == [(None,)]


async def test_compare_says_what_would_change(tmp_path: Path, database_url: str) -> None:
    given = settings(database_url)
    async with opened(tmp_path) as log:
        await put(log, [call(1, "a", 1), call(2, "b", 1)])
        await project(log, given)
        newer = settings(database_url, folding=Folding(renamed, "test-2"))
        result = await rebuild(log, newer, compared=True, switched=False)
    found = {one.table: one for one in result.differences}
    assert (found["client"].different, found["client"].only_here, found["client"].only_there) == (2, 0, 0)
    assert found["client"].samples[0].here == {"name": "новый"}
    assert found["client"].samples[0].there == {"name": "сотрудников: 0"}
    assert found["touch"].only_there == 2
    assert not result.switched
    assert query(database_url, "select build_id, state from leadfold.build order by 1") == [
        (1, "live"),
        (2, "ready"),
    ]


def renamed(events: Sequence[Event], directory: Directory) -> Rows:
    rows = support.rewritten(support.fold(events, directory), "client", name="новый")
    return {"client": rows["client"]}


async def test_a_build_as_known_at_a_moment_is_never_put_live(tmp_path: Path, database_url: str) -> None:
    given = settings(database_url)
    async with opened(tmp_path) as log:
        await put(log, [call(n, f"c{n}", n) for n in range(10)])
        await project(log, given)
        result = await rebuild(log, given, known_before=support.START + timedelta(minutes=4))
        assert not result.switched
        assert query(database_url, f"select count(*) from {result.build.schema}.touch") == [(4,)]
        async with await connect(database_url) as conn:
            with pytest.raises(BuildError, match="comparison"):
                await builds_store.switch(conn, given, result.build.build_id)


async def test_an_error_stops_the_rebuild_and_leaves_nothing(tmp_path: Path, database_url: str) -> None:
    given = settings(database_url)
    async with opened(tmp_path) as log:
        await put(log, [call(1, "a", 1)])
        await project(log, given)
        strict = settings(database_url, folding=Folding(refuses, "test-2"))
        with pytest.raises(ProjectorStopped, match="cannot be folded"):
            await rebuild(log, strict)
        assert query(database_url, "select build_id, state from leadfold.build order by 1") == [
            (1, "live"),
            (2, "dropped"),
        ]
        assert query(database_url, "select to_regnamespace('build_0002')::text") == [(None,)]
        await rebuild(log, given)
    assert query(database_url, "select build_id, state from leadfold.build where state = 'live'") == [
        (3, "live")
    ]


def refuses(events: Sequence[Event], directory: Directory) -> Rows:
    raise ValueError("no")


async def test_known_dead_letters_do_not_stop_a_rebuild(tmp_path: Path, database_url: str) -> None:
    given = settings(database_url)
    async with opened(tmp_path) as log:
        await put(log, [call(1, "a", 1), poison(1, "p", 2), call(2, "b", 1)])
        await log.append([seal(call(3, "x", 1))._replace(value=b"{")], deadline_s=5)
        await project(log, given)
        before = tables(database_url)
        result = await rebuild(log, given, compared=True)
        assert result.switched
        assert tables(database_url) == before
        kinds = query(
            database_url,
            "select kind, count(*) from leadfold.deadletter where build_id = 2 group by 1 order by 1",
        )
        assert kinds == [("fact", 1), ("record", 1)]


async def test_a_cancelled_rebuild_can_be_repeated(tmp_path: Path, database_url: str) -> None:
    given = settings(database_url, bulk_records=10)
    async with opened(tmp_path) as log:
        await put(log, support.history(40))
        await project(log, given)
        before = tables(database_url)
        reached = asyncio.Event()

        def progress(phase: str, done: int, total: int | None) -> None:
            if phase == "store" and done:
                reached.set()

        task = asyncio.create_task(fill(log, given, progress=progress))
        await asyncio.wait_for(reached.wait(), 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert query(database_url, "select state from leadfold.build where build_id = 2") == [("dropped",)]
        await rebuild(log, given)
    assert tables(database_url) == before


async def test_two_builds_of_one_log_are_equal(tmp_path: Path, database_url: str) -> None:
    given = settings(database_url)
    async with opened(tmp_path) as log:
        await put(log, support.history(20))
        await project(log, given)
        one, two = await fill(log, given), await fill(log, given)
        async with await connect(database_url, scans=True) as conn:
            assert all(t.same for t in await compare(conn, one.schema, two.schema))
