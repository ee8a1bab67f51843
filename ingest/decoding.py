"""Bodies and queries as nested values: PHP-style forms, tolerant JSON, charsets, compression. Pure and bounded.

A decoded value is made of dict, list, str, int, float, bool and None. No string in it holds NUL or a lone
surrogate: neither JSON nor Postgres takes them.
"""

from __future__ import annotations

import binascii
import json
import re
import zlib
from collections.abc import Sequence
from functools import lru_cache
from math import isfinite
from typing import Any, Final
from urllib.parse import unquote

import orjson

from ingest.limits import Limits, Unreadable

Fields = dict[str, Any]
Pairs = list[tuple[str, str]]

_BRACKETS: Final = re.compile(r"\[([^\[\]]*)\]")
_CHARSETS: Final = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "utf-8",
    "ascii": "utf-8",
    "windows-1251": "cp1251",
    "cp1251": "cp1251",
    "win-1251": "cp1251",
    "koi8-r": "koi8-r",
    "iso-8859-1": "latin-1",
    "latin1": "latin-1",
    "utf-16": "utf-16",
}
#: Longer names of fields, all together, are decoded every time anew: nobody fills our memory with them.
_REMEMBERED: Final = 1000
#: Byte order marks.
UTF16: Final = (b"\xff\xfe", b"\xfe\xff")
_GZIP: Final = b"\x1f\x8b"
#: Streams in one gzip body; each costs a copy of what follows.
_STREAMS: Final = 100
#: Whole numbers beyond are no longer each a float of their own.
_EXACT: Final = 2.0**63
_DIRTY: Final = re.compile("[\x00\ud800-\udfff]")


class TooLarge(Exception):
    """A body exceeds the limit after decompression."""


def clean_text(text: str) -> str:
    """The text without NUL; lone surrogates become U+FFFD."""
    if _DIRTY.search(text) is None:
        return text
    return text.replace("\x00", "").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def decompress(body: bytes, encoding: str, limits: Limits) -> bytes:
    """Undo the content encoding: gzip, deflate or none, in a few layers.

    Raises:
        TooLarge: more than ``limits.max_body`` bytes come out.
        Unreadable: an encoding that is not known, too many of them, or a broken stream.
    """
    names = [name for e in encoding.split(",") if (name := e.strip().lower()) not in ("", "identity")]
    if len(names) > limits.max_encodings:
        raise Unreadable("encoded too many times")
    for name in reversed(names):
        if name not in ("gzip", "x-gzip", "deflate"):
            raise Unreadable("unknown content encoding")
        # deflate: most senders mean zlib, some a bare stream
        raw_stream = name == "deflate" and (not body or body[0] & 0x0F != 8)
        body = _inflated(body, -zlib.MAX_WBITS if raw_stream else zlib.MAX_WBITS | 32, limits.max_body)
    return body


def _inflated(body: bytes, bits: int, limit: int) -> bytes:
    """One layer; gzip may be several streams one after another."""
    found = b""
    for _ in range(_STREAMS):
        engine = zlib.decompressobj(bits)
        try:
            found += engine.decompress(body, limit + 1 - len(found))
        except zlib.error as error:
            raise Unreadable("the body is not what its content encoding says") from error
        if len(found) > limit:
            raise TooLarge
        if not engine.eof:
            raise Unreadable("the compressed body ends too early")
        body = engine.unused_data
        if not body:
            return found
        if not body.startswith(_GZIP) or bits < 0:
            raise Unreadable("the compressed body goes on behind its end")
    raise Unreadable("the body is compressed in too many pieces")


@lru_cache(maxsize=256)
def charset_of(content_type: str) -> str | None:
    """Python's name of the charset that a Content-Type names, None when it names none or one unknown."""
    _, found, rest = content_type.lower().partition("charset=")
    return _CHARSETS.get(rest.split(";")[0].strip(" \"'")) if found else None


def parse_json(body: bytes, charset: str | None, limits: Limits) -> Any:
    """JSON whatever the header says: with a byte order mark, in the charset named.

    Raises:
        Unreadable: not JSON, or beyond the limits.
    """
    data = body.removeprefix(b"\xef\xbb\xbf").strip()
    try:
        if body[:2] in UTF16:
            data = body.decode("utf-16").encode()
        elif charset not in (None, "utf-8"):
            data = body.decode(charset or "utf-8").lstrip("\ufeff").encode()
        return _bounded(orjson.loads(data), limits)
    except (UnicodeError, orjson.JSONDecodeError, _Rounded) as error:
        return _bounded(_slowly(data, error), limits, exact=True)


class _Rounded(Exception):
    """A whole number that orjson could only give as a float: digits are lost, and two ids might become one."""


