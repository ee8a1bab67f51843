"""How often and how much at once a source may deliver, so that a flood of one leaves room for the others."""

from __future__ import annotations

import math


class Rates:
    """Token buckets by source name.

    Args:
        per_s: tokens that a source earns each second; None: no limit.
        burst: most tokens that it can save.
    """

    def __init__(self, per_s: float | None, burst: int) -> None:
        self._per_s = per_s
        self._burst = float(max(1, burst))
        self._buckets: dict[str, tuple[float, float]] = {}  # tokens left, when

    def wait_s(self, source: str, now: float) -> int:
        """Take a token: 0, or after how many whole seconds there will be one (nothing is taken then).

        ``now``: seconds of a clock that does not jump.
        """
        if self._per_s is None:
            return 0
        tokens, since = self._buckets.get(source, (self._burst, now))
        tokens = min(self._burst, tokens + max(0.0, now - since) * self._per_s)
        if tokens < 1:
            self._buckets[source] = (tokens, now)
            return max(1, math.ceil((1 - tokens) / self._per_s))
        self._buckets[source] = (tokens - 1, now)
        return 0


class Places:
    """Places for deliveries that are being made durable: ``most`` in all, half of them for any one source."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._of_one = max(1, most // 2)
        self._taken: dict[str, int] = {}
        self.taken = 0

    def take(self, source: str) -> bool:
        """Take a place, to be given back; False: there is none for this source."""
        mine = self._taken.get(source, 0)
        if mine >= self._of_one or self.taken >= self._most:
            return False
        self._taken[source] = mine + 1
        self.taken += 1
        return True

    def give(self, source: str) -> None:
        """Give a place back."""
        self._taken[source] -= 1
        self.taken -= 1
