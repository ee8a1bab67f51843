"""Sums of days never differ from the rows: not after random changes, not while somebody writes, not as the clock goes on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date, timedelta
from random import Random

import psycopg
import pytest

from domain.directory import Directory
from domain.facts.company import RulePublished
from domain.facts.inquiries import InquiryCategorised
from domain.facts.sales import BookingMade, ClientArrived
from domain.facts.sites import FormSubmitted
from reports.catalogue import INQUIRIES
from reports.drill import drill
from reports.rollup.layout import kept_dimensions, measures_behind
from reports.rollup.refresh import Refreshed
from tests.reports.facts import Build, said
from tests.reports.month import month
from tests.reports.sums import PERIODS, change, clean_days, must_agree, packed, packed_days, refreshed
from tests.reports.world import SCHEMA, World, day_end, inquiry, msk


@pytest.fixture
async def other(database_url: str) -> AsyncIterator[psycopg.AsyncConnection[tuple[object, ...]]]:
    """A second connection, such as the projector's."""
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as conn:
        yield conn


@pytest.mark.parametrize("seed", range(6))
async def test_sums_equal_rows_after_any_changes(world: World, seed: int) -> None:
    random = Random(seed)
    world.now = msk("2026-03-25 15:00")
    rows = month(seed, 60)
    await world.add(*rows)
    for turn in range(4):
        for _ in range(random.randrange(1, 4)):
            await refreshed(world, at_once=random.choice((5, 40)))
            if random.random() < 0.7:
                await packed(world, at_once=random.choice((5, 40)))
        await change(world, random, rows)
        world.now += timedelta(hours=random.randrange(0, 40))
        await must_agree(world, random.choice(PERIODS), questions=5, seed=seed * 10 + turn)
    while (await refreshed(world)).left:
        pass
    while await packed(world):
        pass
    # later ones lie too far ahead to be summed yet
    assert len(await clean_days(world)) >= 24
    for asked in ({}, {"basis": "activity"}, {"counted": "client"}, {"zone": "Asia/Yekaterinburg"}):
        assert len(await packed_days(world, **asked)) >= 20
    await must_agree(world, questions=6, seed=seed)


async def test_a_year_is_read_from_sums_of_months_but_for_what_changed(world: World) -> None:
    world.now = msk("2026-04-28 12:00")
    await world.add(*month(), inquiry("2026-01-31 10:00"), inquiry("2026-04-25 10:00"))
    assert await refreshed(world, at_once=400) == Refreshed(days=85)
    found = await world.conn.execute(f"select month from {SCHEMA}.rollup_month order by 1")
    assert await found.fetchall() == [(date(2026, 2, 1),), (date(2026, 3, 1),)]
    await must_agree(world)
    await world.add(inquiry("2026-03-10 23:30"))
    assert await clean_days(world) == {date(2026, 3, n) for n in range(1, 32) if n != 10}
    await must_agree(world)
    assert await refreshed(world) == Refreshed(days=1)
    assert len(await clean_days(world)) == 31
    await must_agree(world)
    found = await world.conn.execute(f"select count(*) from {SCHEMA}.rollup_month")
    assert await found.fetchone() == (1,)  # March has changed just now
    await refreshed(world)
    found = await world.conn.execute(f"select count(*) from {SCHEMA}.rollup_month")
    assert await found.fetchone() == (2,)
    await must_agree(world)


async def test_the_clock_turns_a_pending_booking_into_a_refusal(world: World) -> None:
    world.now = msk("2026-03-12 10:00")
    here, there = inquiry("2026-03-10 10:00"), "Asia/Yekaterinburg"
    slot = msk("2026-03-12 18:00")
    await world.add(
        inquiry("2026-03-10 10:00", booked_at=here.opened_at, slot_at=slot),
        inquiry("2026-03-09 10:00", booked_at=here.opened_at, slot_at=slot, office_zone=there, slot_day_end=day_end(slot, there)),
    )  # fmt: skip
    await refreshed(world)
    for at, refused, clean in (
        ("2026-03-12 21:59", 0, 2),
        ("2026-03-12 22:00", 1, 1),
        ("2026-03-13 00:00", 2, 0),
    ):
        world.now = msk(at)
        assert len(await clean_days(world, "2026-03-09", "2026-03-10")) == clean
        report = await world.report("2026-03-01", "2026-03-31")
        assert report.total["refusals"] == refused
        assert report.total["pending"] == 2 - refused
        await must_agree(world, PERIODS[0])
    await refreshed(world)
    assert len(await clean_days(world, "2026-03-09", "2026-03-10")) == 2
    await must_agree(world, PERIODS[0])


