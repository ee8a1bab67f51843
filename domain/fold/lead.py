"""One lead of a client, and its stages, while they are being folded."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from domain.fold.inquiries import Inquiry
from domain.identity import lead_id


@dataclass(slots=True)
class Stage:
    """One entry of a lead into a stage."""

    stage: str
    pipeline: str | None
    entered_at: datetime
    by: str | None
    event: UUID
    left_at: datetime | None = None


@dataclass(slots=True)
class Lead:
    """One lead while it is being folded."""

    id: UUID
    opened_at: datetime
    opened_by: str
    last_activity_at: datetime
    crm_id: str | None = None
    type: str | None = None
    channel: str | None = None
    pipeline: str | None = None
    office: str | None = None
    state: str = "open"
    closed_at: datetime | None = None
    reason: str | None = None
    amount: Decimal | None = None
    responsibles: list[tuple[datetime, str]] = field(default_factory=list)
    reopened: int = 0
    previous: UUID | None = None
    inquiries: list[Inquiry] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)
    aliases: set[UUID] = field(default_factory=set)
    events: list[UUID] = field(default_factory=list)
    merged_into: Lead | None = None
    told_opening: bool = False  # the CRM told its opening itself

    def take(self, inquiry: Inquiry) -> None:
        """An inquiry joins this lead; every inquiry's own lead id leads here."""
        self.inquiries.append(inquiry)
        self.aliases.add(lead_id(inquiry.id))
        self.last_activity_at = max(self.last_activity_at, inquiry.opened_at)

    def close(self, state: str, at: datetime, reason: str | None = None) -> None:
        """Won or lost at a moment."""
        self.state, self.closed_at, self.reason = state, at, reason

    def responsible_at(self, at: datetime) -> str | None:
        """Who was responsible at a moment; before the first assignment, the first one."""
        past = [who for since, who in self.responsibles if since <= at]
        return past[-1] if past else self.responsibles[0][1] if self.responsibles else None
