"""Facts as rows of the table ``fact``: which of two versions wins, and how they are written."""

# ruff: noqa: S608 - names of schemas pass check_schema, names of tables and columns come from domain.rows

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

import orjson
import psycopg

from domain.event import Event, Evidence
from domain.fold.history import supersedes
from projector.database import Connection
from projector.errors import BatchConflict
from projector.groups import Member
from projector.lines import copy, dump, line_with_json, texts, uuids, without_nul
from projector.readmodel.history import FACT_COLUMNS, event_of, node_key
from projector.readmodel.tables import check_schema


class Place(NamedTuple):
    """Where a record lies on the log."""

    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Arrival:
    """An event as it came from the log, and its data as they will be stored (JSON)."""

    event: Event
    place: Place
    data: bytes

    @classmethod
    def of(cls, event: Event, place: Place) -> Arrival:
        """Serialise the data once: the bytes are stored, and they decide between versions."""
        data = event.data.__pydantic_serializer__.to_json(event.data, exclude_none=True)
        return cls(event, place, data if b"\\u0000" not in data else without_nul(data))

    @property
    def in_group(self) -> bool:
        """Whether the fact belongs to a group at all."""
        return bool(self.event.refs) and not self.event.data.DIRECTORY


@dataclass(frozen=True, slots=True)
class Known:
    """A fact that is stored already. ``event`` is None when today's code cannot read it: anything supersedes it."""

    event: Event | None
    data: bytes
    group_id: int | None
    place: Place  # which version it is: another one at the time of writing means that somebody was in between


def wins(new: Arrival, event: Event | None, data: bytes) -> bool:
    """Whether an arrival replaces another version of itself (`domain.fold.history.supersedes`)."""
    if event is None:
        return True
    mine = new.event
    if (
        new.data == data
        and mine.revision == event.revision
        and mine.time == event.time
        and mine.refs == event.refs
    ):
        return mine.received < event.received
    return supersedes(mine, event)


@dataclass(slots=True)
class Sifted:
    """A batch after the winner rule: what is new, and what supersedes a stored fact. The rest changes nothing."""

    new: list[Arrival]
    superseding: list[tuple[Arrival, Known]]

    @property
    def all(self) -> list[Arrival]:
        """Everything that changes something."""
        return [*self.new, *(arrival for arrival, _ in self.superseding)]

    def members(self) -> list[Member]:
        """The facts that belong to groups, for `groups.place`."""
        found = [_member(arrival, None) for arrival in self.new if arrival.in_group]
        found += [
            _member(arrival, known.group_id)
            for arrival, known in self.superseding
            if arrival.in_group or known.group_id is not None
        ]
        return found


def _member(arrival: Arrival, group_id: int | None) -> Member:
    nodes = tuple(map(node_key, arrival.event.refs)) if arrival.in_group else ()
    return Member(arrival.event.id, nodes, group_id)


async def sift(conn: Connection, schema: str, arrivals: Iterable[Arrival]) -> Sifted:
    """Apply the winner rule inside of a batch and against what is stored."""
    best: dict[int, Arrival] = {}
    for arrival in arrivals:
        key = arrival.event.id.int  # a UUID is hashed in Python
        other = best.get(key)
        if other is None or wins(arrival, other.event, other.data):
            best[key] = arrival
    known = await _known(conn, schema, [arrival.event.id for arrival in best.values()])
    sifted = Sifted([], [])
    for key, arrival in best.items():
        stored = known.get(key)
        if stored is None:
            sifted.new.append(arrival)
        elif wins(arrival, stored.event, stored.data):
            sifted.superseding.append((arrival, stored))
    return sifted


async def _known(conn: Connection, schema: str, ids: list[UUID]) -> dict[int, Known]:
    async with conn.cursor(binary=True) as cursor:
        await cursor.execute(
            f'select "partition", "offset", {FACT_COLUMNS} from {check_schema(schema)}.fact where id = any(%s::text::uuid[])',
            (uuids(ids),),
        )
        return {row[3].int: _stored(Place(row[0], row[1]), row[2:]) for row in await cursor.fetchall()}


