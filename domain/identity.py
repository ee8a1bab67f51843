"""Deterministic ids (design §3, §5): the same world gives the same ids in every replay and on every machine."""

from __future__ import annotations

from typing import Final
from uuid import UUID, uuid5

NAMESPACE: Final[UUID] = UUID("6b0c2f0a-6a2e-5d4c-9a57-1ead401d0001")


def _make(kind: str, *parts: str) -> UUID:
    return uuid5(NAMESPACE, "\x1f".join((kind, *parts)))


def event_id(source: str, *native: str) -> UUID:
    """Id of a fact: the source's path plus the provider's own identity of the fact (call id, phase, leg …)."""
    return _make("event", source, *native)


def inquiry_id(source: str, opening: str, native: str) -> UUID:
    """Id of the inquiry that a call, chat, form … of a source opens.

    It is the id of the opening fact, computed from the native id, so it is the same whichever of the
    provider's messages arrived first or was lost. ``opening`` is ``call``, ``chat``, ``form``, ``walkin`` …
    """
    return _make("event", source, opening, native)


def client_id(first_ref: str) -> UUID:
    """Id of a client: from the ref by which he was first known. Any ref of his is an alias by the same rule."""
    return _make("client", first_ref)


def lead_id(opening_inquiry: UUID) -> UUID:
    """Id of a policy lead: from the inquiry that opened it."""
    return _make("lead", str(opening_inquiry))


def row_id(kind: str, *parts: str) -> UUID:
    """Id of any other read-model row (touch, leg, stage entry, sale line …)."""
    return _make(kind, *parts)
