"""Small readers that adapters share: whatever a provider sent, as a clean text, moment or fingerprint. Never raise."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from domain.phones import Phone, normalise
from ingest.sources import SourceConfig

NAME: Final = 500  # domain.facts.base.Name
TEXT: Final = 20_000  # domain.facts.base.Text
KEY: Final = 200  # domain.facts.base.Key

#: Deliveries without an identity of their own that say the same within this time are one (L13).
REPEAT_WINDOW: Final = timedelta(minutes=10)

_EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC).timestamp()
_LATEST: Final = datetime(2100, 1, 1, tzinfo=UTC).timestamp()

#: What providers write where there is nothing (INDEX-telephony, rule 8).
_NOTHING: Final = frozenset(
    {"null", "none", "undefined", "(not set)", "(none)", "<не указано>", "<не заполнено>", "nan"}
)
_LONGEST_NOTHING: Final = max(map(len, _NOTHING))


def text(value: Any, limit: int = NAME) -> str | None:
    """A scalar as a clean text of at most ``limit`` characters; None for nothing, empty markers and containers."""
    if type(value) is not str:
        if value is None or isinstance(value, dict | list):
            return None
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        value = str(value)
    out: str = value.strip()
    if not out or (len(out) <= _LONGEST_NOTHING and out.casefold() in _NOTHING):
        return None
    return out if len(out) <= limit else out[:limit].rstrip()


def key(value: Any) -> str | None:
    """An identifier as text. A very long one is cut and its hash kept, so that two do not become one."""
    if value is None:
        return None
    out = text(value, 4 * TEXT)
    if out is None or len(out) <= KEY:
        return out
    return f"{out[: KEY - 33]}~{fingerprint(out)[:32]}"


def joined(value: Any, limit: int = TEXT) -> str | None:
    """A scalar or a list of scalars as one text, joined by «, »."""
    if type(value) is not str and isinstance(value, list):
        parts = [part for part in (text(item, limit) for item in value) if part]
        return ", ".join(parts)[:limit].rstrip() or None
    return text(value, limit)


def mapping(value: Any) -> Mapping[str, Any]:
    """The value if it is an object, else an empty one: providers send null where an object was."""
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list[Any]:
    """The value if it is a list, the values of an object with indexes, else nothing."""
    if isinstance(value, list):
        return value
    return list(value.values()) if isinstance(value, dict) else []


def unix_seconds(value: Any) -> datetime | None:
    """Unix time as UTC, in seconds (milliseconds with 13 digits); None when empty, zero or out of 2000–2100."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = float(value) if not isinstance(value, str) else float(value.strip() or 0)
    except (ValueError, OverflowError):
        return None
    if number >= 1e12:
        number /= 1000
    if not _EARLIEST <= number < _LATEST:
        return None
    return datetime.fromtimestamp(number, UTC)


def phone(value: Any, source: SourceConfig) -> Phone:
    """A phone by the rules of a source; nothing is a hidden number."""
    return normalise(text(value, 100), source.region, source.area_code)


def known_phone(value: Any, source: SourceConfig) -> tuple[str | None, str | None]:
    """A phone that a person typed: (E.164 or None, as typed or None)."""
    raw = text(value)
    return (normalise(raw, source.region, source.area_code).e164, raw) if raw else (None, None)


def email(value: Any) -> str | None:
    """An e-mail address, if it looks like one."""
    out = text(value, 254)
    if out is None or " " in out:
        return None
    user, _, host = out.partition("@")
    return out if user and "." in host and "@" not in host else None


def first(fields: Mapping[str, Any], *names: str) -> str | None:
    """The first of these fields that says something."""
    for name in names:
        if found := text(fields.get(name)):
            return found
    return None


def fingerprint(*parts: object) -> str:
    """A hash of what was said: the identity of what has no other, and of contents that may be repeated."""
    return hashlib.sha256("\x1f".join("" if p is None else str(p) for p in parts).encode()).hexdigest()


def windowed(received: datetime, *parts: object) -> str:
    """Best-effort identity of a delivery without one: what it says, and the ten minutes in which it came.

    A repeat within the same window is the same fact. One that falls just behind the border of the window is another
    fact; rules of the fold (L13) join those again.
    """
    window = int(received.timestamp() // REPEAT_WINDOW.total_seconds())
    return f"{fingerprint(*parts)[:32]}-{window}"


def clipped(pairs: Iterable[tuple[str, Any]], *, most: int = 300) -> dict[str, str]:
    """Free fields as texts, at most ``most`` of them."""
    out: dict[str, str] = {}
    for name, value in pairs:
        said = joined(value)
        if said is not None and len(out) < most:
            out[name[:KEY]] = said
    return out
