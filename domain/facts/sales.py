"""Facts about bookings, arrivals, work orders and receipts (spec 2.2, emitters О and Э)."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from domain.facts.base import Key, Moment, Name, Subject, Text
from domain.refs import ref

Money = Annotated[Decimal, Field(description="roubles", max_digits=14, decimal_places=4)]


class BookingFact(Subject):
    """A fact about one booking, by the sender's own id of it."""

    booking_id: Key
    by: Name | None = None


class BookingMade(BookingFact):
    """A slot was agreed. ``slot`` is the moment of the appointment."""

    TYPE: ClassVar[str] = "booking.made"
    kind: Name = Field("service", description="service, consultation, contract …")
    slot: Moment | None = None
    office: Name | None = None


class BookingMoved(BookingFact):
    """The slot moved: the same booking (D-0.5)."""

    TYPE: ClassVar[str] = "booking.moved"
    slot: Moment


class BookingCancelled(BookingFact):
    """Called off, by the client or by us."""

    TYPE: ClassVar[str] = "booking.cancelled"
    reason: Name | None = Field(None, description="refusal reason: id or label of the dictionary")
    comment: Text | None = None


class ClientArrived(Subject):
    """The client physically came. ``visit_id`` is the sender's own id, if it has one."""

    TYPE: ClassVar[str] = "client.arrived"
    visit_id: Key | None = None
    by: Name | None = None
    office: Name | None = None

    def refs(self, source: str) -> Iterator[str]:
        """The visit, then whom it is about."""
        if self.visit_id:
            yield ref("visit", self.visit_id)
        yield from super().refs(source)


class ClientNoShow(Subject):
    """The client did not come to his slot."""

    TYPE: ClassVar[str] = "client.no_show"
    by: Name | None = None


class WorkOrderOpened(Subject):
    """The car was accepted: an arrival when no explicit one was told (R0.21)."""

    TYPE: ClassVar[str] = "order.opened"
    order_id: Key
    car: Name | None = None
    by: Name | None = None
    office: Name | None = None


class VehicleHandedOver(Subject):
    """The car was given back: the order is closed and its lead is won (R0.53, L5)."""

    TYPE: ClassVar[str] = "order.handed_over"
    order_id: Key
    by: Name | None = None


class SaleLine(BaseModel):
    """One line of a receipt. Amount of the line = qty × price − discount; its cost = qty × cost (roubles)."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)
    kind: Literal["work", "part", "service"] = "work"
    name: Name | None = None
    qty: Decimal = Field(Decimal(1), max_digits=12)
    price: Money = Field(description="roubles for one unit, before discount")
    discount: Money = Field(Decimal(0), description="roubles off the whole line")
    cost: Money | None = Field(None, description="cost of one unit, roubles; absent = unknown (D-0.8)")


class SaleRecorded(Subject):
    """A receipt was closed."""

    TYPE: ClassVar[str] = "sale.recorded"
    receipt_id: Key
    document: Name | None = Field(None, description="kind of the document: receipt, work order, invoice …")
    lines: tuple[SaleLine, ...] = ()
    by: Name | None = None

    def refs(self, source: str) -> Iterator[str]:
        """The receipt, then whom it is about."""
        yield ref("receipt", self.receipt_id)
        yield from super().refs(source)


class SaleRefunded(Subject):
    """A receipt was returned, wholly (no lines, no amount) or in part."""

    TYPE: ClassVar[str] = "sale.refunded"
    receipt_id: Key
    refund_id: Key | None = None
    lines: tuple[SaleLine, ...] = Field((), description="returned lines; prices are positive")
    amount: Money | None = Field(
        None,
        description="returned roubles when lines are not known; costs come back only when it is the whole rest of the receipt",
    )

    def refs(self, source: str) -> Iterator[str]:
        """The receipt, then whom it is about."""
        yield ref("receipt", self.receipt_id)
        yield from super().refs(source)
