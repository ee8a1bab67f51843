# ruff: noqa: S608 - the name of the schema is checked
"""What data there is at all, whatever the period."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import tuple_row

from projector.readmodel.tables import check_schema
from reports.context import Context


async def newest_inquiry(conn: AsyncConnection[Any], context: Context) -> datetime | None:
    """When the newest inquiry began (UTC); None before the first. Raises psycopg errors."""
    async with conn.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(f"select max(opened_at) from {check_schema(context.schema)}.inquiry".encode())
        row = await cursor.fetchone()
    return row[0] if row else None
