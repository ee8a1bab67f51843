"""Owners come and go, Postgres comes and goes, records are poisoned: every fact is in the tables exactly once."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from structlog.testing import capture_logs

from domain.directory import Directory
from domain.event import Event
from domain.rows import Rows
from eventlog.contract import Record
from eventlog.sealing import seal
from projector import positions
from projector.batch import Applier
from projector.builds_store import get as get_build
from projector.builds_store import prepare
from projector.database import connect
from projector.deadletters import listing, retry
from projector.errors import Fenced, Standby, TooManyDeadLetters
from projector.readmodel.live import live_schema
from projector.run import Projector
from projector.settings import Folding
from projector.status import projection_status
from projector.wait import wait_visible
from tests.projector import support
from tests.projector.support import (
    call,
    decode,
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
from tests.support.postgres import LocalPostgres, with_database
from tests.support.proxy import before_postgres


async def test_a_zombie_changes_nothing(tmp_path: Path, database_url: str) -> None:
    given = settings(database_url)
    async with (
        opened(tmp_path) as log,
        await connect(database_url) as conn,
        await connect(database_url) as other,
    ):
        await put(log, [call(n, f"c{n}", n) for n in range(5)])
        await prepare(conn, given)
        mine = await positions.take(conn, 1, [0], "zombie", polite_s=None)
        theirs = await positions.take(other, 1, [0], "new owner", polite_s=None)
        records = {0: await log.read(0, 0, max_records=10, max_wait_s=1)}
        with pytest.raises(Fenced):
            await Applier(given).apply(conn, 1, decode(records, mine))
        assert query(database_url, "select count(*) from LIVE.fact") == [(0,)]
        await Applier(given).apply(other, 1, decode(records, theirs))
        with pytest.raises(Fenced):  # our own step twice: the floor has moved
            await Applier(given).apply(other, 1, decode(records, theirs))
    assert query(database_url, "select count(*) from LIVE.fact") == [(5,)]


async def test_a_schema_that_is_no_name_of_ours_gets_into_no_statement(
    tmp_path: Path, database_url: str
) -> None:
    """Names of schemas come out of the database and stand in the text of statements."""
    async with opened(tmp_path) as log, await connect(database_url) as conn:
        await project(log, settings(database_url))
        await conn.execute("update leadfold.build set schema_name = 'build_0001.fact; drop table x --'")
        for reading in (positions.live_build(conn), get_build(conn, 1), live_schema(conn)):
            with pytest.raises(ValueError, match="not the schema of a build"):
                await reading


async def test_a_frozen_owner_inside_a_transaction_is_cut_off(tmp_path: Path, database_url: str) -> None:
    given = settings(database_url)
    async with await connect(database_url) as conn, await connect(database_url) as frozen:
        await prepare(conn, given)
        held = await positions.take(frozen, 1, [0], "frozen", polite_s=None)
        await frozen.execute("begin")
        await positions.advance(frozen, 1, [positions.Advance(0, 0, 7, held[0].epoch)])
        taken = await positions.take(conn, 1, [0], "new", polite_s=None)
        assert taken[0].next_offset == 0
        assert taken[0].epoch > held[0].epoch
        with pytest.raises(psycopg.OperationalError):
            await frozen.execute("select 1")


async def test_on_the_embedded_log_a_second_projector_waits_for_its_turn(
    tmp_path: Path, database_url: str
) -> None:
    one, two = settings(database_url, owner="one"), settings(database_url, owner="two")
    async with opened(tmp_path) as log:
        async with running(log, one) as first:
            await put(log, [call(1, "a", 1)])
            await visible(log, one)
            async with running(log, two) as second:
                for _ in range(50):
                    if second.status().standby:
                        break
                    await asyncio.sleep(0.05)
                assert second.status().standby
                assert first.status().counters["projector_fenced_total"] == 0
                first_stop = query(database_url, "select owner from leadfold.position")
                assert first_stop == [("one",)]
        await put(log, [call(2, "b", 1)])
        await project(log, two)
    assert query(database_url, "select count(*) from LIVE.fact") == [(2,)]


async def test_a_dead_or_silent_owner_is_followed_at_once(tmp_path: Path, database_url: str) -> None:
    given = settings(database_url)
    async with await connect(database_url) as conn:
        await prepare(conn, given)
        gone = await connect(database_url)
        await positions.take(gone, 1, [0], "gone", polite_s=10)
        with pytest.raises(Standby):
            await positions.take(conn, 1, [0], "new", polite_s=10)
        await gone.close()
        epochs: list[int] = []
        for _ in range(50):
            try:
                epochs.append((await positions.take(conn, 1, [0], "new", polite_s=10))[0].epoch)
                break
            except Standby:
                await asyncio.sleep(0.05)
        assert epochs == [2]


async def test_a_silent_owner_is_followed_though_the_clock_went_back(database_url: str) -> None:
    """By the clock its last sign of life comes only in five hours: that is no lease until then."""
    given = settings(database_url)
    async with await connect(database_url) as conn, await connect(database_url) as silent:
        await prepare(conn, given)
        await positions.take(silent, 1, [0], "silent", polite_s=10)
        query(database_url, "update leadfold.position set seen_at = now() + interval '5 hours'")
        found = await projection_status(conn, None)
        assert not found.owned
        assert (await positions.take(conn, 1, [0], "new", polite_s=10))[0].epoch == 2
        assert (await projection_status(conn, None)).owned


async def test_a_lowered_position_doubles_nothing(tmp_path: Path, database_url: str) -> None:
    given = settings(database_url)
    async with opened(tmp_path) as log:
        await put(log, support.history(10))
        await project(log, given)
        expected = tables(database_url)
        with capture_logs() as told:
            async with running(log, given) as projector:
                for _ in range(500):
                    if projector.status().held:  # before, it would begin at the lower one
                        break
                    await asyncio.sleep(0.02)
                query(database_url, "update leadfold.position set next_offset = 3")
                await put(log, support.history(10)[-3:])
                await visible(log, given)
    assert tables(database_url) == expected
    assert [line["event"] for line in told if line["log_level"] == "warning"] == ["projector.fenced"]


async def test_a_record_that_cannot_be_read_is_put_aside(tmp_path: Path, database_url: str) -> None:
    given = settings(database_url)
    broken = Record(b"k", b"{not json", seal(call(9, "x", 1)).headers)
    async with opened(tmp_path) as log:
        await put(log, [call(1, "a", 1)])
        await log.append([broken], deadline_s=5)
        await put(log, [call(2, "b", 1)])
        await project(log, given)
        assert query(database_url, "select count(*) from LIVE.fact") == [(2,)]
        assert query(
            database_url, 'select kind, "partition", "offset", event_id from leadfold.deadletter'
        ) == [("record", 0, 1, call(9, "x", 1).id)]
        async with await connect(database_url) as conn:
            after = await retry(log, conn, given)
            assert [(one.attempts, one.resolved_at) for one in after] == [(2, None)]
            status = await projection_status(conn, log)
    assert (status.dead_letters, status.lag_records, status.lag_seconds) == (1, 0, 0.0)


async def test_a_fact_that_cannot_be_folded_is_left_out_and_can_be_tried_again(
    tmp_path: Path, database_url: str
) -> None:
    given = settings(database_url)
    async with opened(tmp_path) as log:
        await put(log, [call(1, "a", 1)])
        await project(log, given)
        await put(log, [poison(1, "p", 2), call(1, "a", 3, end=True), call(2, "b", 4)])
        await project(log, given)
        assert query(database_url, "select count(*) from LIVE.touch") == [(3,)]
        assert query(database_url, "select count(*) from LIVE.fact where dead") == [(1,)]
        ((kind, reason),) = query(database_url, "select kind, reason from leadfold.deadletter")
        assert kind == "fact"
        assert "poison" not in reason
        async with await connect(database_url) as conn:
            (still,) = await retry(log, conn, given)
            assert (still.attempts, still.resolved_at) == (2, None)
            mended = settings(database_url, folding=Folding(patient, "test-1"))
            (after,) = await retry(log, conn, mended)
            assert after.resolved_at is not None
            assert await listing(conn) == []
    assert query(database_url, "select count(*) from LIVE.touch") == [(4,)]
    assert query(database_url, "select count(*) from LIVE.fact where dead") == [(0,)]


def patient(events: Sequence[Event], directory: Directory) -> Rows:
    """The fold after the mend: nothing is poison."""
    return support.fold(
        [e if not getattr(e.data, "call_id", "").startswith("poison") else _mended(e) for e in events],
        directory,
    )


def _mended(event: Event) -> Event:
    return replace(event, data=event.data.model_copy(update={"call_id": "mended"}))


async def test_a_group_that_new_code_cannot_fold_keeps_its_rows(tmp_path: Path, database_url: str) -> None:
    async with opened(tmp_path) as log:
        await put(log, [call(1, "a", 1), call(2, "b", 1)])
        await project(log, settings(database_url))
        newer = settings(database_url, folding=Folding(refuses_two, "test-2"))
        async with running(log, newer):
            await visible(log, newer)
            for _ in range(100):
                if query(database_url, "select kind from leadfold.deadletter"):
                    break
                await asyncio.sleep(0.05)
            await visible(log, newer)
        assert query(database_url, "select kind from leadfold.deadletter") == [("group",)]
        assert query(database_url, "select count(*) from LIVE.client") == [(2,)]


def refuses_two(events: Sequence[Event], directory: Directory) -> Rows:
    if any(support.phone(2) in r for e in events for r in e.refs):
        raise ValueError("no")
    return support.fold(events, directory)


async def test_a_value_that_postgres_refuses_stops_nobody_else(tmp_path: Path, database_url: str) -> None:
    given = settings(database_url, folding=Folding(with_a_bad_value, "test-1"))
    async with opened(tmp_path) as log:
        await put(log, [call(n, "bad" if n == 4 else f"c{n}", n) for n in range(9)])
        await project(log, given)
    assert query(database_url, "select count(*) from LIVE.fact") == [(8,)]
    assert query(database_url, 'select kind, "offset" from leadfold.deadletter') == [("record", 4)]


def with_a_bad_value(events: Sequence[Event], directory: Directory) -> Rows:
    rows = support.fold(events, directory)
    bad = any(getattr(e.data, "call_id", "") == "bad" for e in events)
    return support.rewritten(rows, "touch", talk_s=10**30) if bad else rows


async def test_nul_characters_are_taken(tmp_path: Path, database_url: str) -> None:
    bad = call(1, "a\0b\\u0000", 1)
    async with opened(tmp_path) as log:
        await put(log, [bad, bad])
        await project(log, settings(database_url))
    assert query(database_url, "select count(*), max(data->>'call_id') from LIVE.fact") == [
        (1, "a\ufffdb\\u0000")
    ]


async def test_too_many_dead_letters_stop_the_projector(tmp_path: Path, database_url: str) -> None:
    given = settings(database_url, batch_records=30)
    async with opened(tmp_path) as log:
        await put(log, [call(1, "a", 1), *(poison(n, f"p{n}", n) for n in range(150))])
        projector = Projector(log, given)
        with pytest.raises(TooManyDeadLetters, match="100 records in a row"):
            await asyncio.wait_for(projector.run(asyncio.Event()), 30)
        assert "100 records" in (projector.status().stopped or "")
    ((next_offset,),) = query(database_url, "select next_offset from leadfold.position")
    assert next_offset == 90  # the batch that passed the limit was not taken


async def test_half_of_the_records_dead_stop_the_projector(tmp_path: Path, database_url: str) -> None:
    given = settings(database_url, batch_records=50)
    events = [poison(n, f"p{n}", n) if n % 5 else call(n, f"c{n}", n) for n in range(400)]
    async with opened(tmp_path) as log:
        await put(log, events)
        with pytest.raises(TooManyDeadLetters, match="of the last"):
            await asyncio.wait_for(Projector(log, given).run(asyncio.Event()), 30)


async def test_postgres_restarted_in_the_middle(
    tmp_path: Path, postgres_server: LocalPostgres, database_url: str
) -> None:
    with psycopg.connect(postgres_server.url, autocommit=True) as conn:
        conn.execute("create database leadfold")
    url = with_database(postgres_server.url, "leadfold")
    events = support.history(60, seed=3)
    given = settings(url, batch_records=5)
    async with opened(tmp_path) as log:
        await put(log, events)
        await project(log, settings(database_url))
        async with running(log, given) as projector:
            for chance in (random.Random(1), random.Random(2)):
                await asyncio.sleep(chance.uniform(0.2, 0.6))
                await asyncio.to_thread(postgres_server.kill)
                await asyncio.sleep(0.7)
                await asyncio.to_thread(postgres_server.start)
            await visible(log, given, seconds=30)
            assert projector.status().counters["projector_database_lost_total"] > 0
    assert tables(url) == tables(database_url)


async def test_the_projector_stops_within_seconds_also_without_postgres(
    tmp_path: Path, postgres_server: LocalPostgres
) -> None:
    given = settings(postgres_server.url)
    async with opened(tmp_path) as log, running(log, given):
        await put(log, [call(1, "a", 1)])
        await visible(log, given)
        await asyncio.to_thread(postgres_server.kill)
        await asyncio.sleep(0.3)


async def test_a_postgres_that_goes_silent_is_given_up_and_found_again(
    tmp_path: Path, database_url: str
) -> None:
    direct = settings(database_url)
    async with (
        opened(tmp_path) as log,
        before_postgres(database_url) as (url, proxy),
        running(log, settings(url, statement_s=0.5)) as projector,
    ):
        await put(log, [call(1, "a", 1)])
        await visible(log, direct)
        proxy.switch("half_open")
        await put(log, [call(2, "b", 1)])
        for _ in range(150):
            if projector.status().counters["projector_database_lost_total"]:
                break
            await asyncio.sleep(0.1)
        assert projector.status().counters["projector_database_lost_total"]
        proxy.switch("pass")
        await visible(log, direct, seconds=60)
    assert query(database_url, "select count(*) from LIVE.touch") == [(2,)]


async def test_who_waits_is_told_in_time_that_postgres_went_silent(tmp_path: Path, database_url: str) -> None:
    async with opened(tmp_path) as log, before_postgres(database_url) as (url, proxy):
        await put(log, [call(1, "a", 1)])
        await project(log, settings(database_url))
        await put(log, [call(2, "b", 1)])
        waiting = asyncio.create_task(wait_visible(log, url, 2.0))
        await asyncio.sleep(0.7)
        proxy.switch("half_open")
        waited = await asyncio.wait_for(waiting, 15)
    assert (waited.visible, waited.missing) == (False, "Postgres does not answer")
