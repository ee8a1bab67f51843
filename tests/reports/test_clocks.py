"""The two clocks (G3): as it stood then, and as we knew it then; late facts, corrections, moved bookings, refunds."""

from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from domain.event import Event
from domain.facts.calls import CallAnswered, CallEnded, CallLegRang, CallStarted, RecordingStored
from domain.facts.inquiries import IdentityLinked, InquiryCategorised, InquiryResultSet
from domain.facts.sales import (
    BookingCancelled,
    BookingMade,
    BookingMoved,
    ClientArrived,
    SaleLine,
    SaleRecorded,
    SaleRefunded,
)  # fmt: skip
from domain.facts.sites import FormSubmitted
from domain.identity import inquiry_id
from reports.card import events_of, inquiry_card
from reports.drill import drill
from tests.reports.facts import Build, said
from tests.reports.world import World, figures, msk, notices

PHONE = "+79031234567"
OTHER = "+79039999999"
MAIN = "/sipuni/main"


@pytest.fixture
def build(world: World) -> Build:
    return Build(world)


def call(call_id: str = "c1", phone: str = PHONE, day: str = "2026-03-10") -> list[Event]:
    about: dict[str, Any] = {
        "call_id": call_id,
        "direction": "in",
        "client_phone": phone,
        "line": "+74951112233",
    }
    ended = CallEnded(
        **about,
        ext="201",
        ended_at=msk(f"{day} 10:03"),
        started_at=msk(f"{day} 10:00"),
        answered_at=msk(f"{day} 10:00"),
        cause="answered",
        answered_by="person",
    )
    return [
        said(CallStarted(**about), f"{day} 10:00", source=MAIN),
        said(CallLegRang(**about, ext="201", leg_id="l1"), f"{day} 10:00", source=MAIN),
        said(CallAnswered(**about, ext="201", leg_id="l1"), f"{day} 10:00", source=MAIN),
        said(ended, f"{day} 10:03", source=MAIN),
        said(RecordingStored(**about, recording_id="r", url="https://rec/1"), f"{day} 10:04", source=MAIN),
    ]


def march() -> list[Event]:
    """A call on 10 March becomes a booking, is moved, the client comes and pays in April, some goes back in May."""
    sold = SaleRecorded(
        phone=PHONE, receipt_id="r1", lines=(SaleLine(price=Decimal(1000), cost=Decimal(400)),), by="ivan"
    )
    return [
        *call(),
        said(InquiryCategorised(call_id="c1", category="repair", by="ivan"), "2026-03-10 10:05"),
        said(InquiryResultSet(call_id="c1", result="booked", by="ivan"), "2026-03-10 10:06"),
        said(
            BookingMade(booking_id="b1", phone=PHONE, slot=msk("2026-03-12 11:00"), by="ivan"),
            "2026-03-10 10:07",
        ),
        said(
            BookingMoved(booking_id="b1", slot=msk("2026-04-02 11:00")),
            "2026-03-11 12:00",
            received="2026-03-20 09:00",
        ),
        said(ClientArrived(phone=PHONE, booking_id="b1", visit_id="v1"), "2026-04-02 11:10"),
        said(sold, "2026-04-02 15:00"),
        said(
            SaleRefunded(phone=PHONE, receipt_id="r1", refund_id="f1", amount=Decimal(100)),
            "2026-05-05 10:00",
        ),
    ]


KEYS = ("inquiries", "booked", "arrived", "refusals", "pending", "receipts", "sales", "margin")


@pytest.mark.parametrize(
    ("as_of", "expected"),
    [
        (
            "2026-03-10T10:00:00",
            (0, 0, 0, 0, 0, 0, 0, 0),
        ),  # a fact at the clock's moment has not happened yet
        ("2026-03-10T10:05:00", (0, 0, 0, 0, 0, 0, 0, 0)),
        ("2026-03-10T10:05:01", (1, 0, 0, 0, 0, 0, 0, 0)),
        ("2026-03-10T10:08:00", (1, 1, 0, 0, 1, 0, 0, 0)),
        ("2026-03-13T00:00:00", (1, 1, 0, 0, 1, 0, 0, 0)),  # moved before its day was over
        ("2026-04-02T11:10:01", (1, 1, 1, 0, 0, 0, 0, 0)),
        ("2026-04-02T15:00:01", (1, 1, 1, 0, 0, 1, 1000, 600)),
        ("2026-05-05T10:00:01", (1, 1, 1, 0, 0, 1, 900, 500)),
    ],
)
async def test_the_report_as_it_stood(build: Build, as_of: str, expected: tuple[Any, ...]) -> None:
    await build.tell(*march())
    report = await build.world.report(as_of=as_of)
    assert figures(report, *KEYS) == expected
    page = await drill(build.world.conn, report.params, build.world.context, metric="inquiries")
    assert page.total == expected[0]


async def test_unclassified_until_the_operator_chose(build: Build) -> None:
    await build.tell(*march())
    assert notices(await build.world.report(as_of="2026-03-10T10:04:30")) == {"uncategorised": 1}
    assert notices(await build.world.report()) == {}


async def test_known_at_leaves_out_what_had_not_been_received(build: Build) -> None:
    """The move of 11 March reached us on 20 March: until then the slot of 12 March was over."""
    await build.tell(*march())
    as_of = "2026-03-19T12:00:00"
    unknown = await build.world.report(as_of=as_of, known_at="2026-03-19T12:00:00")
    known = await build.world.report(as_of=as_of)
    assert figures(unknown, "refusals", "pending") == (1, 0)
    assert figures(known, "refusals", "pending") == (0, 1)


