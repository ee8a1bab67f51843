"""A rebuild, or the projector beside it, is killed in the middle: the live tables and the next rebuild do not care."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from tests.faults import looking
from tests.faults.quiet import Seen
from tests.faults.services import EmbeddedService
from tests.faults.single import SENT, post, settled, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@asynccontextmanager
async def rebuild(service: EmbeddedService) -> AsyncIterator[asyncio.subprocess.Process]:
    """``leadfold rebuild`` as a process of its own; ended at the end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "leadfold", "rebuild", "--json"),
        env=service.places[0].environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def waits(url: str) -> None:
    """Return when a rebuild waits for somebody's lock."""

    def check() -> bool:
        with psycopg.connect(url) as conn:
            row = conn.execute(
                "select count(*) from pg_stat_activity"
                " where application_name = 'leadfold-rebuild' and wait_event_type = 'Lock'"
            ).fetchone()
            return row is not None and row[0] > 0

    await until(check, "a rebuild that waits")


@asynccontextmanager
async def stuck(service: EmbeddedService, statement: str, known: int = 0) -> AsyncIterator[None]:
    """Inside, a rebuild cannot get beyond what needs a lock that ``statement`` takes; returns when it waits for it.

    ``{new}`` is the schema that it fills, of a build after the ``known`` ones; then the lock is taken as soon as the
    schema is there.
    """
    url = service.database_url

    def lock() -> bool:
        row = conn.execute(
            "select schema_name from leadfold.build where state = 'filling' and build_id > %s", [known]
        ).fetchone()
        if "{new}" in statement and row is None:
            return False
        conn.execute("begin")
        conn.execute(statement.replace("{new}", row[0] if row else "").encode())
        return True

    with psycopg.connect(url, autocommit=True) as conn:
        while not lock():  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.002)
        yield
        with suppress(psycopg.OperationalError):  # Postgres was killed meanwhile
            conn.execute("rollback")


def newest(url: str) -> int:
    """The number of the newest build."""
    with psycopg.connect(url) as conn:
        row = conn.execute("select max(build_id) from leadfold.build").fetchone()
        assert row is not None
        return int(row[0])


def schemas(url: str) -> set[str]:
    """Schemas of builds, and what the control table says of them."""
    with psycopg.connect(url) as conn:
        there = {
            row[0]
            for row in conn.execute(
                "select nspname from pg_namespace where nspname like 'build\\_%'"
            ).fetchall()
        }
        states = conn.execute("select schema_name, state from leadfold.build").fetchall()
        assert [name for name, state in states if state == "live"] == [looking.live_schema(conn)]
        assert there == {name for name, state in states if state != "dropped"}
        return there


async def test_killed_in_the_middle_of_filling_folding_and_switching(tmp_path: Path, expected: Seen) -> None:
    async with EmbeddedService(tmp_path / "embedded") as service:
        place, url = service.places[0], service.database_url
        assert set((await post(place, SENT[:120])).statuses) == {200}
        await place.wait()
        middles = (
            "lock table {new}.fact in exclusive mode",  # while facts are stored
            "lock table {new}.inquiry in exclusive mode",  # while groups are folded
            "select count(*) from analytics.inquiry",  # a reader of the views, for whom the switch waits
        )
        for number, statement in enumerate(middles):
            known = newest(url)
            async with rebuild(service) as process, stuck(service, statement, known):
                await waits(url)
                await service.harms["kill projector"](0)
                if number == 0:  # Postgres goes, and the rebuild says so and ends
                    await service.harms["kill postgres"](0)
                    _, said = await asyncio.wait_for(process.communicate(), 30)
                    assert process.returncode == 1
                    assert b"Traceback" not in said
                    assert b"Postgres went away" in said
                else:
                    process.kill()
                    await process.wait()
                mine = SENT[120 + 40 * number :][:40]
                assert set((await post(place, mine)).statuses) == {200}
            await place.ready("project", "report")
            assert (await place.json("wait"))["visible"]
            url = service.database_url
        assert looking.differences(expected.rows, looking.tables(url)) == {}

        made = await place.json("rebuild")
        assert made["switched"]
        await settled(service, expected)
        dropped = await place.json("rebuild", "--drop-old")
        assert dropped["dropped"]
        assert schemas(service.database_url) == {made["live"]}
        await settled(service, expected)


async def test_the_projector_is_killed_while_a_rebuild_goes_on(tmp_path: Path, expected: Seen) -> None:
    """The rebuild ends as if nothing was; the projector that comes back follows the switch."""
    async with EmbeddedService(tmp_path / "embedded") as service:
        place, url = service.places[0], service.database_url
        assert set((await post(place, SENT[:120])).statuses) == {200}
        await place.wait()
        async with rebuild(service) as process:
            async with stuck(
                service, "select count(*) from analytics.inquiry"
            ):  # the switch will wait for it
                async with stuck(service, "lock table {new}.fact in exclusive mode"):
                    await waits(url)
                    await service.harms["kill projector"](0)
                    assert set((await post(place, SENT[120:180])).statuses) == {200}
                await waits(url)
                await service.harms["kill projector"](0)
                assert set((await post(place, SENT[180:])).statuses) == {200}
            told, said = await asyncio.wait_for(process.communicate(), 60)
            assert process.returncode == 0, said.decode()
            assert json.loads(told)["switched"]
        await settled(service, expected)
