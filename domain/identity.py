"""Deterministic ids (design §3, §5): the same world gives the same ids in every replay and on every machine."""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha1
from typing import Final
from uuid import UUID, SafeUUID

NAMESPACE: Final[UUID] = UUID("6b0c2f0a-6a2e-5d4c-9a57-1ead401d0001")


_PREFIX: Final = NAMESPACE.bytes
_VERSION_BITS: Final = ~((0xF000 << 64) | (0xC000 << 48))
_VERSION_5: Final = (5 << 76) | (0x8000 << 48)
_VARIANT: Final = {f"{digit:x}": "89ab"[digit & 3] for digit in range(16)}
_UNKNOWN: Final = SafeUUID.unknown  # members of an Enum are looked up in Python
_new: Final = object.__new__
_set_int, _set_safe = UUID.__dict__["int"].__set__, UUID.__dict__["is_safe"].__set__


def _uuid(number: int) -> UUID:
    """``UUID(int=number)``; its ``__init__`` takes apart and checks what is known here."""
    made = _new(UUID)
    _set_int(made, number)
    _set_safe(made, _UNKNOWN)
    return made


def name_id(name: str) -> UUID:
    """``uuid.uuid5(NAMESPACE, name)``, three times as fast: ids are made for every fact, ref and row."""
    digest = sha1(_PREFIX + name.encode(), usedforsecurity=False).digest()
    return _uuid(int.from_bytes(digest[:16], "big") & _VERSION_BITS | _VERSION_5)


def _name_text(name: str) -> str:
    """``str(name_id(name))`` without the object between."""
    digits = sha1(_PREFIX + name.encode(), usedforsecurity=False).hexdigest()
    variant = _VARIANT[digits[16]]
    return f"{digits[:8]}-{digits[8:12]}-5{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:32]}"


def read_id(text: str) -> UUID:
    """``UUID(text)``, at once for the usual spelling. Raises ValueError."""
    plain = text.replace("-", "")
    if len(text) != 36 or len(plain) != 32 or not plain.isalnum():
        return UUID(text)
    return _uuid(int.from_bytes(bytes.fromhex(plain), "big"))


def _make(kind: str, *parts: str) -> UUID:
    return name_id("\x1f".join((kind, *parts)))


def event_id(source: str, *native: str) -> UUID:
    """Id of a fact: the source's path plus the provider's own identity of the fact (call id, phase, leg …)."""
    return name_id("\x1f".join(("event", source, *native)))


def inquiry_id(source: str, opening: str, native: str) -> UUID:
    """Id of the inquiry that a call, chat, form … of a source opens.

    It is the id of the opening fact, computed from the native id, so it is the same whichever of the
    provider's messages arrived first or was lost. ``opening`` is ``call``, ``chat``, ``form``, ``walkin`` …
    """
    return _make("event", source, opening, native)


def inquiry_ref(source: str, opening: str, native: str) -> str:
    """The ref of that inquiry, ``inquiry:`` and its id."""
    return "inquiry:" + _name_text(f"event\x1f{source}\x1f{opening}\x1f{native}")


def client_id(first_ref: str) -> UUID:
    """Id of a client: from the ref by which he was first known. Any ref of his is an alias by the same rule."""
    return _make("client", first_ref)


@lru_cache(maxsize=4096)
def lead_id(opening_inquiry: UUID) -> UUID:
    """Id of a policy lead: from the inquiry that opened it."""
    return _make("lead", str(opening_inquiry))


def row_id(kind: str, *parts: str) -> UUID:
    """Id of any other read-model row (touch, leg, stage entry, sale line …)."""
    return _make(kind, *parts)
