"""The decoders: nested forms, JSON, compression, charsets, multipart, and their limits."""

import gzip
import zlib
from typing import Any
from urllib.parse import parse_qsl, unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.decoding import TooLarge, clean_text, decompress, guessed, parse_json
from ingest.limits import DEFAULT_LIMITS, Limits, Unreadable
from ingest.multipart import parse_multipart
from ingest.pairs import apart, nest, parse_pairs, split_key
from tests.ingest.support import delivery

L = DEFAULT_LIMITS


@pytest.mark.parametrize(
    ("pairs", "nested"),
    [
        ([("a", "1")], {"a": "1"}),
        ([("a[b][c]", "1"), ("a[b][d]", "2")], {"a": {"b": {"c": "1", "d": "2"}}}),
        ([("p[0][n]", "x"), ("p[1][n]", "y")], {"p": [{"n": "x"}, {"n": "y"}]}),
        ([("p[1][n]", "y"), ("p[0][n]", "x")], {"p": [{"n": "x"}, {"n": "y"}]}),
        ([("p[57][n]", "x")], {"p": {"57": {"n": "x"}}}),
        ([("a[]", "1"), ("a[]", "2")], {"a": ["1", "2"]}),
        ([("a", "1"), ("a", "2")], {"a": ["1", "2"]}),
        ([("a", "1"), ("a[b]", "2")], {"a": {"": "1", "b": "2"}}),
        ([("a[b]", "2"), ("a", "1")], {"a": {"": "1", "b": "2"}}),
        (
            [("a[b", "1"), ("[x]", "2"), ("a]", "3"), ("a[b]c", "4")],
            {"a[b": "1", "[x]": "2", "a]": "3", "a[b]c": "4"},
        ),
        ([("p[999999999999]", "1")], {"p": {"999999999999": "1"}}),
    ],
)
def test_php_brackets(pairs: Any, nested: Any) -> None:
    assert nest(pairs, L) == nested


def test_raw_and_percent_encoded_brackets_are_the_same() -> None:
    raw = delivery(
        "tilda",
        body=b"payment[products][0][name]=x",
        headers={"content-type": "application/x-www-form-urlencoded"},
    )
    encoded = delivery("tilda", body=b"payment%5Bproducts%5D%5B0%5D%5Bname%5D=x")
    assert raw.fields == encoded.fields == {"payment": {"products": [{"name": "x"}]}}


def test_limits_of_forms() -> None:
    tight = Limits(max_fields=3, max_depth=3, max_key=10)
    with pytest.raises(Unreadable, match="too many"):
        parse_pairs("a=1&b=2&c=3&d=4", None, tight)
    with pytest.raises(Unreadable, match="deeply"):
        nest([("a[b][c][d]", "1")], tight)
    with pytest.raises(Unreadable, match="too long"):
        nest([("a" * 11, "1")], tight)
    assert nest([("a[b][c]", "1")], tight) == {"a": {"b": {"c": "1"}}}


def test_limits_of_json() -> None:
    tight = Limits(max_fields=1, max_depth=3)
    with pytest.raises(Unreadable, match="deeply"):
        parse_json(b"[[[[1]]]]", None, tight)
    with pytest.raises(Unreadable, match="too many"):
        parse_json(b"[1,2,3,4,5,6,7,8,9,10,11]", None, tight)
    with pytest.raises(Unreadable, match="deeply"):
        parse_json(b"[" * 100_000, None, L)


def test_json_in_other_charsets_and_with_a_mark() -> None:
    assert parse_json(b'\xef\xbb\xbf {"a": 1}', None, L) == {"a": 1}
    assert parse_json('{"a": "Да"}'.encode("cp1251"), "cp1251", L) == {"a": "Да"}
    assert parse_json('{"a": "Да"}'.encode("utf-16"), "utf-16", L) == {"a": "Да"}
    assert parse_json(b'{"a": "x\\u0000y"}', None, L) == {"a": "xy"}


def test_json_is_tried_whatever_the_header_says() -> None:
    assert delivery(
        "jivo", body=b' {"a": 1}', headers={"content-type": "application/x-www-form-urlencoded"}
    ).value == {"a": 1}
    assert delivery(
        "jivo", body=b"{a=1&b=2", headers={"content-type": "application/x-www-form-urlencoded"}
    ).value == {"{a": "1", "b": "2"}
    with pytest.raises(Unreadable):
        _ = delivery("jivo", body=b"{a", headers={"content-type": "application/json"}).value
    assert delivery("jivo", body=b"hello").body_kind == "text"


