"""Employees through time: what somebody did stays counted by the cards of that time (G9, R0.50, D-0.11)."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from domain.directory import Directory
from domain.facts.company import EmployeeChanged, Extension, PlanSet
from tests.domain.story import Story, at
from tests.oracle.staff import holder, random_cards


def card(who: str, *exts: str | Extension, team: str = "cc", removed: bool = False) -> EmployeeChanged:
    """A card; an extension is a number or has days."""
    held = tuple(e if isinstance(e, Extension) else Extension(ext=e) for e in exts)
    return EmployeeChanged(employee_id=who, name=who.title(), team=team, extensions=held, removed=removed)


def told(*cards: tuple[float, EmployeeChanged]) -> Directory:
    """A directory of cards, each said on a day after ``at()``."""
    story = Story()
    return Directory.build([story.say(fact, at(days=day)) for day, fact in cards])


def by_day(book: Directory, ext: str, *days: float) -> list[str | None]:
    """Who held an extension on some days."""
    return [book.employee_by_ext(ext, at(days=d), source="main", cabinet=None) for d in days]


def test_what_one_who_left_did_stays_his() -> None:
    """A removed card tells that he is gone from now on, not that he never was."""
    story = Story()
    facts = [
        story.say(card("anna", "201"), at()),
        story.say(PlanSet(team="cc", metric="arrival_rate", value=Decimal(100)), at()),
        story.say(card("anna", "201", removed=True), at(days=10)),
    ]
    book = Directory.build(facts)
    assert book.employees == {}
    assert by_day(book, "201", -9, 9, 10, 11) == ["anna", "anna", "ext:201", "ext:201"]
    assert book.team_of("anna", at(days=20)) == "cc"
    assert book.arrival_rate("anna", at(days=9), None) == Decimal(100)
    last = book.card_of("anna")
    assert last is not None
    assert last.name == "Anna"


def test_an_extension_handed_over_without_days_was_the_formers_until_then() -> None:
    book = told(
        (0, card("anna", "201")),
        (0, card("ivan", "202")),
        (10, card("anna", "203")),
        (10, card("ivan", "201")),
    )
    assert by_day(book, "201", -5, 5, 10) == ["anna", "anna", "ivan"]
    assert by_day(book, "202", 5, 10) == ["ivan", "ext:202"]
    assert by_day(book, "203", 5, 10) == ["anna", "anna"], "nobody held it before: it tells of then too"


def test_a_new_colleague_takes_an_extension_over() -> None:
    book = told((0, card("anna", "201")), (10, card("anna")), (10, card("ivan", "201")))
    assert by_day(book, "201", -3, 9, 10) == ["anna", "anna", "ivan"]


def test_two_at_once_are_a_shift_only_while_both_are_told() -> None:
    book = told((0, card("anna", "201")), (5, card("ivan", "201")), (10, card("anna")))
    assert by_day(book, "201", 4, 6, 11) == ["anna", "ext:201", "ivan"]


def test_a_first_card_of_two_at_once_tells_of_no_single_one_before() -> None:
    book = told((5, card("anna", "201")), (5, card("ivan", "201")))
    assert by_day(book, "201", 1) == ["ext:201"]


def test_days_in_the_present_card_mend_the_past() -> None:
    """It was Ivan who sat there since 4 March."""
    book = told(
        (0, card("anna", "201")),
        (10, card("anna")),
        (10, card("ivan", Extension(ext="201", valid_from=date(2026, 3, 4)))),
    )
    assert by_day(book, "201", 1, 2, 9, 12) == ["anna", "ivan", "ivan", "ivan"]


def test_an_event_with_an_earlier_time_mends_the_past() -> None:
    book = told((0, card("anna", "201")), (10, card("anna", "203")), (0.1, card("anna", "203")))
    assert by_day(book, "203", 5) == ["anna"]
    assert by_day(book, "201", 5) == ["ext:201"]


def test_days_of_one_who_left_hold_until_he_left() -> None:
    spell = Extension(ext="201", valid_from=date(2026, 2, 1))
    book = told((0, card("anna", spell)), (10, card("anna", spell, removed=True)))
    assert by_day(book, "201", -5, 9, 11) == ["anna", "anna", "ext:201"]


def test_one_who_came_back_has_not_held_it_meanwhile() -> None:
    book = told((0, card("anna", "201")), (1, card("anna", removed=True)), (2, card("anna", "202")))
    assert by_day(book, "201", 0.5, 1.5, 2.5) == ["anna", "ext:201", "ext:201"]


def test_team_and_the_teams_rate_are_of_the_moment() -> None:
    story = Story()
    book = Directory.build(
        [
            story.say(card("anna", team="cc"), at()),
            story.say(card("anna", team="desk"), at(days=10)),
            story.say(PlanSet(team="cc", metric="arrival_rate", value=Decimal(100)), at()),
            story.say(PlanSet(team="desk", metric="arrival_rate", value=Decimal(300)), at()),
        ]
    )
    assert [book.team_of("anna", at(days=d)) for d in (-1, 9, 10)] == ["cc", "cc", "desk"]
    assert [book.arrival_rate("anna", at(days=d), None) for d in (9, 10)] == [Decimal(100), Decimal(300)]


def test_a_former_login_still_means_its_owner_unless_it_is_anothers_now() -> None:
    def with_logins(who: str, *logins: str) -> EmployeeChanged:
        return EmployeeChanged(employee_id=who, name=who.title(), logins=logins)

    book = told(
        (0, with_logins("anna", "a1", "desk")),
        (1, with_logins("anna", "a2")),
        (1, with_logins("ivan", "desk")),
    )
    meant = [book.employee_id(login, at()) for login in ("a1", "A2", "desk", "Anna")]
    assert meant == ["anna", "anna", "ivan", "anna"]


def test_own_phones_are_the_last_words() -> None:
    """A phone put on a card by mistake is a client's again; that of one who left stays ours."""

    def with_phones(who: str, *phones: str, removed: bool = False) -> EmployeeChanged:
        return EmployeeChanged(employee_id=who, name=who, phones=phones, removed=removed)

    book = told(
        (0, with_phones("anna", "+79030000001", "+79030000002")),
        (1, with_phones("anna", "+79030000001")),
        (0, with_phones("ivan", "+79030000003")),
        (1, with_phones("ivan", removed=True)),
    )
    assert book.own_phones == {"+79030000001", "+79030000003"}