async def test_sums_hold_for_an_earlier_moment_as_long_as_the_clock_has_turned_nothing(world: World) -> None:
    world.now = msk("2026-03-20 12:00")
    quiet, turned = inquiry("2026-03-09 10:00"), inquiry("2026-03-10 10:00", slot_at=msk("2026-03-12 18:00"))
    await world.add(quiet, turned._replace(booked_at=turned.opened_at))
    await refreshed(world)
    await packed(world)
    for at, clean in (("2026-03-13T00:00", {9, 10}), ("2026-03-12T23:59", {9})):
        assert {day.day for day in await clean_days(world, as_of=at)} == clean
        assert {day.day for day in await packed_days(world, as_of=at)} == clean
        assert (await world.report(as_of=at)).total["refusals"] == (1 if 10 in clean else 0)
    await must_agree(world, questions=20)


async def test_who_writes_while_a_pass_runs_is_never_missed(
    world: World, other: psycopg.AsyncConnection[tuple[object, ...]]
) -> None:
    """Two writers of one day: the first is committed, the second is not yet when its day is summed."""
    await world.add(inquiry("2026-03-10 10:00"))
    await refreshed(world)
    writer = replace(world, conn=other)
    await world.add(inquiry("2026-03-10 11:00"))
    async with other.transaction():
        await writer.add(inquiry("2026-03-10 12:00"))
        await refreshed(world)
        assert date(2026, 3, 10) in await clean_days(world)
        assert (await world.report()).total["inquiries"] == 2
    assert date(2026, 3, 10) not in await clean_days(world)
    assert (await world.report()).total["inquiries"] == 3
    await refreshed(world)
    assert date(2026, 3, 10) in await clean_days(world)
    assert (await world.report()).total["inquiries"] == 3


async def test_who_wrote_before_the_sums_were_begun_is_waited_for(
    world: World, other: psycopg.AsyncConnection[tuple[object, ...]]
) -> None:
    await world.add(inquiry("2026-03-10 10:00"))
    async with other.transaction():
        await replace(world, conn=other).add(inquiry("2026-03-10 12:00"))
        assert (await refreshed(world)).busy
    assert (await refreshed(world)) == Refreshed(days=1)
    assert (await world.report()).total["inquiries"] == 2


async def test_one_pass_at_a_time(world: World, other: psycopg.AsyncConnection[tuple[object, ...]]) -> None:
    await world.add(inquiry("2026-03-10 10:00"))
    await refreshed(world)
    async with other.transaction():
        await other.execute(f"lock table {SCHEMA}.rollup_day in share row exclusive mode")
        assert (await refreshed(world)).busy
        assert (await world.report()).total["inquiries"] == 1


async def test_other_rules_of_reasons_are_other_sums(world: World) -> None:
    await world.add(
        inquiry("2026-03-10 10:00", refusal_reason_id="price", refusal_at=msk("2026-03-10 10:05"))
    )
    await refreshed(world)
    assert (await world.report()).total["inquiries"] == 1
    rule = said(
        RulePublished(version="1", valid_from=msk("2026-03-01 00:00"), body={"valid_reasons": ["price"]}),
        "2026-03-01 10:00",
    )
    world.directory = replace(world.directory, rule_versions=Directory.build([rule]).rule_versions)
    assert not await clean_days(world)
    assert (await world.report()).total["inquiries"] == 0
    await refreshed(world)
    assert await clean_days(world) == {date(2026, 3, 10)}
    assert (await world.report()).total["inquiries"] == 0


