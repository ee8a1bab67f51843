"""The latest word wins (G10), also of words that have one moment; one number of two receipts (R0.25–R0.27)."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from domain.directory import Directory
from domain.facts.base import Fact
from domain.facts.company import DictionaryChanged, RulePublished
from domain.facts.inquiries import IdentityLinked, InquiryCategorised, InquiryResultSet
from domain.facts.sales import (
    BookingMade,
    BookingMoved,
    SaleLine,
    SaleRecorded,
    SaleRefunded,
    WorkOrderOpened,
)
from tests.domain.story import PHONE, START, Story, Told, at

OTHER = "+79990000009"
CATEGORIES = ("other", "repair", "continuation", "parts", "order_status", "repair")


def test_of_two_words_of_one_minute_that_received_last_counts() -> None:
    """CRMs tell minutes: which of two words of one minute corrects the other, only the receipt tells."""
    for last in range(1, len(CATEGORIES) + 1):
        story = Story()
        story.call("1", at())
        for n, category in enumerate(CATEGORIES[:last]):
            fact = InquiryCategorised(call_id="1", category=category)
            story.say(fact, at(minutes=5), received=at(minutes=6, seconds=n))
        story.events.reverse()
        (inquiry,) = story.fold().inquiries
        assert inquiry.category_id == CATEGORIES[last - 1]


def test_results_and_slots_of_one_minute_go_by_their_receipt_too() -> None:
    story = Story()
    story.needs("1", at())
    for n, who in enumerate(("anna", "ivan", "olga", "petr", "anna", "ivan")):
        story.say(
            InquiryResultSet(call_id="1", result="thinking", by=who),
            at(days=1),
            received=at(days=1, seconds=n),
        )
    story.say(BookingMade(booking_id="B", call_id="1", slot=at(days=3)), at(days=1))
    for n in (9, 4, 8, 5, 7, 6):
        story.say(
            BookingMoved(booking_id="B", slot=at(days=n)), at(days=2), received=at(days=2, hours=10 - n)
        )
    (inquiry,) = story.fold().inquiries
    assert (inquiry.employee_id, inquiry.slot_at) == ("ivan", at(days=4))


def directory(*told: tuple[Fact, datetime]) -> Directory:
    """A directory of facts published at moments, received a second later each."""
    story = Story()
    for n, (fact, when) in enumerate(told):
        story.say(fact, when, received=at(days=1, seconds=n))
    return Directory.build(story.events[::-1])


def test_of_two_versions_in_force_from_one_moment_the_one_published_last_counts() -> None:
    """A version's name says nothing of its place: the tenth comes after the ninth."""
    for first, second in (("9", "10"), ("10", "9"), ("b", "a"), ("a", "b")):
        for gap in (0, 1):
            book = directory(
                (RulePublished(version=first, body={"attribution_days": 10, "reopen_days": 5}), at()),
                (RulePublished(version=second, body={"attribution_days": 20}), at(days=gap)),
            )
            assert (book.rules_at(START).attribution_days, book.rules_at(START).reopen_days) == (20, 5)


def test_a_version_published_again_is_the_last_one() -> None:
    book = directory(
        (RulePublished(version="1", body={"attribution_days": 10}), at()),
        (RulePublished(version="2", body={"attribution_days": 20}), at(days=1)),
        (RulePublished(version="1", body={"attribution_days": 15}), at(days=2)),
    )
    assert book.rules_at(START).attribution_days == 15


def test_of_two_labels_of_one_minute_that_received_last_counts() -> None:
    labels = ("А", "Б", "В", "Г", "Д", "Е")
    for last in range(1, len(labels) + 1):
        book = directory(
            *((DictionaryChanged(dictionary="team", item="t", label=x), at()) for x in labels[:last])
        )
        assert book.entries["team", "t"].label == labels[last - 1]


# --- one number, several receipts ----------------------------------------------------------------------------------


def two_tills(
    *, source: str = "/native/crm", when: datetime = at(days=2), order_id: str | None = None
) -> Story:
    """Two clients, each with an inquiry and a receipt of the number 15: of 100, and of 40 roubles."""
    story = Story()
    story.needs("1", at())
    story.call("2", at(), phone=OTHER)
    story.say(InquiryCategorised(call_id="2", category="parts"), at(minutes=2))
    story.say(SaleRecorded(receipt_id="15", phone=PHONE, lines=lines(100), order_id=order_id), at(days=1))
    story.say(
        SaleRecorded(receipt_id="15", phone=OTHER, lines=lines(40), order_id=order_id), when, source=source
    )
    return story


