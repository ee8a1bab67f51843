"""What adapters say of a delivery, and the envelope around it: refs, deterministic ids, evidence, partition key."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Final
from uuid import UUID

from domain.event import Event, Evidence, EvidencePointer, TimeBasis
from domain.facts.base import Fact
from domain.facts.sites import ChatFact
from domain.identity import event_id
from domain.refs import KINDS, Strength, kind_of, ref, strength

if TYPE_CHECKING:
    from hashlib import _Hash as HASH

_BLOCK: Final = 64  # of SHA-256, bytes


@dataclass(frozen=True, slots=True)
class Said:
    """One fact as an adapter read it from a delivery.

    ``native`` is the provider's own identity of the fact (call id, phase, leg …; never the receive time);
    ``time`` is None when the provider gives none: the receive time stands in and is marked so.
    """

    fact: Fact
    native: tuple[str, ...]
    time: datetime | None
    subject: str | None = None


_ORDER: Final = (Strength.STRONG, Strength.MEDIUM, Strength.ENTITY, Strength.WEAK)
_PLACE: Final = {kind: _ORDER.index(strength(kind)) for kind in KINDS}


_LAST: Final = _ORDER.index(Strength.WEAK)


def _strongest(refs: tuple[str, ...]) -> str:
    """The first of the strongest kind in the order of the alphabet."""
    best, place = refs[0], len(_ORDER)
    for a_ref in refs:
        here = _PLACE.get(kind_of(a_ref), _LAST)
        if here < place or (here == place and a_ref < best):
            best, place = a_ref, here
    return best


def partition_key(refs: tuple[str, ...], fallback: str, secret: bytes) -> str:
    """Keyed hash of the strongest ref (design §3): no personal data in Kafka keys.

    ``fallback`` serves facts without refs. 32 hex digits.
    """
    best = _strongest(refs) if refs else fallback
    inner, outer = _keyed(secret)
    inner, outer = inner.copy(), outer.copy()
    inner.update(best.encode())
    outer.update(inner.digest())
    return outer.digest()[:16].hex()


@lru_cache(maxsize=16)
def _keyed(secret: bytes) -> tuple[HASH, HASH]:
    """HMAC-SHA-256 (RFC 2104) up to the message: the same for all events of an installation."""
    block = (sha256(secret).digest() if len(secret) > _BLOCK else secret).ljust(_BLOCK, b"\0")
    return sha256(bytes(b ^ 0x36 for b in block)), sha256(bytes(b ^ 0x5C for b in block))


def make_events(
    said: list[Said],
    *,
    source: str,
    received: datetime,
    revision: int,
    evidence: Evidence,
    key_secret: bytes,
) -> list[Event]:
    """Put an envelope around each fact of one delivery; the first carries the evidence, the others point to it.

    ``source`` is the path ``/provider/name``. Times become UTC.
    """
    events: list[Event] = []
    first: UUID | None = None
    received = received.astimezone(UTC)
    for one in said:
        ident = event_id(source, one.fact.TYPE, *one.native)
        refs = tuple(dict.fromkeys(one.fact.refs(source)))
        if isinstance(one.fact, ChatFact):
            # a dialogue taken up again after a day of silence is an inquiry with the id of its opening fact (R0.18)
            refs = tuple(dict.fromkeys((*refs, ref("inquiry", str(ident)))))
        basis: TimeBasis = "source" if one.time else "received"
        carried: Evidence | EvidencePointer = (
            evidence if first is None else EvidencePointer(evidence.delivery_id, first)
        )
        first = first or ident
        events.append(
            Event(
                id=ident,
                type=one.fact.TYPE,
                version=one.fact.VERSION,
                source=source,
                time=one.time.astimezone(UTC) if one.time else received,
                received=received,
                revision=revision,
                subject=one.subject,
                partitionkey=partition_key(refs, f"{source}/{one.fact.TYPE}", key_secret),
                data=one.fact,
                refs=refs,
                evidence=carried,
                time_basis=basis,
            )
        )
    return events
