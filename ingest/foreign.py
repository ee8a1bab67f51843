"""Whose webhook a delivery is by the names of its fields: for an address that was given to the wrong provider.

Only names that no form of a site has are told apart. What is found is said in the reason why a delivery is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

#: Who; all of these names, and at least one of those.
_KNOWN: Final[tuple[tuple[str, frozenset[str], frozenset[str]], ...]] = tuple(
    (who, frozenset(all_of.split()), frozenset(any_of.split()))
    for who, all_of, any_of in (
        ("Sipuni", "event call_id", "src_num dst_num src_type dst_type timestamp"),
        ("Jivo", "event_name", "chat_id visitor client_id widget_id"),
        ("Tilda", "tranid", "formid formname COOKIES"),
        ("amoCRM", "account", "leads contacts task unsorted talk companies customers outgoing_message"),
        ("Mango Office", "vpbx_api_key", "json sign"),
        ("Roistat", "caller callee", "marker visit_id duration date"),
        ("UIS", "call_session_id", "virtual_phone_number contact_phone_number direction notification_name"),
        ("Calltouch", "callerphone", "ctCallerId callphase phonenumber calltime"),
        ("Zadarma", "pbx_call_id", "event call_start"),
        ("MegaFon", "cmd crm_token", "callid phone"),
        ("Bitrix24", "event auth", "data ts"),
    )
)
#: Digits from which on a value may be a phone.
_NUMBER: Final = 7
_FIRST: Final = frozenset().union(*(all_of for _, all_of, _ in _KNOWN))


def may_be(names: Iterable[str]) -> bool:
    """Whether `whose` may find somebody by these names of fields."""
    return not _FIRST.isdisjoint(names)


def whose(fields: Mapping[str, Any]) -> str | None:
    """The provider whose webhook has these fields; None where nobody can be told."""
    if not may_be(fields):
        return None
    names = fields.keys()
    for who, all_of, any_of in _KNOWN:
        if all_of <= names and not any_of.isdisjoint(names):
            # A form may ask for somebody's account; what amoCRM tells of it has parts.
            return who if who != "amoCRM" or isinstance(fields["account"], dict) else None
    return None


def may_tell(fields: Mapping[str, Any]) -> bool:
    """Whether these fields may tell of something, by a value that may be a phone or by whose they are: then it is no test."""
    return whose(fields) is not None or any(
        sum(map(str.isdigit, str(value))) >= _NUMBER for value in fields.values()
    )


def reason(fields: Mapping[str, Any], *ours: str) -> str | None:
    """Why a delivery with these fields is kept and not read: it is another provider's, none of ``ours``."""
    who = whose(fields)
    if who is None or who in ours:
        return None
    return f"this looks like a webhook of {who}: the address belongs to a source of another provider"
