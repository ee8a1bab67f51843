"""The CRM card of an inquiry: how its facts are named, its category, result and stages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from leadfold.demo.company import Operator
from leadfold.demo.people import Person
from leadfold.demo.scene import Scene
from leadfold.demo.truth import Truth
from leadfold.demo.wire.native import Item

LABELS: Final = {"repair": "Услуги по ремонту", "parts": "Запасные части", "price": "Цена", "other": "Прочее"}
"""Some CRMs send the label instead of the id."""


@dataclass
class Card:
    """One need of one client on an operator's screen. ``ref`` names the inquiry by the provider's own id."""

    truth: Truth
    person: Person | None  # None: hidden caller or visitor without contacts
    phone: str | None
    ref: dict[str, str]
    group: str
    lead: str | None = None
    strict: bool = False  # an outgoing call is an inquiry only by a category that names it (D-0.10)

    def subject(self, scene: Scene, *, loose: bool = True) -> dict[str, Any]:
        """How the CRM names what a fact is about: by inquiry, by client, or by both."""
        who: dict[str, Any] = {}
        if self.person and self.phone:
            who = {"phone": f"+{self.phone}", "contact_id": scene.contact(self.person)}
        if not who:
            return dict(self.ref)
        if not self.ref:
            return who
        draw = scene.rng.random()
        if loose and not self.strict and draw < 0.12:
            return who
        return dict(self.ref) if draw < 0.25 else {**self.ref, **who}


def stage(scene: Scene, card: Card, at: datetime, name: str, by: Operator) -> list[Item]:
    """A move of the CRM's lead, if it has one."""
    if not card.lead:
        return []
    return [
        scene.fact(
            "lead.stage_entered",
            at,
            {
                "lead_id": card.lead,
                "pipeline": "service",
                "stage": name,
                "manual": True,
                "by": by.login,
            },
        )
    ]


def categorise(
    scene: Scene, card: Card, at: datetime, category: str, by: Operator, *, loose: bool = True
) -> list[Item]:
    """Choose the category; now and then a wrong one first, which is corrected (the last one wins)."""
    items: list[Item] = []
    subject = card.subject(scene, loose=loose)
    if scene.chance(0.04):
        items.append(
            scene.fact(
                "inquiry.categorised",
                at - timedelta(seconds=5),
                {
                    **subject,
                    "category": "other",
                    "by": by.login,
                },
            )
        )
    spelled = LABELS.get(category, category) if scene.chance(0.3) else category
    items.append(scene.fact("inquiry.categorised", at, {**subject, "category": spelled, "by": by.login}))
    card.truth.note(at, "category", category, sent=told_at(at))
    return items


def told_at(at: datetime) -> datetime:
    """When the CRM tells what was saved at a moment."""
    return at + timedelta(seconds=3)


def save(scene: Scene, card: Card, at: datetime, items: list[Item]) -> None:
    """The operator presses «save»: one delivery, three seconds after the last change."""
    scene.crm(told_at(at), card.group, items)


def result(scene: Scene, card: Card, at: datetime, value: str, by: Operator) -> Item:
    """The result task is answered; who answers it owns the inquiry (G9)."""
    card.truth.note(at, "result", by.id, sent=told_at(at))
    return scene.fact(
        "inquiry.result_set",
        at,
        {
            **card.subject(scene, loose=False),
            "result": value,
            "by": by.login,
        },
    )
