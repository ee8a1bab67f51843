"""The oracle's receipts: what was sold, what it cost, what came back (D-0.8, R0.25–R0.27)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from domain.event import Event
from domain.facts.sales import SaleLine, SaleRecorded, SaleRefunded
from tests.oracle.inquiry import Inquiry
from tests.oracle.who import in_order


@dataclass(eq=False)
class Receipt:
    """One receipt with its refunds."""

    receipt_id: str
    sold_at: datetime | None
    at: datetime  # the moment by which it is linked
    sales: Decimal
    margin: Decimal
    margin_incomplete: bool
    facts: list[Event]
    told: list[Event]  # receipts before refunds
    visit: UUID | None = None  # the visit that it paid
    inquiry: Inquiry | None = None


def receipts_of(facts: Sequence[Event]) -> list[Receipt]:
    """All receipts of one client."""
    groups: dict[str, list[Event]] = {}
    for fact in facts:
        if isinstance(fact.data, SaleRecorded | SaleRefunded):
            groups.setdefault(fact.data.receipt_id, []).append(fact)
    found = [one_receipt(key, in_order(g)) for key, g in groups.items()]
    return sorted(found, key=lambda r: (r.at, r.receipt_id))


def one_receipt(key: str, facts: list[Event]) -> Receipt:
    """The last telling of the receipt counts (G10); then refunds in order."""
    told = [f for f in facts if isinstance(f.data, SaleRecorded)]
    sales = margin = Decimal(0)
    incomplete = False
    if told and isinstance(told[-1].data, SaleRecorded):
        for line in told[-1].data.lines:
            sales += amount(line)
            margin += gain(line) or Decimal(0)
            incomplete |= gain(line) is None
    sold = told[-1].data.lines if told and isinstance(told[-1].data, SaleRecorded) else ()
    for n, fact in enumerate(facts):
        if not isinstance(fact.data, SaleRefunded):
            continue
        ident = fact.data.refund_id
        later = [f.data for f in facts[n + 1 :] if isinstance(f.data, SaleRefunded)]
        if ident and any(f.refund_id == ident for f in later):
            continue  # told again: the last telling counts (G10)
        if fact.data.lines:
            for returned in fact.data.lines:
                line = returned
                if returned.cost is None:
                    line = returned.model_copy(update={"cost": cost_when_sold(returned, sold)})
                sales -= amount(line)
                margin -= gain(line) or Decimal(0)
                incomplete |= gain(line) is None
        elif fact.data.amount is not None:
            margin -= margin_of_a_sum(fact.data.amount, sales, margin)
            sales -= fact.data.amount
        else:
            sales = margin = Decimal(0)
    sold_at = told[-1].time if told else None
    ordered = told + [f for f in facts if f not in told]
    return Receipt(key, sold_at, sold_at or facts[0].time, sales, margin, incomplete, facts, ordered)


def margin_of_a_sum(returned: Decimal, sales: Decimal, margin: Decimal) -> Decimal:
    """A part is lost margin, all of it (R0.25); what takes the whole rest takes its costs along."""
    if sales > 0 and returned >= sales:
        return margin + (returned - sales)
    return returned


def written(line: SaleLine) -> list[str]:
    """The words of a line's name; capitals and spaces do not matter."""
    return (line.name or "").lower().split()


def cost_when_sold(returned: SaleLine, sold: Sequence[SaleLine]) -> Decimal | None:
    """What the same thing cost on the receipt: by name, of several by price; None when it is not one figure."""
    mine = [s for s in sold if s.kind == returned.kind]
    same = [s for s in mine if returned.name is None or written(s) == written(returned)]
    at_price = [s for s in (same or mine) if s.price == returned.price]
    costs = {s.cost for s in (at_price or same)}
    return next(iter(costs)) if len(costs) == 1 else None


def amount(line: SaleLine) -> Decimal:
    """Roubles of a line after discount."""
    return line.qty * line.price - line.discount


def gain(line: SaleLine) -> Decimal | None:
    """Margin of a line; None for a part whose cost nobody knows."""
    if line.cost is None:
        return None if line.kind == "part" else amount(line)
    return amount(line) - line.qty * line.cost
