"""Connections of the pages: lent again, and given up when the database goes silent."""

import asyncio
import time

import pytest
from psycopg import OperationalError

from leadfold.pool import Pool
from tests.support.proxy import before_postgres


async def backend(pool: Pool) -> int:
    """Which process of the server serves."""
    async with pool.connection() as conn:
        row = await (await conn.execute("select pg_backend_pid()")).fetchone()
        assert row is not None
        return int(row[0])


async def test_connections_are_lent_again_and_a_silent_database_keeps_nobody_waiting(
    database_url: str,
) -> None:
    async with before_postgres(database_url) as (url, proxy):
        pool = Pool(lambda: url, size=1)
        first = await backend(pool)
        assert await backend(pool) == first
        proxy.switch("half_open")
        began = time.monotonic()
        with pytest.raises(OperationalError):
            await asyncio.wait_for(backend(pool), 30)
        assert time.monotonic() - began < 15
        proxy.switch("pass")
        assert await backend(pool) != first
        await pool.close()
