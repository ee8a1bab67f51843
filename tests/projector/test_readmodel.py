"""The read model's definition, its readers, and what analysts may see."""

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg.rows import TupleRow

from domain.event import Event
from domain.facts.company import DeliveryUnreadable, EmployeeChanged
from domain.rows import TABLES
from projector.database import connect
from projector.migrate import ROLE, analyst_conninfo, migrate
from projector.readmodel import history, live, tables
from projector.readmodel.analytics import MASK_FUNCTION, masked
from projector.status import projection_status
from tests.projector import support
from tests.projector.support import call, form, opened, project, put, query, settings


async def test_migrations_can_be_repeated_and_raced(database_url: str) -> None:
    import asyncio

    async def one() -> list[str]:
        async with await connect(database_url) as conn:
            return await migrate(conn)

    applied = await asyncio.gather(*(one() for _ in range(4)))
    assert sum(1 for names in applied if names) == 1
    assert await one() == []


def test_every_column_has_a_type_and_a_comment() -> None:
    for table, row in TABLES.items():
        found = tables.columns(table)
        assert [c.name for c in found] == list(row._fields)
        assert found[0].type == "uuid"
        assert all(c.comment for c in found), table


def test_columns_with_personal_data_are_masked() -> None:
    suspicious = re.compile(
        r"client_id|alias_id|^employee_id|responsible|phone|(^|_)e?mails?$|(^|_)name$|url|^ext$|^transferred_from$"
    )
    harmless = {
        ("sale_line", "name"),
        ("lead_alias", "alias_id"),
    }  # of the goods; made from an inquiry or a CRM's number
    for table in TABLES:
        for column in tables.columns(table):
            if suspicious.search(column.name) and (table, column.name) not in harmless:
                assert masked(table, column.name, "x") != "x", (table, column.name)


async def test_comments_are_in_the_database(tmp_path: Path, database_url: str) -> None:
    async with opened(tmp_path) as log:
        await project(log, settings(database_url))
    assert query(database_url, "select obj_description('LIVE.call'::regclass)")[0][0].startswith("Звонок")
    assert query(database_url, "select col_description('analytics.call'::regclass, 1)") == [("звонок",)]
    told = " ".join(
        text for (text,) in query(database_url, "select description from pg_description where objoid > 16384")
    )
    assert "дата обращения" in told
    assert not re.findall(r"\b(?:D-\d|R\d+\.\d|[GL]\d)", told), (
        "analysts do not know our requirements by number"
    )


