"""Puts the sample's events into a build schema of a real database, folded as the projector folds them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from psycopg import AsyncConnection, sql
from psycopg.types.json import Json

from domain.directory import Directory
from domain.event import Event, Evidence
from domain.fold import fold_group
from projector.readmodel.history import FactPlace, node_key
from projector.readmodel.tables import columns, create_indexes, create_schema
from reports.overlay import stored

SCHEMA = "build_0001"


class Deliveries:
    """The raw webhooks by the event they came with: stands where the log stands in the product."""

    def __init__(self, events: Iterable[Event]) -> None:
        told = list(events)
        self.by_event = {e.id: e.evidence for e in told if isinstance(e.evidence, Evidence)}
        self.types = {str(e.id): e.type for e in told}

    async def read(self, place: FactPlace) -> Evidence | None:
        return self.by_event.get(place.carrier or place.event_id)


async def load(conn: AsyncConnection[Any], directory: Directory, groups: list[list[Event]]) -> None:
    """Create the schema and fill it: facts, nodes, groups and the rows that the fold makes of them."""
    await conn.execute(create_schema(SCHEMA))
    await conn.execute(create_indexes(SCHEMA))
    rows: dict[str, list[list[Any]]] = {}
    for number, events in enumerate(groups, 1):
        for table, folded in fold_group(events, directory).items():
            rows.setdefault(table, []).extend([*(stored(v) for v in row), number, 0] for row in folded)
        nodes = {node_key(r) for e in events for r in e.refs}
        rows.setdefault("ref", []).extend([node, number] for node in nodes)
        rows.setdefault("grp", []).append([number, None, len(events), True])
        rows.setdefault("fact", []).extend(_fact(e, number, n) for n, e in enumerate(events))
    names = {
        "ref": ["node", "group_id"],
        "grp": ["group_id", "fingerprint", "facts", "folded"],
        "fact": [
            "id", "type", "version", "source", "time", "time_basis", "received", "revision", "subject", "partitionkey", "refs",
            "data", "carrier", "delivery_id", "partition", "offset", "group_id",
        ],
    }  # fmt: skip
    async with conn.cursor() as cursor:
        for table, values in rows.items():
            listed = names.get(table) or [*(c.name for c in columns(table)), "group_id", "row_hash"]
            query = sql.SQL("insert into {} ({}) values ({})").format(
                sql.Identifier(SCHEMA, table),
                sql.SQL(", ").join(map(sql.Identifier, listed)),
                sql.SQL(", ").join(sql.Placeholder() * len(listed)),
            )
            await cursor.executemany(query, values)


def _fact(event: Event, group: int, offset: int) -> list[Any]:
    delivery = event.evidence.delivery_id if event.evidence else None
    data = Json(event.data.model_dump(mode="json", exclude_none=True))
    return [
        event.id, event.type, event.version, event.source, event.time, event.time_basis, event.received, event.revision,
        event.subject, event.partitionkey, list(event.refs), data, event.id, delivery, 0, group * 1000 + offset, group,
    ]  # fmt: skip
