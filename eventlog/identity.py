"""Which log is this, and is the record still the one that was read? What positions on a log are worth is decided here."""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple

from eventlog.contract import Record


class Mark(NamedTuple):
    """One record of a partition, remembered beside a position: where it lay, and what it was (`digest`)."""

    offset: int
    digest: str


def digest(record: Record) -> str:
    """16 hexadecimal digits of key, value and headers; the same in both engines."""
    hashed = blake2b(digest_size=8)
    for part in (
        record.key,
        record.value,
        *(part for name, value in record.headers for part in (name.encode(), value)),
    ):
        hashed.update(len(part).to_bytes(8, "big"))
        hashed.update(part)
    return hashed.hexdigest()


def same_log(one: str, other: str) -> bool:
    """Whether two answers of `EventLog.identity` may be those of one log.

    Unknown (empty) is like anything. A Kafka that was brought up to date tells more than it did before.
    """
    if not one or not other:
        return True
    return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")
