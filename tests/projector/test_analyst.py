"""What an analyst, or whoever holds his login, tries: all of it is refused, and nothing has changed afterwards."""

import asyncio
from pathlib import Path
from typing import Any

import psycopg
import pytest

from leadfold.cli import sql as command
from leadfold.config_file import load
from projector.builds import rebuild
from projector.database import connect
from projector.migrate import analyst_conninfo, migrate
from tests.projector.support import form, opened, project, put, query, settings

WRITES = (
    "insert into analytics.client_alias values (gen_random_uuid(), gen_random_uuid())",
    "update analytics.client set name = 'x'",
    "delete from analytics.touch",
    "truncate build_0001.inquiry",
    "create table analytics.mine (a int)",
    "create table public.mine (a int)",
    "create temp table mine (a int)",
    "create function public.f() returns int language sql as 'select 1'",
    "do $$ begin execute 'drop view analytics.client'; end $$",
    "create extension dblink",
    "create role mine superuser",
    "alter role current_user superuser",
    "grant leadfold_analyst to public",
    "select lo_create(0)",
    "select lo_from_bytea(0, 'x')",
    "select nextval('leadfold.build_build_id_seq')",
    "comment on view analytics.client is 'x'",
)
READS = (
    "select * from build_0001.client",
    "select * from build_0001.fact",
    "select * from leadfold.analyst_login",
    "select * from pg_authid",
    "select * from pg_user_mapping",
    "select pg_read_file('/etc/passwd')",
    "select pg_read_binary_file('/etc/passwd')",
    "select pg_ls_dir('/')",
    "select pg_stat_file('/etc/passwd')",
    "select lo_import('/etc/passwd')",
    "copy (select 1) to program 'id'",
    "copy analytics.client to '/tmp/leadfold-stolen'",
    "create temp table t (a text); copy t from '/etc/passwd'",
    "select * from dblink('dbname=postgres', 'select 1') as t(a int)",
    "select query_to_xml('table build_0001.client', true, true, '')",
    "select table_to_xml('build_0001.client', true, true, '')",
    "select database_to_xml(true, true, '')",
    "select set_config('role', 'postgres', false)",
    "set role postgres",
    "set session authorization postgres",
    "select pg_reload_conf()",
    "select pg_terminate_backend(pid) from pg_stat_activity where usename <> current_user and pid is not null",
)
STACKED = "select 1; drop view analytics.client"


async def analyst(tmp_path: Path, url: str) -> str:
    async with opened(tmp_path) as log:
        await put(log, [form(1234567, "f", 1)])
        await project(log, settings(url))
    async with await connect(url) as conn:
        return await analyst_conninfo(conn, url)


async def test_no_lock_of_his_keeps_the_structure_from_being_changed(
    tmp_path: Path, database_url: str
) -> None:
    """Advisory locks are for everybody who may connect; ours is one of a table that he may not touch."""
    login = await analyst(tmp_path, database_url)
    given = settings(database_url)
    with psycopg.connect(login) as his:
        for key in (0x1EADF01D, 0, 1):  # the first one was ours once
            his.execute("select pg_advisory_lock(%s)", (key,))
            his.execute("select pg_advisory_lock_shared(%s, 0)", (key,))
        his.execute("select count(*) from analytics.client").fetchall()  # and he goes to lunch
        for refused in (
            "lock table leadfold.migration in access share mode",
            "lock table leadfold.build in share mode",
            "lock table analytics.client in share mode",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), his.transaction():
                his.execute(refused)
        query(
            database_url,
            "alter table leadfold.build drop column log, drop column stopped, drop column stopped_at",
        )
        query(database_url, "alter table leadfold.position drop column mark, drop column mark_offset")
        query(database_url, "delete from leadfold.migration where number = 4")
        async with await connect(database_url) as conn:
            applied = await asyncio.wait_for(migrate(conn), 10)
        assert applied == ["0004_log_identity.sql"]
        async with opened(tmp_path) as log:
            assert (await asyncio.wait_for(rebuild(log, given, switched=False), 20)).build.state == "ready"


def shape(url: str) -> Any:
    """All relations, functions, roles and large objects; and whether there is still what there was."""
    return query(
        url,
        "select (select count(*) from pg_class where relnamespace::regnamespace::text !~ '^pg_t'),"
        " (select count(*) from pg_proc), (select count(*) from pg_largeobject_metadata),"
        " (select count(*) from LIVE.client), (select count(*) from LIVE.touch)",
    )


@pytest.mark.parametrize("loosened", [False, True])
async def test_nothing_but_reading_the_views(tmp_path: Path, database_url: str, loosened: bool) -> None:
    info = await analyst(tmp_path, database_url)
    before = shape(database_url)
    allowed = []
    for text in (*WRITES, *READS):
        with psycopg.connect(info, autocommit=True) as conn:
            if loosened:  # a client program of his own says what it likes first
                conn.execute("set default_transaction_read_only = off")
            try:
                rows = conn.execute(text)
                allowed.append((text, rows.fetchall() if rows.description else None))
            except psycopg.Error:
                continue
    assert allowed == []
    assert shape(database_url) == before


def test_through_the_command(tmp_path: Path, database_url: str) -> None:
    asyncio.run(analyst(tmp_path, database_url))
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "leadfold.toml").write_text(
        f'[secrets]\nkey_secret = "{"k" * 40}"\n[database]\nurl = "{database_url}"\n'
    )
    shop = load(folder).settings
    before = shape(database_url)
    assert command._run(shop, "select count(*) from client")[1] == [(1,)]
    for text in (*WRITES, *READS, STACKED, f"commit; {WRITES[0]}", "set transaction read write; select 1"):
        with pytest.raises(psycopg.Error):
            command._run(shop, text)
    assert shape(database_url) == before
