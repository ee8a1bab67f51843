"""How far behind a projector is, and what follows: far behind, facts are stored first and each group is folded once."""

from __future__ import annotations

import time
from collections.abc import Mapping

import structlog

from eventlog.contract import EventLog, LogUnavailable
from projector.positions import Held
from projector.settings import Limits

log = structlog.get_logger(__name__)

#: Seconds between looks at the end of the log.
_LOOK_S = 1.0


class Backlog:
    """What lies between our positions and the end of the log, looked at once in a while."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._looked = self._began = 0.0
        self.behind: int | None = None  # records; None = unknown
        self.log_up = False
        self.bulk = False  # store first, fold afterwards

    @property
    def size(self) -> int:
        """Records to be taken at once."""
        return self._limits.bulk_records if self.bulk else self._limits.batch_records

    @property
    def fold_anyway(self) -> bool:
        """Whether groups are to be folded between batches: always but at the beginning of a bulk.

        A log that grows as fast as it is read would else keep the tables as they are for ever.
        """
        return not self.bulk or time.monotonic() - self._began > self._limits.bulk_s

    async def look(self, event_log: EventLog, held: Mapping[int, Held], *, empty: bool) -> None:
        """How far behind; asks the log once a second at most, but at once when a bulk may be over (``empty`` poll)."""
        if time.monotonic() - self._looked < _LOOK_S and not (self.bulk and empty):
            return
        self._looked = time.monotonic()
        try:
            bounds = await event_log.bounds()
        except LogUnavailable:
            self.behind, self.log_up = None, False
            return
        self.log_up = True
        self.behind = sum(bounds[p][1] - mine.next_offset for p, mine in held.items() if p in bounds)
        edge = self._limits.bulk_behind // 10 if self.bulk else self._limits.bulk_behind
        if (self.behind > edge) is not self.bulk:
            self.bulk = not self.bulk
            self._began = time.monotonic()
            log.info("projector.bulk" if self.bulk else "projector.caught_up", behind=self.behind)