async def test_marks_that_nobody_removes_end_the_sums_until_they_are_begun_anew(world: World) -> None:
    await world.add(inquiry("2026-03-10 10:00"))
    await refreshed(world)
    await world.conn.execute(
        f"insert into {SCHEMA}.rollup_mark select now() from generate_series(1, 1000000)"
    )
    await world.add(inquiry("2026-03-10 11:00"))
    state = await world.conn.execute(f"select count(*) from {SCHEMA}.rollup_state")
    assert await state.fetchone() == (0,)
    await world.add(inquiry("2026-03-10 12:00"))
    assert not await clean_days(world)
    assert (await world.report()).total["inquiries"] == 3
    assert await refreshed(world) == Refreshed(days=1)
    assert (await world.report()).total["inquiries"] == 3
    size = await world.conn.execute(f"select count(*) from {SCHEMA}.rollup_mark")
    assert await size.fetchone() == (0,)


async def test_facts_folded_late_and_anew(world: World) -> None:
    """The real fold: a form, its category changed twice, a booking and an arrival told late, a fact of tomorrow."""
    world.now = msk("2026-03-20 12:00")
    build = Build(world)
    for n in range(12):
        form = FormSubmitted(submission_id=f"t{n}", phone=f"+7903000000{n}", name="Иван")
        await build.tell(said(form, f"2026-03-{n + 1:02} 23:5{n % 10}"))
    story = [
        said(InquiryCategorised(submission_id="t3", category="repair", by="201"), "2026-03-04 09:00"),
        said(InquiryCategorised(submission_id="t4", category="repair", by="201"), "2026-03-05 09:00"),
        said(BookingMade(phone="+79030000003", booking_id="b3", slot=msk("2026-03-21 10:00"), by="201"), "2026-03-04 09:05"),
        said(InquiryCategorised(submission_id="t3", category="other", by="201"), "2026-03-06 09:00", n="again"),
        said(ClientArrived(phone="+79030000004", visit_id="v4"), "2026-03-10 09:00", received="2026-03-19 09:00"),
        said(InquiryCategorised(submission_id="t3", category="repair", by="201"), "2026-03-07 09:00", n="and again"),
        said(ClientArrived(phone="+79030000003", visit_id="v3"), "2026-03-21 09:00"),
    ]  # fmt: skip
    for number, event in enumerate(story):
        await refreshed(world)
        await build.tell(event)
        await must_agree(world, PERIODS[0])
        if number % 2:
            await refreshed(world)
            await must_agree(world, PERIODS[0])
    await refreshed(world)
    # what will be told of tomorrow hides the day of the client's inquiry from the sums, and no other
    assert date(2026, 3, 4) not in await clean_days(world)
    assert date(2026, 3, 5) in await clean_days(world)
    assert (await world.report()).total["arrived"] == 1
    world.now = msk("2026-03-21 12:00")
    assert (await world.report()).total["arrived"] == 2


@pytest.mark.parametrize("metric", [None, *(m.key for m in INQUIRIES.metrics)])
async def test_every_page_of_a_drill_is_the_same_with_sums(world: World, metric: str | None) -> None:
    world.now = msk("2026-04-28 12:00")
    await world.add(*month())
    await refreshed(world, at_once=400)
    await world.add(*month(3, 9))
    paths: tuple[tuple[tuple[str, str | None], ...], ...] = (
        (), (("direction", "in"),), (("direction", "in"), ("employee", None)), (("week", "2026-03-09"), ("kind", "chat"))
    )  # fmt: skip
    params = world.params("2026-02-20", "2026-04-10")
    for path in paths:
        for notice in (None, "excluded", "uncategorised") if metric is None else (None,):
            whole = await drill(
                world.conn, params, world.context, path=path, metric=metric, notice=notice, limit=None
            )
            assert whole.total == len(whole.lines)
            for limit, offset in ((7, 0), (7, 7), (50, 3), (1, whole.total), (1000, 0)):
                page = await drill(
                    world.conn,
                    params,
                    world.context,
                    path=path,
                    metric=metric,
                    notice=notice,
                    limit=limit,
                    offset=offset,
                )
                assert page.lines == whole.lines[offset : offset + limit]
                assert (page.total, page.value) == (whole.total, whole.value)


def test_what_depends_on_the_clock_says_when_it_turns() -> None:
    assert any("{as_of}" in m.sql for m in INQUIRIES.measures)
    assert INQUIRIES.turns
    assert not any("{as_of}" in INQUIRIES.dimension(d).sql for d in kept_dimensions(INQUIRIES))
    assert all(measures_behind(INQUIRIES, metric) for metric in INQUIRIES.metrics)
