"""The directory: latest word wins, half-open periods of local days, rule versions, rates."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime
from decimal import Decimal

from domain.directory import Directory
from domain.facts.company import (
    DictionaryChanged,
    EmployeeChanged,
    Extension,
    NumberAssigned,
    PlanSet,
    RulePublished,
)
from tests.domain.story import Story, at


def directory(*facts: object) -> Directory:
    """A directory of facts said one after the other."""
    story = Story()
    return Directory.build([story.say(f, at(minutes=n)) for n, f in enumerate(facts)])  # type: ignore[arg-type]


def test_any_order_gives_the_same_directory() -> None:
    story = Story()
    events = [
        story.say(EmployeeChanged(employee_id="a", name="Анна"), at()),
        story.say(EmployeeChanged(employee_id="a", name="Анна П."), at(minutes=1)),
        story.say(DictionaryChanged(dictionary="category", item="tyres", label="Шины"), at()),
        story.say(RulePublished(version="2", body={"attribution_days": 14}), at()),
    ]
    prints = {Directory.build(p).fingerprint for p in itertools.permutations(events)}
    assert len(prints) == 1
    assert Directory.build(events).employees["a"].name == "Анна П."


def test_labels_ids_and_mergers() -> None:
    book = directory(
        DictionaryChanged(dictionary="reason", item="dear", label="Дорого", merged_into="price"),
        DictionaryChanged(dictionary="category", item="repair", label="Ремонт"),
    )
    assert book.entry_id("reason", "ДОРОГО") == "price"
    assert book.entry_id("category", "ремонт") == "repair"
    assert book.entry_id("category", "Что-то новое") == "Что-то новое"
    assert book.entry_id("category", " ") is None


def test_extension_own_cabinet_before_everywhere_and_shared() -> None:
    book = directory(
        EmployeeChanged(employee_id="a", name="А", extensions=(Extension(ext="101"),)),
        EmployeeChanged(employee_id="b", name="Б", extensions=(Extension(ext="101", scope="077001"),)),
        EmployeeChanged(employee_id="c", name="В", extensions=(Extension(ext="102"),)),
        EmployeeChanged(employee_id="d", name="Г", extensions=(Extension(ext="102"),)),
    )
    assert book.employee_by_ext("101", at(hours=1), source="main", cabinet="077001") == "b"
    assert book.employee_by_ext("101", at(hours=1), source="main", cabinet="5") == "a"
    assert book.employee_by_ext("102", at(hours=1), source="main", cabinet=None) == "ext:102"


def test_agent_of_a_chat_by_login_where_no_extension_is_meant() -> None:
    book = directory(
        EmployeeChanged(employee_id="a", name="А", logins=("5", "9001"), extensions=(Extension(ext="201"),)),
        EmployeeChanged(
            employee_id="b", name="Б", extensions=(Extension(ext="5", valid_to=date(2026, 1, 1)),)
        ),
    )
    assert book.employee_by_ext("9001", at(), source="chat", cabinet=None) == "a"
    assert book.employee_by_ext("5", at(), source="main", cabinet=None) == "ext:5"


def test_number_moves_between_sources_by_local_day() -> None:
    book = directory(
        NumberAssigned(number="+74990000011", channel="Радио", valid_to=date(2026, 3, 3)),
        NumberAssigned(number="+74990000011", channel="Яндекс", valid_from=date(2026, 3, 3)),
    )
    late = book.number_on("+74990000011", datetime(2026, 3, 2, 20, 59, tzinfo=UTC))
    early = book.number_on("+74990000011", datetime(2026, 3, 2, 21, 0, tzinfo=UTC))
    assert late is not None
    assert early is not None
    assert (late.channel, early.channel) == ("Радио", "Яндекс")


def test_rules_by_date_keep_what_a_version_does_not_name() -> None:
    book = directory(
        RulePublished(version="1", body={"attribution_days": 10, "continue_days": 5}),
        RulePublished(version="2", valid_from=at(days=1), body={"attribution_days": 20}),
    )
    assert book.rules_at(at()).attribution_days == 10
    assert book.rules_at(at(days=1)).attribution_days == 20
    assert book.rules_at(at(days=1)).continue_days == 5


def test_own_rate_beats_the_teams() -> None:
    book = directory(
        EmployeeChanged(employee_id="a", name="А", team="КЦ"),
        EmployeeChanged(employee_id="b", name="Б", team="КЦ"),
        PlanSet(team="КЦ", metric="arrival_rate", value=Decimal(100)),
        PlanSet(employee_id="a", metric="arrival_rate", value=Decimal(150), valid_from=date(2026, 3, 2)),
    )
    assert book.arrival_rate("a", at(days=-1), None) == 100
    assert book.arrival_rate("a", at(), None) == 150
    assert book.arrival_rate("b", at(), None) == 100
    assert book.arrival_rate(None, at(), None) == 0


def test_the_teams_rate_beats_everybodys_however_new_that_is() -> None:
    book = directory(
        EmployeeChanged(employee_id="a", name="А", team="КЦ"),
        EmployeeChanged(employee_id="b", name="Б"),
        PlanSet(team="КЦ", metric="arrival_rate", value=Decimal(250)),
        PlanSet(metric="arrival_rate", value=Decimal(100), valid_from=date(2026, 1, 1)),
    )
    assert book.arrival_rate("a", at(), None) == 250
    assert book.arrival_rate("b", at(), None) == 100


def test_day_end_across_daylight_change() -> None:
    """Berlin, 29 March 2026: the local day has 23 hours."""
    book = directory(
        DictionaryChanged(dictionary="office", item="b", label="Берлин", attrs={"timezone": "Europe/Berlin"})
    )
    start = datetime(2026, 3, 28, 23, 0, tzinfo=UTC)
    assert book.local_day(start, "b") == date(2026, 3, 29)
    assert book.day_end(start, "b") == datetime(2026, 3, 29, 22, 0, tzinfo=UTC)
