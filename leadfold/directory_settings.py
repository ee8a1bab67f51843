"""The directory part of ``leadfold.toml``: offices, employees, numbers, dictionaries, rules, plans.

Each item becomes an event on the log (`leadfold.config_sync`): the fold knows the company from events alone.
Periods are local days, ``from`` included and ``to`` excluded.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from domain.rules import Rules
from leadfold.field_types import Key, Phone, Zone


class Item(BaseModel):
    """One item of the directory; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Period(Item):
    """Local days for which an item holds; open where absent."""

    valid_from: date | None = Field(None, alias="from")
    valid_to: date | None = Field(None, alias="to", description="the first day that no longer counts")

    @model_validator(mode="after")
    def _in_order(self) -> Period:
        if self.valid_from and self.valid_to and self.valid_to <= self.valid_from:
            raise ValueError(f"'to' ({self.valid_to}) must be later than 'from' ({self.valid_from})")
        return self


class Office(Item):
    """A branch; its clock decides which day a fact belongs to."""

    id: Key
    label: str
    label_en: str | None = None
    timezone: Zone | None = None


class Extension(Period):
    """An extension held by an employee. ``source``: only in this source or provider cabinet."""

    ext: str = Field(min_length=1, max_length=40)
    source: str | None = None


def _extension(value: Any) -> Any:
    return {"ext": str(value)} if isinstance(value, str | int) and not isinstance(value, bool) else value


class Employee(Item):
    """An employee. ``logins``: how chats and CRMs call this person; ``phones``: own numbers, never clients."""

    id: Key
    name: str = Field(min_length=1)
    team: str | None = None
    office: str | None = None
    role: str | None = None
    extensions: tuple[Annotated[Extension, BeforeValidator(_extension)], ...] = ()
    logins: tuple[str, ...] = ()
    phones: tuple[Phone, ...] = ()


class Number(Period):
    """A number of ours: which traffic source and office it stands for, and when."""

    number: Phone
    channel: str | None = None
    office: str | None = None


class Entry(Item):
    """An entry of a dictionary."""

    id: Key
    label: str
    label_en: str | None = None
    merged_into: str | None = Field(None, description="count it as this other entry")


class Stage(Entry):
    """A stage of a pipeline."""

    pipeline: str | None = None
    group: Literal["new", "work", "waiting", "won", "lost"]


class Reason(Entry):
    """A reason of refusal. Which ones are valid is a rule: ``[rules] valid_reasons``."""


class Category(Entry):
    """A category of inquiries. Which ones are target is a rule: ``[rules] target_categories``."""


class RuleSet(Rules):
    """What differs from the usual rules: the settings of `domain.rules.Rules` that are written here."""

    valid_from: AwareDatetime | None = Field(
        None, description="in force from here on; absent: for all history"
    )

    @property
    def body(self) -> dict[str, Any]:
        """Only what was written, as JSON values."""
        return self.model_dump(mode="json", include=self.model_fields_set - {"valid_from"})


class Plan(Period):
    """A plan or rate, of an employee, a team, or of all. ``arrival_rate``: roubles for an arrival (R0.29)."""

    metric: str = Field(min_length=1)
    value: Decimal
    employee: str | None = None
    team: str | None = None
