"""The bad habits of real providers, as a transformation with a seed: nothing here invents or changes a fact."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from leadfold.demo.sent import CRM, Sent

_TIMESTAMP: Final = re.compile(r"(?<=[?&]timestamp=)\d+|(?<=^timestamp=)\d+")


@dataclass(frozen=True, slots=True)
class Rates:
    """How often each habit shows, as shares of what it can happen to."""

    repeated_ring: float = 0.05  # Sipuni's event 1 again, a second later by its own clock
    repeated: float = 0.01  # any delivery again, byte for byte
    retried_form: float = 0.03  # Tilda posts again after a minute, up to twice
    shuffled_call: float = 0.12  # the phases of a call come in any order within three minutes
    lost_end: float = 0.01  # event 2 of an answered call never arrives
    late_card: float = 0.02  # the CRM tells hours after the fact


REAL: Final = Rates()
NASTY: Final = Rates(0.4, 0.3, 0.4, 0.8, 0.05, 0.2)
"""For tests and soak: everything all the time."""


def with_habits(sent: Iterable[Sent], seed: int, *, until: datetime, rates: Rates = REAL) -> list[Sent]:
    """The deliveries as they really come, in order of sending.

    What was sent up to ``until`` (UTC) still is: a delay never moves a delivery across that border, so the truth
    known at ``until`` stays what it was.
    """
    rng = random.Random(seed)  # noqa: S311 - repeatable, not secret
    deliveries = list(sent)
    answered = {s.group for s in deliveries if s.kind == "sipuni.3"}
    groups = dict.fromkeys(s.group for s in deliveries if s.kind in _PHASES)
    shuffled = {g for g in groups if rng.random() < rates.shuffled_call}
    result: list[Sent] = []
    for delivery in deliveries:
        if delivery.kind == "sipuni.2" and delivery.group in answered and rng.random() < rates.lost_end:
            continue
        moved = delivery
        if delivery.kind in _PHASES and delivery.group in shuffled:
            moved = _later(delivery, rng.uniform(0, 180), until)
        elif delivery.source == CRM and rng.random() < rates.late_card:
            moved = _later(delivery, rng.uniform(3600, 36 * 3600), until)
        result.append(moved)
        result.extend(_later(again, after, until) for again, after in _repeats(moved, rng, rates))
    return sorted(result, key=lambda s: s.at)


_PHASES: Final = frozenset({"sipuni.1", "sipuni.2", "sipuni.3", "sipuni.4"})


def _repeats(delivery: Sent, rng: random.Random, rates: Rates) -> Iterator[tuple[Sent, float]]:
    if delivery.kind == "sipuni.1" and rng.random() < rates.repeated_ring:
        query = _TIMESTAMP.sub(lambda m: str(int(m[0]) + 1), delivery.query)
        yield replace(delivery, query=query), 1.0
    if delivery.kind == "tilda.form":
        for n in (1, 2):
            if rng.random() < rates.retried_form:
                yield delivery, 60.0 * n
    if rng.random() < rates.repeated:
        yield delivery, rng.uniform(1, 30)


def _later(delivery: Sent, seconds: float, until: datetime) -> Sent:
    at = delivery.at + timedelta(seconds=int(seconds))
    return replace(delivery, at=min(at, until) if delivery.at <= until else at)
