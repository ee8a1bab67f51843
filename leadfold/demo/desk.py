"""The operator's desk after a conversation: what is chosen, what is agreed, and who comes back later."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from leadfold.demo import service
from leadfold.demo.card import LABELS, Card, categorise, result, save, stage, told_at
from leadfold.demo.company import LINES, Operator
from leadfold.demo.phone import answered, outgoing
from leadfold.demo.scene import Scene
from leadfold.demo.wire.native import Item

_CATEGORIES: Final = {"repair": 62, "parts": 13, "order_status": 9, "other": 16}
_REASONS: Final = {
    "price": 34,
    "terms": 16,
    "changed_mind": 12,
    "slow_answer": 6,
    "not_our_work": 12,
    "not_our_car": 12,
    "no_technology": 8,
}
"""Weights of what is chosen."""


def open_lead(scene: Scene, card: Card, at: datetime, by: Operator) -> None:
    """The CRM opens a card of its own for most clients, with the task to tell the result."""
    items: list[Item] = []
    if card.person and card.phone and scene.chance(0.7):
        card.lead = f"L-{scene.number('lead'):06}"
        who = {"phone": f"+{card.phone}", "contact_id": scene.contact(card.person)}
        base = {"lead_id": card.lead, **card.ref, **who}
        items.append(
            scene.fact(
                "lead.opened",
                at,
                {
                    **base,
                    "client_name": card.person.name,
                    "type": card.truth.kind,
                    "pipeline": "service",
                    "stage": "new",
                    "responsible": by.login,
                    "by": by.login,
                },
            )
        )
        items.append(
            scene.fact(
                "lead.stage_entered",
                at,
                {
                    "lead_id": card.lead,
                    "pipeline": "service",
                    "stage": "new",
                    "manual": False,
                },
            )
        )
        if scene.chance(0.08):
            items.append(
                scene.fact(
                    "lead.responsible_assigned",
                    at + timedelta(seconds=30),
                    {
                        "lead_id": card.lead,
                        "to": by.login,
                    },
                )
            )
            at += timedelta(seconds=30)
    if scene.chance(0.5):
        items.append(
            scene.fact(
                "task.created",
                at,
                {
                    "task_id": f"T-{card.group}",
                    **card.subject(scene, loose=False),
                    "kind": "set_result",
                    "assignee": by.login,
                    "due_at": (at + timedelta(minutes=15)).isoformat(),
                },
            )
        )
    scene.crm(at + timedelta(seconds=2), card.group, items)


def qualify(
    scene: Scene,
    card: Card,
    talked: datetime,
    by: Operator,
    *,
    category: str | None = None,
    forget: float = 0.04,
) -> datetime:
    """After a conversation: category, result, and what follows from it. Returns when the story is over."""
    at = scene.after(talked, 15, 240) if scene.chance(0.92) else scene.after(talked, 3600, 4 * 3600)
    if scene.chance(forget):
        return at
    if category is None:
        category = scene.pick(_CATEGORIES)
        if card.person and card.person.arrivals == 0 and category == "order_status":
            category = "repair"
    items = categorise(scene, card, at, category, by)
    if category not in ("repair", "parts"):
        if scene.chance(0.5):
            items.append(result(scene, card, at, "consultation", by))
        save(scene, card, at, items)
        return at
    items += stage(scene, card, at, "qualified", by)
    outcome = _outcome(scene, by, card)
    if scene.chance(0.4):
        items.append(
            scene.fact(
                "task.completed",
                at,
                {
                    "task_id": f"T-{card.group}",
                    **card.subject(scene, loose=False),
                    "by": by.login,
                },
            )
        )
    if outcome == "refusal":
        items += refuse(scene, card, at, by)
        save(scene, card, at, items)
        return at
    items.append(result(scene, card, at, outcome, by))
    if outcome == "booked":
        booking, end = service.book(scene, card, at, by, card.subject(scene))
        save(scene, card, at, items + booking)
        return end
    save(scene, card, at, items)
    if outcome == "thinking" and card.person and card.phone and scene.chance(0.4):
        return _comes_back(scene, card, at, by)
    return at


def _outcome(scene: Scene, by: Operator, card: Card) -> str:
    if card.person is None or card.phone is None:
        return "consultation" if scene.chance(0.6) else "thinking"
    booked = 0.47 + by.skill + (0.1 if card.person.arrivals else 0.0)
    draw = scene.rng.random()
    if draw < booked:
        return "booked"
    rest = (draw - booked) / (1 - booked)
    return "refusal" if rest < 0.42 else "thinking" if rest < 0.8 else "consultation"


def refuse(scene: Scene, card: Card, at: datetime, by: Operator) -> list[Item]:
    """A refusal during the conversation, with a reason: in the result itself, or as a fact of its own."""
    reason = scene.pick(_REASONS)
    spelled = LABELS.get(reason, reason) if scene.chance(0.2) else reason
    card.truth.note(at, "refusal", reason, sent=told_at(at))
    card.truth.note(at, "result", by.id, sent=told_at(at))
    subject = card.subject(scene, loose=False)
    whole = {**subject, "result": "refusal", "by": by.login}
    if scene.chance(0.5):
        items = [scene.fact("inquiry.result_set", at, {**whole, "reason": spelled})]
    else:
        items = [
            scene.fact("inquiry.result_set", at, whole),
            scene.fact("refusal.recorded", at, {**subject, "reason": spelled, "by": by.login}),
        ]
    if card.lead:
        items.append(scene.fact("lead.lost", at, {"lead_id": card.lead, "reason": reason, "by": by.login}))
    return items


def _comes_back(scene: Scene, card: Card, at: datetime, by: Operator) -> datetime:
    """The thinking client calls again, or we call him; then he books: the booking is of the first inquiry (D-0.5)."""
    assert card.person is not None
    assert card.phone is not None
    office = scene.office_of(card.person)
    again = office.next_open(scene.after(at, 86400, 5 * 86400))
    again = scene.after(again, 600, 4 * 3600)
    if not office.is_open(again):
        return at
    if scene.chance(0.5):
        talk = outgoing(scene, again, card.phone, by, reached=True)
        saved = scene.after(talk.ended, 20, 120)
        who = {"phone": f"+{card.phone}", "contact_id": scene.contact(card.person)}
        booking, end = service.book(scene, card, saved, by, who)
        save(scene, card, saved, booking)
        return end
    phone = card.person.phone(scene.rng)
    line = scene.rng.choice([x for x in LINES if x.office == card.person.office])
    talk = answered(scene, again, phone, line, by)
    assert talk.operator is not None
    more = Card(
        truth=scene.open("sipuni", "call", talk.call_id, card.person.id, again, "phone", office=line.office),
        person=card.person,
        phone=phone,
        ref={"call_id": talk.call_id},
        group=f"card:{talk.call_id}",
        lead=card.lead,
    )
    more.truth.note(talk.ended, "talk", talk.operator.id)
    saved = scene.after(talk.ended, 20, 120)
    items = categorise(scene, more, saved, "continuation", by, loose=False)
    items.append(result(scene, more, saved, "booked", by))
    booking, end = service.book(
        scene, card, saved, by, {**more.ref, "contact_id": scene.contact(card.person)}
    )
    save(scene, more, saved, items + booking)
    return end
