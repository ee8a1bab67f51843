"""Decisions that show only through facts: D-0.5 (whose booking), D-0.9 (missed, then called back), D-0.10 (outgoing)."""

from datetime import timedelta
from typing import Any

import pytest

from domain.event import Event
from domain.facts.calls import CallEnded
from domain.facts.inquiries import ContactMarked, InquiryCategorised
from domain.facts.sales import BookingMade, BookingMoved, ClientArrived
from tests.reports.facts import Build, said
from tests.reports.world import World, figures, msk, notices

PHONE = "+79031234567"


@pytest.fixture
def build(world: World) -> Build:
    return Build(world)


def call(
    call_id: str, at: str, *, direction: Any = "in", talk: int = 120, phone: str | None = PHONE
) -> Event:
    """A call told by its end alone; ``talk`` 0 = nobody answered."""
    start = msk(at)
    return said(
        CallEnded(
            call_id=call_id,
            direction=direction,
            client_phone=phone,
            hidden=phone is None,
            line="+74951112233",
            ext="201",
            started_at=start,
            answered_at=start + timedelta(seconds=9) if talk else None,
            ended_at=start + timedelta(seconds=9 + talk),
            cause="answered" if talk else "no_answer",
            answered_by="person" if talk else None,
        ),
        at,
        source="/sipuni/main",
    )


def category(call_id: str, name: str, at: str) -> Event:
    return said(InquiryCategorised(call_id=call_id, category=name), at)


async def test_d05_a_booking_made_in_a_later_call_belongs_to_the_target_inquiry(build: Build) -> None:
    await build.tell(
        call("c1", "2026-03-10 10:00"),
        category("c1", "repair", "2026-03-10 10:05"),
        call("c2", "2026-03-12 10:00"),
        category("c2", "continuation", "2026-03-12 10:05"),
        said(BookingMade(booking_id="b1", call_id="c2", slot=msk("2026-03-20 10:00")), "2026-03-12 10:06"),
        said(BookingMoved(booking_id="b1", slot=msk("2026-03-25 10:00")), "2026-03-18 10:00"),
        said(ClientArrived(booking_id="b1", phone=PHONE), "2026-03-25 10:05"),
    )
    report = await build.world.report(group="day")
    assert figures(report, "inquiries", "booked", "arrived", "refusals", "pending") == (1, 1, 1, 0, 0)
    assert [(g.key, g.values["arrived"]) for g in report.groups] == [("2026-03-10", 1)]
    assert notices(report) == {"excluded:non_target": 1}


async def test_d05_the_window_of_attribution_ends(build: Build) -> None:
    """31 days after the only target inquiry a booking is not its own any more."""
    await build.tell(
        call("c1", "2026-03-01 10:00"),
        category("c1", "repair", "2026-03-01 10:05"),
        said(BookingMade(booking_id="b1", phone=PHONE, slot=msk("2026-04-05 10:00")), "2026-04-01 10:06"),
    )
    assert figures(await build.world.report(), "inquiries", "booked") == (1, 0)


async def test_d09_missed_then_called_back_stays_one_missed_inquiry(build: Build) -> None:
    await build.tell(
        call("c1", "2026-03-10 10:00", talk=0),
        call("c2", "2026-03-10 10:20", direction="out"),
        category("c2", "repair", "2026-03-10 10:25"),
    )
    report = await build.world.report(group="direction,kind")
    assert [(g.key, [c.key for c in g.children]) for g in report.groups] == [("in", ["missed"])]
    assert report.total["inquiries"] == 1


async def test_d010_an_outgoing_call_is_an_inquiry_only_with_a_category(build: Build) -> None:
    await build.tell(
        call("c1", "2026-03-10 10:00", direction="out", phone="+79030000001"),
        call("c2", "2026-03-10 11:00", direction="out", phone="+79030000002"),
        category("c2", "repair", "2026-03-10 11:05"),
    )
    report = await build.world.report(group="direction,kind")
    assert [(g.key, [c.key for c in g.children]) for g in report.groups] == [("out", ["phone"])]
    assert report.total["inquiries"] == 1
    assert notices(report) == {}


async def test_hidden_numbers_are_clients_of_their_own(build: Build) -> None:
    await build.tell(
        call("c1", "2026-03-10 10:00", phone=None),
        call("c2", "2026-03-10 11:00", phone=None),
        category("c1", "repair", "2026-03-10 10:05"),
        category("c2", "repair", "2026-03-10 11:05"),
    )
    assert (await build.world.report()).total["inquiries"] == 2
    assert (await build.world.report(counted="client")).total["inquiries"] == 2


async def test_g11_a_client_marked_later_leaves_and_comes_back(build: Build) -> None:
    await build.tell(
        call("c1", "2026-03-10 10:00"),
        category("c1", "repair", "2026-03-10 10:05"),
        said(ContactMarked(phone=PHONE, mark="supplier"), "2026-03-15 10:00"),
        said(ContactMarked(phone=PHONE, mark="none"), "2026-03-20 10:00"),
    )
    assert notices(await build.world.report(as_of="2026-03-17T00:00")) == {"excluded:mark:supplier": 1}
    assert (await build.world.report(as_of="2026-03-12")).total["inquiries"] == 1
    assert (await build.world.report()).total["inquiries"] == 1
