"""A small language for telling histories in tests: each method says what happened, as a provider or CRM would."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from domain.directory import Directory
from domain.event import Event, Evidence
from domain.facts.base import Fact
from domain.facts.calls import CallAnswered, CallEnded, CallLegRang, CallStarted
from domain.facts.inquiries import InquiryCategorised
from domain.facts.sites import FormSubmitted
from domain.fold import fold_group
from domain.identity import inquiry_id
from domain.rows import BookingRow, CallRow, ClientRow, InquiryRow, LeadRow, Rows, SaleRow, TouchRow
from domain.said import Said, make_events

PHONE = "+79031234567"
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def at(days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0) -> datetime:
    """A moment after Monday 2 March 2026, 12:00 in Moscow."""
    return START + timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


class Story:
    """A history as a list of events."""

    def __init__(self, directory: Directory | None = None) -> None:
        self.events: list[Event] = []
        self.directory = directory or Directory.build(())
        self._n = 0

    def say(
        self, fact: Fact, when: datetime, *, source: str = "/native/crm", native: tuple[str, ...] | None = None,
        received: datetime | None = None, revision: int = 1,
    ) -> Event:  # fmt: skip
        """One fact said by a source at a moment."""
        self._n += 1
        evidence = Evidence(UUID(int=self._n), "POST", "/in", "", (), b"{}", "test@1")
        (event,) = make_events(
            [Said(fact, native or (str(self._n),), when)],
            source=source, received=received or when, revision=revision, evidence=evidence, key_secret=b"test",
        )  # fmt: skip
        self.events.append(event)
        return event

    def call(
        self, call_id: str, when: datetime, *, phone: str | None = PHONE, talk: int | None = 60, wait: int = 10,
        direction: str = "in", ext: str = "201", line: str = "+74990000011", source: str = "/sipuni/main",
        end: bool = True,
    ) -> UUID:  # fmt: skip
        """One call: ``talk`` seconds with ``ext`` after ``wait``; None = nobody answered. Gives its inquiry's id."""
        base: dict[str, Any] = {
            "call_id": call_id,
            "direction": direction,
            "client_phone": phone,
            "line": line,
            "hidden": not phone,
        }
        answered = when + timedelta(seconds=wait) if talk is not None else None
        over = when + timedelta(seconds=wait + (talk or 0))
        mine: dict[str, Any] = {"ext": ext} if direction == "out" else {}
        self.say(CallStarted(**base, **mine), when, source=source, native=(call_id,))
        self.say(CallLegRang(**base, ext=ext, leg_id=ext), when, source=source, native=(call_id, ext))
        if answered:
            self.say(
                CallAnswered(**base, ext=ext, leg_id=ext), answered, source=source, native=(call_id, ext)
            )
        if end:
            fact = CallEnded(
                **base, started_at=when, answered_at=answered, ended_at=over,
                cause="answered" if answered else "no_answer", exts_rung=(ext,),
            )  # fmt: skip
            self.say(fact, over, source=source, native=(call_id,))
        return inquiry_id(source, "call", call_id)

    def needs(self, call_id: str, when: datetime) -> UUID:
        """A call with a target category, told two minutes later. Gives its inquiry's id."""
        ident = self.call(call_id, when)
        self.say(InquiryCategorised(call_id=call_id, category="repair"), when + timedelta(minutes=2))
        return ident

    def form(self, submission_id: str, when: datetime, *, phone: str | None = PHONE, **more: object) -> UUID:
        """A site form. Gives its inquiry's id."""
        fact = FormSubmitted.model_validate({"submission_id": submission_id, "phone": phone, **more})
        self.say(fact, when, source="/tilda/site", native=(submission_id,))
        return inquiry_id("/tilda/site", "form", submission_id)

    def fold(self) -> Told:
        """The rows of everything said so far."""
        return Told(fold_group(self.events, self.directory))


class Told:
    """The rows of a story, easy to ask."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    @property
    def inquiries(self) -> list[InquiryRow]:
        """Inquiries by opening."""
        found = [r for r in self.rows["inquiry"] if isinstance(r, InquiryRow)]
        return sorted(found, key=lambda r: (r.opened_at, r.inquiry_id))

    def inquiry(self, ident: UUID) -> InquiryRow:
        """One inquiry by id."""
        (found,) = (r for r in self.inquiries if r.inquiry_id == ident)
        return found

    @property
    def calls(self) -> list[CallRow]:
        """Calls by start."""
        found = [r for r in self.rows["call"] if isinstance(r, CallRow)]
        return sorted(found, key=lambda r: (r.started_at, r.call_id))

    @property
    def leads(self) -> list[LeadRow]:
        """Leads by opening."""
        found = [r for r in self.rows["lead"] if isinstance(r, LeadRow)]
        return sorted(found, key=lambda r: (r.opened_at, r.lead_id))

    @property
    def clients(self) -> list[ClientRow]:
        """Clients by first fact."""
        found = [r for r in self.rows["client"] if isinstance(r, ClientRow)]
        return sorted(found, key=lambda r: (r.first_seen_at, r.client_id))

    @property
    def bookings(self) -> list[BookingRow]:
        """Bookings by moment of making."""
        found = [r for r in self.rows["booking"] if isinstance(r, BookingRow)]
        return sorted(found, key=lambda r: (r.made_at, r.booking_id))

    @property
    def sales(self) -> list[SaleRow]:
        """Receipts by number."""
        return sorted((r for r in self.rows["sale"] if isinstance(r, SaleRow)), key=lambda r: r.receipt_key)

    @property
    def touches(self) -> list[TouchRow]:
        """Touches by start."""
        found = [r for r in self.rows["touch"] if isinstance(r, TouchRow)]
        return sorted(found, key=lambda r: (r.at, r.touch_id))
