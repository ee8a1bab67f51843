"""The table of spec 2.3, and that no text breaks it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import phones
from domain.phones import Phone, normalise


@pytest.mark.parametrize(
    "raw",
    [
        "+7 903 123-45-67",
        "8 (903) 123-45-67",
        "79031234567",
        "903 123 45 67",
        "8-903-123-45-67",
        "+7(903)1234567",
        "tel:+79031234567",
        "sip:79031234567@pbx.example:5060",
        "89031234567@host",
        " 7 903 1234567 ",
        "+8 903 123-45-67",
        "+7\u00a0903\u00a0123\u201145\u201167",
        '"+79031234567"',
    ],
)
def test_ways_to_write_one_russian_number(raw: str) -> None:
    assert normalise(raw) == Phone("+79031234567", raw)


@pytest.mark.parametrize(
    "raw",
    [
        "тел. 8 903 123-45-67",
        "тел: +7 903 123-45-67",
        "моб 89031234567",
        "WhatsApp 89031234567",
        "whatsapp:+79031234567",
        "89031234567 Иван Петров",
        "мой номер 8(903)123-45-67, звонить после 18",
        "Иванов 1985 г.р. 89031234567",
        "%2B79031234567",
        "+7+79031234567",
        "+7 7 903 123-45-67",
        "+7 8 903 123-45-67",
        "88 903 123 45 67",
    ],
)
def test_what_people_write_around_a_number(raw: str) -> None:
    assert normalise(raw) == Phone("+79031234567", raw)


@pytest.mark.parametrize(
    "raw",
    [
        "ivan89031234567@mail.example",
        "ivan2015",
        "8 903 OOO 45 67",
        "12 марта 2026",
        "дом 5, кв 12",
        "@ivan",
        "+88 903 123 45 67",
        "886912345678x",
    ],
)
def test_words_that_hold_no_number(raw: str) -> None:
    assert normalise(raw).e164 in (None, "+886912345678")


@pytest.mark.parametrize(
    ("raw", "region", "e164"),
    [
        ("87012345678", "KZ", "+77012345678"),
        (
            "8 701 234 56 78",
            "RU",
            "+77012345678",
        ),  # Kazakhstan by range, though it was written the Russian way
        ("+77012345678", "RU", "+77012345678"),
        ("88001002030", "RU", "+78001002030"),
        ("+375 29 123-45-67", "RU", "+375291234567"),
        ("375291234567", "RU", "+375291234567"),
        ("+998 90 123 45 67", "RU", "+998901234567"),
        ("901234567", "UZ", "+998901234567"),
        ("901234567", "RU", None),  # national form of another country needs the tenant's region
        ("8 10 998 90 123 45 67", "RU", "+998901234567"),
        ("+84 912 345 678", "RU", "+84912345678"),  # Vietnam, not a mistyped Russian number
        ("+79", "RU", None),
        ("70000000000", "RU", None),
        ("79031234567890123", "RU", None),
    ],
)
def test_countries(raw: str, region: str, e164: str | None) -> None:
    assert normalise(raw, region).e164 == e164


@pytest.mark.parametrize(
    ("raw", "area_code", "e164"),
    [
        ("223-45-67", "343", "+73432234567"),
        ("223-45-67", "+7 343", "+73432234567"),
        ("22-34-56", "3439", "+73439223456"),
        ("223-45-67", None, None),
        ("79031234567", "343", "+79031234567"),
    ],
)
def test_local_numbers_need_the_area_code_of_the_line(
    raw: str, area_code: str | None, e164: str | None
) -> None:
    found = normalise(raw, "RU", area_code)
    assert (found.e164, found.hidden, found.internal) == (e164, False, False)


@pytest.mark.parametrize(
    "raw",
    [
        None,
        "",
        "  ",
        "anonymous",
        "Anonymous",
        "sip:anonymous@anonymous.invalid",
        "000",
        "00000000000",
        "номер скрыт",
        "unknown",
        "<не указано>",
    ],
)
def test_hidden(raw: str) -> None:
    assert normalise(raw) == Phone(None, raw or "", hidden=True)


@pytest.mark.parametrize("raw", ["1", "12", "201", "4321"])
def test_up_to_four_digits_are_internal(raw: str) -> None:
    assert normalise(raw, "RU", "495") == Phone(None, raw, internal=True)


@pytest.mark.parametrize(
    ("raw", "e164", "tail"),
    [
        ("8 (495) 123-45-67 доб. 12", "+74951234567", "12"),
        ("+7 495 123-45-67 доб 105", "+74951234567", "105"),
        ("+7 495 123-45-67 (доб. 105)", "+74951234567", "105"),
        ("+74951234567,12", "+74951234567", "12"),
        ("+7 495 1234567 ext. 9", "+74951234567", "9"),
        ("+7 495 1234567#9", "+74951234567", "9"),
        ("+7 495 1234567 вн. 33", "+74951234567", "33"),
    ],
)
def test_an_extension_is_kept_apart(raw: str, e164: str | None, tail: str | None) -> None:
    found = normalise(raw)
    assert (found.e164, found.ext_tail, found.raw) == (e164, tail, raw)


@pytest.mark.parametrize("raw", ["@nickname", "Иван", "нет", "позвоните", "мой номер 8903123"])
def test_words_are_no_number(raw: str) -> None:
    found = normalise(raw)
    assert (found.e164, found.hidden, found.internal) == (None, False, False)


@given(
    st.one_of(st.text(max_size=150), st.text(alphabet="+78 ()-0123456789доб.x#,;", max_size=30)),
    st.sampled_from(["RU", "KZ", "UZ", "ru", "XX", ""]),
    st.one_of(st.none(), st.text(max_size=6)),
)
def test_no_text_breaks_it(raw: str, region: str, area_code: str | None) -> None:
    found = normalise(raw, region, area_code)
    assert found.raw == raw
    assert found.e164 is None or (found.e164[0] == "+" and found.e164[1:].isdigit() and found.e164.isascii())
    assert found.e164 is None or not (found.hidden or found.internal)


@given(st.text(alphabet="+0123456789", min_size=7, max_size=14))
def test_what_it_gives_it_takes_again(raw: str) -> None:
    found = normalise(raw).e164
    assert found is None or normalise(found).e164 == found


@given(
    st.lists(
        st.sampled_from(
            ["+", "7", "8", "9", "3", "0", "12", "903", "123", "45", " ", "-", "(", ")", "4951234567"]
        )
    ).map("".join),
    st.sampled_from(["RU", "KZ", "UZ"]),
)
def test_the_usual_spelling_is_read_as_any_other(text: str, region: str) -> None:
    assert normalise(text, region) == phones._read(text, region, None)


@pytest.mark.parametrize(
    "raw",
    [
        "8 903 123-45-67, 8 (999) 026-00-02",
        "8 903 123-45-67; 8 999 026 00 02",
        "79031234567/79990260002",
        "+7 903 123-45-67 +7 999 026-00-02",
        "8 903 123-45-67 или 8 999 026-00-02",
        "8 903 123-45-67\n8 999 026-00-02",
        "дом. нет, 8 903 123-45-67",
        "8 903 123-45-67 (жена), 8 999 026-00-02 (муж)",
    ],
)
def test_of_several_numbers_in_one_field_the_first_is_the_clients(raw: str) -> None:
    assert normalise(raw) == Phone("+79031234567", raw)


@pytest.mark.parametrize("raw", ["495/123-45-67", "8 (495) 123/45/67", "8 903 123-45-67, доб. 12"])
def test_one_number_with_marks_of_several_is_one(raw: str) -> None:
    assert normalise(raw).e164 in ("+74951234567", "+79031234567")
