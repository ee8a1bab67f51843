"""Drills by sums and columns show what the rows show; what does not fit into columns stays in its rows."""

from __future__ import annotations

from decimal import Decimal
from random import Random
from typing import Any

import pytest

from domain.rows import InquiryRow
from reports.catalogue import INQUIRIES
from reports.dimensions import NONE_KEY
from reports.drill import Page, drill
from reports.result import Params
from tests.reports.month import month
from tests.reports.sums import VALUES, any_question, must_agree, packed, packed_days, refreshed, without_sums
from tests.reports.world import SCHEMA, World, inquiry, msk

METRICS = (None, *(m.key for m in INQUIRIES.metrics))


async def summed(world: World, at_once: int = 400) -> None:
    await refreshed(world, at_once=at_once)
    await packed(world, at_once=at_once)


@pytest.mark.parametrize("seed", range(4))
async def test_any_page_of_any_drill_is_what_the_rows_show(world: World, seed: int) -> None:
    random = Random(seed)
    world.now = msk("2026-04-28 12:00")
    await world.add(*month(seed))
    await summed(world)
    await world.add(*month(seed + 100, 9))  # days without sums and columns between the others
    for _ in range(60):
        params = world.params("2026-02-20", "2026-04-10", **any_question(random))
        path = tuple(
            (key, _value(random, key)) for key in random.sample(list(VALUES), random.choice((0, 1, 2)))
        )
        metric, notice = random.choice(METRICS), random.choice((None, None, "excluded", "uncategorised"))
        limit, offset = random.choice(((7, 0), (7, 7), (50, 3), (1, 20), (1000, 0), (5, 1000)))

        asked = {"path": path, "metric": metric, "notice": notice, "limit": limit, "offset": offset}
        found = await _drill(world, params, **asked)
        async with without_sums(world):
            assert found == await _drill(world, params, **asked), (params, asked)


async def _drill(world: World, params: Params, **asked: Any) -> Page:
    return await drill(world.conn, params, world.context, **asked)


def _value(random: Random, key: str) -> str | None:
    value = random.choice(VALUES[key])
    return None if value == NONE_KEY else value


async def test_sums_finer_or_larger_than_columns_are_read_from_their_rows(world: World) -> None:
    for day, sales in ((9, "10.0001"), (10, "10.00001"), (11, "100000000"), (12, "-99999999.9999")):
        at = msk(f"2026-03-{day:02} 10:00")
        await world.add(inquiry(at, arrived_at=at, sales=Decimal(sales), receipts=1))
    await summed(world)
    assert {day.day for day in await packed_days(world, counted="client")} == {9, 12}
    report = await world.report(counted="client")
    assert report.total["sales"] == Decimal("10.0001") + Decimal("10.00001") + Decimal("0.0001")
    await must_agree(world, questions=10)


async def test_a_change_of_a_sale_alone_is_seen(world: World) -> None:
    """The activity basis reads lines of sales: the day of their inquiry is no longer clean."""
    rows = month()
    await world.add(*rows)
    came = next(r for r in rows if isinstance(r, InquiryRow) and r.receipts)
    day = came.opened_at.astimezone(msk("2026-03-01 00:00").tzinfo).date()
    for statement in (
        "update {s}.sale_line set amount = amount + 1 where sale_id in (select sale_id from {s}.sale where inquiry_id = %s)",
        "update {s}.sale set sold_at = sold_at + interval '1 day' where inquiry_id = %s",
        "delete from {s}.sale_line where sale_id in (select sale_id from {s}.sale where inquiry_id = %s)",
        "delete from {s}.sale where inquiry_id = %s",
    ):
        await summed(world)
        before = await packed_days(world, "2026-02-01", "2026-05-30", basis="activity")
        await world.conn.execute(statement.format(s=SCHEMA), [came.inquiry_id])
        after = await packed_days(world, "2026-02-01", "2026-05-30", basis="activity")
        assert len(before - after) == 1
        assert abs((next(iter(before - after)) - day).days) <= 1
        await must_agree(world, ("2026-02-20", "2026-04-30"), questions=3)


async def test_a_client_who_is_new_today_is_counted_once(world: World) -> None:
    first = inquiry("2026-03-10 10:00")
    await world.add(first, inquiry("2026-03-11 10:00"))
    await summed(world)
    new = inquiry("2026-03-12 10:00")
    await world.add(
        new, again(new, "2026-03-12 11:00"), again(first, "2026-03-12 12:00"), inquiry("2026-03-12 13:00")
    )
    assert len(await packed_days(world, counted="client")) == 2
    assert (await world.report(counted="client")).total["inquiries"] == 4
    assert (await world.report(counted="inquiry")).total["inquiries"] == 6
    page = await drill(
        world.conn, world.params(counted="client"), world.context, metric="inquiries", limit=50
    )
    assert (page.value, page.total) == (4, 6)


def again(row: InquiryRow, opened: str) -> InquiryRow:
    """Another inquiry of the same client."""
    return inquiry(opened, client_id=row.client_id)
