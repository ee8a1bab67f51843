"""Receipts, refunds and margin. Decisions: D-0.8, R0.25–R0.27; money is Decimal roubles, not rounded here."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from domain.directory import Directory
from domain.event import Event
from domain.facts.sales import SaleLine, SaleRecorded, SaleRefunded
from domain.fold.bookings import Booking, Visit, same_day
from domain.fold.inquiries import Inquiry, Opened
from domain.fold.linking import belongs_to
from domain.identity import row_id

ZERO = Decimal(0)


@dataclass(slots=True)
class Line:
    """One line of a receipt or refund; a refund's figures are negative."""

    id: UUID
    at: datetime
    kind: str
    name: str | None
    qty: Decimal
    amount: Decimal
    cost: Decimal | None
    margin: Decimal | None
    event: UUID


@dataclass(slots=True)
class Sale:
    """One receipt with its refunds while it is being folded."""

    key: str
    first: UUID | None = None  # the fact that told it first, when other clients have a receipt of this number
    sold_at: datetime | None = None
    at: datetime | None = None
    document: str | None = None
    order: str | None = None
    booking_key: str | None = None
    by: str | None = None
    refs: list[str] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    sold: tuple[SaleLine, ...] = ()
    refunded: Decimal = ZERO
    refunded_at: datetime | None = None
    inquiry: Inquiry | None = None
    visit: Visit | None = None
    events: list[UUID] = field(default_factory=list)
    id: UUID = field(init=False)  # of the row

    def __post_init__(self) -> None:
        """Derive the id once."""
        self.id = row_id("sale", self.key, *((str(self.first),) if self.first else ()))

    @property
    def sales(self) -> Decimal:
        """Roubles after discounts, less refunds."""
        return sum((line.amount for line in self.lines), ZERO)

    @property
    def margin(self) -> Decimal:
        """Σ (price − cost); a part without a cost adds nothing and makes the margin incomplete (D-0.8)."""
        return sum((line.margin for line in self.lines if line.margin is not None), ZERO)

    @property
    def incomplete(self) -> bool:
        """A part without a cost is among the lines."""
        return any(line.margin is None for line in self.lines)


def assemble_sales(events: Iterable[Event], shared: Collection[str] = ()) -> list[Sale]:
    """All receipts of one client; refunds come after the receipt whatever their clocks say.

    ``shared`` are the numbers of which other clients have a receipt too.
    """
    facts = list(events)
    sales: dict[str, Sale] = {}

    def of(receipt: str, event: Event) -> Sale:
        if receipt not in sales:
            sales[receipt] = Sale(receipt, event.id if receipt in shared else None)
        return sales[receipt]

    for event in facts:
        fact = event.data
        if isinstance(fact, SaleRecorded):
            sale = of(fact.receipt_id, event)
            sale.sold_at = sale.at = event.time
            sale.document, sale.by = fact.document, fact.by
            sale.lines = [
                _line(fact.receipt_id, "sale", n, one, event, 1) for n, one in enumerate(fact.lines)
            ]
            _common(sale, event, fact)
            sale.sold = fact.lines
    refunds = [(e, e.data) for e in facts if isinstance(e.data, SaleRefunded)]
    last: dict[tuple[str, str | None], UUID] = {(f.receipt_id, f.refund_id): e.id for e, f in refunds}
    for event, fact in refunds:
        sale = of(fact.receipt_id, event)
        sale.at = sale.at or event.time
        superseded = fact.refund_id and last[fact.receipt_id, fact.refund_id] != event.id  # G10
        if not superseded:
            before = sale.sales
            sale.lines += _refund(fact, sale, event)
            sale.refunded += before - sale.sales
            sale.refunded_at = event.time
        _common(sale, event, fact)
    return sorted(sales.values(), key=lambda s: (s.at is None, s.at, s.key))


def _common(sale: Sale, event: Event, fact: SaleRecorded | SaleRefunded) -> None:
    sale.order = sale.order or fact.order_id
    sale.booking_key = sale.booking_key or fact.booking_id
    if isinstance(fact, SaleRecorded) or not sale.events:
        sale.refs += event.refs  # what a refund names is not what was paid for
    sale.events.append(event.id)


def _line(receipt: str, part: str, n: int, one: SaleLine, event: Event, sign: int) -> Line:
    amount = one.qty * one.price - one.discount
    cost = one.cost * one.qty if one.cost is not None else None
    if cost is None and one.kind != "part":
        cost = ZERO
    margin = None if cost is None else (amount - cost) * sign
    ident = row_id("sale_line", receipt, part, str(event.id), str(n))
    kind = one.kind if sign > 0 else "refund"
    return Line(
        ident, event.time, kind, one.name, one.qty * sign, amount * sign,
        None if cost is None else cost * sign, margin, event.id,
    )  # fmt: skip


