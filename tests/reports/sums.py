"""Reports with sums and columns of days beside the same reports out of the rows; and what a projector might do meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, timedelta
from decimal import Decimal
from random import Random

from domain.rows import InquiryRow, Row, SaleLineRow, SaleRow
from reports.catalogue import INQUIRIES
from reports.columns.loading import choose
from reports.compiler import Compiler
from reports.engine import run
from reports.overlay import snapshot
from reports.result import Params, Report
from reports.rollup.reading import look
from reports.rollup.refresh import Refreshed, pack, refresh
from tests.reports.month import KINDS, PEOPLE, REASONS, month
from tests.reports.world import SCHEMA, World

ZONE = "Europe/Moscow"
ASKED: tuple[dict[str, str], ...] = (
    {},
    {"group": "none"},
    {"group": "week,kind"},
    {"group": "month,office,channel"},
    {"group": "day,team"},
    {"group": "office,employee"},
    {"group": "refusal_reason"},
    {"group": "result", "filter": "day:not:2026-03-10"},
    {"group": "new_client", "filter": "month:in:2026-03"},
    {"filter": "employee:in:anna,~"},
    {"filter": "office:not:ekb"},
    {"group": "category", "filter": "kind:in:missed"},  # no sums by both
    {"counted": "client"},
    {"basis": "activity"},
    {"office_time": "1"},
    {"zone": "Asia/Yekaterinburg"},
    {"valid_reasons": "price"},
    {"as_of": "2026-03-20"},
    {"basis": "activity", "counted": "client", "group": "kind"},
    {"counted": "client", "group": "week,kind"},
    {"filter": "channel:in:yandex,~"},
)
PERIODS = (
    ("2026-03-01", "2026-03-31"),
    ("2026-02-20", "2026-04-30"),
    ("2026-03-10", "2026-03-10"),
    ("2026-01-01", "2026-12-31"),
)


async def refreshed(world: World, **more: int) -> Refreshed:
    return await refresh(world.conn, world.context, INQUIRIES, ZONE, **more)


async def clean_days(
    world: World, first: str = "2026-03-01", last: str = "2026-03-31", **asked: str
) -> frozenset[date]:
    """Days that a report would take from their sums."""
    params = world.params(first, last, **asked)
    async with snapshot(world.conn, params, world.context) as relations:
        compiler = Compiler(INQUIRIES, params, world.directory, params.as_of or world.now, relations)
        rolled = await look(world.conn, compiler, world.context, relations.moved)
    return rolled.clean if rolled else frozenset()


@asynccontextmanager
async def without_sums(world: World) -> AsyncIterator[None]:
    """Reports know no sums and no columns."""
    async with world.conn.transaction(force_rollback=True):
        await world.conn.execute("set transaction isolation level repeatable read")
        await world.conn.execute(f"delete from {SCHEMA}.rollup_state")
        yield


async def by_rows(world: World, params: Params) -> Report:
    """The same report without any sums."""
    async with without_sums(world):
        return await run(world.conn, params, world.context)


async def packed(world: World, at_once: int = 31) -> int:
    """Columns of all days that have sums, changed just now or not."""
    return await pack(world.conn, world.context, INQUIRIES, ZONE, at_once=at_once, rest=timedelta(0))


async def packed_days(
    world: World, first: str = "2026-03-01", last: str = "2026-03-31", **asked: str
) -> frozenset[date]:
    """Days that a report could take from their columns."""
    params = world.params(first, last, **asked)
    async with snapshot(world.conn, params, world.context) as relations:
        compiler = Compiler(INQUIRIES, params, world.directory, params.as_of or world.now, relations)
        chosen = await choose(world.conn, compiler, world.context, relations.moved)
    return frozenset(block.day for block in chosen.blocks) if chosen else frozenset()


def any_question(random: Random) -> dict[str, str]:
    """Parameters of a report, whatever may be asked together."""
    asked: dict[str, str] = {}
    keys = [d.key for d in INQUIRIES.dimensions]
    if random.random() < 0.8:
        asked["group"] = ",".join(random.sample(keys, random.randrange(4))) or "none"
    for key in random.sample(keys, random.choice((0, 1, 1, 2))):
        values = random.sample(VALUES[key], min(len(VALUES[key]), random.choice((1, 2))))
        if "filter" in asked:
            asked[key] = ",".join(values)
        else:
            asked["filter"] = f"{key}:{random.choice(('in', 'not'))}:{','.join(values)}"
    choices = {
        "basis": ("activity",), "counted": ("client",), "office_time": ("1",), "valid_reasons": ("price", "price,terms", ""),
        "zone": ("Asia/Yekaterinburg", "America/New_York", "Asia/Kolkata"), "as_of": ("2026-03-20", "2026-03-05T10:00"),
    }  # fmt: skip
    for name, values_of in choices.items():
        if random.random() < 0.3:
            asked[name] = random.choice(values_of)
    return asked


VALUES = {
    "direction": ("in", "out", "~"),
    "employee": tuple("~" if p is None else p for p in PEOPLE),
    "kind": KINDS,
    "team": ("~", "sales"),
    "office": ("ekb", "~"),
    "channel": ("yandex", "2gis", "~", "nobody"),
    "category": ("repair", "other", "~"),
    "source": ("main", "~"),
    "result": ("refusal", "~"),
    "refusal_reason": (*REASONS, "~"),
    "new_client": ("true", "false"),
    "day": ("2026-03-10", "2026-03-11", "2026-04-01"),
    "week": ("2026-03-09", "2026-03-02"),
    "month": ("2026-03", "2026-02"),
}


async def must_agree(world: World, *periods: tuple[str, str], questions: int = 0, seed: int = 0) -> None:
    """All that sums and columns give is what the rows give; ``questions``: so many more, drawn by the seed."""
    random = Random(seed)
    for first, last in periods or PERIODS:
        for asked in (*ASKED, *(any_question(random) for _ in range(questions))):
            params = world.params(first, last, **asked)
            assert await run(world.conn, params, world.context) == await by_rows(world, params), (
                first,
                last,
                asked,
            )


async def change(world: World, random: Random, rows: list[Row]) -> None:
    """What a projector might do: new rows, rows that become others, that vanish, that move to another day or inquiry."""
    for _ in range(random.randrange(1, 6)):
        if random.random() < 0.4 or not rows:
            fresh = month(random.randrange(10**6), 3)
            rows += fresh
            await world.add(*fresh)
            continue
        row = random.choice(rows)
        if isinstance(row, InquiryRow):
            gone = await _change_inquiry(world, random, row)
        else:
            assert isinstance(row, SaleRow | SaleLineRow)
            gone = await _change_sale(world, random, row, rows)
        if gone:
            rows.remove(row)


async def _change_inquiry(world: World, random: Random, row: InquiryRow) -> bool:
    later = timedelta(hours=random.randrange(-200, 200))
    changes: tuple[tuple[str, tuple[object, ...]], ...] = (
        ("category_id = 'other', is_target = false", ()),
        ("sales = sales + %s, receipts = receipts + 1", (Decimal(random.randrange(10**6)) / 100,)),
        ("sales = sales + 0.00001", ()),  # finer than columns are
        ("opened_at = opened_at + %s", (later,)),
        ("booked_at = opened_at + %s", (later,)),
        ("office_id = 'ekb', channel = null", ()),
        ("client_id = gen_random_uuid()", ()),
    )
    sets, values = random.choice((*changes, ("", ())))
    where = f"{SCHEMA}.inquiry"
    if not sets:
        await world.conn.execute(f"delete from {where} where inquiry_id = %s", [row.inquiry_id])
        return True
    await world.conn.execute(f"update {where} set {sets} where inquiry_id = %s", [*values, row.inquiry_id])
    return False


async def _change_sale(world: World, random: Random, row: SaleRow | SaleLineRow, rows: list[Row]) -> bool:
    later = timedelta(hours=random.randrange(-200, 200))
    other = random.choice([r for r in rows if isinstance(r, InquiryRow)] or [None])
    table, key = ("sale", "sale_id") if isinstance(row, SaleRow) else ("sale_line", "line_id")
    changes: tuple[tuple[str, tuple[object, ...]], ...] = (
        (
            ("inquiry_id = %s", (other.inquiry_id if other else None,)),
            ("sold_at = sold_at + %s", (later,)),
            ("sold_at = null", ()),
        )
        if table == "sale"
        else (('"at" = "at" + %s', (later,)), ("amount = amount + 1.25, margin = null", ()))
    )
    sets, values = random.choice((*changes, ("", ())))
    if not sets:
        await world.conn.execute(f"delete from {SCHEMA}.{table} where {key} = %s", [row[0]])
        return True
    await world.conn.execute(f"update {SCHEMA}.{table} set {sets} where {key} = %s", [*values, row[0]])
    return False
