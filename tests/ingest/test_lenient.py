"""Values as 1C and CRMs write them."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.facts.base import Fact
from domain.facts.company import EmployeeChanged, PlanSet
from domain.facts.leads import LeadStageEntered, LeadWon
from domain.facts.registry import FACTS
from domain.facts.sites import FormSubmitted
from ingest.lenient import coerce, moment
from tests.ingest.support import source

MOSCOW = ZoneInfo("Europe/Moscow")
SOURCE = source("native")


def read(model: type[Fact], **data: Any) -> Any:
    return model.model_validate(coerce(model, data, SOURCE))


@pytest.mark.parametrize(
    ("given_", "amount"),
    [
        ("12 500,00", "12500.00"),
        ("12\u00a0500,5", "12500.5"),
        ("12\u202f500", "12500"),
        ("1'000.25", "1000.25"),
        (100, "100"),
        (0.1, "0.1"),
        ("500 руб.", "500"),
        ("500₽", "500"),
        ("-3,5", "-3.5"),
    ],
)
def test_numbers(given_: Any, amount: str) -> None:
    assert read(LeadWon, lead_id="1", amount=given_).amount == Decimal(amount)


@pytest.mark.parametrize(
    "given_", ["1,000.00", "1.000,00", "дорого", "1e999", "1e20", 1e300, "NaN", "--1", "1,2,3"]
)
def test_numbers_that_could_mean_two_things_are_refused(given_: Any) -> None:
    with pytest.raises(ValidationError):
        read(LeadWon, lead_id="1", amount=given_)


@pytest.mark.parametrize(
    ("given_", "flag"),
    [("Да", True), ("нет", False), (1, True), ("0", False), (True, True), ("", None), (None, None)],
)
def test_flags(given_: Any, flag: bool | None) -> None:
    assert read(LeadStageEntered, lead_id="1", stage="x", manual=given_).manual is flag


@pytest.mark.parametrize(
    ("given_", "utc"),
    [
        ("2026-01-01T10:00:00", "2026-01-01T07:00:00+00:00"),
        ("2026-01-01T10:00:00+05:00", "2026-01-01T05:00:00+00:00"),
        ("2026-01-01T10:00:00Z", "2026-01-01T10:00:00+00:00"),
        ("2026-01-01 10:00", "2026-01-01T07:00:00+00:00"),
        ("01.02.2026 10:00:00", "2026-02-01T07:00:00+00:00"),
        ("2026-01-02", "2026-01-01T21:00:00+00:00"),
        (1767250800, "2026-01-01T07:00:00+00:00"),
        (1767250800000, "2026-01-01T07:00:00+00:00"),
    ],
)
def test_moments(given_: Any, utc: str) -> None:
    assert moment(given_, MOSCOW) == datetime.fromisoformat(utc)


def test_no_date_of_1c() -> None:
    assert moment("0001-01-01T00:00:00", MOSCOW) is None
    assert moment("01.01.0001 0:00", MOSCOW) is None


@pytest.mark.parametrize(
    "given_",
    ["", "завтра", "2026-13-01", "31.02.2026", 5, True, None, [], "9999-12-31T23:59:59-23:00", "1500-01-01"],
)
def test_what_is_no_moment(given_: Any) -> None:
    with pytest.raises((ValueError, OverflowError)):
        moment(given_, MOSCOW)


def test_daylight_changes_of_a_source() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    assert moment("2026-03-29T01:59:00", berlin) == datetime(2026, 3, 29, 0, 59, tzinfo=UTC)
    assert moment("2026-03-29T03:00:00", berlin) == datetime(2026, 3, 29, 1, 0, tzinfo=UTC)


def test_dates_lists_and_nested_objects() -> None:
    plan = read(PlanSet, metric="arrival_rate", value="250,00", valid_from="2026-03-01T00:00:00", valid_to="")
    assert (plan.valid_from, plan.valid_to, plan.value) == (date(2026, 3, 1), None, Decimal("250.00"))
    card = read(
        EmployeeChanged, employee_id=1, name="А", extensions=[{"ext": 201.0}], logins=[5, ""], removed="Нет"
    )
    assert (card.extensions[0].ext, card.logins, card.removed) == ("201", ("5",), False)


def test_phones_keep_their_raw_form() -> None:
    form = read(FormSubmitted, submission_id=1, phone="8 999 000 00 01")
    assert (form.phone, form.phone_raw) == ("+79990000001", "8 999 000 00 01")
    form = read(FormSubmitted, submission_id=1, phone=89990000001, phone_raw="as typed")
    assert (form.phone, form.phone_raw) == ("+79990000001", "as typed")
    assert read(FormSubmitted, submission_id=1, phone="@nick").phone == "@nick"


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(sorted(FACTS)), st.data())
def test_any_values_fit_or_are_refused(type_: str, data: st.DataObject) -> None:
    model = FACTS[type_]
    given_ = data.draw(st.fixed_dictionaries({}, optional=dict.fromkeys(model.model_fields, JSON)))
    try:
        model.model_validate(coerce(model, given_, SOURCE))
    except ValidationError:
        return