def test_compression() -> None:
    assert decompress(gzip.compress(b"x" * 10), "gzip", Limits(max_body=10)) == b"x" * 10
    assert decompress(zlib.compress(b"x"), "deflate", Limits(max_body=10)) == b"x"
    raw = zlib.compressobj(wbits=-15)
    assert decompress(raw.compress(b"x") + raw.flush(), "deflate", Limits(max_body=10)) == b"x"
    assert decompress(gzip.compress(gzip.compress(b"x")), "gzip, gzip", Limits(max_body=100)) == b"x"
    assert decompress(b"x", "identity", Limits(max_body=10)) == b"x"
    with pytest.raises(TooLarge):
        decompress(gzip.compress(b"\0" * 50_000_000), "gzip", Limits(max_body=1_000_000))
    for body, encoding in (
        (b"x", "gzip"),
        (gzip.compress(b"abc")[:-9], "gzip"),
        (b"x", "br"),
        (b"", "deflate"),
    ):
        with pytest.raises(Unreadable):
            decompress(body, encoding, Limits(max_body=10))


def test_multipart() -> None:
    body = (
        b'preamble\r\n--B\r\nContent-Disposition: form-data; name="a[b]"\r\n\r\none\r\n'
        b'--B\r\nContent-Disposition: form-data; filename="f.txt"; name="file"\r\n\r\nsecret content\r\n'
        b"--B\r\nX: y\r\n\r\nno name\r\n--B--\r\nepilogue"
    )
    kind = 'multipart/form-data; boundary="B"'
    assert parse_multipart(body, kind, None, L) == [("a[b]", "one"), ("file", "f.txt")]
    for broken, header in ((body, "multipart/form-data"), (b"nothing", kind)):
        with pytest.raises(Unreadable):
            parse_multipart(broken, header, None, L)
    with pytest.raises(Unreadable, match="too many"):
        parse_multipart(b"--B\r\n" * 5, kind, None, Limits(max_fields=3))


@pytest.mark.parametrize(
    ("part", "read"),
    [
        (
            "Content-Disposition: form-data; name=phone\r\n\r\n8903",
            [("phone", "8903")],
        ),  # a token needs no quotes
        ("content-disposition:form-data;NAME=phone\r\n\r\n8903", [("phone", "8903")]),
        ("Content-Disposition: form-data; filename=a.txt; name=file\r\n\r\n8903", [("file", "a.txt")]),
        ("Content-Disposition: form-data; filename*=utf-8''a; name=file\r\n\r\n8903", [("file", "8903")]),
        ('Content-Disposition: form-data; name="phone"\r\n\r\n8903\n\n1', [("phone", "8903\n\n1")]),
    ],
)
def test_multipart_as_careless_senders_write_it(part: str, read: Any) -> None:
    kind = "multipart/form-data; boundary=B"
    for body in (f"--B\r\n{part}\r\n--B--\r\n", f"--B\r\n{part}"):
        assert parse_multipart(body.encode(), kind, None, L) == read
        bare = body.replace("\r\n", "\n")
        assert parse_multipart(bare.encode(), kind, None, L) == read


def test_multipart_that_names_nothing_is_unreadable_unless_it_is_empty() -> None:
    kind = "multipart/form-data; boundary=B"
    for body in (
        b"--B\r\nphone=8903&name=x",
        b"--B\r\nContent-Disposition: form-data\r\n\r\n8903\r\n--B--",
        b"phone: 8903\r\n--B--\r\n",
    ):
        with pytest.raises(Unreadable, match="names its fields"):
            parse_multipart(body, kind, None, L)
    for body in (b"--B--\r\n", b"--B\r\n\r\n--B--\r\n"):
        assert parse_multipart(body, kind, None, L) == []


@given(st.binary(max_size=300), st.sampled_from(["", "gzip", "deflate", "gzip, deflate", "br"]))
def test_any_bytes_decompress_or_are_unreadable(body: bytes, encoding: str) -> None:
    try:
        assert len(decompress(body, encoding, Limits(max_body=1000))) <= 1000
    except (Unreadable, TooLarge):
        return


@given(st.lists(st.tuples(st.text(alphabet="ab[]01", max_size=12), st.text(max_size=3)), max_size=20))
def test_any_pairs_nest_and_no_value_is_lost(pairs: Any) -> None:
    def values(node: Any) -> Any:
        if isinstance(node, dict):
            return [v for item in node.values() for v in values(item)]
        if isinstance(node, list):
            return [v for item in node for v in values(item)]
        return [node]

    assert sorted(values(nest(pairs, L))) == sorted(v for _, v in pairs)


@given(st.text(max_size=30))
def test_split_key_keeps_everything(key: str) -> None:
    parts = split_key(key)
    assert parts == [key] or key == parts[0] + "".join(f"[{p}]" for p in parts[1:])


@given(st.text(alphabet=st.characters(exclude_categories=()), max_size=30))
def test_clean_text_can_be_stored(text: str) -> None:
    cleaned = clean_text(text)
    assert "\x00" not in cleaned
    cleaned.encode()


