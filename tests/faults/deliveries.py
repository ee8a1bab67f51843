"""What is posted: the demo's world with all its bad habits, then repeated, shuffled and split over receivers."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from leadfold.demo.habits import NASTY, with_habits
from leadfold.demo.sent import Sent
from leadfold.demo.world import generate, handover_day

UNTIL = datetime(2026, 6, 30, 9, tzinfo=UTC)


def history(seed: int, *, days: int = 10, scale: float = 0.3) -> list[Sent]:
    """Deliveries of ``days`` days, each with a moment of its own: by that it is found again on the log."""
    said = with_habits(generate(seed, UNTIL, days=days, scale=scale).past(), seed, until=UNTIL, rates=NASTY)
    found: list[Sent] = []
    last = datetime.min.replace(tzinfo=UTC)
    for sent in said:
        last = max(sent.at, last + timedelta(milliseconds=1))
        found.append(replace(sent, at=last))
    return found


def handover(days: int = 10) -> date:
    """The day for the settings that belong to `history`."""
    return handover_day(UNTIL, days)


def storm(
    sent: Sequence[Sent], seed: int, receivers: int, *, window: int = 300
) -> Iterator[tuple[int, Sent]]:
    """Each delivery one to three times, at most ``window`` places from where it belongs; (receiver, delivery)."""
    rng = random.Random(seed)
    places = [
        (place + rng.uniform(0, window), rng.randrange(receivers), one)
        for place, one in enumerate(sent)
        for _ in range(rng.choice((1, 1, 2, 3)))
    ]
    for _, receiver, one in sorted(places, key=lambda p: p[0]):
        yield receiver, one
