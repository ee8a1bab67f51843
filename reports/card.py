# ruff: noqa: S608 - the text comes from the catalogue and the schema; values are always bound
"""The inquiry card (R0.47–R0.51): one inquiry with its calls, bookings, visits, sales, lead, and the facts behind them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar, cast
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import tuple_row

from domain.event import Event, Evidence
from domain.refs import ref
from domain.rows import (
    TABLES,
    BookingRow,
    CallLegRow,
    CallRow,
    ClientRow,
    InquiryRow,
    LeadRow,
    Row,
    SaleLineRow,
    SaleRow,
    TouchRow,
    VisitRow,
)  # fmt: skip
from projector.readmodel.history import FactPlace, event_of, locate, node_key
from projector.readmodel.tables import check_schema, columns
from reports.catalogue import INQUIRIES
from reports.compiler import Compiler
from reports.context import Context
from reports.dimensions import employee_label
from reports.lines import LINE_COLUMNS, InquiryLine, Wording, line_of
from reports.overlay import Relations, snapshot
from reports.result import Label, Params

Conn = AsyncConnection[Any]
R = TypeVar("R", bound=Row)


@dataclass(frozen=True, slots=True)
class CallCard:
    """A call of the inquiry with its legs, in order of ringing."""

    call: CallRow
    legs: tuple[CallLegRow, ...]


@dataclass(frozen=True, slots=True)
class SaleCard:
    """A receipt with its lines, in order of time."""

    sale: SaleRow
    lines: tuple[SaleLineRow, ...]


@dataclass(frozen=True, slots=True)
class InquiryCard:
    """Everything about one inquiry. Lists are in order of time; ``events`` are the facts it came from.

    ``client_calls``: all calls of the client, also those of his other inquiries (R0.48). ``people``: words
    for every employee key of the card.
    """

    line: InquiryLine
    client: ClientRow | None
    calls: tuple[CallCard, ...]
    client_calls: tuple[CallCard, ...]
    other_inquiries: tuple[InquiryRow, ...]
    touches: tuple[TouchRow, ...]
    bookings: tuple[BookingRow, ...]
    visits: tuple[VisitRow, ...]
    sales: tuple[SaleCard, ...]
    lead: LeadRow | None
    people: dict[str, Label]
    events: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class EventLine:
    """One fact as it is stored, and where it and its delivery lie on the log."""

    event: Event
    place: FactPlace


class EvidenceReader(Protocol):
    """Reads the raw webhook from the log. Given by whoever has the log: reports know only the position."""

    async def read(self, place: FactPlace) -> Evidence | None:
        """The delivery that a fact came from; None when the log no longer has it."""
        ...


async def inquiry_card(conn: Conn, params: Params, context: Context, inquiry_id: UUID) -> InquiryCard | None:
    """The card of an inquiry under the clocks of ``params``, or None when there is no such inquiry.

    ``inquiry_id`` may also be the id of a contact that was joined into it (a repeated form, a return call), or of
    one of its events.
    """
    groups = await _groups_of(conn, context, inquiry_id)
    async with snapshot(conn, params, context, groups=groups) as relations:
        read = _Reader(conn, context, relations)
        found = await read.inquiry(inquiry_id, groups)
        if found is None:
            return None
        compiler = Compiler(INQUIRIES, params, context.directory, params.as_of or context.now, relations)
        line = await read.line(found, compiler)
        row = line.inquiry
        calls = await read.rows(CallRow, "client_id", row.client_id, "started_at, call_id")
        legs = await read.rows(
            CallLegRow, "client_id", row.client_id, "rang_at nulls last, answered_at, leg_id"
        )
        cards = tuple(CallCard(c, tuple(leg for leg in legs if leg.call_id == c.call_id)) for c in calls)
        sales = await read.rows(SaleRow, "inquiry_id", found, "coalesce(sold_at, refunded_at), sale_id")
        lines = await read.rows(SaleLineRow, "client_id", row.client_id, "at, line_id")
        leads = await read.rows(LeadRow, "lead_id", row.lead_id, "lead_id") if row.lead_id else []
        clients = await read.rows(ClientRow, "client_id", row.client_id, "client_id")
        inquiries = await read.rows(InquiryRow, "client_id", row.client_id, "opened_at, inquiry_id")
        card = InquiryCard(
            line=line,
            client=clients[0] if clients else None,
            calls=tuple(c for c in cards if c.call.inquiry_id == found),
            client_calls=cards,
            other_inquiries=tuple(i for i in inquiries if i.inquiry_id != found),
            touches=tuple(await read.rows(TouchRow, "inquiry_id", found, "at, touch_id")),
            bookings=tuple(await read.rows(BookingRow, "inquiry_id", found, "made_at, booking_id")),
            visits=tuple(await read.rows(VisitRow, "inquiry_id", found, "arrived_at, visit_id")),
            sales=tuple(SaleCard(s, tuple(x for x in lines if x.sale_id == s.sale_id)) for s in sales),
            lead=leads[0] if leads else None,
            people={},
            events=row.events,
        )
    return replace(card, people=_people(card, context))


async def events_of(conn: Conn, context: Context, ids: Collection[UUID]) -> tuple[EventLine, ...]:
    """Facts by id with their places on the log, in order of time. Unknown ids are left out."""
    schema = check_schema(context.schema)
    query = (
        'select f.group_id, f.id, f.type, f.version, f.source, f."time", f.received, f.revision, f.subject, f.partitionkey,'
        ' f.refs, f.time_basis, f.data::text, f."partition", f."offset", f.carrier, c."partition", c."offset", f.dead'
        f" from {schema}.fact f left join {schema}.fact c on c.id = f.carrier"
        ' where f.id = any(%s) order by f."time", f.received, f.id'
    )
    async with conn.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(query.encode(), [list(ids)])
        rows = await cursor.fetchall()
    return tuple(EventLine(event_of(row[:13]), FactPlace(row[1], row[0], *row[13:])) for row in rows)


async def inquiry_of_event(conn: Conn, context: Context, event_id: UUID) -> UUID | None:
    """The inquiry, as it is now, that an event is part of: its own, or that of its call, booking, visit or receipt."""
    schema = check_schema(context.schema)
    tables = ("inquiry", "call", "touch", "booking", "visit", "sale")
    query = " union all ".join(
        f"select t.inquiry_id, {n} as rank from {schema}.{table} t join {schema}.fact f"
        f" on f.id = %(id)s and f.group_id = t.group_id where t.inquiry_id is not null and f.id = any(t.events)"
        for n, table in enumerate(tables)
    )
    async with conn.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(f"{query} order by 2, 1 limit 1".encode(), {"id": event_id})
        row = await cursor.fetchone()
    return row[0] if row else None


async def evidence_of(
    conn: Conn, context: Context, event_id: UUID, reader: EvidenceReader
) -> Evidence | None:
    """The raw webhook that a fact came from; None when the fact or its delivery is unknown."""
    place = await locate(conn, context.schema, event_id)
    return None if place is None else await reader.read(place)


async def _groups_of(conn: Conn, context: Context, inquiry_id: UUID) -> list[int]:
    """The group of facts that an inquiry, a contact joined into one, or an event belongs to."""
    schema = check_schema(context.schema)
    query = (
        f"select group_id from {schema}.inquiry where inquiry_id = %(id)s"
        f" union select group_id from {schema}.ref where node = %(node)s"
        f" union select group_id from {schema}.fact where id = %(id)s and group_id is not null"
    )
    async with conn.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(
            query.encode(), {"id": inquiry_id, "node": node_key(ref("inquiry", str(inquiry_id)))}
        )
        return [row[0] for row in await cursor.fetchall()]


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads rows of one snapshot as the domain's row types."""

    conn: Conn
    context: Context
    relations: Relations

    async def inquiry(self, wanted: UUID, groups: Sequence[int]) -> UUID | None:
        """The id of the inquiry that ``wanted`` names: itself, or the one that took its facts in."""
        schema = check_schema(self.context.schema)
        inquiry = self.relations["inquiry"]
        by_id = f"select inquiry_id from {inquiry} i where inquiry_id = %(id)s"
        # under an earlier clock a client may bear another of his ids: every one of them is an alias
        by_fact = (
            f"select inquiry_id from {inquiry} i where client_id in"
            f" (select alias_id from {schema}.client_alias where group_id = any(%(groups)s)"
            f" union select client_id from {schema}.client where group_id = any(%(groups)s))"
            f" and events && array(select id from {schema}.fact where group_id = any(%(groups)s)"
            " and (id = %(id)s or %(ref)s = any(refs))) order by opened_at, inquiry_id limit 1"
        )
        values = {"id": wanted, "groups": list(groups), "ref": ref("inquiry", str(wanted))}
        async with self.conn.cursor(row_factory=tuple_row) as cursor:
            for query in (by_id, by_fact):
                await cursor.execute(query.encode(), values)
                if row := await cursor.fetchone():
                    return cast("UUID", row[0])
        return None

    async def line(self, inquiry_id: UUID, compiler: Compiler) -> InquiryLine:
        """The inquiry as a line, with the rule that keeps it out of the report, if any."""
        query = compiler.row_query(f"{compiler.excluded_by()}, {LINE_COLUMNS}", "i.inquiry_id = %(id)s")
        async with self.conn.cursor(row_factory=tuple_row) as cursor:
            await cursor.execute(query.text.encode(), query.values | {"id": inquiry_id})
            row = await cursor.fetchone()
        assert row is not None
        return line_of(
            row[1:],
            Wording(INQUIRIES, self.context.directory),
            compiler.as_of,
            excluded_by=row[0],
        )

    async def rows(self, row_type: type[R], column: str, key: UUID, order: str) -> list[R]:
        """Rows of a table where a column has a value."""
        table = next(t for t, known in TABLES.items() if known is row_type)
        names = ", ".join(f'"{c.name}"' for c in columns(table))
        query = f"select {names} from {self.relations[table]} t where {column} = %s order by {order}"
        async with self.conn.cursor(row_factory=tuple_row) as cursor:
            await cursor.execute(query.encode(), [key])
            found = await cursor.fetchall()
        make = cast("Any", row_type)
        return [make(*(tuple(v) if isinstance(v, list) else v for v in row)) for row in found]


def _people(card: InquiryCard, context: Context) -> dict[str, Label]:
    calls = [call.call for call in card.client_calls]
    legs = [leg for call in card.client_calls for leg in call.legs]
    sales = [s.sale for s in card.sales]
    rows = [card.line.inquiry, *calls, *legs, *card.touches, *card.bookings, *card.visits, *sales]
    keys = {getattr(row, "employee_id", None) for row in rows}
    if card.lead:
        keys.add(card.lead.responsible_id)
    return {key: employee_label(key, context.directory) for key in sorted(k for k in keys if k)}
