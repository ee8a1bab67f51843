"""Every decision D-0.x and convention of the report by examples worked by hand."""

from dataclasses import replace
from decimal import Decimal
from uuid import uuid4

import pytest

from domain.directory import Directory
from domain.facts.company import DictionaryChanged
from domain.rules import Rules
from tests.reports.facts import said
from tests.reports.world import World, figures, inquiry, msk, nodes, notices, sale

HALF = Decimal("0.5")


async def test_d01_only_target_inquiries_and_notices_for_the_rest(world: World) -> None:
    await world.add(
        inquiry(),
        inquiry(category_id=None, is_target=False),
        inquiry(category_id="other", is_target=False),
        inquiry(
            category_id=None, kind="missed", is_target=True
        ),  # the tenant counts unprocessed missed calls
    )
    report = await world.report()
    assert report.total["inquiries"] == 2
    assert notices(report) == {"uncategorised": 1, "excluded:non_target": 1}
    assert {n.key: n.rule for n in report.notices} == {
        "uncategorised": "D-0.1",
        "excluded:non_target": "D-0.1",
    }


async def test_d01_a_mistyped_category_is_told_by_itself(world: World) -> None:
    """A word that is no category of the dictionary is most often a slip of the pen: not silently «not target»."""
    await world.add(
        inquiry(),
        inquiry(category_id="ремнт", is_target=False),
        inquiry(category_id="ремнт", is_target=False),
        inquiry(category_id="it's 100%", is_target=False),
        inquiry(category_id="other", is_target=False),
        inquiry(
            category_id="vip", is_target=True
        ),  # named as target by the rules: counted, in a dictionary or not
    )
    report = await world.report()
    assert report.total["inquiries"] == 2
    assert notices(report) == {
        "excluded:unknown_category:ремнт": 2,
        "excluded:unknown_category:it's 100%": 1,
        "excluded:non_target": 1,
    }
    assert {n.label.ru for n in report.notices} == {
        "Неизвестная категория: ремнт", "Неизвестная категория: it's 100%", "Нецелевая категория",
    }  # fmt: skip
    known = DictionaryChanged(dictionary="category", item="ремнт", label="Ремнт")
    world.directory = Directory.build([said(known, "2026-03-01 00:00")])
    assert "excluded:unknown_category:ремнт" not in notices(await world.report())


async def test_g11_marked_contacts_are_outside_whatever_their_category(world: World) -> None:
    await world.add(
        inquiry(excluded="mark:spam"),
        inquiry(excluded="mark:employee", category_id=None, is_target=False),
        inquiry(excluded="internal"),
        inquiry(),
    )
    report = await world.report()
    assert report.total["inquiries"] == 1
    assert notices(report) == {"excluded:mark:spam": 1, "excluded:mark:employee": 1, "excluded:internal": 1}
    assert {n.label.ru for n in report.notices} == {"Спам", "Сотрудник", "Внутренний звонок"}


async def test_d02_refusals_pending_and_the_identity_of_bookings(world: World) -> None:
    world.now = msk("2026-03-20 12:00")
    await world.add(
        inquiry(booked_at="2026-03-10 10:10", slot_at="2026-03-12 11:00", arrived_at="2026-03-12 11:05"),
        inquiry(
            booked_at="2026-03-10 10:10", slot_at="2026-03-25 11:00", booking_cancelled_at="2026-03-15 09:00"
        ),
        inquiry(booked_at="2026-03-10 10:10", slot_at="2026-03-19 11:00"),  # the day is over, silently
        inquiry(booked_at="2026-03-10 10:10", slot_at="2026-03-20 09:00", no_show_at="2026-03-20 11:30"),
        inquiry(booked_at="2026-03-10 10:10", slot_at="2026-03-20 09:00"),  # today: still expected
        inquiry(booked_at="2026-03-10 10:10", slot_at="2026-04-02 09:00"),
        inquiry(booked_at="2026-03-10 10:10"),  # a booking without a time
        inquiry(arrived_at="2026-03-11 09:00"),  # came without a booking
        inquiry(),
    )
    report = await world.report()
    assert figures(report, "inquiries", "booked", "arrived", "refusals", "pending") == (9, 7, 2, 3, 3)
    arrived_with_booking = 1
    booked, refusals, pending = figures(report, "booked", "refusals", "pending")
    assert booked == arrived_with_booking + refusals + pending