CONTENT_TYPES = [
    "",
    "application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=b",
    "text/plain",
    "application/x-www-form-urlencoded; charset=windows-1251",
    "application/json; charset=utf-16",
    "multipart/form-data",
]


@given(st.binary(max_size=200), st.sampled_from(CONTENT_TYPES), st.text(max_size=60))
def test_any_delivery_decodes_or_is_unreadable(body: bytes, content_type: Any, query: str) -> None:
    one = delivery("form", body=body, query=query, headers={"content-type": content_type})
    try:
        fields = one.fields
    except Unreadable:
        return
    assert isinstance(fields, dict)


@given(st.text(alphabet="ab=&+%20%D0%9F%zz[]я", max_size=40))
def test_pairs_are_those_of_the_standard_library(text: str) -> None:
    standard = parse_qsl(text, keep_blank_values=True, errors="replace")
    read = parse_pairs(text, None, L)
    # What is not UTF-8 is guessed; the rest is what the library says.
    expected = [(clean_text(k), clean_text(v)) for k, v in standard]
    assert len(read) == len(expected)
    for ours, theirs in zip(read, expected, strict=True):
        assert all(a == b or "\ufffd" in b for a, b in zip(ours, theirs, strict=True))


def test_windows_1251_that_nobody_names() -> None:
    assert parse_pairs("%C8%EC%FF=%CF%B8%F2%F0&b=%D0%9F", None, L) == [("Имя", "Пётр"), ("b", "П")]
    assert parse_pairs("a=%CF%B8%F2%F0", "utf-8", L) == [("a", "Пётр")]
    # One letter cut in half at the end is still UTF-8, and one that nobody spoilt is what it was.
    assert parse_pairs("a=%D0%9F%D1%91%D1", None, L) == [("a", "Пё\ufffd")]
    assert parse_pairs("a=%EF%BF%BD", None, L) == [("a", "\ufffd")]
    body = '--x\r\nContent-Disposition: form-data; name="n"\r\n\r\nПётр\r\n--x--'.encode("cp1251")
    assert parse_multipart(body, "multipart/form-data; boundary=x", None, L) == [("n", "Пётр")]
    raw = delivery(
        "form",
        body="имя=Пётр".encode("cp1251"),
        headers={"content-type": "application/x-www-form-urlencoded"},
    )
    assert raw.fields == {"имя": "Пётр"}


@given(
    st.lists(
        st.sampled_from(
            [
                "%D0%9F",
                "%d0",
                "%",
                "%2",
                "%zz",
                "%26",
                "%3D",
                "%00",
                "%ED%A0%80",
                "\\",
                "N{DIGIT ONE}",
                "u0041",
                "\n",
                "\r",
                "=3D",
                "+",
                "&",
                "=",
                "a",
                "п",
            ]
        )
    ).map("".join)
)
def test_decoding_at_once_is_decoding_one_by_one(text: str) -> None:
    def read(part: str) -> str:
        return clean_text(guessed(unquote_to_bytes(part.replace("+", " "))))

    parts = (part.partition("=") for part in text.split("&") if part)
    one_by_one = [(read(name), read(value)) for name, _, value in parts]
    assert parse_pairs(text, "utf-8", L) == one_by_one


PIECES = st.sampled_from(
    [
        "a=1",
        "b=%D0%98",
        "c=+x",
        "d=%26",
        "e=%2526",
        "f=%01",
        "g=\x01",
        "h=%00",
        "i=%zz",
        "j=%",
        "k==x",
        "l",
        "%5B=1",
        "m[n]=2",
        "m[n]=3",
        "a=2",
        "o=é",
        "%26=p",
        "q=%3D",
        "",
        "r=%D0",
        "s=�",
        "Имя=Иван",
        "t=" + "u" * 400,
        "v" * 400 + "=w",
    ]
)


@given(st.lists(PIECES, max_size=12), st.sampled_from([None, "utf-8", "cp1251"]))
def test_a_form_reads_the_same_at_once_and_piece_by_piece(pieces: list[str], charset: str | None) -> None:
    limits, text = Limits(max_fields=10), "&".join(pieces)
    # a charset of another name is read piece by piece
    slowly = "UTF-8" if charset in (None, "utf-8") else charset
    try:
        wanted: Any = nest(parse_pairs(text, slowly, limits), limits)
    except Unreadable as error:
        wanted = str(error)
    taken = apart(text, limits)
    try:
        found: Any = (
            nest(parse_pairs(text, charset, limits), limits)
            if taken is None
            else taken.fields(charset, limits)
        )
    except Unreadable as error:
        found = str(error)
    assert found == wanted
    assert list(found) == list(wanted)
