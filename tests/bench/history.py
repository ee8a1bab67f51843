"""A realistic history for the projector: twelve facts a client, 5 % of the clients turn out to be two, in order of time."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from heapq import heappop, heappush
from typing import Any
from uuid import UUID

from domain.event import Event, Evidence
from domain.facts.base import Fact
from domain.facts.calls import CallAnswered, CallEnded, CallLegRang, CallStarted, RecordingStored
from domain.facts.inquiries import IdentityLinked, InquiryCategorised
from domain.facts.sales import (
    BookingMade,
    ClientArrived,
    SaleLine,
    SaleRecorded,
    VehicleHandedOver,
    WorkOrderOpened,
)
from domain.facts.sites import FormSubmitted
from domain.said import Said, make_events
from tests.bench.deliveries import call_query, form_body

FACTS_A_CLIENT = 12
_START = datetime(2026, 1, 5, 6, tzinfo=UTC)
#: So many clients come a day, however many there are: facts of one client lie as far apart as they would.
_A_DAY = 500
_PBX, _CRM, _ERP, _SITE = "/sipuni/main", "/native/crm", "/native/erp", "/tilda/site"

SaidAt = tuple[float, int, str, Fact, tuple[str, ...]]
"""Minutes since the start, the client, the source, the fact, its native identity."""


def events(clients: int, *, seed: int = 1) -> Iterator[Event]:
    """All facts in order of time, each with the delivery that it came in; a million clients need 200 MB, not 10 GB."""
    chance = random.Random(seed)
    clients_by_start = sorted(
        (chance.uniform(0, clients / _A_DAY * 24 * 60), number, chance.random() < 0.05)
        for number in range(clients)
    )
    for minutes, number, source, fact, native in _in_order(clients_by_start):
        at = _START + timedelta(minutes=minutes)
        yield make_events(
            [Said(fact, native, at)],
            source=source,
            received=at + timedelta(seconds=1),
            revision=1,
            evidence=_evidence(number, source),
            key_secret=b"bench",
        )[0]


def _in_order(clients_by_start: list[tuple[float, int, bool]]) -> Iterator[SaidAt]:
    """The facts of all clients merged by time: only those of clients whose story has begun are in memory."""
    waiting: list[tuple[float, int, int, SaidAt]] = []
    for start, number, merges in clients_by_start:
        while waiting and waiting[0][0] < start:
            yield heappop(waiting)[-1]
        for order, said in enumerate(_client(number, start, merges=merges)):
            heappush(waiting, (said[0], number, order, said))
    while waiting:
        yield heappop(waiting)[-1]


def _client(n: int, start: float, *, merges: bool) -> Iterator[SaidAt]:
    """A call, a booking, a visit with a sale; five days later a form, perhaps from another phone."""
    phone, other = f"+7903{n:07d}", f"+7909{n:07d}"
    call = f"{n}.100"
    at = _START + timedelta(minutes=start)
    told: dict[str, Any] = {
        "call_id": call,
        "direction": "in",
        "client_phone": phone,
        "line": "+74951234567",
        "ext": "201",
        "cabinet": "1",
    }
    ended = at + timedelta(seconds=200)
    yield start, n, _PBX, CallStarted(**{**told, "ext": None}), (call,)
    yield start + 0.02, n, _PBX, CallLegRang(**told, leg_id="201"), (call, "201")
    yield start + 0.2, n, _PBX, CallAnswered(**told, leg_id="201"), (call, "201")
    yield (
        start + 3.4, n, _PBX,
        CallEnded(**told, started_at=at, answered_at=at + timedelta(seconds=12), ended_at=ended, cause="answered"),
        (call,),
    )  # fmt: skip
    yield (
        start + 3.5,
        n,
        _PBX,
        RecordingStored(**told, recording_id=call, url=f"https://pbx.example/{call}"),
        (call,),
    )
    yield (
        start + 4,
        n,
        _CRM,
        InquiryCategorised(call_id=call, category="repair", by="201"),
        (call, "category"),
    )
    slot = at + timedelta(days=2)
    booked = BookingMade(
        call_id=call, phone=phone, contact_id=f"c{n}", booking_id=f"b{n}", slot=slot, by="201"
    )
    yield start + 5, n, _CRM, booked, (f"b{n}",)
    visit = start + 2 * 24 * 60
    yield visit + 5, n, _CRM, ClientArrived(booking_id=f"b{n}", phone=phone, visit_id=f"v{n}"), (f"v{n}",)
    order = f"o{n}"
    opened = WorkOrderOpened(
        order_id=order, booking_id=f"b{n}", phone=phone, client_id=f"e{n}", client_name="Иван"
    )
    yield visit + 15, n, _ERP, opened, (order,)
    lines = (
        SaleLine(price=Decimal("4500.00")),
        SaleLine(kind="part", qty=Decimal(4), price=Decimal("700.00"), cost=Decimal("410.00")),
    )
    yield (
        visit + 200,
        n,
        _ERP,
        SaleRecorded(order_id=order, client_id=f"e{n}", receipt_id=f"r{n}", lines=lines),
        (f"r{n}",),
    )
    form = FormSubmitted(
        submission_id=f"t{n}", phone=other if merges else phone, name="Иван", utm={"source": "yandex"}
    )
    yield visit + 7200, n, _SITE, form, (f"t{n}",)
    if merges:
        yield visit + 7205, n, _CRM, IdentityLinked(a=phone, b=other, by="201"), (phone, other)
    else:
        yield visit + 210, n, _ERP, VehicleHandedOver(order_id=order, client_id=f"e{n}"), (order,)


def _evidence(number: int, source: str) -> Evidence:
    pbx = source == _PBX
    return Evidence(
        delivery_id=UUID(int=number + 1),
        method="GET" if pbx else "POST",
        path=f"/in/{source.rpartition('/')[2]}/***",
        query=call_query(number).decode() if pbx else "",
        headers=(("user-agent", "bench"),),
        body=b"" if pbx else form_body(number),
        adapter="bench@1",
    )