def _stored(place: Place, row: Sequence[Any]) -> Known:
    try:
        event = event_of(row)
    except (ValueError, LookupError):  # UnknownFact, ValidationError, MissingStep
        event = None
    return Known(event, row[-1].encode(), row[0], place)


async def write(conn: Connection, schema: str, sifted: Sifted, group_of: dict[UUID, int]) -> None:
    """Store what `sift` left, with the groups that were found for it.

    Raises:
        BatchConflict: another projector stored one of them in between.
    """
    if sifted.new:
        lines = [_line(arrival, group_of.get(arrival.event.id)) for arrival in sifted.new]
        try:
            await copy(conn, f"{check_schema(schema)}.fact", _NAMES, lines)
        except psycopg.errors.UniqueViolation as error:
            raise BatchConflict("a fact was stored in between") from error
    if sifted.superseding:
        arrivals = [arrival for arrival, _ in sifted.superseding]
        sets = ", ".join(f"{name} = n.{name}" for name in _NAMES.split(", ")[1:])
        cursor = await conn.execute(
            f"update {check_schema(schema)}.fact f set {sets}"
            f" from json_populate_recordset(null::{schema}.fact, %s::text::json) n"
            ' join unnest(%s::uuid[], %s::integer[], %s::bigint[]) as k(id, "partition", "offset") using (id)'
            ' where f.id = n.id and f."partition" = k."partition" and f."offset" = k."offset"',
            (
                _rows(arrivals, group_of),
                [arrival.event.id for arrival in arrivals],
                [known.place.partition for _, known in sifted.superseding],
                [known.place.offset for _, known in sifted.superseding],
            ),
        )
        if cursor.rowcount != len(arrivals):
            raise BatchConflict("a fact was superseded in between")
        await conn.execute(
            "update leadfold.deadletter set resolved_at = now() where event_id = any(%s) and kind = 'fact'"
            " and resolved_at is null",
            ([arrival.event.id for arrival in arrivals],),
        )


_NAMES = (
    'id, type, version, source, "time", time_basis, received, revision, subject, partitionkey, refs,'
    ' carrier, delivery_id, "partition", "offset", group_id, dead, data'
).replace(",\n", ", ")


def _rows(arrivals: Sequence[Arrival], group_of: dict[UUID, int]) -> str:
    return dump([_row(arrival, group_of.get(arrival.event.id)) for arrival in arrivals]).decode()


def _row(arrival: Arrival, group_id: int | None) -> dict[str, Any]:
    event, evidence = arrival.event, arrival.event.evidence
    carrier = None if evidence is None else event.id if isinstance(evidence, Evidence) else evidence.event_id
    return {
        "id": event.id,
        "type": event.type,
        "version": event.data.VERSION,
        "source": event.source,
        "time": event.time,
        "time_basis": event.time_basis,
        "received": event.received,
        "revision": event.revision,
        "subject": event.subject,
        "partitionkey": event.partitionkey,
        "refs": event.refs,
        "data": orjson.Fragment(arrival.data),
        "carrier": carrier,
        "delivery_id": None if evidence is None else evidence.delivery_id,
        "partition": arrival.place.partition,
        "offset": arrival.place.offset,
        "group_id": group_id,
        "dead": False,
    }


def _line(arrival: Arrival, group_id: int | None) -> bytes:
    """The same as `_row`, as a line of COPY in the order of `_NAMES`."""
    event, evidence = arrival.event, arrival.event.evidence
    carrier = None if evidence is None else event.id if isinstance(evidence, Evidence) else evidence.event_id
    return line_with_json(
        (
            event.id,
            event.type,
            event.data.VERSION,
            event.source,
            event.time,
            event.time_basis,
            event.received,
            event.revision,
            event.subject,
            event.partitionkey,
            texts(event.refs),
            carrier,
            None if evidence is None else evidence.delivery_id,
            *arrival.place,
            group_id,
            False,
        ),
        arrival.data,
    )
