"""The read model is a function of the set of facts: any order, any duplicates, any split, any number of projectors."""

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from domain.directory import Directory
from domain.event import Event
from domain.rows import Rows
from projector.settings import Folding
from tests.projector import support
from tests.projector.support import (
    call,
    form,
    link,
    opened,
    project,
    put,
    query,
    running,
    settings,
    tables,
    unlink,
    visible,
)


async def test_facts_become_rows(tmp_path: Path, database_url: str) -> None:
    async with opened(tmp_path) as log:
        await put(log, [call(1, "a", 1), call(1, "a", 2, end=True), form(2, "f", 3)])
        await project(log, settings(database_url))
    found = tables(database_url)
    assert [row[4] for row in found["client"]] == [[support.phone(1)], [support.phone(2)]] or len(
        found["client"]
    ) == 2
    assert len(found["touch"]) == 3
    assert len(found["fact"]) == 3
    assert query(database_url, "select next_offset, owner from leadfold.position") == [(3, None)]
    assert {row[0] for row in query(database_url, "select source from leadfold.source_seen")} == {
        "/sipuni/main",
        "/tilda/site",
    }


async def test_a_shared_ref_makes_two_groups_one(tmp_path: Path, database_url: str) -> None:
    given = settings(database_url)
    async with opened(tmp_path) as log, running(log, given):
        await put(log, [call(1, "a", 1), call(2, "b", 2), call(3, "c", 2)])
        await visible(log, given)
        assert query(database_url, "select count(*) from LIVE.grp") == [(3,)]
        await put(log, [link(1, 2, 3)])
        await visible(log, given)
        assert query(database_url, "select count(*) from LIVE.grp") == [(2,)]
        assert query(database_url, "select count(*) from LIVE.client") == [(2,)]
        await put(log, [unlink(1, 2, 4)])
        await visible(log, given)
        # one group still, and the fold separates the clients inside of it
        assert query(database_url, "select count(*) from LIVE.grp") == [(2,)]
        assert query(database_url, "select count(*) from LIVE.client") == [(3,)]
    assert query(
        database_url, "select count(*) from LIVE.ref r left join LIVE.grp g using (group_id) where g is null"
    ) == [(0,)]
    assert query(database_url, "select sum(facts), count(*) from LIVE.grp")[0][0] == 5


async def test_the_higher_revision_wins_whatever_comes_first(tmp_path: Path, database_url: str) -> None:
    old, new = call(1, "a", 5, revision=1), call(1, "a", 1, revision=2)
    given = settings(database_url)
    async with opened(tmp_path) as log, running(log, given):
        await put(log, [new])
        await visible(log, given)
        await put(log, [old])
        await visible(log, given)
        assert query(database_url, 'select revision, "time" from LIVE.fact') == [(2, new.time)]
        newest = call(1, "a", 9, revision=3)
        await put(log, [newest, old, new])
        await visible(log, given)
        assert query(database_url, 'select revision, "time" from LIVE.fact') == [(3, newest.time)]
    assert query(database_url, "select at from LIVE.touch") == [(newest.time,)]


async def test_equal_revisions_are_decided_by_time(tmp_path: Path, database_url: str) -> None:
    early, late = call(1, "a", 1), call(1, "a", 2)
    async with opened(tmp_path) as log:
        await put(log, [late, early])
        await project(log, settings(database_url))
    assert query(database_url, 'select "time", "offset" from LIVE.fact') == [(early.time, 1)]


