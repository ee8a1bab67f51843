"""A month of an auto service as events: five operators, both directions, and names that try to break the pages.

Made by a seeded generator, so that every run shows the same figures. ``NOW`` is the clock of the pages. Each event
carries a delivery that looks like what its provider sends.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode
from uuid import UUID
from zoneinfo import ZoneInfo

from domain.directory import Directory
from domain.event import Event
from domain.facts.base import Fact
from domain.facts.calls import (
    CallAnswered,
    CallEnded,
    CallLegRang,
    CallStarted,
    CallTransferred,
    RecordingStored,
    VoicemailLeft,
)
from domain.facts.company import DictionaryChanged, EmployeeChanged, Extension, NumberAssigned, PlanSet
from domain.facts.inquiries import InquiryCategorised, InquiryResultSet, RefusalRecorded, WalkInRegistered
from domain.facts.sales import (
    BookingCancelled,
    BookingMade,
    BookingMoved,
    ClientArrived,
    SaleLine,
    SaleRecorded,
    SaleRefunded,
    VehicleHandedOver,
    WorkOrderOpened,
)
from domain.facts.sites import (
    ChatAnswered,
    ChatFinished,
    ChatMessage,
    ChatStarted,
    FormSubmitted,
    MessageSent,
)
from tests.browser.told import Told

ZONE = ZoneInfo("Europe/Moscow")
NOW = datetime(2026, 3, 24, 11, 32, tzinfo=UTC)
PERIOD = "from=2026-03-01&to=2026-03-31"
HOSTILE_NAME = "<script>alert('имя')</script>"
FORMULA = "=1+1"
HOSTILE_CHANNEL = '"><img src=x onerror=alert(1)>'

EMPLOYEES = (
    ("irina", "Ирина Ковалёва", "kc", "101"),
    ("oleg", "Олег Сафронов", "kc", "102"),
    ("dina", "Дина Ахметова", "kc", "103"),
    ("pavel", "Павел Ёлкин", "masters", "104"),
    ("mallory", HOSTILE_NAME, "masters", "105"),
)
LINES = (
    ("+78432000101", "Яндекс Директ"),
    ("+78432000102", "2ГИС"),
    ("+78432000103", HOSTILE_CHANNEL),
    ("+78432000104", None),
)
_NAMES = ("Андрей", "Мария", "Сергей Петрович", "Ольга", FORMULA, "Тимур", HOSTILE_NAME, "Елена", "Николай")
_WORKS = (("Замена масла", "1900"), ("Диагностика ходовой", "1500"), ("Развал-схождение", "3200"))
_PARTS = (
    ("Колодки тормозные", "4200.50", "2900"),
    ("Фильтр масляный", "780", "410"),
    ("Амортизатор", "7800", "5600"),
)


def directory() -> Directory:
    """Employees, numbers, pay rates and the built-in dictionaries."""
    facts: list[Fact] = [
        *(
            EmployeeChanged(employee_id=i, name=name, team=team, extensions=(Extension(ext=ext),))
            for i, name, team, ext in EMPLOYEES
        ),
        *(NumberAssigned(number=number, channel=channel) for number, channel in LINES),
        DictionaryChanged(dictionary="team", item="kc", label="Колл-центр", label_en="Call centre"),
        DictionaryChanged(
            dictionary="team", item="masters", label="Мастера-приёмщики", label_en="Service advisers"
        ),
        PlanSet(metric="arrival_rate", value=Decimal(150), team="kc"),
        PlanSet(metric="arrival_rate", value=Decimal(220), employee_id="pavel"),
    ]
    at = datetime(2025, 1, 1, tzinfo=UTC)
    return Directory.build(
        Event(UUID(int=n + 1), f.TYPE, 1, "/native/crm", at, at, 0, None, "directory", f, (), None)
        for n, f in enumerate(facts)
    )


def groups(seed: int = 7) -> Iterator[list[Event]]:
    """The events of one client after another."""
    r = random.Random(seed)
    for day in range(1, 25):
        weekend = datetime(2026, 3, day).weekday() >= 5
        for _ in range(r.randint(4, 8) if weekend else r.randint(9, 15)):
            local = datetime.combine(
                datetime(2026, 3, day).date(),
                time(r.randint(8, 19), r.randint(0, 59), r.randint(0, 59)),
                ZONE,
            )
            client = _Client(r, local.astimezone(UTC))
            client.live()
            yield [e for e in client.events if e.time < NOW]


class _Client(Told):
    """One client's month: an approach, what the operator wrote down, a booking, an arrival, a receipt."""

    def live(self) -> None:
        r = self.r
        self.key = f"{r.getrandbits(48):012x}"
        self.employee = r.choices(EMPLOYEES, (30, 25, 22, 14, 3))[0]
        self.phone = f"+7903{r.randint(1000000, 9999999)}"
        self.name = r.choice(_NAMES)
        self.about: dict[str, Any] = {"phone": self.phone, "client_name": self.name}
        outgoing = r.random() < 0.12
        kind = (
            "out"
            if outgoing
            else r.choices(("phone", "missed", "site", "walkin", "chat"), (60, 12, 14, 5, 9))[0]
        )
        getattr(self, f"_{kind}")()
        category = r.choices(
            ("repair", "parts", "continuation", "order_status", "other", None), (62, 14, 9, 7, 4, 2)
        )[0]
        if outgoing and category not in ("repair", "parts"):
            category = "repair"
        if category is None:
            return
        self._crm(
            timedelta(minutes=9), InquiryCategorised(category=category, by=self.employee[0], **self.about)
        )
        if category in ("repair", "parts"):
            self._funnel(kind)

    def _funnel(self, kind: str) -> None:
        r, by = self.r, self.employee[0]
        result = r.choices(("booked", "refusal", "thinking", "consultation"), (70, 12, 10, 8))[0]
        reason = (
            r.choice(("price", "terms", "slow_answer", "not_our_car", "no_technology"))
            if result == "refusal"
            else None
        )
        self._crm(timedelta(minutes=10), InquiryResultSet(result=result, reason=reason, by=by, **self.about))
        if reason:
            self._crm(timedelta(minutes=10), RefusalRecorded(reason=reason, by=by, **self.about))
        if result != "booked":
            return
        booking = f"B-{self.key[:6]}"
        days = 0 if kind == "walkin" else r.randint(0, 9)
        slot = datetime.combine(
            (self.at + timedelta(days=days)).astimezone(ZONE).date(), time(19, 30), ZONE
        ).astimezone(UTC)
        self._crm(timedelta(minutes=11), BookingMade(booking_id=booking, slot=slot, by=by, **self.about))
        if r.random() < 0.15:
            slot += timedelta(days=1)
            self._crm(timedelta(hours=2), BookingMoved(booking_id=booking, slot=slot, by=by, **self.about))
        fate = r.random()
        if fate < 0.12:
            self._crm(
                timedelta(hours=3),
                BookingCancelled(booking_id=booking, reason="changed_mind", by=by, **self.about),
            )
        elif fate < 0.85:
            came = slot - self.at + timedelta(minutes=r.randint(-40, 30))
            self._crm(
                came, ClientArrived(visit_id=f"V-{self.key[:6]}", booking_id=booking, by=by, **self.about)
            )
            self._visit(came, booking)

    def _visit(self, came: timedelta, booking: str) -> None:
        """What the arrived car goes through: reminder, work order, receipt, sometimes a refund."""
        r, by, order = self.r, self.employee[0], f"ЗН-{self.key[:6]}"
        if r.random() < 0.3:
            text = "Напоминаем о записи"
            sent = MessageSent(channel="sms", text=text, by=by, booking_id=booking, **self.about)
            self._crm(came - timedelta(hours=2), sent)
        if r.random() < 0.5:
            opened = WorkOrderOpened(
                order_id=order, car="LADA Vesta", by=by, booking_id=booking, **self.about
            )
            self._crm(came + timedelta(minutes=10), opened)
            handed = VehicleHandedOver(order_id=order, by=by, booking_id=booking, **self.about)
            self._crm(came + timedelta(hours=5), handed)
        if r.random() < 0.93:
            receipt = self._receipt(booking)
            self._crm(came + timedelta(hours=3), receipt)
            if r.random() < 0.08:
                back = SaleRefunded(
                    receipt_id=receipt.receipt_id, amount=receipt.lines[0].price, **self.about
                )
                self._crm(came + timedelta(hours=20), back)

    def _receipt(self, booking: str) -> SaleRecorded:
        r = self.r
        lines = [
            SaleLine(kind="work", name=n, price=Decimal(p)) for n, p in r.sample(_WORKS, r.randint(1, 2))
        ]
        lines += [
            SaleLine(
                kind="part",
                name=n,
                price=Decimal(p),
                cost=Decimal(c) if r.random() < 0.9 else None,
                qty=Decimal(r.randint(1, 4)),
            )
            for n, p, c in r.sample(_PARTS, r.randint(0, 2))
        ]
        return SaleRecorded(
            receipt_id=f"Ч-{self.key[:6]}",
            booking_id=booking,
            document="receipt",
            lines=tuple(lines),
            by=self.employee[0],
            **self.about,
        )

    def _phone(self, direction: str = "in") -> None:
        r = self.r
        ext, wait, talk = self.employee[3], r.randint(4, 38), r.randint(35, 420)
        call: dict[str, Any] = {
            "call_id": f"{int(self.at.timestamp())}.{self.key[:4]}", "direction": direction, "client_phone": self.phone,
            "line": r.choice(LINES)[0],
        }  # fmt: skip
        answered = timedelta(seconds=wait)
        self._sipuni(timedelta(), CallStarted(**call), "1")
        if r.random() < 0.2:
            self._sipuni(timedelta(seconds=2), CallLegRang(leg_id="a", ext="101", **call), "2")
            self._sipuni(timedelta(seconds=3), CallAnswered(leg_id="a", ext="101", **call), "3")
            self._sipuni(answered, CallTransferred(from_ext="101", to_ext=ext, ext=ext, **call), "3")
        self._sipuni(answered, CallAnswered(leg_id="b", ext=ext, **call), "3")
        end = answered + timedelta(seconds=talk)
        self._sipuni(end, CallEnded(
            ext=ext, started_at=self.at, answered_at=self.at + answered, ended_at=self.at + end, cause="answered",
            answered_by="person", **call,
        ), "2")  # fmt: skip
        url = f"https://sipuni.com/api/crm/record?id={call['call_id']}"
        self._sipuni(end, RecordingStored(recording_id="r", url=url, seconds=talk, **call), "4")

    def _out(self) -> None:
        self._phone("out")
        self.about["call_id"] = f"{int(self.at.timestamp())}.{self.key[:4]}"

    def _missed(self) -> None:
        call: dict[str, Any] = {
            "call_id": f"{int(self.at.timestamp())}.{self.key[:4]}", "direction": "in", "client_phone": self.phone, "line": LINES[0][0],
        }  # fmt: skip
        end = timedelta(seconds=self.r.randint(15, 50))
        self._sipuni(timedelta(), CallStarted(**call), "1")
        self._sipuni(timedelta(seconds=1), CallLegRang(leg_id="a", ext=self.employee[3], **call), "2")
        self._sipuni(
            end, CallEnded(started_at=self.at, ended_at=self.at + end, cause="no_answer", **call), "2"
        )
        if self.r.random() < 0.2:
            self._sipuni(end, VoicemailLeft(seconds=12, **call), "2")
        if self.r.random() < 0.6:
            self._call_back(end + timedelta(minutes=self.r.randint(1, 7)))

    def _call_back(self, after: timedelta) -> None:
        """Our answered return call; the seconds of its start keep its id apart."""
        at = self.at + after
        call: dict[str, Any] = {
            "call_id": f"{int(at.timestamp())}.{self.key[:4]}", "direction": "out", "client_phone": self.phone,
            "ext": self.employee[3],
        }  # fmt: skip
        self._sipuni(after, CallStarted(**call), "1")
        self._sipuni(after + timedelta(seconds=9), CallAnswered(leg_id="a", **call), "3")
        end = timedelta(seconds=70)
        ended = CallEnded(
            started_at=at,
            answered_at=at + timedelta(seconds=9),
            ended_at=at + end,
            cause="answered",
            answered_by="person",
            **call,
        )
        self._sipuni(after + end, ended, "2")

    def _site(self) -> None:
        form = FormSubmitted(
            submission_id=f"5030:{self.key[:7]}", form_name="Запись на сервис", name=self.name, phone=self.phone,
            text="Стук справа спереди, когда можно подъехать?", page="https://avto.example/remont", utm={"source": "yandex", "medium": "cpc"},
        )  # fmt: skip
        body = urlencode(
            {"Name": self.name, "Phone": self.phone, "formname": form.form_name, "tranid": form.submission_id}
        )
        self._deliver(
            "/tilda/site", timedelta(), form, "POST", body.encode(), "application/x-www-form-urlencoded", ""
        )

    def _chat(self) -> None:
        chat: dict[str, Any] = {
            "chat_id": self.key[:8],
            "visitor_id": self.key[:5],
            "name": self.name,
            "phone": self.phone,
        }
        self._jivo(timedelta(), "chat_accepted", ChatStarted(**chat))
        self._jivo(timedelta(seconds=40), "chat_assigned", ChatAnswered(agent_id=self.employee[0], **chat))
        messages = (
            ChatMessage(at=self.at, by="visitor"),
            ChatMessage(at=self.at + timedelta(seconds=40), by="agent"),
        )
        self._jivo(
            timedelta(minutes=6),
            "chat_finished",
            ChatFinished(messages=messages, agents=(self.employee[0],), **chat),
        )

    def _walkin(self) -> None:
        self._crm(
            timedelta(),
            WalkInRegistered(
                walkin_id=f"W-{self.key[:6]}", by=self.employee[0], car="LADA Vesta", **self.about
            ),
        )
