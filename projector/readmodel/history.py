"""Facts as they are stored in a build, read back as events (without evidence), whole groups at a time.

Reports use this for "as of" and "as known at": they fold the groups that a cut touches once more, with the cut.
"""

# ruff: noqa: S608 - names of schemas pass check_schema, names of tables and columns come from domain.rows

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection

from domain.event import Event
from domain.facts.base import Fact
from domain.facts.registry import FACTS, read_fact
from domain.refs import bare
from projector.readmodel.tables import check_schema

Histories = dict[int, list[Event]]

#: Columns of a fact as `event_of` wants them.
FACT_COLUMNS = 'group_id, id, type, version, source, "time", received, revision, subject, partitionkey, refs, time_basis, data::text'


class FactPlace(NamedTuple):
    """Where a fact lies on the log, and where the delivery does that it came from."""

    event_id: UUID
    group_id: int | None
    partition: int
    offset: int
    carrier: UUID | None  # the event that carries the evidence; equal to event_id when it does itself
    carrier_partition: int | None
    carrier_offset: int | None
    dead: bool


@lru_cache(maxsize=50_000)
def node_key(ref: str) -> int:
    """The node of a ref in the table ``ref``: 64 bits of a hash over the bare ref.

    Two refs with one hash would only put two groups into one, which is still right: groups are supersets.
    """
    # past the memory of ``bare``: every ref comes here once, and would only push out what others ask for again
    name = bare.__wrapped__(ref)
    return int.from_bytes(
        blake2b(name.encode("utf-8", "replace"), digest_size=8).digest(), "big", signed=True
    )


def read_data(type_: str, version: int, text: str) -> Fact:
    """Today's model of stored data. Raises what ``read_fact`` raises."""
    model = FACTS.get(type_)
    if model is not None and version == model.VERSION:
        return model.model_validate_json(text)
    return read_fact(type_, version, json.loads(text))


def history_query(schema: str, *, before: bool = False, known_before: bool = False) -> str:
    """SQL of `load_histories`; parameters: groups, then the given cuts in this order."""
    text = f"select {FACT_COLUMNS} from {check_schema(schema)}.fact where group_id = any(%s) and not dead"
    return text + (' and "time" < %s' if before else "") + (" and received < %s" if known_before else "")


def directory_query(schema: str, types: Sequence[str]) -> str:
    """SQL of the directory's facts."""
    names = ", ".join(f"'{name}'" for name in types)
    return f"select {FACT_COLUMNS} from {check_schema(schema)}.fact where group_id is null and type in ({names}) and not dead"


def event_of(row: Sequence[Any]) -> Event:
    """One row of the queries above as an event without evidence."""
    _, id_, type_, version, source, time, received, revision, subject, key, refs, basis, data = row
    return Event(
        id_, type_, version, source, time, received, revision, subject, key,
        read_data(type_, version, data), tuple(refs), None, basis,
    )  # fmt: skip


def histories_of(rows: Iterable[Sequence[Any]]) -> Histories:
    """Rows of `history_query` by group."""
    found: Histories = {}
    for row in rows:
        found.setdefault(row[0], []).append(event_of(row))
    return found


async def load_histories(
    conn: AsyncConnection[Any],
    schema: str,
    group_ids: Collection[int],
    *,
    before: datetime | None = None,
    known_before: datetime | None = None,
) -> Histories:
    """All facts of the groups, dead ones left out, in no particular order.

    ``before`` keeps facts that happened before that moment, ``known_before`` those received before it (both UTC,
    exclusive). A group without any such fact is absent.
    """
    query, values = _query(schema, group_ids, before, known_before)
    async with conn.cursor(binary=True) as cursor:
        await cursor.execute(query, values)
        return histories_of(await cursor.fetchall())


async def groups_touched_since(
    conn: AsyncConnection[Any],
    schema: str,
    moment: datetime | None = None,
    *,
    known_since: datetime | None = None,
) -> list[int]:
    """Groups that would fold differently with a cut, ascending.

    Those with a fact at or after ``moment``, or received at or after ``known_since`` (UTC; give one or both).
    """
    query, values = _touched(schema, moment, known_since)
    async with conn.cursor() as cursor:
        await cursor.execute(query, values)
        return [row[0] for row in await cursor.fetchall()]


def place_query(schema: str) -> str:
    """SQL of `locate`; one parameter, the event's id."""
    s = check_schema(schema)
    return (
        'select f.id, f.group_id, f."partition", f."offset", f.carrier, c."partition", c."offset", f.dead'
        f" from {s}.fact f left join {s}.fact c on c.id = f.carrier where f.id = %s"
    )


async def locate(conn: AsyncConnection[Any], schema: str, event_id: UUID) -> FactPlace | None:
    """Where a fact and its delivery lie on the log; None when this build does not know it."""
    async with conn.cursor() as cursor:
        await cursor.execute(place_query(schema), (event_id,))
        row = await cursor.fetchone()
    return None if row is None else FactPlace(*row)


def _query(
    schema: str, group_ids: Collection[int], before: datetime | None, known_before: datetime | None
) -> tuple[str, list[Any]]:
    query = history_query(schema, before=before is not None, known_before=known_before is not None)
    return query, [list(group_ids), *(cut for cut in (before, known_before) if cut is not None)]


def _touched(
    schema: str, moment: datetime | None, known_since: datetime | None
) -> tuple[str, list[datetime]]:
    terms = [
        (term, cut)
        for term, cut in (('"time" >= %s', moment), ("received >= %s", known_since))
        if cut is not None
    ]
    if not terms:
        raise ValueError("give a moment")
    where = " or ".join(term for term, _ in terms)
    query = (
        f"select distinct group_id from {check_schema(schema)}.fact"
        f" where group_id is not null and not dead and ({where}) order by group_id"
    )
    return query, [cut for _, cut in terms]
