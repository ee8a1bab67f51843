"""The Postgres that tests get is a real server, and each test has a database to itself."""

import time

import psutil
import psycopg
import pytest

from tests.support.postgres import LocalPostgres, fresh_database, with_database


def scalar(url: str, query: str) -> object:
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    return row[0]


def test_database_is_empty_utf8_and_recent(database_url: str) -> None:
    assert scalar(database_url, "select count(*) from pg_tables where schemaname = 'public'") == 0
    assert scalar(database_url, "show server_encoding") == "UTF8"
    assert int(str(scalar(database_url, "show server_version_num"))) >= 160000


def test_databases_are_apart_and_dropped_with_open_connections(postgres_url: str) -> None:
    with fresh_database(postgres_url) as first, fresh_database(postgres_url) as second:
        assert first != second
        left_open = psycopg.connect(first, autocommit=True)
        left_open.execute("create table only_here (id int)")
        assert scalar(second, "select to_regclass('only_here')") is None
        name = scalar(first, "select current_database()")
    assert scalar(postgres_url, f"select count(*) from pg_database where datname = '{name}'") == 0
    left_open.close()


def test_fresh_database_takes_no_time(postgres_url: str) -> None:
    started = time.monotonic()
    with fresh_database(postgres_url):
        pass
    assert time.monotonic() - started < 5


def test_url_with_another_database() -> None:
    socket = "postgresql://postgres:@/postgres?host=/tmp/pg"
    assert with_database(socket, "x") == "postgresql://postgres:@/x?host=/tmp/pg"
    assert with_database("postgresql://u:p@db:5432/a?sslmode=require", "b") == (
        "postgresql://u:p@db:5432/b?sslmode=require"
    )


@pytest.mark.slow
def test_committed_rows_survive_kill_and_restart(postgres_server: LocalPostgres) -> None:
    with psycopg.connect(postgres_server.url) as connection:
        connection.execute("create table kept as select 42 as value")
    held = psycopg.connect(postgres_server.url)
    pid = postgres_server.pid
    assert pid is not None

    postgres_server.kill()
    assert not psutil.pid_exists(pid)
    with pytest.raises(psycopg.OperationalError):
        held.execute("select 1")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(postgres_server.url)

    postgres_server.start()
    assert postgres_server.pid != pid
    assert scalar(postgres_server.url, "select value from kept") == 42
    postgres_server.restart()
    assert scalar(postgres_server.url, "select value from kept") == 42
    held.close()
