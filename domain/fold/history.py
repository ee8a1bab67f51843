"""One client's facts as the fold reads them: each id once, in one order that does not depend on arrival."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import UUID

import orjson

from domain.event import Event
from domain.facts.base import Fact
from domain.refs import ref

_PHASES: Final = (
    "identity.linked", "identity.unlinked", "contact.marked",
    "call.started", "call.leg_rang", "call.answered", "call.transferred", "call.leg_ended", "call.ended",
    "call.voicemail_left", "recording.stored", "call.tracked",
    "form.submitted", "callback.requested", "chat.started", "chat.message_left", "chat.answered", "chat.finished",
    "contact.captured", "walkin.registered", "message.received", "message.sent",
    "lead.opened", "inquiry.categorised", "inquiry.result_set", "refusal.recorded",
    "booking.made", "booking.moved", "booking.cancelled", "client.no_show", "client.arrived",
    "order.opened", "sale.recorded", "order.handed_over", "sale.refunded",
)  # fmt: skip
_RANK: Final = {type_: n for n, type_ in enumerate(_PHASES)}


def order_key(event: Event) -> tuple[datetime, int, datetime, UUID]:
    """Time, then the natural rank of the phase within one moment, then receipt, then id.

    CRMs tell minutes: of two words of one minute that we got last is the correction (G10).
    """
    return event.time, _RANK.get(event.type, len(_RANK)), event.received, event.id


def supersedes(new: Event, old: Event) -> bool:
    """Whether ``new`` replaces ``old`` of the same id.

    Higher revision, then earlier time, then smaller data, then earlier receipt: a function of the set of
    records, so that repeats in any order leave the same winner.
    """
    if new.revision != old.revision:
        return new.revision > old.revision
    if new.time != old.time:
        return new.time < old.time
    a, b = _content(new), _content(old)
    return (a, new.received) < (b, old.received)


def _content(event: Event) -> bytes:
    return orjson.dumps([event.data.model_dump(mode="json"), list(event.refs)], option=orjson.OPT_SORT_KEYS)


def history(events: Iterable[Event]) -> list[Event]:
    """Each fact once (the winner of its id), in the fold's order."""
    winners: dict[int, Event] = {}
    for event in events:
        key = event.id.int  # a UUID is hashed in Python
        old = winners.get(key)
        if old is None or (old is not event and supersedes(event, old)):
            winners[key] = event
    return sorted(winners.values(), key=order_key)


def hide_lines(events: list[Event], lines: Collection[str]) -> list[Event]:
    """The same facts without our own lines as somebody's number: a forwarded call hides who calls (spec 2.3)."""
    hidden = {ref("phone", line) for line in lines}
    if not hidden:
        return events
    return [e if hidden.isdisjoint(e.refs) else _without(e, hidden, lines) for e in events]


def _without(event: Event, hidden: set[str], lines: Collection[str]) -> Event:
    fact: Fact = event.data
    gone: dict[str, object] = {}
    for name in ("client_phone", "phone"):
        if getattr(fact, name, None) in lines:
            gone |= {f: None for f in (name, f"{name}_raw") if f in type(fact).model_fields}
    if "client_phone" in gone and "hidden" in type(fact).model_fields:
        gone["hidden"] = True
    return replace(
        event, data=fact.model_copy(update=gone), refs=tuple(r for r in event.refs if r not in hidden)
    )
