"""Parameters: what is read, what is refused and why, and that the canonical URL reads back as the same thing."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Literal
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.params import ParamError, parse, to_query
from reports.result import Params

NOW = datetime(2026, 3, 15, 21, 30, tzinfo=UTC)  # already 16 March in Moscow


def read(query: str) -> Params:
    return parse(parse_qsl(query, keep_blank_values=True), now=NOW)


def wrong(query: str) -> dict[str, str]:
    with pytest.raises(ParamError) as caught:
        read(query)
    for error in caught.value.errors:
        assert error.reason.ru
        assert error.reason.en
    return {e.field: e.reason.en for e in caught.value.errors}


def test_nothing_asked_is_this_month_by_the_companys_clock() -> None:
    params = read("")
    assert (params.first_day, params.last_day) == (date(2026, 3, 1), date(2026, 3, 31))
    assert params.levels == ("direction", "employee", "kind")
    assert read("period=today").first_day == date(2026, 3, 16)
    assert read("period=today&zone=UTC").first_day == date(2026, 3, 15)


def test_everything_asked() -> None:
    params = read(
        "from=2026-01-01&to=2026-01-31&as_of=2026-02-01T00:00:00%2B03:00&known_at=2026-02-02&group=kind,day"
        "&filter=employee:not:anna,ivan&kind=chat&basis=activity&counted=client&zone=Asia/Yekaterinburg&office_time=1"
        "&valid_reasons=price&lang=en"
    )
    assert params == Params(
        date(2026, 1, 1), date(2026, 1, 31), datetime(2026, 1, 31, 21, tzinfo=UTC), datetime(2026, 2, 2, 19, tzinfo=UTC),
        ("kind", "day"), (("employee", False, ("anna", "ivan")), ("kind", True, ("chat",))), "activity", "client",
        "Asia/Yekaterinburg", True, ("price",), "en",
    )  # fmt: skip
    assert read(to_query(params)) == params


def test_moments_may_lose_their_plus_or_their_zone() -> None:
    assert read("as_of=2026-02-01T00:00:00+03:00").as_of == datetime(2026, 1, 31, 21, tzinfo=UTC)
    assert read("as_of=2026-02-01T00:00").as_of == datetime(2026, 1, 31, 21, tzinfo=UTC)
    assert read("as_of=2026-01-31").as_of == datetime(2026, 1, 31, 21, tzinfo=UTC)
    assert read("as_of=now").as_of is None


def test_no_levels_and_no_valid_reasons_are_something_else_than_the_defaults() -> None:
    assert read("group=").levels == read("group=none").levels == ()
    assert read("valid_reasons=").valid_reasons == ()
    assert read("").valid_reasons is None
    assert read(to_query(read("group=&valid_reasons="))).levels == ()


def test_a_reason_with_a_comma_is_one_reason() -> None:
    params = replace(read(""), valid_reasons=("Дорого, далеко", "price"))
    assert set(read(to_query(params)).valid_reasons or ()) == {"Дорого, далеко", "price"}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("from=2026-01-01", "to"), ("to=2026-01-01", "from"), ("from=2026-02-30&to=2026-03-01", "from"),
        ("from=2026-03-02&to=2026-03-01", "to"), ("from=0001-01-01&to=2026-01-01", "from"), ("period=eon", "period"),
        ("period=month&from=2026-03-01&to=2026-03-02", "period"), ("as_of=yesterday", "as_of"),
        ("as_of=9999-12-31T23:59:59-14:00", "as_of"), ("as_of=0001-01-01", "as_of"), ("group=mood", "group"),
        ("group=day,week,month,kind", "group"), ("group=day,day", "group"), ("filter=employee", "filter"),
        ("filter=employee:in:", "filter"), ("filter=mood:in:good", "filter"), ("filter=kind:in:mail", "filter"),
        ("kind=mail", "kind"), ("basis=x", "basis"), ("counted=x", "counted"), ("zone=Moon/Base", "zone"),
        ("zone=../../etc/passwd", "zone"), ("office_time=maybe", "office_time"), ("lang=de", "lang"), ("foo=1", "foo"),
        ("lang=ru&lang=en", "lang"), ("filter=employee:in:a%00b", "filter"), ("employee=a%2500b", "employee"),
        ("employee=" + "x" * 300, "employee"), ("from=2026-01-01&to=2026-01-0%D9%A1", "to"),
    ],
)  # fmt: skip
def test_what_is_refused_names_its_field(query: str, field: str) -> None:
    assert set(wrong(query)) == {field}


def test_all_wrong_fields_are_told_at_once() -> None:
    assert set(wrong("basis=x&lang=de&group=mood&foo=1&filter=x")) == {
        "basis",
        "lang",
        "group",
        "foo",
        "filter",
    }


def test_a_pages_own_parameters_can_be_passed_over() -> None:
    assert parse([("tab", "rows")], now=NOW, ignore={"tab"}) == read("")


TEXT = (
    st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=20)
    .map(str.strip)
    .filter(bool)
)


@given(
    values=st.lists(TEXT, min_size=1, max_size=4, unique=True),
    included=st.booleans(),
    levels=st.lists(
        st.sampled_from(["direction", "employee", "kind", "day", "channel"]), max_size=3, unique=True
    ),
    basis=st.sampled_from(["cohort", "activity"]),
)
def test_the_canonical_url_reads_back(
    values: list[str], included: bool, levels: list[str], basis: Literal["cohort", "activity"]
) -> None:
    params = Params(
        date(2026, 1, 1),
        date(2026, 1, 2),
        levels=tuple(levels),
        basis=basis,
        filters=(("channel", included, tuple(sorted(values))),),
        valid_reasons=tuple(sorted(values)),
    )
    assert read(to_query(params)) == params


@given(st.lists(st.tuples(st.sampled_from(
    ["from", "to", "period", "as_of", "known_at", "group", "filter", "employee", "zone", "office_time", "valid_reasons", "lang"]
), st.text(max_size=40)), max_size=6))  # fmt: skip
def test_any_text_is_read_or_refused(pairs: list[tuple[str, str]]) -> None:
    with suppress(ParamError):
        params = parse(pairs, now=NOW)
        assert parse(parse_qsl(to_query(params), keep_blank_values=True), now=NOW) == params