def _refund(fact: SaleRefunded, sale: Sale, event: Event) -> list[Line]:
    """Returned lines; or a returned sum; or, with neither, the whole rest.

    Of a sum nobody knows the lines, so a part is money given back and nothing else: all of it is lost margin (R0.25).
    A sum that takes the whole rest takes its costs along; what goes beyond the rest had none.
    """
    part = fact.refund_id or "refund"
    if fact.lines:
        return [
            _line(fact.receipt_id, part, n, _as_sold(one, sale.sold), event, -1)
            for n, one in enumerate(fact.lines)
        ]
    ident = row_id("sale_line", fact.receipt_id, part, str(event.id), "whole")
    rest, margin = sale.sales, sale.margin
    returned = rest
    if fact.amount is not None:
        returned, margin = fact.amount, _margin_of(fact.amount, rest, margin)
    return [
        Line(ident, event.time, "refund", None, Decimal(-1), -returned, margin - returned, -margin, event.id)
    ]


def _margin_of(returned: Decimal, rest: Decimal, margin: Decimal) -> Decimal:
    return margin + returned - rest if 0 < rest <= returned else returned


def _as_sold(one: SaleLine, sold: Sequence[SaleLine]) -> SaleLine:
    """A returned line that does not tell its cost takes with it the cost at which the receipt sold it.

    Its name may be written another way than on the receipt: then the price tells which line it is.
    """
    if one.cost is not None:
        return one
    kind = [s for s in sold if s.kind == one.kind]
    named = [s for s in kind if one.name is None or _plain(s.name) == _plain(one.name)]
    costs = {s.cost for s in [s for s in named or kind if s.price == one.price] or named}
    return one.model_copy(update={"cost": costs.pop()}) if len(costs) == 1 else one


def _plain(name: str | None) -> str:
    return " ".join((name or "").casefold().split())


def link_sales(
    sales: list[Sale],
    visits: Sequence[Visit],
    bookings: Sequence[Booking],
    opened: Opened,
    directory: Directory,
) -> None:
    """Give receipts to inquiries.

    A named target inquiry; else that of the order or booking they name, or of the client's latest visit within
    the window, a visit of that day first; else as a booking would be given (D-0.5). So is a receipt after a visit
    of another day that was paid already, when a target inquiry followed the visit.
    """
    paid: set[UUID] = set()
    for sale in sales:
        at = sale.sold_at or sale.at
        if at is None:
            continue
        sale.visit = next((v for v in visits if sale.order and v.order == sale.order), None)
        booking = next((b for b in bookings if b.key == sale.booking_key), None)
        if sale.visit is None and booking is not None:
            sale.visit = booking.visit
        named = opened.named(sale.refs, at)
        told = (named is not None and named.is_target) or (
            booking is not None and booking.inquiry is not None
        )
        if sale.visit is None and not told:
            sale.visit = _paid(visits, at, directory)
            if sale.visit is not None and sale.visit.id in paid and _goes_on(sale, at, opened, directory):
                sale.visit = None
        if named is not None and named.is_target:
            sale.inquiry = named
        elif sale.visit is not None and sale.visit.inquiry is not None:
            sale.inquiry = sale.visit.inquiry
        elif booking is not None and booking.inquiry is not None:
            sale.inquiry = booking.inquiry
        else:
            sale.inquiry = belongs_to(opened, sale.refs, at, directory)
        if sale.visit is not None and sale.sold_at is not None:
            paid.add(sale.visit.id)
        if sale.inquiry is not None:
            sale.inquiry.sales += sale.sales
            sale.inquiry.margin += sale.margin
            sale.inquiry.margin_incomplete |= sale.incomplete
            sale.inquiry.receipts += sale.sold_at is not None
            sale.inquiry.events += sale.events


def _goes_on(sale: Sale, at: datetime, opened: Opened, directory: Directory) -> bool:
    """After the visit, on another day, the client turned to us with a target inquiry that has no arrival yet."""
    visit = sale.visit
    if visit is None or same_day(visit, at, directory):
        return False
    found = belongs_to(opened, sale.refs, at, directory)
    return found is not None and found.is_target and visit.arrived_at < found.opened_at <= at


def _paid(visits: Sequence[Visit], at: datetime, directory: Directory) -> Visit | None:
    """The visit that a receipt naming nothing pays: the latest before it in the window.

    A visit later on the receipt's day goes before those of earlier days: tills and gates do not tell in one order.
    """
    window = directory.rules_at(at).span("attribution_days")
    past = [v for v in visits if v.arrived_at <= at and at - v.arrived_at <= window]
    latest = max(past, key=lambda v: (v.arrived_at, v.id), default=None)
    if latest is not None and same_day(latest, at, directory):
        return latest
    today = [v for v in visits if v.arrived_at > at and same_day(v, at, directory)]
    return min(today, key=lambda v: (v.arrived_at, v.id), default=latest)