@pytest.mark.parametrize("seed", range(4))
async def test_any_order_duplicates_and_batches_give_the_same_tables(
    tmp_path: Path, postgres_url: str, seed: int
) -> None:
    from tests.support.postgres import fresh_database

    events = support.history(25, seed=seed)
    chance = random.Random(seed)
    results = []
    for run in range(3):
        shuffled = [*events, *chance.sample(events, len(events) // 3)]
        if run:
            chance.shuffle(shuffled)
        folder = tmp_path / str(run)
        with fresh_database(postgres_url) as url:
            bulk: dict[str, Any] = {"bulk_behind": 20} if run == 2 else {}
            size = chance.choice([1, 3, 7, 50, 1000]) if run else 1000
            given = settings(url, batch_records=size, bulk_records=30, **bulk)
            async with opened(folder) as log:
                await put(log, shuffled)
                await project(log, given)
            results.append(tables(url))
            assert query(url, "select count(*) from LIVE.client") > [(5,)]
    assert results[0] == results[1] == results[2]


async def test_two_projectors_over_two_logs_give_the_same_tables(tmp_path: Path, postgres_url: str) -> None:
    """Two processes on partitions of one log, here as two appliers that race for the same groups."""
    from projector.batch import Applier, Batch, Item
    from projector.builds_store import prepare
    from projector.database import RETRYABLE, connect
    from projector.facts import Arrival, Place
    from tests.support.postgres import fresh_database

    events = support.history(60, seed=7)
    with fresh_database(postgres_url) as quiet:
        async with opened(tmp_path) as log:
            await put(log, events)
            await project(log, settings(quiet))
        expected = tables(quiet)

    async def work(url: str, number: int, mine: list[Event]) -> int:
        chance = random.Random(number)
        conflicts = 0
        applier = Applier(settings(url))
        async with await connect(url) as conn:
            while mine:
                size = chance.choice([1, 5, 20])
                places = [Place(number, len(mine) - n) for n in range(size)]
                items = tuple(Item(p, Arrival.of(e, p)) for p, e in zip(places, mine[:size], strict=False))
                try:
                    await applier.apply(conn, 1, Batch(items, ()))
                except RETRYABLE:
                    conflicts += 1
                    await asyncio.sleep(chance.uniform(0, 0.02))
                else:
                    mine = mine[size:]
            while (await applier.refold_dirty(conn, 1)).groups:
                pass
        return conflicts

    with fresh_database(postgres_url) as url:
        given = settings(url)
        async with await connect(url) as conn:
            await prepare(conn, given)
            await Applier(given).adopt(conn, 1)
        chance = random.Random(7)
        shuffled = events * 2
        chance.shuffle(shuffled)
        await asyncio.gather(*(work(url, n, shuffled[n::3]) for n in range(3)))
        async with await connect(url) as conn:
            while (await Applier(given).refold_dirty(conn, 1)).groups:
                pass
        assert tables(url) == expected


async def test_a_changed_directory_folds_everything_anew(tmp_path: Path, database_url: str) -> None:
    given = settings(database_url)
    async with opened(tmp_path) as log, running(log, given):
        await put(log, [call(n, f"c{n}", n) for n in range(10)])
        await visible(log, given)
        assert query(database_url, "select distinct name from LIVE.client") == [("сотрудников: 0",)]
        await put(log, [support.employee(1)])
        await visible(log, given)
        assert query(database_url, "select distinct name from LIVE.client") == [("сотрудников: 1",)]


async def test_new_code_folds_everything_anew(tmp_path: Path, database_url: str) -> None:
    async with opened(tmp_path) as log:
        await put(log, [call(n, f"c{n}", n) for n in range(10)])
        await project(log, settings(database_url))
        newer = settings(database_url, folding=Folding(other_fold, "test-2"))
        async with running(log, newer):
            for _ in range(100):
                if query(database_url, "select count(*) from LIVE.client where name = 'новый'") == [(10,)]:
                    break
                await asyncio.sleep(0.1)
            await visible(log, newer)
    assert query(database_url, "select count(*) from LIVE.client where name = 'новый'") == [(10,)]
    assert query(database_url, "select fold_version from leadfold.build") == [("test-2",)]


def other_fold(events: Sequence[Event], directory: Directory) -> Rows:
    return support.rewritten(support.fold(events, directory), "client", name="новый")


async def test_nothing_changed_writes_nothing(tmp_path: Path, database_url: str) -> None:
    given = settings(database_url)
    async with opened(tmp_path) as log, running(log, given) as projector:
        await put(log, [call(1, "a", 1)])
        await visible(log, given)
        before = query(database_url, "select xmin::text from LIVE.client")
        changed = projector.status().counters["projector_rows_changed_total"]
        await put(log, [call(1, "a", 1)] * 3)
        await visible(log, given)
        assert query(database_url, "select xmin::text from LIVE.client") == before
        assert projector.status().counters["projector_rows_changed_total"] == changed


#: Records behind; read in 150 batches, with 50 groups to fold after each.
_FAR = 3000


@pytest.mark.parametrize("patience_s", [0.0, 60.0])
async def test_far_behind_groups_are_folded_late_but_not_for_ever(
    tmp_path: Path, database_url: str, patience_s: float
) -> None:
    """A log that grows as fast as it is read must not keep the tables as they are."""
    given = settings(
        database_url, batch_records=20, bulk_records=20, bulk_behind=50, bulk_s=patience_s, refold_groups=50
    )
    seen: set[int] = set()
    async with opened(tmp_path) as log:
        await put(log, [call(n, f"c{n}", n) for n in range(_FAR)])
        async with running(log, given) as projector:
            for _ in range(1500):
                await asyncio.sleep(0.01)
                if projector.status().bulk:
                    touches, at = query(database_url, _STANDING)[0]
                    if at == _FAR or len(seen) > 1:
                        break
                    seen.add(touches)
            await visible(log, given, 60)
    assert (len(seen) > 1) is (patience_s == 0)
    assert query(database_url, "select count(*) from LIVE.touch") == [(_FAR,)]


_STANDING = 'select (select count(*) from LIVE.touch), (select next_offset from leadfold.position where "partition" = 0)'
