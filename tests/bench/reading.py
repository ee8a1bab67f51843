"""The report: the data of its page for a year, a drill from a figure, and the Excel file."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import psycopg

from projector.readmodel.tables import columns, create_indexes, create_schema
from reports.catalogue import INQUIRIES
from reports.drill import drill
from reports.export import write_xlsx
from reports.rollup.refresh import refresh
from tests.bench.options import Options
from tests.bench.places import folder, postgres
from tests.bench.table import Row
from tests.reports.world import SCHEMA, World, inquiry, msk
from tests.support.postgres import fresh_database

_YEAR = ("2026-01-01", "2026-12-31")
_TIMES = 20

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


def report(options: Options) -> list[Row]:
    """Percentiles of the report's parts over all inquiries of a year."""
    with folder() as place, postgres(place) as server, fresh_database(server.url) as url:
        return asyncio.run(_report(url, options.inquiries, place))


async def _report(url: str, count: int, place: Path) -> list[Row]:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
        world = await _filled(conn, count)
        sums_s = await _summed(world)
        params = world.params(*_YEAR, group="direction,employee,kind")
        whole = await world.report(*_YEAR, group="direction,employee,kind")
        page_s = await _times(lambda: world.report(*_YEAR, group="direction,employee,kind"))
        path = (("direction", "in"), ("employee", "person 3"))
        drill_s = await _times(
            lambda: drill(conn, params, world.context, path=path, metric=whole.columns[0].key)
        )
        began = time.perf_counter()
        file = place / "report.xlsx"
        await write_xlsx(conn, params, world.context, file)
        excel_s = time.perf_counter() - began
    said = f"at {count:,} inquiries a year"
    return [
        Row(f"report: sums of all days {said}, once", sums_s, "s"),
        Row(f"report: data of the page {said}, p95", page_s * 1000, "ms", None, None, "< 100 ms at 1M"),
        Row(f"report: drill {said}, p95", drill_s * 1000, "ms", None, None, "< 30 ms at 1M"),
        Row(f"report: Excel {said}, {file.stat().st_size >> 20} MB", excel_s, "s"),
    ]


async def _summed(world: World) -> float:
    """Seconds until every day has its sums, as the report service makes them after a rebuild."""
    began = time.perf_counter()
    while (await refresh(world.conn, world.context, INQUIRIES, "Europe/Moscow")).left:
        pass
    took = time.perf_counter() - began
    await world.conn.execute("vacuum analyze")
    return took


async def _times(work: Callable[[], Awaitable[Any]]) -> float:
    """The second longest of some runs."""
    found = []
    for _ in range(_TIMES):
        began = time.perf_counter()
        await work()
        found.append(time.perf_counter() - began)
    return sorted(found)[-2]


async def _filled(conn: psycopg.AsyncConnection[Any], count: int) -> World:
    await conn.execute(create_schema(SCHEMA))
    await conn.execute(create_indexes(SCHEMA))
    world = World(conn, now=msk("2027-01-15 12:00"))
    await world.add(inquiry("2026-01-01 09:00"))
    names = [*(column.name for column in columns("inquiry")), "group_id", "row_hash"]
    values = [f"{_VARIED[name]}" if name in _VARIED else f't."{name}"' for name in names]
    listed = ", ".join(f'"{name}"' for name in names)
    await conn.execute(
        f"insert into {SCHEMA}.inquiry ({listed}) select {', '.join(values)} from {SCHEMA}.inquiry t,"
        f" (select {count} as n) s, generate_series(1, {count}) g".encode()
    )
    client = [*(column.name for column in columns("client")), "group_id", "row_hash"]
    listed = ", ".join(f'"{name}"' for name in client)
    values = [f'i."{name}"' if name == "client_id" else f't."{name}"' for name in client]
    await conn.execute(
        f"insert into {SCHEMA}.client ({listed}) select {', '.join(values)} from {SCHEMA}.client t, {SCHEMA}.inquiry i"
        " on conflict do nothing".encode()
    )
    await conn.execute("vacuum analyze")
    return world