def test_a_call_forwarded_to_an_employees_own_phone_is_his() -> None:
    """Telephony tells the mobile in place of an extension; a phone of two people is nobody's."""
    mobiles = {"anna": "+79030000001", "ivan": "+79030000002", "petr": "+79030000002"}
    cards = [
        (0.0, EmployeeChanged(employee_id=who, name=who.title(), phones=(phone,)))
        for who, phone in mobiles.items()
    ]
    gone = EmployeeChanged(employee_id="petr", name="Petr", removed=True)
    book = told(*cards)
    assert by_day(book, "79030000001", 1) == by_day(book, "+7 903 000-00-01", 1) == ["anna"]
    assert by_day(book, "89030000002", 1) == ["ext:89030000002"]
    assert by_day(told(*cards, (5, gone)), "89030000002", 1, 9) == ["ivan", "ivan"]
    story = Story(book)
    story.call("1", at(), ext="79030000001")
    assert [(i.employee_id, i.employee_basis) for i in story.fold().inquiries] == [("anna", "talk")]


def test_the_same_card_again_changes_nothing() -> None:
    assert told((0, card("a", "1"))).fingerprint == told((0, card("a", "1")), (3, card("a", "1"))).fingerprint
    assert told((0, card("a", "1"))).fingerprint != told((1, card("a", "1"))).fingerprint


def test_like_the_oracle() -> None:
    """Who held what, on small random histories of cards, as an oracle finds it by brute force."""
    for seed in range(400):
        chance = random.Random(seed)
        cards = random_cards(chance)
        story = Story()
        book = Directory.build([story.say(fact, when) for when, fact in cards])
        for _ in range(10):
            moment = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(hours=chance.randrange(-24, 24 * 12))
            scope = chance.choice(("main", "other"))
            said = book.employee_by_ext("201", moment, source=scope, cabinet=None)
            assert said == holder("201", moment, scope, cards), (seed, moment, scope, cards)
