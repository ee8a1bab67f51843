"""Facts with colliding ids through the real projector: nothing stops it, in whatever batches they come."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from domain.directory import Directory
from domain.facts.company import DeliveryUnreadable
from projector.rows import difference
from tests.domain.story import Story, at
from tests.ingest.support import delivery, events
from tests.projector.test_properties import _project
from tests.support.hostile import EVENTS
from tests.support.postgres import fresh_database


@pytest.fixture(scope="module")
def url(postgres_url: str) -> Iterator[str]:
    with fresh_database(postgres_url) as fresh:
        yield fresh


def walkin(number: int) -> dict[str, Any]:
    return {
        "type": "walkin.registered",
        "id": str(number),
        "data": {"walkin_id": "1", "phone": "+79031234567"},
    }


@settings(max_examples=25, suppress_health_check=[*HealthCheck])
@given(objects=st.lists(EVENTS, max_size=12), sizes=st.lists(st.integers(1, 12), min_size=1, max_size=6))
@example(objects=[walkin(1), walkin(2)], sizes=[2])
def test_no_sender_stops_the_projector(url: str, objects: list[dict[str, Any]], sizes: list[int]) -> None:
    told = [e for one in objects for e in events(delivery("native", value=one))]
    facts = [e for e in told if not isinstance(e.data, DeliveryUnreadable)]
    rows = asyncio.run(_project(url, facts, sizes, True, Directory.build(())))
    assert bool(rows) == any(not e.data.DIRECTORY for e in facts)


def test_a_row_told_by_two_groups_is_written_once() -> None:
    from domain.fold import fold_group

    story = Story()
    story.call("1", at())
    rows = fold_group(story.events, story.directory)
    changes = difference({1: rows, 2: rows}, {})
    assert changes.count == sum(len(found) for found in rows.values())
