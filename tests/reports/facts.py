"""Facts put into a build as the projector does: stored with their group, then the group folded into rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from domain.event import Event
from domain.facts.base import Fact
from domain.fold import fold_group
from domain.identity import event_id
from domain.refs import bare
from domain.said import partition_key
from projector.readmodel.history import node_key
from tests.reports.world import World, msk


def said(
    fact: Fact, at: str, *, received: str | None = None, source: str = "/native/crm", n: str = ""
) -> Event:
    """An event at a Moscow wall-clock moment; ``received`` defaults to the same moment."""
    time: datetime = msk(at)
    native = (fact.model_dump_json(), at, n)
    refs = tuple(dict.fromkeys(fact.refs(source)))
    return Event(
        event_id(source, fact.TYPE, *native), fact.TYPE, fact.VERSION, source, time, msk(received) if received else time, 1,
        None, partition_key(refs, source, b"k"), fact, refs, None,
    )  # fmt: skip


@dataclass
class Build:
    """Keeps the facts of a world and folds them."""

    world: World
    events: list[Event] = field(default_factory=list)

    async def tell(self, *events: Event) -> None:
        """Store facts and fold everything anew."""
        self.events += events
        conn, schema = self.world.conn, self.world.schema
        for table in ("fact", "ref", "grp", "client", "client_alias", "call", "call_leg", "touch", "inquiry", "lead",
                      "lead_alias", "stage", "booking", "visit", "sale", "sale_line"):  # fmt: skip
            await conn.execute(f'delete from {schema}."{table}"')
        for number, group in enumerate(_components(self.events), 1):
            for offset, event in enumerate(group):
                await store(self.world, event, number, offset)
            for node in {node_key(r) for e in group for r in e.refs}:
                await conn.execute(f"insert into {schema}.ref values (%s, %s)", (node, number))
            for rows in fold_group(group, self.world.directory).values():
                for row in rows:
                    await self.world._insert(row, number)


async def store(world: World, event: Event, group: int | None, offset: int) -> None:
    """One row of the table ``fact``."""
    values: dict[str, Any] = {
        "id": event.id, "type": event.type, "version": event.version, "source": event.source, "time": event.time,
        "time_basis": event.time_basis, "received": event.received, "revision": event.revision,
        "subject": event.subject, "partitionkey": event.partitionkey, "refs": list(event.refs),
        "data": event.data.model_dump_json(), "carrier": event.id, "partition": 0, "offset": offset,
        "group_id": group,
    }  # fmt: skip
    names = ", ".join(f'"{name}"' for name in values)
    holders = ", ".join(["%s"] * len(values))
    await world.conn.execute(
        f"insert into {world.schema}.fact ({names}) values ({holders})".encode(), list(values.values())
    )


def _components(events: Iterable[Event]) -> list[list[Event]]:
    groups: list[tuple[set[str], list[Event]]] = []
    for event in events:
        nodes = {bare(r) for r in event.refs}
        mine = [g for g in groups if g[0] & nodes]
        merged = (nodes.union(*(g[0] for g in mine)), [e for g in mine for e in g[1]] + [event])
        groups = [g for g in groups if g not in mine] + [merged]
    return [g[1] for g in groups]
