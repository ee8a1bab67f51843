"""One client's facts as the fold reads them: each id once, in one order that does not depend on arrival."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final
from uuid import UUID

import orjson

from domain.event import Event

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


def order_key(event: Event) -> tuple[datetime, int, UUID]:
    """Time, then the natural rank of the phase within one moment, then id."""
    return event.time, _RANK.get(event.type, len(_RANK)), event.id


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
    winners: dict[UUID, Event] = {}
    for event in events:
        old = winners.get(event.id)
        if old is None or (old is not event and supersedes(event, old)):
            winners[event.id] = event
    return sorted(winners.values(), key=order_key)
