"""Facts about the company itself: directories, rules, plans (spec 2.2, emitter С). They carry no client refs."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from domain.facts.base import Fact, Key, Moment, Name, Phone


class DirectoryFact(Fact):
    """A fact that concerns every client; the latest one about an item wins."""

    DIRECTORY: ClassVar[bool] = True


class Extension(BaseModel):
    """An extension held for a period of local days: ``valid_from`` included, ``valid_to`` excluded.

    ``scope``: name of the source or the provider's cabinet; empty = everywhere.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)
    ext: Name
    scope: Name | None = None
    valid_from: date | None = None
    valid_to: date | None = None


class EmployeeChanged(DirectoryFact):
    """The whole card of an employee as it is from this event's time on; what was before stays (G9, R0.50)."""

    TYPE: ClassVar[str] = "employee.changed"
    employee_id: Key
    name: Name
    team: Name | None = None
    office: Name | None = None
    role: Name | None = None
    extensions: tuple[Extension, ...] = ()
    logins: tuple[Name, ...] = Field((), description="ids by which chats and CRMs call this person")
    phones: tuple[Phone, ...] = Field((), description="own numbers: calls with them are internal (G11)")
    removed: bool = False


class NumberAssigned(DirectoryFact):
    """A number of ours belongs to a traffic source and an office for a period (R3.34)."""

    TYPE: ClassVar[str] = "number.assigned"
    number: Phone
    channel: Name | None = Field(None, description="traffic source shown in reports")
    office: Name | None = None
    valid_from: date | None = None
    valid_to: date | None = None


class DictionaryChanged(DirectoryFact):
    """An entry of a dictionary: category, reason, result, stage, pipeline, office, channel or team.

    ``attrs``: offices have ``timezone``; stages ``pipeline``, ``order`` and ``group`` (new, work, waiting, won,
    lost). Which categories are target and which reasons valid is a rule, not an attribute (G12).
    ``merged_into`` maps an entry onto another (R0.41).
    """

    TYPE: ClassVar[str] = "dictionary.changed"
    dictionary: Literal["category", "reason", "result", "stage", "pipeline", "office", "channel", "team"]
    item: Key
    label: Name
    label_en: Name | None = None
    attrs: dict[str, JsonValue] = Field(default_factory=dict)
    merged_into: Key | None = None
    removed: bool = False


class RulePublished(DirectoryFact):
    """A version of the rules: ``body`` holds the changed settings of ``domain.rules.Rules`` only.

    In force for inquiries and moments from ``valid_from`` on; absent = for all history.
    """

    TYPE: ClassVar[str] = "rule.published"
    version: Key
    valid_from: Moment | None = None
    body: dict[str, JsonValue]
    by: Name | None = None


class PlanSet(DirectoryFact):
    """A plan or rate. ``metric`` "arrival_rate" is roubles an arrival (R0.29), by the inquiry's local date."""

    TYPE: ClassVar[str] = "plan.set"
    employee_id: Key | None = None
    team: Name | None = None
    metric: Name
    value: Decimal
    valid_from: date | None = None
    valid_to: date | None = None


class DeliveryUnreadable(Fact):
    """An authenticated delivery that no adapter could read: kept as evidence, re-translated after a fix.

    A ``reason`` that begins with "unused:" or "mended:" asks nothing of anybody.
    """

    TYPE: ClassVar[str] = "delivery.unreadable"
    #: Nothing in it was wanted.
    UNUSED: ClassVar[str] = "unused:"
    #: It was read later; facts of a later revision stand beside it.
    MENDED: ClassVar[str] = "mended:"
    provider: Name
    reason: Name
    size: int
