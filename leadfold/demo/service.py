"""The workshop: slots that move, fall through or are kept; arrivals, work orders, receipts and refunds."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from leadfold.demo import phone
from leadfold.demo.card import Card, categorise, result, save, stage
from leadfold.demo.company import LINES, Operator, hours
from leadfold.demo.scene import Scene
from leadfold.demo.truth import Receipt
from leadfold.demo.wire.native import Item

_WORKS = (
    ("Замена масла", 1500),
    ("Диагностика подвески", 1200),
    ("Замена колодок", 2800),
    ("Развал-схождение", 2400),
    ("Замена ремня ГРМ", 9800),
    ("Шиномонтаж", 3200),
    ("Ремонт стартера", 5400),
    ("Замена сцепления", 14500),
    ("Компьютерная диагностика", 1800),
    ("Промывка форсунок", 3900),
)
_PARTS = (
    ("Фильтр масляный", 650),
    ("Масло моторное 4 л", 3400),
    ("Колодки передние", 3900),
    ("Комплект ГРМ", 8700),
    ("Стойка амортизатора", 6200),
    ("Свечи зажигания", 2100),
    ("Комплект сцепления", 17800),
    ("Аккумулятор", 8900),
)


def book(
    scene: Scene, card: Card, at: datetime, by: Operator, subject: dict[str, Any]
) -> tuple[list[Item], datetime]:
    """A slot is agreed at ``at``. Returns the facts to save with it, and when everything that follows is over."""
    assert card.person is not None
    office = scene.office_of(card.person)
    booking = f"B-{scene.number('booking'):06}"
    slot = _slot(scene, card, at)
    _note(card, at, slot)
    facts = [
        scene.fact(
            "booking.made",
            at,
            {
                "booking_id": booking,
                **subject,
                "kind": "service",
                "slot": slot.isoformat(),
                "office": office.id,
                "by": by.login,
            },
        )
    ]
    facts += stage(scene, card, at, "booked", by)
    _remind(scene, card, at, slot, by)
    since = at
    if scene.chance(0.12):
        since, slot = _move(scene, card, booking, at, slot, by)
    draw = scene.rng.random()
    if draw < 0.10:
        return facts, _cancel(scene, card, booking, since, slot, by)
    if draw < 0.20:
        return facts, _no_show(scene, card, booking, slot, by)
    return facts, arrive(scene, card, slot, by, booking=booking)


def _note(card: Card, at: datetime, slot: datetime) -> None:
    told = at + timedelta(seconds=3)
    card.truth.note(at, "booked", sent=told)
    card.truth.note(at, "moved", slot, sent=told)


def _slot(scene: Scene, card: Card, after: datetime) -> datetime:
    assert card.person is not None
    office = scene.office_of(card.person)
    day = office.local(after).date() + timedelta(
        days=scene.rng.choices((1, 2, 3, 4, 6, 9, 14), (30, 22, 15, 10, 10, 8, 5))[0]
    )
    first, last = hours(day)
    return office.at(day, scene.rng.randrange(first, last - 1), scene.rng.choice((0, 30))).astimezone(
        after.tzinfo
    )


def _remind(scene: Scene, card: Card, at: datetime, slot: datetime, by: Operator) -> None:
    """Our call on the day before: a touch, not an inquiry."""
    eve = slot - timedelta(hours=scene.rng.randrange(20, 26))
    assert card.person is not None
    assert card.phone is not None
    if eve > at + timedelta(hours=8) and scene.chance(0.4) and scene.office_of(card.person).is_open(eve):
        phone.outgoing(
            scene, eve, card.phone, by, reached=scene.chance(0.8), talk=scene.rng.randrange(15, 60)
        )


def _move(
    scene: Scene, card: Card, booking: str, at: datetime, slot: datetime, by: Operator
) -> tuple[datetime, datetime]:
    """The client asks for another date by phone: a non-target inquiry, and the same booking (R0.38).

    Returns when he asked, and the slot from then on.
    """
    assert card.person is not None
    office = scene.office_of(card.person)
    when = office.next_open(scene.between(at, slot, 0.5, 0.7))
    if when >= slot:
        return at, slot
    line = scene.rng.choice([x for x in LINES if x.office == card.person.office])
    number = card.person.phone(scene.rng)
    talk = phone.answered(scene, when, number, line, by, talk=scene.rng.randrange(30, 120))
    assert talk.operator is not None
    asked = Card(
        truth=scene.open("sipuni", "call", talk.call_id, card.person.id, when, "phone", office=line.office),
        person=card.person,
        phone=number,
        ref={"call_id": talk.call_id},
        group=f"card:{talk.call_id}",
        lead=card.lead,
    )
    asked.truth.note(talk.ended, "talk", talk.operator.id)
    saved = scene.after(talk.ended, 15, 90)
    items = categorise(scene, asked, saved, "continuation", by, loose=False)
    items.append(result(scene, asked, saved, "consultation", by))
    moved = _slot(scene, card, max(saved, slot))
    items.append(
        scene.fact(
            "booking.moved",
            saved,
            {
                "booking_id": booking,
                "slot": moved.isoformat(),
                "contact_id": scene.contact(card.person),
                "by": by.login,
            },
        )
    )
    card.truth.note(saved, "moved", moved, sent=saved + timedelta(seconds=3))
    save(scene, asked, saved, items)
    return saved, moved


def _cancel(scene: Scene, card: Card, booking: str, at: datetime, slot: datetime, by: Operator) -> datetime:
    assert card.person is not None
    when = scene.office_of(card.person).next_open(scene.between(at, slot, 0.3, 0.9))
    when = max(when, at + timedelta(minutes=30))
    reason = scene.rng.choices(("changed_mind", "price", "terms", "no_technology"), (50, 25, 15, 10))[0]
    told = when + timedelta(seconds=3)
    card.truth.note(when, "cancelled", sent=told)
    card.truth.note(when, "refusal", reason, sent=told)
    items = [
        scene.fact(
            "booking.cancelled",
            when,
            {
                "booking_id": booking,
                "contact_id": scene.contact(card.person),
                "reason": reason,
                "by": by.login,
            },
        )
    ]
    if card.lead:
        items.append(scene.fact("lead.lost", when, {"lead_id": card.lead, "reason": reason, "by": by.login}))
    scene.crm(told, card.group, items)
    return when


def _no_show(scene: Scene, card: Card, booking: str, slot: datetime, by: Operator) -> datetime:
    """He does not come. Told by the reception in half of the cases; some of the others book again."""
    assert card.person is not None
    assert card.phone is not None
    office = scene.office_of(card.person)
    if scene.chance(0.5):
        when = slot + timedelta(hours=2)
        told = when + timedelta(seconds=3)
        card.truth.note(when, "no_show", sent=told)
        scene.crm(
            told,
            card.group,
            [
                scene.fact(
                    "client.no_show",
                    when,
                    {
                        "booking_id": booking,
                        "contact_id": scene.contact(card.person),
                        "by": by.login,
                    },
                )
            ],
        )
        return when
    if not scene.chance(0.35):
        return slot + timedelta(days=1)
    when = office.next_open(slot + timedelta(days=1))
    talk = phone.outgoing(scene, when, card.phone, by, reached=True)
    saved = talk.ended + timedelta(seconds=40)
    again = f"B-{scene.number('booking'):06}"
    new_slot = _slot(scene, card, saved)
    _note(card, saved, new_slot)
    scene.crm(
        saved + timedelta(seconds=3),
        card.group,
        [
            scene.fact(
                "booking.made",
                saved,
                {
                    "booking_id": again,
                    "phone": f"+{card.phone}",
                    "contact_id": scene.contact(card.person),
                    "kind": "service",
                    "slot": new_slot.isoformat(),
                    "office": office.id,
                    "by": by.login,
                },
            )
        ],
    )
    return arrive(scene, card, new_slot, by, booking=again)


def arrive(scene: Scene, card: Card, slot: datetime, by: Operator, *, booking: str | None) -> datetime:
    """The car comes, is repaired, paid for and given back. Returns when the last document is told."""
    assert card.person is not None
    assert card.phone is not None
    person = card.person
    came = scene.after(slot, -900, 1500) if booking else slot
    named: dict[str, Any] = {"booking_id": booking} if booking else {}
    who = {"phone": f"+{card.phone}", "contact_id": scene.contact(person)}
    person.erp = person.erp or f"E-{scene.number('erp'):06}"
    person.arrivals += 1
    if booking and scene.chance(0.7):
        told = came + timedelta(minutes=2)
        card.truth.note(came, "arrived", sent=told)
        scene.crm(
            told,
            card.group,
            [
                scene.fact(
                    "client.arrived",
                    came,
                    {
                        **named,
                        **who,
                        "visit_id": f"V-{scene.number('visit'):06}",
                        "office": person.office,
                        "by": by.login,
                    },
                )
            ],
        )
    order = f"ZN-{scene.number('order'):06}"
    accepted = came + timedelta(minutes=10)
    told = scene.erp(
        accepted,
        "order.opened",
        {
            "order_id": order,
            **named,
            "phone": f"+{card.phone}",
            "client_id": person.erp,
            "car": person.car,
            "office": person.office,
            "client_name": person.name,
        },
    )
    card.truth.note(accepted, "arrived", sent=told)
    done = accepted + timedelta(hours=scene.rng.choice((1, 2, 3, 5, 24, 28, 52)))
    end = _sell(scene, card, order, done)
    told = scene.erp(
        done + timedelta(minutes=10), "order.handed_over", {"order_id": order, "client_id": person.erp}
    )
    if card.lead:
        scene.crm(
            told,
            card.group,
            [
                scene.fact(
                    "lead.won",
                    done + timedelta(minutes=10),
                    {
                        "lead_id": card.lead,
                        "by": by.login,
                    },
                )
            ],
        )
    return max(end, told)


def _sell(scene: Scene, card: Card, order: str, at: datetime) -> datetime:
    assert card.person is not None
    end = at
    for n in range(2 if scene.chance(0.08) else 1):
        lines, receipt = _lines(scene, f"R-{scene.number('receipt'):06}")
        sold = at + timedelta(minutes=5 * n)
        data = {
            "receipt_id": receipt.key,
            "document": "receipt",
            "order_id": order,
            "client_id": card.person.erp,
        }
        told = scene.erp(sold, "sale.recorded", {**data, "lines": lines}, nightly=scene.chance(0.3))
        card.truth.note(sold, "sale", receipt, sent=told)
        end = max(end, told)
        if scene.chance(0.03):
            end = max(end, _refund(scene, card, lines, receipt, order, sold))
    return end


def _refund(
    scene: Scene, card: Card, lines: list[dict[str, str]], receipt: Receipt, order: str, sold: datetime
) -> datetime:
    """The whole receipt, or its first line, is paid back after some days."""
    assert card.person is not None
    at = sold + timedelta(days=scene.rng.randrange(1, 9), hours=1)
    data: dict[str, Any] = {
        "receipt_id": receipt.key,
        "refund_id": f"RF-{scene.number('refund'):05}",
        "order_id": order,
        "client_id": card.person.erp,
    }
    back = receipt
    if len(lines) > 1:
        data["lines"] = lines[:1]
        amount, margin = _figures(lines[0])
        back = Receipt(receipt.key, amount, margin or Decimal(0))
    told = scene.erp(at, "sale.refunded", data)
    card.truth.note(at, "refund", back, sent=told)
    return told


def _lines(scene: Scene, key: str) -> tuple[list[dict[str, str]], Receipt]:
    """Lines of a receipt on the wire (decimal strings) and their sum."""
    rng = scene.rng
    lines: list[dict[str, str]] = []
    for name, price in rng.sample(_WORKS, rng.choice((1, 1, 2, 3))):
        line = {
            "kind": "work",
            "name": name,
            "qty": "1",
            "price": f"{price * rng.choice((1, 1.1, 1.25)):.2f}",
        }
        if rng.random() < 0.1:
            line["discount"] = f"{price // 10}.00"
        if rng.random() < 0.2:
            line["cost"] = f"{price * 0.35:.2f}"
        lines.append(line)
    for name, price in rng.sample(_PARTS, rng.choice((0, 1, 1, 2))):
        line = {"kind": "part", "name": name, "qty": str(rng.choice((1, 1, 1, 2))), "price": f"{price}.00"}
        if rng.random() > 0.05:
            line["cost"] = f"{price * rng.uniform(0.6, 0.8):.2f}"
        lines.append(line)
    figures = [_figures(line) for line in lines]
    receipt = Receipt(
        key,
        sum((a for a, _ in figures), Decimal(0)),
        sum((m or Decimal(0) for _, m in figures), Decimal(0)),
        incomplete=any(m is None for _, m in figures),
    )
    return lines, receipt


def _figures(line: dict[str, str]) -> tuple[Decimal, Decimal | None]:
    """Amount and margin of a line; margin None = a part whose cost nobody knows (D-0.8)."""
    qty = Decimal(line["qty"])
    amount = qty * Decimal(line["price"]) - Decimal(line.get("discount", "0"))
    if "cost" in line:
        return amount, amount - qty * Decimal(line["cost"])
    return amount, None if line["kind"] == "part" else amount