async def test_d02_a_day_is_over_at_the_offices_midnight(world: World) -> None:
    """18:59 and 19:00 UTC are the two sides of midnight in Yekaterinburg (UTC+5)."""
    await world.add(
        inquiry(
            booked_at="2026-03-10 10:10",
            slot_at="2026-03-15 12:00",
            office_zone="Asia/Yekaterinburg",
            office_id="ekb",
        )
    )
    before = await world.report(as_of="2026-03-15T18:59:59Z")
    after = await world.report(as_of="2026-03-15T19:00:00Z")
    assert figures(before, "refusals", "pending") == (0, 1)
    assert figures(after, "refusals", "pending") == (1, 0)


async def test_d03_refusals_in_conversation_are_a_column_of_their_own(world: World) -> None:
    await world.add(
        inquiry(
            result="refusal",
            result_at="2026-03-10 10:05",
            refusal_reason_id="price",
            refusal_at="2026-03-10 10:05",
        ),
        inquiry(refusal_reason_id="price", refusal_at="2026-03-10 10:05"),
        inquiry(  # declined first, then thought better of it
            result="thinking",
            result_at="2026-03-11 10:00",
            refusal_reason_id="price",
            refusal_at="2026-03-10 10:05",
        ),
        inquiry(  # cancelled with a reason: a refusal, not declined
            booked_at="2026-03-10 10:10",
            slot_at="2026-03-12 10:00",
            booking_cancelled_at="2026-03-11 10:00",
            refusal_reason_id="price",
            refusal_at="2026-03-11 10:00",
        ),
    )
    report = await world.report()
    assert figures(report, "inquiries", "declined", "refusals") == (4, 2, 1)


async def test_d04_a_valid_reason_hides_the_inquiry_unless_the_client_came(world: World) -> None:
    gone = {"refusal_reason_id": "not_our_car", "refusal_at": "2026-03-10 11:00"}
    await world.add(
        inquiry(**gone),
        inquiry(
            **gone,
            booked_at="2026-03-10 10:10",
            slot_at="2026-03-12 10:00",
            booking_cancelled_at="2026-03-10 11:00",
        ),
        inquiry(
            **gone, booked_at="2026-03-10 12:00", slot_at="2026-03-12 10:00"
        ),  # refusal before the booking
        inquiry(**gone, arrived_at="2026-03-12 10:00"),
        inquiry(refusal_reason_id="price", refusal_at="2026-03-10 11:00"),
    )
    report = await world.report()
    assert figures(report, "inquiries", "booked", "arrived", "refusals") == (2, 0, 1, 0)
    assert notices(report) == {"excluded:valid_refusal": 3}
    shown = await world.report(valid_reasons="")
    assert figures(shown, "inquiries", "booked", "arrived", "refusals") == (5, 2, 1, 2)
    stricter = await world.report(valid_reasons="not_our_car,price")
    assert figures(stricter, "inquiries", "arrived") == (1, 1)
    assert stricter.total["conv_arrived"] == 1


async def test_d04_the_valid_mark_follows_the_rule_of_the_inquirys_date(world: World) -> None:
    world.directory = replace(
        world.directory, rule_versions=((msk("2026-03-15 00:00"), Rules(valid_reasons=("price",))),)
    )
    for opened in ("2026-03-14 23:59", "2026-03-15 00:00"):
        for reason in ("price", "not_our_car"):
            await world.add(inquiry(opened, refusal_reason_id=reason, refusal_at="2026-03-16 10:00"))
    report = await world.report(group="day,refusal_reason")
    assert [(path[0][1], path[1][1]) for path, _ in nodes(report) if len(path) == 2] == [
        ("2026-03-14", "price"),
        ("2026-03-15", "not_our_car"),
    ]


async def test_d06_arrivals_may_exceed_bookings(world: World) -> None:
    await world.add(
        inquiry(arrived_at="2026-03-11 10:00"),
        inquiry(arrived_at="2026-03-11 10:00", booked_at="2026-03-10 11:00", slot_at="2026-03-11 10:00"),
    )
    report = await world.report()
    assert figures(report, "booked", "arrived", "conv_booked", "conv_arrived") == (1, 2, HALF, 1)


