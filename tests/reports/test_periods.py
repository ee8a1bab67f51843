"""Period borders: local midnight, offices in different zones, days with a change of the clocks; presets; groups of days."""

from datetime import UTC, date, datetime, timedelta

import pytest

from reports.params import preset_days
from tests.reports.world import World, inquiry, msk, nodes


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


async def test_the_period_is_half_open_at_local_midnight(world: World) -> None:
    for opened in ("2026-02-28 23:59:59", "2026-03-01 00:00", "2026-03-31 23:59:59", "2026-04-01 00:00"):
        await world.add(inquiry(opened))
    assert (await world.report()).total["inquiries"] == 2
    assert (await world.report("2026-03-31", "2026-03-31")).total["inquiries"] == 1
    assert (await world.report(zone="Asia/Yekaterinburg")).total["inquiries"] == 2
    assert (await world.report(zone="UTC")).total["inquiries"] == 2
    assert (await world.report(zone="Asia/Vladivostok")).total["inquiries"] == 2


async def test_office_time_takes_each_offices_own_midnight(world: World) -> None:
    """22:30 in Moscow on 31 March is 1 April in Yekaterinburg and still 31 March in Kaliningrad."""
    moment = msk("2026-03-31 22:30")
    late = msk("2026-04-01 00:30")
    for zone in ("Europe/Moscow", "Asia/Yekaterinburg", "Europe/Kaliningrad"):
        await world.add(
            inquiry(moment, office_zone=zone, office_id=zone), inquiry(late, office_zone=zone, office_id=zone)
        )
    moscow = await world.report(group="office")
    offices = await world.report(group="office", office_time="1")
    assert {g.key: g.values["inquiries"] for g in moscow.groups} == {
        "Europe/Moscow": 1,
        "Asia/Yekaterinburg": 1,
        "Europe/Kaliningrad": 1,
    }
    assert {g.key: g.values["inquiries"] for g in offices.groups} == {
        "Europe/Moscow": 1,
        "Europe/Kaliningrad": 2,
    }
    by_day = await world.report("2026-03-31", "2026-04-01", group="day,office", office_time="1")
    assert {(p[0][1], p[1][1]): g.values["inquiries"] for p, g in nodes(by_day) if len(p) == 2} == {
        ("2026-03-31", "Europe/Moscow"): 1, ("2026-03-31", "Europe/Kaliningrad"): 2,
        ("2026-04-01", "Europe/Moscow"): 1, ("2026-04-01", "Asia/Yekaterinburg"): 2,
    }  # fmt: skip


@pytest.mark.parametrize("office_time", ["0", "1"])
async def test_days_with_a_change_of_the_clocks_have_23_and_25_hours(world: World, office_time: str) -> None:
    """Berlin, 29 March 2026 (23 h) and 25 October 2026 (25 h): one inquiry in each hour around them."""
    zone = "Europe/Berlin"
    for start in ("2026-03-28 20:30", "2026-10-24 20:30"):
        await world.add(*(inquiry(utc(start) + timedelta(hours=n), office_zone=zone) for n in range(36)))
    short = await world.report("2026-03-29", "2026-03-29", zone=zone, office_time=office_time, group="day")
    long = await world.report("2026-10-25", "2026-10-25", zone=zone, office_time=office_time, group="day")
    assert short.total["inquiries"] == 23
    assert long.total["inquiries"] == 25
    assert [g.key for g in (*short.groups, *long.groups)] == ["2026-03-29", "2026-10-25"]


async def test_a_midnight_that_does_not_exist(world: World) -> None:
    """Cairo puts the clocks forward at 00:00 on 24 April 2026: the day begins at 01:00."""
    before = utc("2026-04-23T21:59:59")
    await world.add(inquiry(before), inquiry(before + timedelta(seconds=1)))
    for office_time in ("0", "1"):
        world_zone = {"zone": "Africa/Cairo", "office_time": office_time}
        if office_time == "1":
            await world.conn.execute("update build_0001.inquiry set office_zone = 'Africa/Cairo'")
        assert (await world.report("2026-04-23", "2026-04-23", **world_zone)).total["inquiries"] == 1
        assert (await world.report("2026-04-24", "2026-04-24", **world_zone)).total["inquiries"] == 1


async def test_weeks_begin_on_monday_and_months_are_named(world: World) -> None:
    await world.add(inquiry("2026-03-01 10:00"), inquiry("2026-03-02 10:00"), inquiry("2026-03-08 23:30"))
    report = await world.report(group="week")
    assert [(g.key, g.label.ru, g.values["inquiries"]) for g in report.groups] == [
        ("2026-02-23", "нед. 9, 23.02–01.03.2026", 1),
        ("2026-03-02", "нед. 10, 02.03–08.03.2026", 2),
    ]
    assert [g.label.ru for g in (await world.report(group="month")).groups] == ["март 2026"]
    assert [g.label.en for g in (await world.report(group="month")).groups] == ["March 2026"]


async def test_activity_groups_days_by_each_things_own_day(world: World) -> None:
    await world.add(inquiry("2026-03-10 10:00", booked_at="2026-03-12 10:00", arrived_at="2026-03-15 10:00"))
    report = await world.report(basis="activity", group="day")
    keys = ("inquiries", "booked", "arrived")
    assert {g.key: tuple(g.values[k] for k in keys) for g in report.groups} == {
        "2026-03-10": (1, 0, 0),
        "2026-03-12": (0, 1, 0),
        "2026-03-15": (0, 0, 1),
    }


@pytest.mark.parametrize(
    ("preset", "first", "last"),
    [("today", "2026-05-31", "2026-05-31"), ("yesterday", "2026-05-30", "2026-05-30"), ("week", "2026-05-25", "2026-05-31"),
     ("month", "2026-05-01", "2026-05-31"), ("last_month", "2026-04-01", "2026-04-30"),
     ("quarter", "2026-04-01", "2026-06-30"), ("year", "2026-01-01", "2026-12-31")],
)  # fmt: skip
def test_presets(preset: str, first: str, last: str) -> None:
    assert preset_days(preset, date(2026, 5, 31)) == (date.fromisoformat(first), date.fromisoformat(last))


def test_last_month_in_january_and_leap_february() -> None:
    assert preset_days("last_month", date(2024, 1, 31)) == (date(2023, 12, 1), date(2023, 12, 31))
    assert preset_days("last_month", date(2024, 3, 31)) == (date(2024, 2, 1), date(2024, 2, 29))
    assert preset_days("quarter", date(2024, 12, 31)) == (date(2024, 10, 1), date(2024, 12, 31))
