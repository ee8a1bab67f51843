"""What adapters say of a delivery, and the envelope around it: refs, deterministic ids, evidence, partition key."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from domain.event import Event, Evidence, EvidencePointer
from domain.facts.base import Fact
from domain.facts.sites import ChatFact
from domain.identity import event_id
from domain.refs import KINDS, Strength, kind_of, ref, strength
from domain.value import value

if TYPE_CHECKING:
    from hashlib import _Hash as HASH

_BLOCK: Final = 64  # of SHA-256, bytes


@value
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
_STRONG: Final = tuple(f"{kind}:" for kind in KINDS if strength(kind) is Strength.STRONG)


def _strongest(refs: tuple[str, ...]) -> str:
    """The first of the strongest kind in the order of the alphabet."""
    if strong := [a_ref for a_ref in refs if a_ref.startswith(_STRONG)]:
        return min(strong)
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
    received = received.astimezone(UTC)
    carried: Evidence | EvidencePointer = evidence
    for one in said:
        fact, time = one.fact, one.time
        type_ = fact.TYPE
        ident = event_id(source, type_, *one.native)
        refs = tuple(dict.fromkeys(fact.refs(source)))
        if isinstance(fact, ChatFact):
            # a dialogue taken up again after a day of silence is an inquiry with the id of its opening fact (R0.18)
            refs = tuple(dict.fromkeys((*refs, ref("inquiry", str(ident)))))
        events.append(
            Event(
                ident,
                type_,
                fact.VERSION,
                source,
                time.astimezone(UTC) if time else received,
                received,
                revision,
                one.subject,
                partition_key(refs, f"{source}/{type_}", key_secret),
                fact,
                refs,
                carried,
                "source" if time else "received",
            )
        )
        if carried is evidence:
            carried = EvidencePointer(evidence.delivery_id, ident)
    return events