async def test_d07_cohort_and_activity(world: World) -> None:
    """Asked in March, booked in March, came and paid in April, got money back in May."""
    one = inquiry(
        "2026-03-30 10:00",
        booked_at="2026-03-30 10:10",
        slot_at="2026-04-02 10:00",
        arrived_at="2026-04-02 10:05",
        receipts=1,
        sales=Decimal("900.00"),
        margin=Decimal("400.00"),
        pay_rate=Decimal(300),
    )
    await world.add(one, *sale(one, "2026-04-02 12:00", [
        ("2026-04-02 12:00", "1000.00", "500.00"), ("2026-05-03 12:00", "-100.00", "-100.00"),
    ]))  # fmt: skip
    keys = ("inquiries", "booked", "arrived", "receipts", "sales", "margin", "pay")
    march = await world.report()
    assert figures(march, *keys) == (1, 1, 1, 1, Decimal(900), Decimal(400), Decimal(300))
    assert figures(await world.report("2026-04-01", "2026-04-30"), *keys) == (0, 0, 0, 0, 0, 0, 0)

    async def active(first: str, last: str) -> tuple[object, ...]:
        return figures(await world.report(first, last, basis="activity"), *keys)

    assert await active("2026-03-01", "2026-03-31") == (1, 1, 0, 0, 0, 0, 0)
    assert await active("2026-04-01", "2026-04-30") == (0, 0, 1, 1, 1000, 500, 300)
    assert await active("2026-05-01", "2026-05-31") == (0, 0, 0, 0, -100, -100, 0)


async def test_activity_dates_refusals_by_cancelling_marking_or_the_slots_day(world: World) -> None:
    await world.add(
        inquiry(
            booked_at="2026-03-10 10:10", slot_at="2026-04-20 10:00", booking_cancelled_at="2026-04-01 00:00"
        ),
        inquiry(booked_at="2026-03-10 10:10", slot_at="2026-03-31 23:00"),  # silent: belongs to 31 March
        inquiry(booked_at="2026-03-10 10:10", slot_at="2026-03-31 10:00", no_show_at="2026-04-01 09:00"),
    )
    assert (await world.report(basis="activity")).total["refusals"] == 1
    assert (await world.report("2026-04-01", "2026-04-30", basis="activity")).total["refusals"] == 2


async def test_d08_margin_share_leaves_out_inquiries_with_a_part_of_unknown_cost(world: World) -> None:
    await world.add(
        inquiry(receipts=1, sales=Decimal(1000), margin=Decimal(600)),
        inquiry(receipts=1, sales=Decimal(500), margin=Decimal(100), margin_incomplete=True),
    )
    report = await world.report()
    assert figures(report, "sales", "margin", "margin_share") == (1500, 700, Decimal("0.6"))


async def test_seed_example_margin_is_sales_when_there_are_no_parts(world: World) -> None:
    await world.add(inquiry(receipts=1, sales=Decimal("6457.20"), margin=Decimal("6457.20")))
    report = await world.report()
    assert figures(report, "sales", "margin", "average_receipt") == (Decimal("6457.20"),) * 3


async def test_d011_pay_is_arrivals_by_the_rate_of_the_inquirys_date(world: World) -> None:
    await world.add(
        inquiry(pay_rate=Decimal(300), arrived_at="2026-03-12 10:00"),
        inquiry(pay_rate=Decimal(350), arrived_at="2026-04-12 10:00", direction="out"),
        inquiry(pay_rate=Decimal(300)),
    )
    assert (await world.report()).total["pay"] == 650


