"""One client's facts by what the steps of the fold ask for: each fact is looked at once, not by every step."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Final, NamedTuple

from domain.event import Event
from domain.facts.base import Fact
from domain.facts.calls import CallFact, CallTracked
from domain.facts.inquiries import (
    InquiryCategorised,
    InquiryReattached,
    InquiryResultSet,
    RefusalRecorded,
    WalkInRegistered,
)
from domain.facts.leads import LeadFact
from domain.facts.sales import (
    BookingFact,
    ClientArrived,
    ClientNoShow,
    SaleRecorded,
    SaleRefunded,
    VehicleHandedOver,
    WorkOrderOpened,
)
from domain.facts.sites import CallbackRequested, ChatFact, FormSubmitted, MessageReceived, MessageSent


class Parts(NamedTuple):
    """The facts of one client by what they tell of, each part in the fold's order; a fact may lie in several or none."""

    calls: list[Event]
    tracked: list[Event]
    forms: list[Event]
    chats: list[Event]
    walkins: list[Event]
    messages: list[Event]
    verdicts: list[Event]
    bookings: list[Event]
    no_shows: list[Event]
    visits: list[Event]
    sales: list[Event]
    leads: list[Event]


_KINDS: Final[dict[str, tuple[type[Fact], ...]]] = {
    "calls": (CallFact,),
    "tracked": (CallTracked,),
    "forms": (FormSubmitted, CallbackRequested),
    "chats": (ChatFact,),
    "walkins": (WalkInRegistered,),
    "messages": (MessageSent, MessageReceived),
    "verdicts": (InquiryCategorised, InquiryResultSet, RefusalRecorded),
    "bookings": (BookingFact,),
    "no_shows": (ClientNoShow,),
    "visits": (ClientArrived, WorkOrderOpened, VehicleHandedOver),
    "sales": (SaleRecorded, SaleRefunded),
    "leads": (LeadFact, InquiryReattached),
}


@cache
def _parts_of(kind: type[Fact]) -> tuple[int, ...]:
    return tuple(n for n, part in enumerate(Parts._fields) if issubclass(kind, _KINDS[part]))


def parted(events: Iterable[Event]) -> Parts:
    """Facts that are unique and in order, by part."""
    parts = Parts([], [], [], [], [], [], [], [], [], [], [], [])
    for event in events:
        for n in _parts_of(type(event.data)):
            parts[n].append(event)
    return parts
