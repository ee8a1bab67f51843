"""Refs: every identifier that a fact carries, as strings ``kind:value`` or ``kind:value@scope``.

Identity refs say *who* (phone, contact, e-mail, visitor); entity refs say *what* (call, booking, receipt).
Strength follows spec 2.3: strong and medium refs make clients one; weak refs only lead an anonymous fact to
a client; entity refs lead a fact to the client of the thing it speaks about.
An entity ref may omit its scope (``call:171.1`` beside ``call:171.1@main``): people and CRMs often know only
the bare number; the resolver then looks for the one scoped entity with that number.
"""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from typing import Final


class Strength(Enum):
    """How much a ref says about identity (spec 2.3)."""

    STRONG = "strong"
    MEDIUM = "medium"
    WEAK = "weak"
    ENTITY = "entity"


_STRENGTH: Final[dict[str, Strength]] = {
    "phone": Strength.STRONG,
    "crm_contact": Strength.STRONG,
    "erp_client": Strength.STRONG,
    "messenger": Strength.STRONG,
    "email": Strength.MEDIUM,
    "visitor": Strength.WEAK,
    "cookie": Strength.WEAK,
    "inquiry": Strength.ENTITY,
    "call": Strength.ENTITY,
    "callback": Strength.ENTITY,
    "chat": Strength.ENTITY,
    "form": Strength.ENTITY,
    "lead": Strength.ENTITY,
    "booking": Strength.ENTITY,
    "visit": Strength.ENTITY,
    "order": Strength.ENTITY,
    "receipt": Strength.ENTITY,
    "task": Strength.ENTITY,
}

KINDS: Final[tuple[str, ...]] = tuple(_STRENGTH)


def ref(kind: str, value: str, scope: str | None = None) -> str:
    """Spell one ref; ``scope`` is the source name for identifiers that are unique only inside a source."""
    return f"{kind}:{value}@{scope}" if scope else f"{kind}:{value}"


@lru_cache(maxsize=1024)
def scope_of(source: str) -> str:
    """The scope of a source's own identifiers: the source's name, the last part of its path."""
    return source.rpartition("/")[2]


def kind_of(a_ref: str) -> str:
    """The kind of a ref (``phone``, ``call`` …)."""
    return a_ref.partition(":")[0]


def value_of(a_ref: str) -> str:
    """The value of a ref without its kind; entity refs also lose their scope."""
    rest = a_ref.partition(":")[2]
    return bare(a_ref).partition(":")[2] if strength(a_ref) is Strength.ENTITY else rest


@lru_cache(maxsize=65_536)
def strength(a_ref: str) -> Strength:
    """The strength of a ref; an unknown kind counts as weak, so a newer producer never merges clients here."""
    return _STRENGTH.get(kind_of(a_ref), Strength.WEAK)


@lru_cache(maxsize=65_536)
def bare(a_ref: str) -> str:
    """An entity ref without its scope; other refs as they are. The node by which facts are grouped."""
    if strength(a_ref) is not Strength.ENTITY:
        return a_ref
    head, at, _ = a_ref.rpartition("@")
    return head if at else a_ref