async def test_analysts_see_masked_views_and_nothing_else(tmp_path: Path, database_url: str) -> None:
    async with opened(tmp_path) as log:
        await put(log, [form(1234567, "f", 1)])
        await project(log, settings(database_url))
    async with await connect(database_url) as conn:
        info = await analyst_conninfo(conn, database_url)
    for analyst in (psycopg.connect(info, autocommit=True), as_role(database_url)):
        with analyst:
            assert analyst.execute("select phones, name from analytics.client").fetchall() == [
                (["+7903•••67"], "•••")
            ]
            for forbidden in (
                "select * from build_0001.client",
                "select * from build_0001.fact",
                "select * from leadfold.analyst_login",
                "insert into analytics.lead_alias values (gen_random_uuid(), gen_random_uuid())",
                "delete from analytics.touch",
                "create table analytics.mine (a int)",
                "create schema mine",
                "drop view analytics.client",
            ):
                with pytest.raises(psycopg.errors.Error) as refused:
                    analyst.execute(forbidden)
                assert isinstance(
                    refused.value,
                    psycopg.errors.InsufficientPrivilege | psycopg.errors.ReadOnlySqlTransaction,
                ), forbidden
    with (
        psycopg.connect(info, autocommit=True) as analyst,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        # its own login has nowhere to escape to
        analyst.execute(
            "select set_config('role', 'none', false), query_to_xml('table build_0001.client', true, true, '')"
        )


async def test_a_client_is_not_found_by_trying_phones(tmp_path: Path, database_url: str) -> None:
    async with opened(tmp_path) as log:
        await put(log, [form(1234567, "f", 1), call(7654321, "c", 2)])
        await project(log, settings(database_url))
    ids = {row[0] for row in query(database_url, "select client_id from LIVE.client")}
    assert len(ids) == 2
    async with await connect(database_url) as conn:
        info = await analyst_conninfo(conn, database_url)
    with psycopg.connect(info, autocommit=True) as analyst:
        shown = {row[0] for row in analyst.execute("select client_id from analytics.client").fetchall()}
        assert len(shown) == 2
        assert not shown & ids
        joined = "select count(*) from analytics.inquiry join analytics.client using (client_id) join analytics.client_alias using (client_id)"
        assert (
            analyst.execute(joined).fetchone()
            == query(
                database_url, "select count(*) from LIVE.inquiry join LIVE.client_alias using (client_id)"
            )[0]
        )
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            analyst.execute("select salt from leadfold.mask_salt")
        definition = analyst.execute("select pg_get_viewdef('analytics.client'::regclass)").fetchone()
        salt = query(database_url, "select salt from leadfold.mask_salt")[0][0]
        assert definition is not None
        assert salt not in definition[0]


def test_an_employee_known_by_his_mobile_only_is_masked(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("create schema analytics")
        conn.execute(MASK_FUNCTION)
        for key, shown in (
            ("ext:201", "ext:201"),
            ("ivan", "ivan"),
            ("ext:+79031234567", "ext:+7903•••67"),
            (None, None),
        ):
            row = conn.execute(
                f"select {masked('call', 'employee_id', 'x')} from (select %s::text as x) y", [key]
            ).fetchone()
            assert row == (shown,)


def as_role(url: str) -> psycopg.Connection[TupleRow]:
    conn = psycopg.connect(url, autocommit=True)
    conn.execute(f"set role {ROLE}")
    return conn


async def test_without_the_right_to_make_roles_everything_else_works(
    tmp_path: Path, postgres_url: str, database_url: str
) -> None:
    with psycopg.connect(database_url, autocommit=True) as conn:
        name = "plain_" + conn.info.dbname
        conn.execute(f"create role {name} login")
        conn.execute(f"grant create on database {conn.info.dbname} to {name}")
    plain = database_url.replace("postgres:@", f"{name}:@")
    async with opened(tmp_path) as log:
        await put(log, [call(1, "a", 1)])
        await project(log, settings(plain))
    assert query(plain, "select count(*) from analytics.touch") == [(1,)]
    from projector.errors import DatabaseRefused

    async with await connect(plain) as conn:
        with pytest.raises(DatabaseRefused, match="create role leadfold_analyst"):
            await analyst_conninfo(conn, plain)
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute(f"drop owned by {name} cascade")
        conn.execute(f"revoke all on database {conn.info.dbname} from {name}")
        conn.execute(f"drop role {name}")


async def test_histories_come_back_as_they_were_and_can_be_cut(tmp_path: Path, database_url: str) -> None:
    events = [call(1, "a", 1), call(1, "a", 9, end=True), form(2, "f", 5)]
    async with opened(tmp_path) as log:
        await put(log, [*events, support.employee(1)])
        await project(log, settings(database_url))
    async with await connect(database_url) as conn:
        schema = await live.live_schema(conn)
        cut = support.START + timedelta(minutes=6)
        touched = await history.groups_touched_since(conn, schema, cut)
        assert len(touched) == 1
        whole = await history.load_histories(conn, schema, touched)
        assert {e.id: e for e in whole[touched[0]]} == {e.id: e for e in events[:2]}
        early = await history.load_histories(conn, schema, touched, before=cut)
        assert [e.id for e in early[touched[0]]] == [events[0].id]
        assert await history.load_histories(conn, schema, touched, known_before=support.START) == {}
        directory = await live.load_directory(conn, schema, "Europe/Moscow", ())
        assert list(directory.employees) == ["1"]
        place = await history.locate(conn, schema, events[2].id)
        assert place is not None
        assert (place.partition, place.offset) == (0, 2)
        fresh = await live.freshness(conn)
        assert fresh.received == events[1].received


def test_only_schemas_of_builds_get_into_sql() -> None:
    for name in ("public", "build_1; drop", "build_0001.x", ""):
        with pytest.raises(ValueError, match="schema"):
            tables.check_schema(name)


async def test_what_the_settings_file_says_makes_no_data_fresh(tmp_path: Path, database_url: str) -> None:
    given = support.settings(database_url)
    published = support.make(
        EmployeeChanged(employee_id="1", name="Анна"), "1", at=500, source="/config/leadfold"
    )
    async with support.opened(tmp_path) as log:
        await support.put(log, [published])
        await support.project(log, given)
        async with await connect(database_url) as conn:
            assert await live.freshness(conn) == live.Freshness(None, None)
        await support.put(log, [call := support.call(1, "a", 1)])
        await support.project(log, given)
        async with await connect(database_url) as conn:
            assert await live.freshness(conn) == live.Freshness(call.received, call.time)


async def test_status_counts_unreadable_deliveries_until_they_are_mended(
    tmp_path: Path, database_url: str
) -> None:
    given = support.settings(database_url)

    def kept(native: str, reason: str, revision: int = 1) -> Event:
        fact = DeliveryUnreadable(provider="tilda", reason=reason, size=3)
        return support.make(fact, native, source="/tilda/site", revision=revision)

    async def unreadable() -> dict[str, int]:
        await support.project(log, given)
        async with await connect(database_url) as conn:
            return {s.source: s.unreadable for s in (await projection_status(conn, log)).sources}

    async with support.opened(tmp_path) as log:
        await support.put(
            log,
            [
                kept("1", "no phone"),
                kept("2", "no phone"),
                kept("3", "unused: a deal"),
                support.call(1, "a", 1),
            ],
        )
        assert await unreadable() == {"/sipuni/main": 0, "/tilda/site": 2}
        await support.put(log, [kept("1", "mended: 1 facts by tilda@2", revision=2)])
        assert await unreadable() == {"/sipuni/main": 0, "/tilda/site": 1}


async def test_a_reader_of_the_views_keeps_no_projector_from_its_start(
    tmp_path: Path, database_url: str
) -> None:
    given = support.settings(database_url)
    newer = replace(given, further_views=("create view analytics.more as select 1 as one",))
    async with support.opened(tmp_path) as log:
        await support.put(log, [support.call(1, "a", 1)])
        await support.project(log, given)
        async with await connect(database_url) as reader, reader.transaction():
            await reader.execute("select * from analytics.client")
            await support.put(log, [support.call(2, "b", 1)])
            await support.project(log, newer)
        assert support.query(database_url, "select count(*) from analytics.touch") == [(2,)]
        assert support.query(database_url, "select to_regclass('analytics.more')::text") == [(None,)]
        await support.project(log, newer)
        assert support.query(database_url, "select one from analytics.more") == [(1,)]