def lines(price: int) -> tuple[SaleLine, ...]:
    """One line of work."""
    return (SaleLine(price=Decimal(price)),)


def money(told: Told) -> dict[str | None, tuple[int, int]]:
    """Sales and receipts by category."""
    assert sum((s.sales for s in told.sales), Decimal(0)) == sum(
        (i.sales for i in told.inquiries), Decimal(0)
    )
    return {i.category_id: (int(i.sales), i.receipts) for i in told.inquiries}


def test_receipts_of_two_clients_with_one_number_are_two() -> None:
    """Two tills count each by itself, and begin anew each year: neither may take the other's money."""
    for source in ("/native/crm", "/native/till"):
        assert money(two_tills(source=source).fold()) == {"repair": (100, 1), "parts": (40, 1)}


def test_a_refund_is_of_the_receipt_of_the_client_whom_it_names_else_of_the_last_one_before_it() -> None:
    story = two_tills()
    story.say(SaleRefunded(receipt_id="15", phone=PHONE, amount=Decimal(30)), at(days=5))
    assert money(story.fold()) == {"repair": (70, 1), "parts": (40, 1)}
    story.say(SaleRefunded(receipt_id="15", amount=Decimal(1), refund_id="1"), at(days=1, hours=1))
    story.say(SaleRefunded(receipt_id="15", amount=Decimal(2), refund_id="2"), at(days=3))
    assert money(story.fold()) == {"repair": (69, 1), "parts": (38, 1)}
    story = two_tills(source="/native/till")
    story.say(SaleRefunded(receipt_id="15", amount=Decimal(5)), at(days=5))
    assert money(story.fold()) == {"repair": (95, 1), "parts": (40, 1)}  # the till of its own system


def test_clients_who_are_one_have_one_receipt_of_the_number() -> None:
    """G10: told again, the latest counts; so it does when a link shows that two phones are one client's."""
    story = two_tills()
    story.say(IdentityLinked(a=f"phone:{PHONE}", b=f"phone:{OTHER}"), at(days=9))
    assert [(int(s.sales), s.sold_at) for s in story.fold().sales] == [(40, at(days=2))]


def test_a_receipt_told_again_for_another_client_is_one_by_its_moment_or_its_order() -> None:
    """Till and ERP tell the same receipt, each with the client as it knows him."""
    assert sum(s.sales for s in two_tills(when=at(days=1)).fold().sales) == 40
    assert sum(s.sales for s in two_tills(order_id="9001").fold().sales) == 40


def test_what_names_the_client_in_another_way_may_be_the_same_receipt() -> None:
    """The till knows the phone, the ERP its client: that two were meant, nothing says."""
    story = Story()
    story.needs("1", at())
    story.say(SaleRecorded(receipt_id="15", phone=PHONE, lines=lines(100)), at(days=1), source="/native/till")
    story.say(SaleRecorded(receipt_id="15", client_id="55", lines=lines(110)), at(days=1, minutes=1))
    assert money(story.fold()) == {"repair": (110, 1)}
    story.say(SaleRecorded(receipt_id="15", client_id="56", lines=lines(7)), at(days=2))
    assert sorted(int(s.sales) for s in story.fold().sales) == [7, 110]


def test_two_receipts_of_one_number_do_not_make_two_orders_one() -> None:
    story = Story()
    story.needs("1", at())
    story.call("2", at(), phone=OTHER)
    story.say(InquiryCategorised(call_id="2", category="parts"), at(minutes=2))
    story.say(SaleRecorded(receipt_id="15", phone=PHONE, order_id="A", lines=lines(100)), at(days=1))
    story.say(SaleRecorded(receipt_id="15", phone=OTHER, order_id="B", lines=lines(40)), at(days=2))
    story.say(WorkOrderOpened(order_id="B"), at(days=2, hours=-2))
    arrived = {i.category_id: i.arrived_at for i in story.fold().inquiries}
    assert arrived == {"repair": None, "parts": at(days=2, hours=-2)}


def test_the_rows_of_two_receipts_of_one_number_do_not_depend_on_the_order_of_telling() -> None:
    story = two_tills()
    rows = {t: sorted(map(repr, r)) for t, r in story.fold().rows.items()}
    story.events.reverse()
    assert {t: sorted(map(repr, r)) for t, r in story.fold().rows.items()} == rows
    assert len({s.sale_id for s in story.fold().sales}) == 2
