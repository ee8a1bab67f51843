"""With the real fold: any order, repetition and split over batches and two projectors gives the rows of one fold."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.directory import Directory
from domain.event import Event
from domain.fold import fold_group
from domain.rows import TABLES, Rows
from projector import builds_store
from projector.batch import Applier, Batch, Item
from projector.database import RETRYABLE, connect
from projector.facts import Arrival, Place
from projector.readmodel.tables import columns
from projector.rows import encode
from projector.settings import Folding, ProjectorSettings
from tests.oracle.draws import History
from tests.oracle.histories import histories
from tests.support.postgres import fresh_database

Hashes = dict[tuple[str, UUID], int]


@pytest.fixture(scope="module")
def url(postgres_url: str) -> Iterator[str]:
    with fresh_database(postgres_url) as fresh:
        yield fresh


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(history=histories(), data=st.data())
def test_any_arrival_gives_the_rows_of_one_fold(url: str, history: History, data: st.DataObject) -> None:
    repeats = data.draw(st.lists(st.sampled_from(history.events), max_size=8)) if history.events else []
    arriving = data.draw(st.permutations([*history.events, *repeats]))
    sizes = data.draw(st.lists(st.integers(1, 12), min_size=1, max_size=6))
    folded = data.draw(st.booleans())
    expected = _hashes(fold_group(history.events, history.directory))
    assert asyncio.run(_project(url, arriving, sizes, folded, history.directory)) == expected


def _hashes(rows: Rows) -> Hashes:
    return {
        (table, one.key): one.row_hash
        for table, found in rows.items()
        for one in (encode(table, r) for r in found)
    }


def _fold(directory: Directory, events: list[Event], _: Directory) -> Rows:
    return fold_group(events, directory)


async def _project(
    url: str, events: list[Event], sizes: list[int], folded: bool, directory: Directory
) -> Hashes:
    """Two projectors, each with every other batch, at the same time."""
    conf = ProjectorSettings(database_url=url, folding=Folding(partial(_fold, directory), "1"))
    async with await connect(url) as conn, await connect(url) as other:
        await builds_store.prepare(conn, conf)
        build = await builds_store.create(conn, conf, purpose="test")
        await Applier(conf).adopt(conn, build.build_id)
        batches: list[list[Event]] = []
        while events:
            size = sizes[len(batches) % len(sizes)]
            batches.append(events[:size])
            events = events[size:]

        async def work(one: psycopg.AsyncConnection, number: int, mine: list[list[Event]]) -> None:
            applier = Applier(conf)
            place = Place(number, 0)
            for events_ in mine:
                items = []
                for e in events_:
                    place = Place(number, place.offset + 1)
                    items.append(Item(place, Arrival.of(replace(e, evidence=None), place)))
                while True:
                    try:
                        await applier.apply(one, build.build_id, Batch(tuple(items), ()), fold=folded)
                        break
                    except RETRYABLE:
                        await asyncio.sleep(0.005)

        await asyncio.gather(work(conn, 0, batches[::2]), work(other, 1, batches[1::2]))
        while (await Applier(conf, strict=True).refold_dirty(conn, build.build_id)).groups:
            pass
        found: Hashes = {}
        for table in TABLES:
            cursor = await conn.execute(
                f'select "{columns(table)[0].name}", row_hash from {build.schema}."{table}"'
            )
            found |= {(table, key): row_hash for key, row_hash in await cursor.fetchall()}
        await builds_store.drop(conn, build.build_id)
        return found