async def test_activity_under_the_clocks(build: Build) -> None:
    await build.tell(*march())
    april = ("2026-04-01", "2026-04-30")
    assert figures(await build.world.report(*april, basis="activity"), "arrived", "sales") == (1, 1000)
    before = await build.world.report(*april, basis="activity", as_of="2026-04-02T12:00:00")
    assert figures(before, "arrived", "sales") == (1, 0)
    may = await build.world.report("2026-05-01", "2026-05-31", basis="activity")
    assert figures(may, "inquiries", "sales", "receipts") == (0, -100, 0)


async def test_later_corrections_do_not_move_an_earlier_as_of(build: Build) -> None:
    await build.tell(*march())
    before = await build.world.report(as_of="2026-04-01")
    await build.tell(
        said(InquiryCategorised(call_id="c1", category="other", by="anna"), "2026-05-01 10:00"),
        said(BookingCancelled(booking_id="b1", reason="price"), "2026-05-02 10:00"),
        *call("c2", OTHER, "2026-05-03"),
    )
    assert (await build.world.report(as_of="2026-04-01")).total == before.total
    assert notices(await build.world.report()) == {"excluded:non_target": 1}


async def test_a_late_fact_about_the_past_moves_it(build: Build) -> None:
    await build.tell(*march())
    before = await build.world.report(as_of="2026-04-01")
    await build.tell(
        *call("c3", OTHER, "2026-03-15"),
        said(
            InquiryCategorised(call_id="c3", category="repair"),
            "2026-03-15 10:05",
            received="2026-05-20 10:00",
        ),
    )
    after = await build.world.report(as_of="2026-04-01")
    assert (before.total["inquiries"], after.total["inquiries"]) == (1, 2)
    as_known = await build.world.report(as_of="2026-04-01", known_at="2026-05-01")
    assert as_known.total == before.total
    assert notices(as_known) == {"uncategorised": 1}


async def test_clients_merged_later_were_two_before(build: Build) -> None:
    form = FormSubmitted(submission_id="f1", phone=OTHER)
    await build.tell(
        *march(),
        said(form, "2026-03-12 09:00", source="/tilda/site"),
        said(InquiryCategorised(submission_id="f1", category="repair"), "2026-03-12 09:05"),
        said(IdentityLinked(a=PHONE, b=OTHER), "2026-03-25 10:00"),
    )
    now = await build.world.report(counted="client")
    then = await build.world.report(counted="client", as_of="2026-03-20")
    assert (now.total["inquiries"], then.total["inquiries"]) == (1, 2)


async def test_nothing_after_the_clock_costs_no_overlay(build: Build) -> None:
    await build.tell(*march())
    await build.world.report()
    cursor = await build.world.conn.execute("select count(*) from pg_class where relname like 'overlay%%'")
    assert (await cursor.fetchone() or (None,))[0] == 0
    await build.world.report(as_of="2026-03-15")
    cursor = await build.world.conn.execute("select count(*) from pg_class where relname like 'overlay%%'")
    assert (await cursor.fetchone() or (None,))[0] == 0  # gone with its transaction


async def test_the_card_tells_the_whole_story_and_its_events(build: Build) -> None:
    await build.tell(*march())
    world = build.world
    params = world.params()
    page = await drill(world.conn, params, world.context, metric="sales")
    card = await inquiry_card(world.conn, params, world.context, page.lines[0].inquiry.inquiry_id)
    assert card is not None
    assert card.line.state == "arrived"
    assert [c.call.recording_url for c in card.calls] == ["https://rec/1"]
    assert [leg.ext for leg in card.calls[0].legs] == ["201"]
    assert (len(card.bookings), card.bookings[0].moves, len(card.visits)) == (1, 1, 1)
    assert [(s.sale.sales, len(s.lines)) for s in card.sales] == [(Decimal(900), 2)]
    assert card.lead is not None
    assert card.client is not None
    assert card.client.phones == (PHONE,)
    told = await events_of(world.conn, world.context, card.events)
    assert [e.event.time for e in told] == sorted(e.time for e in build.events)
    assert {e.event.id for e in told} == {e.id for e in build.events}
    assert {e.place.event_id for e in told} == set(card.events)

    early = await inquiry_card(
        world.conn, world.params(as_of="2026-03-11T09:00"), world.context, card.line.inquiry.inquiry_id
    )
    assert early is not None
    assert (early.line.state, early.sales, early.bookings[0].moves) == ("pending", (), 0)


async def test_a_card_is_found_by_any_of_its_contacts_and_events(build: Build) -> None:
    await build.tell(*march(), said(FormSubmitted(submission_id="s1", phone=OTHER), "2026-03-12 09:00", source="/tilda/site"),
                     said(FormSubmitted(submission_id="s2", phone=OTHER), "2026-03-12 09:03", source="/tilda/site"))  # fmt: skip
    world = build.world
    for event in build.events:
        card = await inquiry_card(world.conn, world.params(), world.context, event.id)
        assert card is not None
        assert event.id in card.events
    second = await inquiry_card(
        world.conn, world.params(), world.context, inquiry_id("/tilda/site", "form", "s2")
    )
    assert second is not None
    assert second.line.inquiry.inquiry_id == inquiry_id("/tilda/site", "form", "s1")
    assert second.line.excluded_by == "uncategorised"
    assert await inquiry_card(world.conn, world.params(), world.context, uuid4()) is None
