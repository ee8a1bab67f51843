"""The rules by which facts are interpreted (spec 0.4, 2.4): versioned data with the spec's defaults.

A rule change re-computes history; facts never change (G12).
"""

from __future__ import annotations

from datetime import timedelta
from functools import lru_cache

from pydantic import BaseModel, ConfigDict, Field


class Rules(BaseModel):
    """One version of all rules. Published by ``rule.published``, whose body names only what changes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    target_categories: tuple[str, ...] = Field(("repair", "parts"), description="D-0.1, R0.32")
    valid_reasons: tuple[str, ...] = Field(
        ("no_technology", "not_our_work", "not_our_car"), description="D-0.4, R0.42: «уважительные» reasons"
    )
    missed_unprocessed_is_target: bool = Field(False, description="D-0.1: count never-processed missed calls")
    attribution_days: int = Field(30, ge=0, description="D-0.5: how old a target inquiry may get a booking")
    continue_days: int = Field(30, ge=0, description="L2, L3")
    reopen_days: int = Field(30, ge=0, description="L6")
    won_join_days: int = Field(7, ge=0, description="L5")
    request_return_hours: int = Field(
        24, ge=0, description="L11: our call after a form or an unanswered chat joins it"
    )
    missed_window_hours: int = Field(24, ge=0, description="L10: further missed calls are the same inquiry")
    missed_return_hours: int = Field(72, ge=0, description="L8: our call after a missed one is its return")
    outgoing_category_hours: int = Field(
        24, ge=0, description="D-0.10: a category by phone after our call makes it an outgoing inquiry"
    )
    clock_skew_seconds: int = Field(
        120, ge=0, description="two systems' clocks: how long before an inquiry begins facts may speak of it"
    )
    form_duplicate_minutes: int = Field(10, ge=0, description="L13")
    chat_silence_hours: int = Field(
        24, ge=0, description="R0.18: silence after which a dialogue is a new inquiry"
    )
    same_call_seconds: int = Field(
        120, ge=0, description="two systems telling one call: largest difference of starts"
    )
    tracking_match_minutes: int = Field(5, ge=0, description="call tracking hit ↔ call")
    unknown_end_hours: int = Field(6, ge=0, description="D-4.18")
    absorb_minutes: int = Field(30, ge=0, description="L16: a CRM's lead absorbs our policy lead")

    def span(self, name: str) -> timedelta:
        """A setting as a duration, by the unit at the end of its name (days, hours, minutes, seconds)."""
        return _span(name, getattr(self, name))


@lru_cache(maxsize=256)
def _span(name: str, number: int) -> timedelta:
    return timedelta(**{name.rpartition("_")[2]: number})
