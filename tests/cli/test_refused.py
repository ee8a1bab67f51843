"""A projector that log or database refuse: at its start it ends and says why, later it stays, says why, and goes on once mended."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from aiokafka.admin import AIOKafkaAdminClient

from eventlog.contract import LogRefused
from eventlog.kafka.admin import create_topic
from leadfold.announce import announced
from leadfold.config_file import Config, load
from leadfold.readiness import address_of, ask
from leadfold.services import project
from leadfold.services.project import Projecting
from projector.database import connect, why_away
from projector.errors import DatabaseRefused
from tests.eventlog.topics import settings_for

NEWER = "insert into leadfold.migration (number, name) values (9999, 'of a newer version')"
CUT = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'leadfold-projector'"


def config(folder: Path, url: str, more: str = "") -> Config:
    (folder / "leadfold.toml").write_text(
        f'[secrets]\nkey_secret = "{"k" * 40}"\n[database]\nurl = "{url}"\n[projector]\nport = 0\n{more}'
    )
    return load(folder)


@asynccontextmanager
async def projecting(given: Config) -> AsyncIterator["asyncio.Task[None]"]:
    stop = asyncio.Event()
    task = asyncio.create_task(Projecting(given).run(stop))
    try:
        yield task
    finally:
        stop.set()
        with contextlib.suppress(DatabaseRefused, LogRefused):
            await asyncio.wait_for(task, 20)


async def checks(given: Config) -> dict[str, dict[str, Any]]:
    """What the projector says in `/readyz`; empty while nobody answers."""
    where = address_of(given.settings, "project") if announced(given.settings, "project") else None
    told = None if where is None else await ask(where)
    return {} if told is None else told.checks


async def check(given: Config) -> dict[str, Any]:
    """What the projector says of itself there."""
    return (await checks(given)).get("projector", {})


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 40) -> None:
    for _ in range(int(seconds * 10)):
        if await condition():
            return
        await asyncio.sleep(0.1)
    raise AssertionError("it never came to that")


async def run_sql(url: str, statement: str) -> None:
    async with await connect(url, name="test") as conn:
        await conn.execute(statement.encode())


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(project, "_AGAIN_S", 1.0)
    monkeypatch.setattr(project, "_AGAIN_MOST_S", 1.0)


async def test_a_database_that_refuses_later_is_said_and_tried_again(
    tmp_path: Path, database_url: str
) -> None:
    given = config(tmp_path, database_url)
    async with projecting(given) as task:

        async def well() -> bool:
            return bool((await check(given)).get("ok"))

        async def refused() -> bool:
            found = await check(given)
            return bool(found.get("stopped")) and "a newer Leadfold" in found["reason"]

        await until(well)
        await run_sql(database_url, NEWER)
        await run_sql(database_url, CUT)  # its next session looks at the tables
        await run_sql(database_url, "update leadfold.position set epoch = epoch + 1")
        await until(refused)
        assert not task.done()
        await run_sql(database_url, "delete from leadfold.migration where number = 9999")
        await until(well)


async def test_a_database_that_refuses_at_the_start_ends_it(tmp_path: Path, database_url: str) -> None:
    given = config(tmp_path, database_url)
    async with projecting(given):
        await until(lambda: _well(given))
    await run_sql(database_url, NEWER)
    async with projecting(given) as task:
        with pytest.raises(DatabaseRefused, match="newer Leadfold"):
            await asyncio.wait_for(task, 20)


async def _well(given: Config) -> bool:
    return bool((await check(given)).get("ok"))


async def test_a_wrong_password_is_mended_while_it_waits(tmp_path: Path, database_url: str) -> None:
    wrong = config(tmp_path, database_url.rpartition("/")[0] + "/no_such_database")
    async with projecting(wrong) as task:
        await asyncio.sleep(1.5)
        assert not task.done()
        given = config(tmp_path, database_url)
        await until(lambda: _well(given))


def test_a_server_that_answers_no_is_quoted_and_one_that_is_away_is_not() -> None:
    answered = psycopg.OperationalError(
        'connection failed: connection to server at "10.1.1.1", port 5432 failed: FATAL:  password authentication'
        ' failed for user "leadfold"'
    )
    assert why_away(answered) == 'refuses: password authentication failed for user "leadfold"'
    away = psycopg.OperationalError(
        'connection to server at "10.1.1.1", port 5432 failed: Connection refused'
    )
    assert why_away(away) == "does not answer (OperationalError)"


async def test_a_topic_that_is_deleted_under_it_is_a_log_that_is_away(
    tmp_path: Path, database_url: str, kafka_bootstrap: str
) -> None:
    topic = settings_for(kafka_bootstrap)
    await create_topic(topic, partitions=2, replication=1)
    kafka = (
        f'[log]\nengine = "kafka"\nbootstrap = "{kafka_bootstrap}"\ntopic = "{topic.topic}"\npartitions = 2\n'
    )
    given = config(tmp_path, database_url, kafka)
    async with projecting(given) as task:

        async def log_away() -> bool:
            return not (await checks(given))["log"]["ok"]

        await until(lambda: _well(given))
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka_bootstrap)
        await admin.start()
        await admin.delete_topics([topic.topic])
        await admin.close()
        await run_sql(database_url, CUT)
        await run_sql(database_url, "update leadfold.position set epoch = epoch + 1")
        await until(log_away)
        assert not task.done()
