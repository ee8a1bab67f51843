"""Bodies as nested values: tolerant JSON, charsets, compression. Pure and bounded; forms and queries are `ingest.pairs`.

A decoded value is made of dict, list, str, int, float, bool and None. No string in it holds NUL or a lone
surrogate: neither JSON nor Postgres takes them.
"""

from __future__ import annotations

import json
import re
import zlib
from contextlib import suppress
from functools import lru_cache
from math import isfinite
from typing import Any, Final, Literal

import orjson

from ingest.limits import Limits, Unreadable

Fields = dict[str, Any]

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
#: Byte order marks.
UTF16: Final = (b"\xff\xfe", b"\xfe\xff")
_GZIP: Final = b"\x1f\x8b"
#: Streams in one gzip body; each costs a copy of what follows.
_STREAMS: Final = 100
#: Whole numbers beyond are no longer each a float of their own.
_EXACT: Final = 2.0**63
#: What no value may hold: see `clean_text`.
DIRTY: Final = re.compile("[\x00\ud800-\udfff]")


class TooLarge(Exception):
    """A body exceeds the limit after decompression."""


def clean_text(text: str) -> str:
    """The text without NUL; lone surrogates become U+FFFD."""
    if text.isascii():
        return text.replace("\x00", "") if "\x00" in text else text
    if DIRTY.search(text) is None:
        return text
    return text.replace("\x00", "").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def guessed(raw: bytes) -> str:
    """Text whose charset nobody named, or not rightly: UTF-8, or Windows-1251 where it is rather that.

    Old sites post forms in Windows-1251 and do not say so. Such text is hardly ever UTF-8; a letter cut in half, at the end
    of a text in UTF-8, still is: what spoils less is taken. Bytes that mean nothing become U+FFFD.
    """
    with suppress(UnicodeDecodeError):
        return raw.decode("utf-8")
    text = raw.decode("utf-8", "replace")
    spoilt = text.count("\ufffd")
    read = sum(letter > "\x7f" for letter in text) - spoilt
    return raw.decode("cp1251", "replace") if spoilt > read else text


def decoded(raw: bytes, charset: str | None) -> str:
    """Text in the charset that was named (`charset_of`); see `guessed` where none was, or UTF-8."""
    return guessed(raw) if charset in (None, "utf-8") else raw.decode(charset, "replace")


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
def media_type_of(content_type: str) -> str:
    """The media type in lower case, without parameters."""
    return content_type.partition(";")[0].strip().lower()


@lru_cache(maxsize=256)
def form_of(content_type: str) -> Literal["yes", "maybe", "no"]:
    """Whether a body of this Content-Type is a form whose pairs can be told apart as bytes."""
    kind = media_type_of(content_type)
    if kind == "multipart/form-data" or "json" in kind or charset_of(content_type) == "utf-16":
        return "no"
    return "yes" if "form" in kind else "maybe"


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
