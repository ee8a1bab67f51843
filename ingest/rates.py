"""How often a source may deliver: a token bucket per source, so that a flood of one leaves room for the others."""

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
