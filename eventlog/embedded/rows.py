"""A record as a row of the file, and back. The only place that knows the layout.

Headers are a JSON array of [name, value] pairs, so that ``sqlite3 events.db`` shows them; a value that is not UTF-8 is
{"b64": …}. ``crc`` is the CRC-32 of key, headers and value: a torn or rotten row is noticed when it is read.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from datetime import UTC, datetime
from typing import Any
from zlib import crc32

import orjson

from eventlog.contract import Headers, Record, RecordCorrupt, StoredRecord

#: What a column holds.
Value = int | bytes
#: stored_at (milliseconds since 1970 UTC), key, headers, value, crc
Row = tuple[int, bytes, bytes, bytes, int]


def encode(record: Record, stored_at_ms: int) -> Row:
    """The row of a record."""
    key, value, headers = record
    packed = pack_headers(headers)
    return stored_at_ms, key, packed, value, crc32(value, crc32(packed, crc32(key)))


def decode(position: int, row: tuple[Any, ...]) -> StoredRecord:
    """The record of a row; ``position`` is the row's number, one more than the offset.

    Raises:
        RecordCorrupt: the row is not what was written.
    """
    offset = position - 1
    stored_at_ms, key, packed, value, crc = row
    if not (isinstance(key, bytes) and isinstance(packed, bytes) and isinstance(value, bytes)):
        raise RecordCorrupt(0, offset, "a column of the row has another type than was written")
    if crc != crc32(value, crc32(packed, crc32(key))):
        raise RecordCorrupt(0, offset, "checksum mismatch: the row is torn or rotten")
    try:
        headers = unpack_headers(packed)
        stored_at = datetime.fromtimestamp(stored_at_ms / 1000, UTC)
    except (ValueError, TypeError, KeyError, OverflowError, binascii.Error) as error:
        raise RecordCorrupt(0, offset, f"unreadable row: {error}") from error
    return StoredRecord(0, offset, stored_at, Record(key, value, headers))


def pack_headers(headers: Headers) -> bytes:
    """Headers as compact JSON; order and repeated names are kept."""
    try:
        return orjson.dumps([(name, value.decode()) for name, value in headers])
    except UnicodeDecodeError:
        return orjson.dumps([(name, _text_or_base64(value)) for name, value in headers])


def unpack_headers(packed: bytes) -> Headers:
    """What was given to `pack_headers`, byte for byte."""
    return tuple(
        (name, value.encode() if isinstance(value, str) else b64decode(value["b64"], validate=True))
        for name, value in orjson.loads(packed)
    )


def _text_or_base64(value: bytes) -> str | dict[str, str]:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"b64": b64encode(value).decode()}
