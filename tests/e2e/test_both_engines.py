"""One history on both engines: the same tables and report; then a rebuild under readers, and a copied log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from deploy.kafka.broker import why_unavailable
from leadfold.announce import announced
from tests.faults.deliveries import history
from tests.faults.installation import Place, Running
from tests.faults.looking import differences, fact_ids, tables
from tests.faults.quiet import Seen, look, post_once
from tests.faults.services import EmbeddedService, KafkaService
from tests.support.postgres import fresh_database
from tests.support.require import unavailable

pytestmark = [pytest.mark.slow, pytest.mark.kafka, pytest.mark.timeout(300)]

SEED = 11


async def test_the_same_deliveries_give_the_same_tables_and_report(tmp_path: Path, postgres_url: str) -> None:
    if reason := why_unavailable():
        unavailable("kafka", reason)
    sent = history(SEED)
    async with EmbeddedService(tmp_path / "embedded") as embedded:
        await post_once(embedded, sent)
        await embedded.places[0].wait()
        expected = await look(embedded)
    assert len(expected.rows["inquiry"]) > 50
    assert len(expected.rows["sale"]) > 5

    async with KafkaService(tmp_path / "kafka") as kafka:
        await post_once(kafka, sent)
        for place in kafka.places:
            await place.wait()
        assert await projectors_with_work(kafka) == 2
        got = await look(kafka)
        same(expected, got)
        await rebuilt_under_a_reader(kafka, expected)
        await copied(embedded.places[0], kafka, expected, postgres_url)


def same(expected: Seen, got: Seen) -> None:
    assert differences(expected.rows, got.rows) == {}
    assert got.report == expected.report
    assert got.logged.by_delivery.items() >= deliveries_only(expected).items()


def deliveries_only(seen: Seen) -> dict[object, frozenset[object]]:
    """Without the directory's own events, which are dated by the clock."""
    return {m: ids for m, ids in seen.logged.by_delivery.items() if m.year == 2026 and m.month <= 6}


async def projectors_with_work(kafka: KafkaService) -> int:
    """How many projectors own partitions, as the database says."""
    status = await kafka.places[0].json("status")
    assert status["projection"]["lag_records"] == 0
    return len({p["owner"] for p in status["projection"]["partitions"] if p["owner"]})


async def rebuilt_under_a_reader(kafka: KafkaService, expected: Seen) -> None:
    place = kafka.places[0]
    before = (await place.json("status"))["projection"]["live"]["schema"]
    compared = await place.json("rebuild", "--compare", "--no-switch")
    assert [
        d["table"] for d in compared["differences"] if d["only_here"] or d["only_there"] or d["different"]
    ] == []
    async with reading(place) as answers:
        assert (await place.json("rebuild"))["switched"]
    assert set(answers) == {200}
    assert len(answers) > 5
    assert (await place.json("status"))["projection"]["live"]["schema"] != before
    await place.wait()
    assert differences(expected.rows, tables(kafka.database_url)) == {}


@asynccontextmanager
async def reading(place: Place) -> AsyncIterator[list[int]]:
    """A reader that asks for the report all the time; its answers."""
    part = announced(place.settings, "report")
    assert part is not None
    answers: list[int] = []
    url = f"{part.url}/api/v1/reports/inquiries?from=2026-06-01&to=2026-06-30"

    async def read() -> None:
        async with aiohttp.ClientSession() as session:
            while True:
                async with session.get(url) as response:
                    await response.read()
                    answers.append(response.status)
                await asyncio.sleep(0.05)

    reader = asyncio.create_task(read())
    try:
        yield answers
        assert not reader.done(), reader
    finally:
        reader.cancel()


async def copied(embedded: Place, kafka: KafkaService, expected: Seen, postgres_url: str) -> None:
    """The embedded log, copied to a fresh topic and projected from there."""
    to_topic = {
        "LEADFOLD_LOG__BOOTSTRAP": kafka.servers.bootstrap,
        "LEADFOLD_LOG__TOPIC": "copied.events",
        "LEADFOLD_LOG__PARTITIONS": "3",
    }
    embedded.environment.update(to_topic)
    created = await embedded.json_with({"LEADFOLD_LOG__ENGINE": "kafka"}, "log", "create")
    assert created["created"]
    done = await embedded.json("log", "copy", "--from", "embedded", "--to", "kafka")
    assert done["copied"] == expected.logged.records
    again = await embedded.json("log", "copy", "--from", "embedded", "--to", "kafka")
    assert again["copied"] == 0

    with fresh_database(postgres_url) as url:
        place = Place(embedded.config, embedded.data.parent / "from-copy", 12_000)
        place.environment.update({**to_topic, "LEADFOLD_LOG__ENGINE": "kafka", "LEADFOLD_DATABASE_URL": url})
        projector = Running(place, "project", name="project")
        projector.start()
        try:
            await place.wait()
        finally:
            projector.end()
        assert differences(expected.rows, tables(url)) == {}
        assert fact_ids(url) >= set().union(*deliveries_only(expected).values())
