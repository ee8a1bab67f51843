"""Facts about leads (deals, cards) and tasks, from CRMs and operators (spec 2.2)."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import ClassVar

from pydantic import Field

from domain.facts.base import Key, Moment, Name, Subject, Text
from domain.refs import ref


class LeadFact(Subject):
    """A fact about one lead of a CRM, by the CRM's own id."""

    lead_id: Key
    by: Name | None = None


class LeadOpened(LeadFact):
    """A card was opened in the CRM."""

    TYPE: ClassVar[str] = "lead.opened"
    type: Name | None = None
    pipeline: Name | None = None
    stage: Name | None = None
    city: Name | None = None
    responsible: Name | None = None


class LeadStageEntered(LeadFact):
    """The lead moved to a stage or status."""

    TYPE: ClassVar[str] = "lead.stage_entered"
    pipeline: Name | None = None
    stage: Name
    manual: bool | None = None


class ResponsibleAssigned(LeadFact):
    """The responsible employee changed."""

    TYPE: ClassVar[str] = "lead.responsible_assigned"
    to: Name
    before: Name | None = None


class LeadWon(LeadFact):
    """Closed successfully. ``amount`` in roubles."""

    TYPE: ClassVar[str] = "lead.won"
    amount: Decimal | None = None


class LeadLost(LeadFact):
    """Closed without success."""

    TYPE: ClassVar[str] = "lead.lost"
    reason: Name | None = None


class LeadReopened(LeadFact):
    """A closed lead was opened again."""

    TYPE: ClassVar[str] = "lead.reopened"


class LeadsMerged(LeadFact):
    """``other_lead_id`` was joined into ``lead_id``."""

    TYPE: ClassVar[str] = "lead.merged"
    other_lead_id: Key

    def refs(self, source: str) -> Iterator[str]:
        """Both leads."""
        yield from super().refs(source)
        yield ref("lead", self.other_lead_id)


class LeadSplit(LeadFact):
    """Inquiries were parted from ``lead_id`` into the new card ``new_lead_id`` (L14)."""

    TYPE: ClassVar[str] = "lead.split"
    new_lead_id: Key
    inquiry_ids: tuple[Key, ...] = ()

    def refs(self, source: str) -> Iterator[str]:
        """Both leads."""
        yield from super().refs(source)
        yield ref("lead", self.new_lead_id)


class TaskFact(Subject):
    """A fact about one task of the CRM."""

    task_id: Key
    by: Name | None = None

    def refs(self, source: str) -> Iterator[str]:
        """The task, then whom it is about."""
        yield ref("task", self.task_id)
        yield from super().refs(source)


class TaskCreated(TaskFact):
    """A task was set, with its planned interval or due moment."""

    TYPE: ClassVar[str] = "task.created"
    assignee: Name | None = None
    kind: Name | None = None
    starts_at: Moment | None = None
    due_at: Moment | None = None
    text: Text | None = Field(None, description="what is to be done")


class TaskRescheduled(TaskFact):
    """The planned time moved."""

    TYPE: ClassVar[str] = "task.rescheduled"
    starts_at: Moment | None = None
    due_at: Moment | None = None


class TaskCompleted(TaskFact):
    """Done."""

    TYPE: ClassVar[str] = "task.completed"
    result: Text | None = None


class TaskCancelled(TaskFact):
    """No longer needed."""

    TYPE: ClassVar[str] = "task.cancelled"
