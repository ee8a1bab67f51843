from collections.abc import AsyncIterator

import psycopg
import pytest

from projector.readmodel.tables import create_indexes, create_schema
from tests.reports.world import SCHEMA, World


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as conn:
        await conn.execute(create_schema(SCHEMA))
        await conn.execute(create_indexes(SCHEMA))
        yield World(conn)
