"""Lines of COPY say what JSON says: any text, arrays and JSON inside of them arrive as they were."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.rows import ClientAliasRow, ClientRow, InquiryRow, Rows
from projector import rows
from projector.builds_store import create, drop, prepare
from projector.database import connect
from projector.lines import copy, json_text, line, line_of_ids, texts
from projector.settings import ProjectorSettings
from tests.support.postgres import fresh_database

HOSTILE = 'a\\b"c\n\t\r\x08\x0c\x01\x1f\x00,{}[]null\\n\\\\u0000\u2028я'
MOMENT = datetime(2026, 3, 1, 8, tzinfo=UTC)

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    [HOSTILE, "null", "", "\\", '"', "\\.", "\\N", "{", "a\\", "\\u0000", "\\\\n"]
)


@pytest.fixture(scope="module")
def url(postgres_url: str) -> Iterator[str]:
    with fresh_database(postgres_url) as fresh:
        yield fresh


def kept(value: Any) -> Any:
    """What Postgres can hold of it."""
    match value:
        case str():
            return value.replace("\0", "\ufffd")
        case list():
            return [kept(one) for one in value]
        case dict():
            return {kept(key): kept(one) for key, one in value.items()}
    return value


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    many=st.lists(
        st.tuples(
            TEXTS | st.none(),
            st.lists(TEXTS, max_size=3),
            st.dictionaries(TEXTS, TEXTS, max_size=2),
            st.integers(-(2**63), 2**63 - 1) | st.none(),
            st.booleans(),
            st.lists(st.uuids(), max_size=3),
        ),
        max_size=4,
    )
)
def test_what_is_copied_is_what_was_given(url: str, many: list[Any]) -> None:
    async def there_and_back() -> list[Any]:
        async with await connect(url) as conn, conn.transaction():
            await conn.execute(
                "create temp table t (n int, a text, b text[], c jsonb, d bigint, e boolean, f uuid[]) on commit drop"
            )
            lines = [
                line_of_ids((n, one[0], texts(one[1]), json_text(one[2]), one[3], one[4], tuple(one[5])))
                for n, one in enumerate(many)
            ]
            await copy(conn, "t", "n, a, b, c, d, e, f", lines)
            cursor = await conn.execute("select a, b, c, d, e, f from t order by n")
            return await cursor.fetchall()

    assert asyncio.run(there_and_back()) == [tuple(kept(list(one))) for one in many]


def test_a_line_holds_money_and_moments() -> None:
    assert (
        line((Decimal("4500.00"), MOMENT, None, True)) == b'"4500.00","2026-03-01T08:00:00+00:00",null,true'
    )


async def test_a_row_copied_and_a_row_put_over_another_are_the_same(database_url: str) -> None:
    conf = ProjectorSettings(database_url=database_url)
    client = ClientRow(
        UUID(int=1), "known", None, HOSTILE, (HOSTILE, "+7"), (), MOMENT, MOMENT, (UUID(int=2), UUID(int=3))
    )
    values: dict[str, Any] = dict.fromkeys(InquiryRow._fields)
    values |= dict.fromkeys(("opened_at",), MOMENT) | {"utm": {HOSTILE: HOSTILE}, "events": ()}
    values |= dict.fromkeys(("direction", "kind", "source", "office_zone", "employee_basis"), HOSTILE)
    values |= dict.fromkeys(("is_target", "margin_incomplete", "left_message", "new_client"), False)
    values |= dict.fromkeys(("receipts", "calls", "talk_s", "duplicates"), 0)
    values |= dict.fromkeys(("sales", "margin", "pay_rate"), Decimal("1.50"))
    inquiry = InquiryRow(**values | {"inquiry_id": UUID(int=4), "client_id": UUID(int=1)})
    alias = ClientAliasRow(UUID(int=5), UUID(int=1))
    folded: dict[int, Rows] = {7: {"client": [client], "inquiry": [inquiry], "client_alias": [alias]}}
    fresh = rows.difference(folded, {})
    other = rows.Changes(other=fresh.fresh)
    async with await connect(database_url) as conn:
        await prepare(conn, conf)
        found = []
        for changes in (fresh, other):
            build = await create(conn, conf, purpose="test")
            async with conn.transaction():
                await rows.apply(conn, build.schema, changes)
            both = []
            for table in folded[7]:
                cursor = await conn.execute(f'select * from {build.schema}."{table}"')
                both += await cursor.fetchall()
            found.append(both)
            await drop(conn, build.build_id)
    assert found[0] == found[1]
    assert found[0][0][3] == HOSTILE.replace("\0", "\ufffd")


async def test_a_row_that_another_group_has_told_is_taken_over(database_url: str) -> None:
    conf = ProjectorSettings(database_url=database_url)
    async with await connect(database_url) as conn:
        await prepare(conn, conf)
        build = await create(conn, conf, purpose="test")
        for group, owner in ((1, 8), (2, 9)):
            told: dict[int, Rows] = {group: {"client_alias": [ClientAliasRow(UUID(int=5), UUID(int=owner))]}}
            async with conn.transaction():
                await rows.apply(conn, build.schema, rows.difference(told, {}))
        cursor = await conn.execute(f"select client_id, group_id from {build.schema}.client_alias")
        assert await cursor.fetchall() == [(UUID(int=9), 2)]
