"""Deadlines of many waiting calls under one timer of the event loop."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

#: Timers of an event loop may come this much early, seconds.
_EARLY_S = 0.002


class _Waiting(NamedTuple):
    ends: float
    future: asyncio.Future[Any]
    expire: Callable[[], None]


class Deadlines:
    """Calls ``expire`` for each future that is not done at its time. Made and used on one event loop.

    A timer per call costs more than the call itself when thousands come in a second and hardly any is late.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[_Waiting] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._fires = 0.0

    def add(self, seconds: float, future: asyncio.Future[Any], expire: Callable[[], None]) -> None:
        """Watch over ``future`` for so many seconds."""
        waiting = self._waiting
        while waiting and waiting[0].future.done():
            waiting.popleft()
        ends = time.monotonic() + seconds
        waiting.append(_Waiting(ends, future, expire))
        if self._timer is None or ends < self._fires:
            self._arm(ends)

    def _arm(self, fires: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._fires = fires
        self._timer = self._loop.call_later(max(0.0, fires - time.monotonic()), self._fire)

    def _fire(self) -> None:
        self._timer = None
        due = time.monotonic() + _EARLY_S
        left = [each for each in self._waiting if not each.future.done()]
        self._waiting = deque(each for each in left if each.ends > due)
        if self._waiting:
            self._arm(min(each.ends for each in self._waiting))
        for each in left:
            if each.ends <= due:
                each.expire()
