"""What people, providers, CRMs and operators would say: scenes that make small nasty histories."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from domain.facts import calls as c
from domain.facts import inquiries as i
from domain.facts import leads, sales, sites
from domain.facts.base import Fact
from domain.identity import inquiry_id
from tests.oracle.company import LINES, OWN
from tests.oracle.draws import (
    ABOUT,
    CATEGORIES,
    CHAT,
    CRM,
    DAY,
    EMAILS,
    EXTS,
    HOUR,
    MINUTE,
    OTHER,
    PBX,
    REASONS,
    RESULTS,
    SECOND,
    SITE,
    VISITORS,
    WORKERS,
    Draws,
)


class Teller(Draws):
    """Draws whole scenes, one after the other."""

    def call(self) -> None:
        """A call in all its phases, some lost, some repeated, perhaps told by a second system too."""
        call_id = f"{self.shift}{self.n}" if not (self.calls and self.chance(12)) else self.one(self.calls)
        self.calls.append(call_id)
        at = self.when()
        direction = self.one(("in", "in", "in", "out", "out", "internal"))
        phone = None if self.chance(10) else self.phone() if not self.chance(15) else self.one((OWN, *LINES))
        how = self.one(("talk", "missed", "missed", "talk", "robot", "ivr", "leg", "machine"))
        lost = self.one(((), (), ("end",), ("start",), ("start", "leg"), ("answer",), ("leg", "answer")))
        source = self.one((PBX, PBX, PBX, OTHER))
        callback = self.key("cb") if direction == "out" and self.chance(5) else None
        self.phases(source, call_id, at, direction, phone, how, lost, callback)
        if self.chance(5):
            second = at + self.one((0, 1, 4, 119, 120, 121)) * SECOND * self.one((1, -1))
            told = self.one((how, "missed"))
            gone = self.one((("start",), ("end",), ()))
            basis = self.chance(2)
            self.phases(
                OTHER if source == PBX else PBX, f"{call_id}x" if not self.chance(4) else call_id,
                second, direction, phone, told, gone, None, received=basis,
            )  # fmt: skip

    def phases(
        self, source: str, call_id: str, at: datetime, direction: str, phone: str | None, how: str,
        lost: tuple[str, ...], callback: str | None, received: bool = False,
    ) -> None:  # fmt: skip
        """The messages of one telling of a call."""
        ext = self.one(EXTS)
        base: dict[str, Any] = {
            "call_id": call_id, "direction": direction, "client_phone": phone, "hidden": phone is None,
            "line": self.one(LINES), "callback_id": callback,
        }  # fmt: skip
        dialled: dict[str, Any] = {"ext": ext} if direction == "out" and self.chance(2) else {}
        self.openings.append(inquiry_id(source, "call", call_id))

        def tell(fact: Fact, moment: datetime, *native: str) -> None:
            self.say(
                fact, None if received else moment, source=source, native=(call_id, *native), received=moment
            )

        answered = at + self.one((10, 0)) * SECOND
        over = answered + self.one((60, 0, 1, 300)) * SECOND
        picked = {"talk": "person", "robot": "autoresponder", "ivr": "ivr", "machine": "client_machine"}.get(
            how
        )
        if "start" not in lost:
            tell(c.CallStarted(**base, **dialled), at)
        if "leg" not in lost:
            tell(c.CallLegRang(**base, ext=ext, leg_id=ext), at + self.one((0, 2)) * SECOND, ext)
        if picked and "answer" not in lost:
            tell(c.CallAnswered(**base, ext=ext, leg_id=ext, by=picked), answered, ext)  # type: ignore[arg-type]
            if picked == "person" and self.chance(5):
                other = self.one(EXTS[::-1])
                moved = {**base, "leg_id": other, "ext": other, "transferred_from": ext}
                if self.chance(3):
                    moved |= {"leg_id": OWN[1:], "ext": None}
                tell(c.CallAnswered(**moved), answered + self.one((30, 0)) * SECOND, other)
        if how == "leg" and "leg" not in lost:
            tell(c.CallLegEnded(**base, ext=ext, leg_id=ext, status="busy"), answered, ext)
        if "end" not in lost:
            end = c.CallEnded(
                **base, started_at=None if self.chance(4) else at,
                answered_at=answered if picked and not self.chance(4) else None, ended_at=over,
                cause="unknown" if self.chance(8) else "answered" if picked and not self.chance(12) else "no_answer",
                answered_by=picked if picked and self.chance(2) else None,  # type: ignore[arg-type]
                exts_rung=self.one(((), (ext,), EXTS)),
            )  # fmt: skip
            tell(end, over)
        if self.chance(9):
            tell(c.CallTransferred(**base, from_ext=ext, to_ext="300"), over)
        if self.chance(6):
            tell(c.RecordingStored(**base, recording_id="r", url="https://pbx.example/r"), over, "r")

    def form(self) -> None:
        """A form, often sent again."""
        at = self.when()
        phone = None if self.chance(5) else self.phone()
        email = self.email() if phone is None or self.chance(3) else None
        for again in range(self.one((1, 1, 2, 3))):
            key = f"f{self.shift}{self.n}"
            fact = sites.FormSubmitted(
                submission_id=key, form_id=self.one(("one", "two")), phone=phone, email=email, spam=self.chance(12),
                cookies={"ym": self.shift + self.one(VISITORS)} if self.chance(4) else {},
            )  # fmt: skip
            gap = self.one((10 * MINUTE, 10 * MINUTE + SECOND, 6 * MINUTE))
            self.say(fact, at + again * gap, source=SITE, native=(key,))
            self.forms.append(key)
            self.openings.append(inquiry_id(SITE, "form", key))

    def callback(self) -> None:
        """«Перезвоните мне»."""
        key = self.key("cb")
        fact = sites.CallbackRequested(callback_id=key, phone=None if self.chance(8) else self.phone())
        self.say(fact, self.when(), source=SITE, native=(key,))
        self.openings.append(inquiry_id(SITE, "callback", key))

    def chat(self) -> None:
        """Facts of a dialogue; the same few dialogues are taken up again and again."""
        key, at = self.key("chat"), self.when()
        base: dict[str, Any] = {
            "chat_id": key,
            "visitor_id": self.shift + self.one(VISITORS),
            "phone": self.phone() if self.chance(3) else None,
        }
        kind = self.one(("started", "finished", "answered", "left"))
        if kind == "started":
            fact: Fact = sites.ChatStarted(**base)
        elif kind == "answered":
            fact = sites.ChatAnswered(
                **base,
                agent_id=self.one((*WORKERS, None)),
                agent_name=self.one((None, "Олег", "Мария")),
                agent_email=self.one((None, None, "m@sto.example")),
            )
        elif kind == "left":
            fact = sites.OfflineMessageLeft(**base, message_id=key)
        else:
            said = tuple(
                sites.ChatMessage(
                    at=at - m * MINUTE, by=self.one(("visitor", "agent")), agent_id=self.one((None, "oleg"))
                )
                for m in self.one(((), (3,), (30, 1), (4500, 4490, 1), (6000, 3000, 0)))
            )
            fact = sites.ChatFinished(
                **base,
                messages=said,
                agents=self.one(((), ("oleg",))),
                agent_names=self.one(({}, {"oleg": ("m@sto.example", "Мария")}, {"9": ("Олег",)})),
            )
        event = self.say(fact, at, source=CHAT, native=(key, f"{self.n}"))
        self.openings += [inquiry_id(CHAT, "chat", key), event.id]

    def contact(self) -> None:
        """Links between identifiers."""
        at, visitor = self.when(), self.shift + self.one(VISITORS)
        kind = self.one(("captured", "linked", "unlinked", "marked", "captured-chat"))
        if kind == "captured":
            fact: Fact = sites.ContactCaptured(visitor_id=visitor, phone=self.phone())
            self.say(fact, at, source=CHAT)
            return
        if kind == "captured-chat":
            self.say(sites.ContactCaptured(chat_id=self.key("chat"), email=self.email()), at, source=CHAT)
            return
        if kind == "marked":
            mark = self.one(("spam", "none", "employee"))
            whom = {"email": self.email()} if self.chance(4) else {"phone": self.phone()}
            self.say(i.ContactMarked(**whom, mark=mark), at)
            return
        model = i.IdentityLinked if kind == "linked" else i.IdentityUnlinked
        pool = (
            *self.phones,
            *(self.shift + e for e in EMAILS),
            f"visitor:{visitor}@chat",
            self.key("contact"),
        )
        a = self.one(pool)
        b = self.one([p for p in pool if p != a])
        self.say(model(a=a, b=b), at)

    def subject(self) -> dict[str, Any]:
        """How an operator's fact says what it is about."""
        how = self.one(ABOUT)
        if how == "inquiry" and self.openings:
            return {"inquiry_id": self.one(self.openings[::-1])}
        if how in ("call", "phone+call") and self.calls:
            return {"call_id": self.one(self.calls[::-1])} | ({"phone": self.phone()} if "+" in how else {})
        if how.endswith("contact"):
            return {"contact_id": self.key("contact")} | ({"phone": self.phone()} if "+" in how else {})
        if how == "form" and self.forms:
            return {"submission_id": self.one(self.forms[::-1])}
        if how == "email":
            return {"email": self.email()}
        if how == "chat":
            return {"chat_id": self.key("chat")}
        if how == "lead+phone":
            return {"lead_id": self.key("L", 3), "phone": self.phone()}
        if how == "lead+call" and self.calls:
            return {"lead_id": self.key("L", 3), "call_id": self.one(self.calls[::-1])}
        return {"lead_id": self.key("L", 3)} if how == "lead" else {"phone": self.phone()}

    def perhaps(self) -> dict[str, Any]:
        """A later fact about a thing seldom says more than its number."""
        return self.subject() if self.chance(4) else {}

    def word(self) -> None:
        """An operator's category, result or refusal."""
        about, at, by = self.subject(), self.when(), self.one((None, *WORKERS))
        kind = self.one(("category", "category", "category", "result", "refusal"))
        if kind == "category":
            self.say(i.InquiryCategorised(**about, category=self.one(CATEGORIES), by=by), at)
        elif kind == "result":
            reason = self.one((None, *REASONS))
            self.say(i.InquiryResultSet(**about, result=self.one(RESULTS), reason=reason, by=by), at)
        else:
            self.say(i.RefusalRecorded(**about, reason=self.one(REASONS), by=by), at)

    def booking(self) -> None:
        """Made, moved, cancelled, kept or not."""
        key, at = self.key("B"), self.when()
        slot = at + self.one((HOUR, DAY, 30 * DAY, -HOUR))
        kind = self.one(("made", "made", "moved", "cancelled", "no_show", "arrived", "walkin"))
        if kind == "made":
            slot_ = None if self.chance(6) else slot
            self.say(
                sales.BookingMade(**self.subject(), booking_id=key, slot=slot_, by=self.one(WORKERS)), at
            )
        elif kind == "moved":
            self.say(sales.BookingMoved(**self.perhaps(), booking_id=key, slot=slot), at)
        elif kind == "cancelled":
            self.say(
                sales.BookingCancelled(**self.perhaps(), booking_id=key, reason=self.one((None, *REASONS))),
                at,
            )
        elif kind == "no_show":
            whose: dict[str, Any] = self.one(({"booking_id": key}, {"phone": self.phone()}))
            self.say(sales.ClientNoShow(**whose), at)
        elif kind == "arrived":
            about = self.subject() if self.chance(2) else {"booking_id": key}
            self.say(sales.ClientArrived(**about, visit_id=self.one((None, self.key("V")))), at)
        else:
            walkin = self.key("W", 3)
            fact = i.WalkInRegistered(walkin_id=walkin, phone=self.phone(), by=self.one(WORKERS))
            self.say(fact, at, native=(walkin,))
            self.openings.append(inquiry_id(CRM, "walkin", walkin))

    def order(self) -> None:
        """Work orders and receipts."""
        key, receipt, at = self.key("O"), self.key("R", 3), self.when()
        kind = self.one(("opened", "sale", "sale", "handed", "refund", "refund"))
        about = self.subject() if self.chance(2) else {"phone": self.phone()}
        if kind == "opened":
            self.say(sales.WorkOrderOpened(**about, order_id=key), at)
        elif kind == "handed":
            self.say(sales.VehicleHandedOver(order_id=key), at)
        elif kind == "sale":
            named = self.one(
                (about, {"order_id": key}, {**about, "order_id": key}, {"booking_id": self.key("B")})
            )
            lines = tuple(self.line() for _ in range(self.one((1, 2, 0))))
            self.say(sales.SaleRecorded(**named, receipt_id=receipt, lines=lines), at)
        else:
            how = self.one(("all", "amount", "lines"))
            self.say(
                sales.SaleRefunded(
                    **self.perhaps(),
                    receipt_id=receipt,
                    amount=self.money() if how == "amount" else None,
                    refund_id=self.one((None, "1", "2")),
                    lines=(self.line(),) if how == "lines" else (),
                ),
                at,
            )

    def line(self) -> sales.SaleLine:
        """A line of a receipt."""
        return sales.SaleLine(
            kind=self.one(("work", "part", "service")),
            qty=self.one((Decimal(1), Decimal(2), Decimal("0.5"))),
            price=self.money(),
            discount=self.one((Decimal(0), Decimal("0.05"))),
            cost=self.one((None, Decimal(40), Decimal("33.3333"))),
        )

    def lead(self) -> None:
        """Cards of a CRM."""
        key, other, at = self.key("L", 3), self.key("L", 3), self.when()
        kind = self.one(("opened", "opened", "stage", "won", "lost", "reopened", "merged", "split", "moved"))
        if kind == "opened":
            about = self.one(({"phone": self.phone()}, self.subject()))
            who = self.one((None, *WORKERS))
            self.say(leads.LeadOpened(**{**about, "lead_id": key}, responsible=who), at)
        elif kind == "stage":
            self.say(
                leads.LeadStageEntered(lead_id=key, stage=self.one(("new", "Квалификация", "won", "lost"))),
                at,
            )
        elif kind == "won":
            self.say(leads.LeadWon(lead_id=key, amount=Decimal(1)), at)
        elif kind == "lost":
            self.say(leads.LeadLost(lead_id=key, reason="Цена"), at)
        elif kind == "reopened":
            self.say(leads.LeadReopened(lead_id=key), at)
        elif kind == "merged" and key != other:
            self.say(leads.LeadsMerged(lead_id=key, other_lead_id=other), at)
        elif kind == "split" and self.openings and key != other:
            ids = (str(self.one(self.openings)),)
            self.say(leads.LeadSplit(lead_id=key, new_lead_id=other, inquiry_ids=ids), at)
        elif kind == "moved":
            self.say(i.InquiryReattached(**self.subject(), to_lead_id=key), at)

    def chatter(self) -> None:
        """Messages and tasks: touches and nothing more."""
        at = self.when()
        kind = self.one(("sent", "received", "task", "tracked"))
        if kind == "tracked":
            hit = c.CallTracked(
                client_phone=self.phone(), line=self.one(LINES), counter_client_id=f"ga{self.shift}"
            )
            self.say(hit, at, source=PBX)
            return
        if kind == "task":
            about: dict[str, Any] = self.one(({"phone": self.phone()}, {"lead_id": self.key("L", 3)}))
            self.say(leads.TaskCreated(**about, task_id=self.key("T"), kind="set_result"), at)
            return
        model = sites.MessageSent if kind == "sent" else sites.MessageReceived
        self.say(model(phone=self.phone(), channel="sms"), at)

    def again(self) -> None:
        """An earlier fact once more under the same id: later, or as another revision with other words."""
        if not self.events:
            return
        event = self.one(self.events[::-1])
        gap = self.one((SECOND, HOUR, -SECOND))
        newer = replace(event, time=event.time + gap, received=event.received + gap)
        if self.chance(2):
            newer = replace(newer, revision=event.revision + 1)
        if isinstance(event.data, i.InquiryCategorised) and self.chance(2):
            newer = replace(newer, data=event.data.model_copy(update={"category": self.one(CATEGORIES)}))
        self.events.append(newer)
