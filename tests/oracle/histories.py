"""Small nasty histories of one to three people, out of the scenes of a teller and chains of steps.

In a chain one person's steps follow each other by exactly a rule's width, or a second beside it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from hypothesis import strategies as st

from domain.facts import inquiries as i
from domain.facts import leads, sales, sites
from domain.facts.base import Fact
from tests.oracle.company import DAY, MIDNIGHT, company_told
from tests.oracle.draws import CHAT, CRM, HOUR, MINUTE, PBX, PHONES, SECOND, History
from tests.oracle.teller import Teller

THEMES = (
    ("target", "book", "move", "cancel", "no_show", "come", "walk"),
    ("target", "call", "order", "hand", "pay", "refuse", "card"),
    ("missed", "missed", "out", "call", "target", "chat", "refuse"),
    (
        "target",
        "call",
        "missed",
        "out",
        "book",
        "come",
        "walk",
        "order",
        "hand",
        "pay",
        "refuse",
        "chat",
        "card",
    ),
)
"""What a chain is about: a booking, a car in repair, calls back, everything."""


def chain(teller: Teller) -> None:
    """One person's steps, each exactly a rule's width after the one before (or a second beside it)."""
    about: dict[str, Any] = {"phone": teller.phone()}
    at = teller.when()
    key, slot = (
        teller.key("B"),
        MIDNIGHT + teller.one((0, 1, 4)) * DAY - teller.one((HOUR, SECOND, 0 * SECOND)),
    )
    theme = teller.one(THEMES)
    order = f"o{teller.shift}{teller.n}"
    for _ in range(teller.one((3, 4, 6))):
        step = teller.one(theme)
        name = f"c{teller.shift}{teller.n}"
        if step in ("target", "call", "missed", "out"):
            how = "missed" if step == "missed" else "talk"
            teller.calls.append(name)
            teller.phases(PBX, name, at, "out" if step == "out" else "in", about["phone"], how, (), None)
            if step == "target":
                teller.say(
                    i.InquiryCategorised(call_id=name, category=teller.one(("parts", "repair"))),
                    at + SECOND,
                )
        else:
            _say_step(teller, step, name, (key, order), slot, about, at)
        at += teller.one((0 * SECOND, MINUTE, 10 * MINUTE, DAY, DAY, 72 * HOUR, 7 * DAY, 30 * DAY))
        at += teller.one((0, 0, 0, 1, -1)) * SECOND
        if teller.chance(8):
            at = max(at, slot).replace(hour=21, minute=0, second=0)
    teller.moments.append(at)


def _say_step(
    teller: Teller,
    step: str,
    name: str,
    keys: tuple[str, str],
    slot: datetime,
    about: dict[str, Any],
    at: datetime,
) -> None:
    """One step of a chain that is no call."""
    key, order = keys
    chat = f"{teller.shift}{about['phone']}"
    facts: dict[str, Fact] = {
        "book": sales.BookingMade(**about, booking_id=key, slot=slot),
        "move": sales.BookingMoved(booking_id=key, slot=slot + DAY),
        "cancel": sales.BookingCancelled(booking_id=key),
        "no_show": sales.ClientNoShow(booking_id=key),
        "come": sales.ClientArrived(**about),
        "walk": i.WalkInRegistered(**about, walkin_id=name),
        "order": sales.WorkOrderOpened(**about, order_id=order),
        "hand": sales.VehicleHandedOver(order_id=order),
        "pay": sales.SaleRecorded(**about, receipt_id=name, lines=(teller.line(),)),
        "refuse": i.RefusalRecorded(**about, reason="Цена"),
        "chat": sites.ChatStarted(chat_id=chat, visitor_id=chat),
        "card": leads.LeadOpened(**about, lead_id=name),
    }
    teller.say(facts[step], at, source=CHAT if step == "chat" else CRM)


def family(teller: Teller) -> None:
    """One browser, several people: who wrote last in it counts, to the second."""
    visitor, at = teller.key("v"), teller.when()
    for _ in range(4):
        name = f"c{teller.shift}{teller.n}"
        phone = teller.one((None, *teller.phones))
        teller.say(sites.ChatStarted(chat_id=name, visitor_id=visitor, phone=phone), at, source=CHAT)
        at += teller.one((0, 0, 1)) * SECOND


def tills(teller: Teller) -> None:
    """One number of receipts, told by two systems, for several people, of several moments, and given back."""
    number, at = teller.key("R", 3), teller.when()
    for _ in range(teller.one((2, 3, 4))):
        phone, order, call = teller.phone(), teller.key("O"), teller.one((*teller.calls, "none"))
        about: dict[str, Any] = teller.one(
            (
                {"phone": phone},
                {"phone": phone},
                {"client_id": teller.key("E")},
                {"phone": phone, "client_id": teller.key("E")},
                {"phone": phone, "order_id": order},
                {"phone": phone, "call_id": call},
                {"order_id": order},
                {},
            )
        )
        back = sales.SaleRefunded(**about, receipt_id=number, amount=teller.money())
        told = sales.SaleRecorded(**about, receipt_id=number, lines=(teller.line(),))
        teller.say(teller.one((told, told, back)), at, source=teller.one((CRM, "/native/till")))
        at += teller.one((0, 1, -1, 86_400)) * SECOND


Scene = Callable[[Teller], None]
SCENES: tuple[Scene, ...] = (
    *(Teller.call,) * 5, *(Teller.word,) * 4, *(Teller.booking,) * 4, *(Teller.order,) * 2, *(Teller.chat,) * 2,
    *(Teller.form,) * 2, Teller.callback, Teller.contact, *(chain,) * 3, family, tills, Teller.lead, Teller.chatter, Teller.again,
)  # fmt: skip


def tell_all(pick: Callable[[int], int], scenes: Sequence[Scene], shift: str = "") -> History:
    """The history of some scenes, every choice in them made by ``pick``."""
    many = (1, 2, 4)[pick(3)]
    phones = tuple(p.replace("+7903", f"+79{len(shift)}3") for p in PHONES[:many])
    teller = Teller(pick, shift=shift, phones=phones)
    told = company_told(teller.chance)
    for scene in scenes:
        scene(teller)
    said = Teller(pick, shift="company")
    facts = [said.say(f, MIDNIGHT - 90 * DAY, native=(str(n),)) for n, f in enumerate(told)]
    return History(teller.events, facts)


@st.composite
def histories(draw: st.DrawFn, *, scenes: int = 12, shift: str = "") -> History:
    """A history of one to three people. ``shift`` makes all names differ from another history's."""
    least = draw(st.sampled_from((1, scenes // 2, scenes)))
    chosen = draw(st.lists(st.sampled_from(SCENES), min_size=least, max_size=scenes + 2))
    return tell_all(lambda n: draw(st.integers(0, n - 1)), chosen, shift)


def by_seed(seed: int, scenes: int = 12) -> History:
    """A history out of plain chance: evener than hypothesis' and ten times as fast, for long runs."""
    chance = random.Random(seed)
    return tell_all(chance.randrange, chance.choices(SCENES, k=chance.randint(1, scenes)))