def _slowly(data: bytes, error: Exception) -> Any:
    """What orjson refuses and others write: lone surrogates, very long numbers (as text, digit by digit).

    Raises:
        Unreadable: not JSON; says of which kind.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise Unreadable("the body is not UTF-8: its Content-Type must name the charset") from error
    try:
        return json.loads(text, parse_int=_whole, parse_float=_fraction, parse_constant=_no_number)
    except RecursionError:
        raise Unreadable("values are nested too deeply") from error
    except ValueError:
        raise Unreadable("the body is not JSON") from error


def _whole(digits: str) -> int | str:
    return int(digits) if len(digits) < 19 else digits


def _fraction(said: str) -> float | str:
    number = float(said)
    return number if isfinite(number) else said


def _no_number(name: str) -> None:
    raise ValueError(name)  # NaN and Infinity are no JSON


def parse_pairs(text: str, charset: str | None, limits: Limits) -> Pairs:
    """A query or form body as pairs in order, percent-decoded. A name without ``=`` has an empty value.

    Raises:
        Unreadable: more fields than the limit.
    """
    if text.count("&") >= limits.max_fields:
        raise Unreadable("too many fields")
    parts = [part.partition("=") for part in text.split("&") if part]
    if parts and charset in (None, "utf-8") and "%26" not in text:
        # All of it at once: where no escape stands for an ampersand, ampersands part names and values.
        joined = "&".join([part[0] for part in parts])
        names = _names_again(joined) if len(joined) <= _REMEMBERED else _names(joined)
        values = unescaped("&".join([part[2] for part in parts]).replace("+", " "))
        if names is not None and _DIRTY.search(values) is None:
            return list(zip(names, values.split("&"), strict=True))
    return [(_unquote(name, charset), _unquote(value, charset)) for name, _, value in parts]


def _names(joined: str) -> list[str] | None:
    """Names of fields with ampersands between them; None when they must be cleaned one by one."""
    names = unescaped(joined.replace("+", " "))
    return None if _DIRTY.search(names) is not None else names.split("&")


#: Every delivery of a form has the same names.
_names_again = lru_cache(maxsize=1024)(_names)


def unescaped(text: str) -> str:
    """`urllib.parse.unquote` for UTF-8, ten times as fast where the text is plain and its escapes are right."""
    if "%" not in text:
        return text
    if text.isascii() and "\n" not in text and "\r" not in text:
        # Quoted-printable spells bytes alike, with another sign, and is read in C in one go.
        spelled = text.replace("=", "=3D").replace("%", "=")
        raw = binascii.a2b_qp(spelled)
        # Every right escape is two characters longer than its byte, whatever else the codec forgives is not.
        if len(spelled) - len(raw) == 2 * spelled.count("="):
            return raw.decode("utf-8", "replace")
    return unquote(text)


def _unquote(text: str, charset: str | None) -> str:
    if "+" in text:
        text = text.replace("+", " ")
    if "%" in text:
        text = unquote(text, charset or "utf-8", "replace")
    return clean_text(text)


def nest(pairs: Sequence[tuple[str, Any]], limits: Limits) -> Fields:
    """Pairs with PHP brackets as nested values: ``a[b][0]=x`` → ``{"a": {"b": ["x"]}}``.

    A key that repeats gathers its values in a list. Where a key is both a value and a parent, the value lies under
    ``""``. Brackets that do not close belong to the name. Indexes 0, 1, 2 … make a list, others (ids) stay keys.

    Raises:
        Unreadable: too many fields, too deep, or a key too long.
    """
    if len(pairs) > limits.max_fields:
        raise Unreadable("too many fields")
    plain: Fields = dict(pairs)
    if max(map(len, plain), default=0) > limits.max_key:
        raise Unreadable("a field name is too long")
    if len(plain) == len(pairs) and "[" not in "".join(plain):
        return plain
    root: Fields = {}
    nested = False
    for key, value in pairs:
        if "[" in key:
            nested = True
            _put(root, split_key(key), value, limits)
        else:
            _store(root, key, value)
    return {key: _lists(value) for key, value in root.items()} if nested else root


def split_key(key: str) -> list[str]:
    """``a[b][]`` → ``["a", "b", ""]``; a key that is not built so is one part."""
    head, bracket, _ = key.partition("[")
    if not bracket or not head:
        return [key]
    tail = key[len(head) :]
    parts = _BRACKETS.findall(tail)
    if sum(len(p) + 2 for p in parts) != len(tail):
        return [key]
    return [head, *parts]


def _put(root: Fields, parts: list[str], value: Any, limits: Limits) -> None:
    if len(parts) > limits.max_depth:
        raise Unreadable("fields are nested too deeply")
    place = root
    for part in parts[:-1]:
        name = part or str(len(place))
        inner = place.get(name)
        if not isinstance(inner, dict):
            inner = {} if inner is None else {"": inner}
            place[name] = inner
        place = inner
    _store(place, parts[-1] or str(len(place)), value)


def _store(place: Fields, name: str, value: Any) -> None:
    if name not in place:
        place[name] = value
        return
    there = place[name]
    if isinstance(there, dict):
        _store(there, "", value)
    elif isinstance(there, list):
        there.append(value)
    else:
        place[name] = [there, value]


def _lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inner = {key: _lists(item) for key, item in value.items()}
    if inner and all(key == str(index) for index, key in enumerate(sorted(inner, key=_index_order))):
        return [inner[str(index)] for index in range(len(inner))]
    return inner


def _index_order(key: str) -> tuple[int, str]:
    return (int(key), "") if key.isascii() and key.isdigit() and len(key) < 9 else (-1, key)


def _bounded(value: Any, limits: Limits, *, exact: bool = False) -> Any:
    """The same value with clean strings.

    Raises:
        _Rounded: a number that may have lost digits, unless the numbers are ``exact``.
        Unreadable: deeper than the limit, or more values than fields are allowed (times ten: JSON has more furniture).
    """
    budget = [limits.max_fields * 10]

    def walk(node: Any, depth: int) -> Any:
        if isinstance(node, str):
            return clean_text(node)
        if not isinstance(node, dict | list):
            if not exact and type(node) is float and abs(node) >= _EXACT:
                raise _Rounded
            return node
        if depth > limits.max_depth:
            raise Unreadable("values are nested too deeply")
        budget[0] -= len(node)
        if budget[0] < 0:
            raise Unreadable("too many values")
        if isinstance(node, list):
            return [walk(item, depth + 1) for item in node]
        return {clean_text(key): walk(item, depth + 1) for key, item in node.items()}

    return walk(value, 1)
