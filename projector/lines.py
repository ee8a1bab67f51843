r"""Rows as lines of COPY: made by orjson, because a JSON array without its brackets is nearly a line of CSV.

COPY reads them with ``OPTIONS``: quoted by ``"``, escaped by ``\``, ``null`` for null. Where JSON escapes what CSV does not
(control characters), and where an array of Postgres stands inside of a field, the way is a slower one.
U+0000, which no column of text can hold, becomes U+FFFD.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import orjson

from projector.database import Connection

#: To be put after ``from stdin``.
OPTIONS: Final = "(format csv, quote '\"', escape '\\', null 'null')"

#: Bytes that are handed to COPY at once.
_PIECE: Final = 256 * 1024

_ESCAPE = re.compile(rb'\\(?:(["\\])|([bfnrt])|u00([01][0-9a-f]))')
_SHORT: Final = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t"}


def line(values: Sequence[Any]) -> bytes:
    """One line without its end. Arrays and JSON must have been made text by the functions below; Decimal becomes text."""
    body = orjson.dumps(values, default=str)[1:-1]
    if b"\\" in body and b"\\" in body.replace(b"\\\\", b"").replace(b'\\"', b""):
        return _ESCAPE.sub(_as_csv, body)
    return body


def line_of_ids(values: Sequence[Any]) -> bytes:
    """`line` of values whose last one is an array of UUIDs, as it is."""
    head, _, ids = line(values).rpartition(b"[")
    return b'%b"{%b}"' % (head, ids[:-1].replace(b'"', b""))


def line_with_json(values: Sequence[Any], data: bytes) -> bytes:
    """`line` of values and, last, of JSON as it is."""
    if b"\\" in data:
        data = data.replace(b"\\", b"\\\\")
    return b'%b,"%b"' % (line(values), data.replace(b'"', b'\\"'))


def _as_csv(found: re.Match[bytes]) -> bytes:
    quoted, short, code = found.groups()
    if quoted is not None:
        return found.group()
    return _SHORT[short] if short is not None else _character(int(code, 16))


def _character(code: int) -> bytes:
    return bytes((code,)) if code else b"\xef\xbf\xbd"


def uuids(values: Sequence[UUID]) -> str:
    """An array of uuid as Postgres reads it."""
    return "{" + ",".join(map(str, values)) + "}"


def numbers(values: Sequence[int]) -> str:
    """An array of numbers as Postgres reads it."""
    return "{" + ",".join(map(str, values)) + "}"


def texts(values: Sequence[str]) -> str:
    """An array of text as Postgres reads it."""
    body = orjson.dumps(values)
    if b"\\" in body:
        return "{" + ",".join(map(_element, values)) + "}"
    return "{" + body[1:-1].decode() + "}"


def _element(value: str) -> str:
    return '"' + value.replace("\0", "\ufffd").replace("\\", "\\\\").replace('"', '\\"') + '"'


def json_text(value: Any) -> str:
    """A value of json or jsonb; Decimal becomes text."""
    return dump(value).decode()


def dump(value: Any) -> bytes:
    """JSON for Postgres: Decimal as text, U+0000 as U+FFFD."""
    body = orjson.dumps(value, default=str)
    return body if b"\\u0000" not in body else without_nul(body)


def without_nul(body: bytes) -> bytes:
    """Replace the escape of U+0000, but not an escaped backslash that happens to stand before ``u0000``."""
    parts = body.split(b"\\\\")
    return b"\\\\".join(part.replace(b"\\u0000", b"\xef\xbf\xbd") for part in parts)


async def copy(conn: Connection, target: str, names: str, lines: Sequence[bytes]) -> None:
    """Append lines to a table; ``target`` and ``names`` are SQL. Raises UniqueViolation and what else COPY raises."""
    async with conn.cursor() as cursor, cursor.copy(f"copy {target} ({names}) from stdin {OPTIONS}") as into:
        piece: list[bytes] = []
        size = 0
        for one in lines:
            piece.append(one)
            size += len(one)
            if size >= _PIECE:
                await into.write(b"\n".join(piece) + b"\n")
                piece, size = [], 0
        if piece:
            await into.write(b"\n".join(piece) + b"\n")
