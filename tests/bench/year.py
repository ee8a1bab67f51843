"""A year of inquiries for the rows of the report, made by Postgres itself out of one row of each table."""

from typing import Any

import psycopg

from domain.rows import Row
from projector.readmodel.tables import columns, create_indexes, create_schema
from tests.reports.world import SCHEMA, TABLE_OF, World, inquiry, msk, sale

#: Columns that differ from row to row; the others are those of the first row. ``g`` is the row's number.
_VARIED = {
    "inquiry_id": "gen_random_uuid()",
    "client_id": "md5('client' || g * 7919::bigint % (n * 6 / 10))::uuid",
    "opened_at": "timestamptz '2026-01-01 06:00Z' + (g * 31536000.0 / n) * interval '1 second'",
    "employee_id": "'person ' || g * 31 % 20",
    "team": "'team ' || g * 31 % 4",
    "kind": "(array['phone','phone','phone','missed','site','chat','visit'])[1 + g % 7]",
    "direction": "case when g % 9 = 0 then 'out' else 'in' end",
    "channel": "(array['yandex','avito','site',null])[1 + g % 4]",
    "office_id": "(array['msk','ekb'])[1 + g % 2]",
    "category_id": "case when g % 11 > 2 then 'repair' when g % 11 = 0 then null else 'other' end",
    "is_target": "g % 11 > 2",
    "excluded": "case when g % 50 = 0 then 'mark:spam' end",
    "refusal_reason_id": "(array['price','terms','not_our_car',null,null,null,null,null])[1 + g % 8]",
    "booked_at": "case when g % 3 = 0 then timestamptz '2026-01-01 07:00Z' + (g * 31536000.0 / n) * interval '1 second' end",
    "slot_at": "case when g % 3 = 0 then timestamptz '2026-01-03 07:00Z' + (g * 31536000.0 / n) * interval '1 second' end",
    "slot_day_end": "case when g % 3 = 0 then"
    " date_trunc('day', timestamptz '2026-01-03 07:00Z' + (g * 31536000.0 / n) * interval '1 second') + interval '21 hours' end",
    "arrived_at": "case when g % 6 = 0 then timestamptz '2026-01-03 07:00Z' + (g * 31536000.0 / n) * interval '1 second' end",
    "sales": "case when g % 6 = 0 then 5200.50 + g % 100 else 0 end",
    "margin": "case when g % 6 = 0 then 2100.25 + g % 70 else 0 end",
    "receipts": "case when g % 6 = 0 then 1 else 0 end",
    "pay_rate": "300",
}


#: A sale of an inquiry ``i`` whose client came: its columns beside those of the first sale, and those of its line.
_SALE = {
    "sale_id": "md5('sale' || i.inquiry_id)::uuid",
    "receipt_key": "left(i.inquiry_id::text, 8)",
    "client_id": "i.client_id",
    "inquiry_id": "i.inquiry_id",
    "sold_at": "i.arrived_at + interval '5 hours'",
    "sales": "i.sales",
    "margin": "i.margin",
}
_LINE = {
    "line_id": "md5('line' || i.inquiry_id)::uuid",
    "sale_id": "md5('sale' || i.inquiry_id)::uuid",
    "client_id": "i.client_id",
    "at": "i.arrived_at + interval '5 hours'",
    "amount": "i.sales",
    "margin": "i.margin",
}


async def fill(conn: psycopg.AsyncConnection[Any], count: int) -> World:
    """So many inquiries of 2026 in an empty database; a sixth of them came, with a sale of one line."""
    await conn.execute(create_schema(SCHEMA))
    await conn.execute(create_indexes(SCHEMA))
    made = world(conn)
    first = inquiry("2026-01-01 09:00", arrived_at="2026-01-03 10:00")
    await made.add(first)
    sold: list[Row] = sale(first, "2026-01-03 15:00", [("2026-01-03 15:00", "5200.50", "2100.25")])
    await made.add(*sold)
    await _multiply(conn, "inquiry", _VARIED, f"(select {count} as n) s, generate_series(1, {count}) g")
    client = {"client_id": "i.client_id"}
    await _multiply(conn, "client", client, f"{SCHEMA}.inquiry i", "on conflict do nothing")
    came = f"{SCHEMA}.inquiry i where i.arrived_at is not null and i.receipts > 0"
    for row, varied in zip(sold, (_SALE, _LINE), strict=True):
        await _multiply(conn, TABLE_OF[type(row)], varied, came)
    await conn.execute("vacuum analyze")
    return made


def world(conn: psycopg.AsyncConnection[Any]) -> World:
    """The database of `fill` as it stands, its clock after the end of the year."""
    return World(conn, now=msk("2027-01-15 12:00"))


async def _multiply(
    conn: psycopg.AsyncConnection[Any], table: str, varied: dict[str, str], source: str, last: str = ""
) -> None:
    names = [*(column.name for column in columns(table)), "group_id", "row_hash"]
    values = ", ".join(varied.get(name, f't."{name}"') for name in names)
    listed = ", ".join(f'"{name}"' for name in names)
    await conn.execute(
        f"insert into {SCHEMA}.{table} ({listed}) select {values} from"
        f" (select * from {SCHEMA}.{table} limit 1) t, {source} {last}".encode()
    )
