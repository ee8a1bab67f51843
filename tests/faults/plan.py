"""What goes wrong and when: a function of the seed, every kind in turn before any comes again."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

#: How long a kind lasts, seconds, from and to; the rest lasts `_USUAL`.
_LASTING = {
    "freeze": (4.0, 13.0),  # beyond the patience of the consumer group: others take the partitions over
    "half-open": (3.0, 12.0),
    "silent": (60.0, 140.0),  # half-open for minutes: only in storms that last much longer
    "slow": (3.0, 10.0),
    "cut": (2.0, 10.0),
}
_USUAL = (0.0, 3.0)


@dataclass(frozen=True, slots=True)
class Fault:
    """``kind`` is one of the service's harms; ``at_s`` from the start of the storm."""

    at_s: float
    kind: str
    lasting_s: float


def plan(seed: int, kinds: Sequence[str], *, seconds: float, every_s: float) -> list[Fault]:
    """Faults over so many seconds, one about every ``every_s``; long ones overlap with the next."""
    rng = random.Random(seed)
    kinds = [kind for kind in kinds if not kind.startswith("silent") or _LASTING["silent"][0] < seconds / 8]
    faults: list[Fault] = []
    at_s, deck = rng.uniform(0.5, every_s), list[str]()
    while at_s < seconds:
        if not deck:
            deck = rng.sample(list(kinds), len(kinds))
        kind = deck.pop()
        low, high = _LASTING.get(kind.split()[0], _USUAL)
        faults.append(
            Fault(at_s, kind, rng.uniform(low, min(high, seconds / 8)) if seconds / 8 > low else low)
        )
        at_s += rng.uniform(0.5, 1.5) * every_s
    return faults
