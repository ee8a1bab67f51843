"""When what gathers on an event loop is to go on its way: a commit and a request cost the same with one record and with many."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Gathering:
    """Calls ``go`` once a turn of the event loop brought nothing more, or ``most`` have come. Made and used on one loop.

    What comes alone waits for one turn, which is microseconds when the loop has nothing else to do. A loop that is busy
    goes on reading what has arrived, and all of it goes together.
    """

    def __init__(self, most: int, go: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._most = most
        self._go = go
        self._count = 0  # that came since the last time
        self._seen = 0  # of them, when a turn ended
        self._wanted = False  # whether `go` is to be called at all
        self._looking = False

    def came(self) -> None:
        """One more came."""
        self._count += 1
        if self._wanted and self._count >= self._most:
            self._gone()

    def soon(self) -> None:
        """What came, and what comes until then, is to go."""
        if self._count >= self._most:
            self._gone()
            return
        self._wanted = True
        if not self._looking:
            self._looking = True
            self._loop.call_soon(self._look)

    def _look(self) -> None:
        if self._wanted and self._count == self._seen:
            self._gone()
        self._looking = self._wanted
        if self._looking:
            self._seen = self._count
            self._loop.call_soon(self._look)

    def _gone(self) -> None:
        self._wanted = False
        self._count = self._seen = 0
        self._go()