async def test_d012_by_clients_each_level_counts_anew(world: World) -> None:
    """One client asked twice with two employees: 2 + 1 rows below, 2 clients above."""
    client = uuid4()
    await world.add(
        inquiry(
            client_id=client,
            booked_at="2026-03-10 11:00",
            slot_at="2026-03-11 10:00",
            arrived_at="2026-03-11 10:00",
        ),
        inquiry(
            "2026-03-20 10:00",
            client_id=client,
            employee_id="anna",
            booked_at="2026-03-20 11:00",
            slot_at="2026-03-21 10:00",
        ),
        inquiry(),
        inquiry(category_id=None, is_target=False, client_id=client),
    )
    by_inquiry = await world.report(group="employee")
    by_client = await world.report(group="employee", counted="client")
    assert figures(by_inquiry, "inquiries", "booked", "arrived", "refusals") == (3, 2, 1, 1)
    assert figures(by_client, "inquiries", "booked", "arrived", "refusals") == (2, 1, 1, 1)
    assert {g.key: g.values["inquiries"] for g in by_client.groups} == {"ivan": 2, "anna": 1}
    assert notices(by_client) == notices(by_inquiry) == {"uncategorised": 1}
    assert by_client.total["conv_arrived"] == HALF


async def test_g4_no_denominator_no_value(world: World) -> None:
    report = await world.report()
    assert report.groups == ()
    assert figures(report, "inquiries", "sales", "conv_booked", "conv_arrived", "average_receipt") == (
        0,
        0,
        None,
        None,
        None,
    )


async def test_g4_ratios_of_groups_are_ratios_of_sums(world: World) -> None:
    await world.add(
        inquiry(booked_at="2026-03-10 11:00"),
        inquiry(),
        inquiry(),
        inquiry(employee_id="anna", booked_at="2026-03-10 11:00"),
    )
    report = await world.report(group="employee")
    assert {g.key: g.values["conv_booked"] for g in report.groups} == {"anna": 1, "ivan": Decimal(1) / 3}
    assert report.total["conv_booked"] == HALF


async def test_g13_missing_values_are_a_visible_row_at_the_end(world: World) -> None:
    await world.add(
        inquiry(employee_id=None),
        inquiry(employee_id="ext:101"),
        inquiry(employee_id="ext:201"),
        inquiry(),
        inquiry(employee_id="anna"),
    )
    report = await world.report(group="employee,channel")
    assert [g.label.ru for g in report.groups] == [
        "Анна К.",
        "Иван Ёлкин",
        "номер 101",
        "номер 201 (смена)",
        "Не назначен",
    ]
    assert {c.label.ru for g in report.groups for c in g.children} == {"Не указано"}
    assert (await world.report(employee="~")).total["inquiries"] == 1
    assert (await world.report(filter="employee:not:~,ivan")).total["inquiries"] == 3


async def test_moved_and_recategorised_inquiries_count_by_their_latest_state(world: World) -> None:
    """The fold keeps one row with the latest category and slot; a slot moved past the clock is expected again."""
    await world.add(inquiry(booked_at="2026-03-10 10:10", slot_at="2026-06-02 10:00"))
    assert figures(await world.report(), "refusals", "pending") == (0, 1)


async def test_hidden_numbers_are_inquiries_too(world: World) -> None:
    await world.add(inquiry(client_id=uuid4()), inquiry(client_id=uuid4()))
    assert (await world.report(counted="client")).total["inquiries"] == 2


@pytest.mark.parametrize("basis", ["cohort", "activity"])
async def test_included_and_excluded_are_all_inquiries_of_the_period(world: World, basis: str) -> None:
    rows = [
        inquiry(), inquiry(category_id=None, is_target=False), inquiry(category_id="other", is_target=False),
        inquiry(excluded="mark:spam"), inquiry(excluded="no_contact"),
        inquiry(refusal_reason_id="not_our_car", refusal_at="2026-03-10 11:00"), inquiry("2026-04-01 00:00"),
    ]  # fmt: skip
    await world.add(*rows)
    for group in ("", "direction,employee,kind", "day"):
        report = await world.report(basis=basis, group=group)
        assert figures(report, "inquiries")[0] + sum(n.count for n in report.notices) == 6


async def test_not_connected_sources_are_told_apart_from_zeros(world: World) -> None:
    await world.add(inquiry())
    assert set((await world.report()).not_connected) >= {"margin", "sales", "receipts", "arrived", "booked"}
    one = inquiry()
    await world.add(one, *sale(one, "2026-03-10 12:00", [("2026-03-10 12:00", "100", "100")]))
    assert "sales" not in (await world.report()).not_connected
