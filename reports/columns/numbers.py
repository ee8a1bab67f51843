"""Numbers of clients, as columns name them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import tuple_row


async def client_numbers(
    conn: AsyncConnection[Any], schema: str, clients: Collection[UUID]
) -> dict[UUID, int]:
    """Numbers of these clients; those that have none get negative ones of their own."""
    if not clients:
        return {}
    async with conn.cursor(row_factory=tuple_row, binary=True) as cursor:
        await cursor.execute(
            f"select client, number from {schema}.rollup_client where client = any(%s)".encode(),  # noqa: S608
            [list(clients)],
        )
        found: dict[UUID, int] = dict(await cursor.fetchall())
    for client in set(clients) - found.keys():
        found[client] = -1 - len(found)
    return found
