"""Until it is durable: the log within the deadline, else the spool (design §4)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final, Literal

import structlog

from eventlog.contract import AppendFailed, EventLog, Position, Record, RecordTooLarge
from eventlog.spool import Spool

log = structlog.get_logger(__name__)

Where = Literal["logged", "spooled"]

#: After a failure the log is left alone for so long; then one delivery tries it while the others go on to the spool.
_PAUSE_S: Final = 1.0
#: The part of the deadline that is kept for the spool.
_SPOOL_SHARE: Final = 0.35


class NotDurable(Exception):
    """Neither log nor spool took the records. They may nevertheless be stored: then a repeat has the same ids."""


class Store:
    """Puts records where they survive. One object per process and event loop.

    Args:
        log: started; may be away at the moment.
        spool: started, or None: then the log has the whole deadline.
        deadline_s: for one `put`, whichever way it goes.
        monotonic: seconds of a clock that does not jump.
    """

    def __init__(
        self,
        log: EventLog,
        spool: Spool | None,
        *,
        deadline_s: float = 2.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._spool = spool
        self._deadline_s = deadline_s
        self._now = monotonic
        self._log_s = deadline_s if spool is None else deadline_s * (1 - _SPOOL_SHARE)
        self._leave_until: float | None = None  # None: the log is fine
        self._trying = False
        self._shipped = False

    @property
    def log_up(self) -> bool:
        """Whether the log took the last append that tried: a delivery's, or that of the spool's drainer."""
        return (self._leave_until is None or self._shipped) and self._log.available

    def shipped(self) -> None:
        """The log took records of the spool. It is told so; deliveries still try it one at a time at first.

        Without it a log that came back in a quiet hour would be called away until the next delivery.
        """
        self._shipped = True

    @property
    def ready(self) -> bool:
        """Whether a delivery now has a chance of being made durable."""
        return self.log_up or (self._spool is not None and self._spool.available)

    async def put(self, records: Sequence[Record]) -> Where:
        """Make the records durable.

        Raises:
            NotDurable: neither log nor spool took them in time.
            RecordTooLarge: no log will ever take them.
        """
        ends = self._now() + self._deadline_s
        if self._spool is None:
            return await self._only_log(records)
        tried = self._may_try()
        if tried and await self._to_log(records, self._log_s):
            return "logged"
        return await self._to_spool(self._spool, records, ends, tried=tried)

    def submit(self, records: Sequence[Record]) -> asyncio.Future[list[Position]] | None:
        """Begin a `put` where all goes well: the log's own future, or None when `put` is to be called instead.

        A future that fails is to be followed by `rescue`.

        Raises:
            RecordTooLarge: no log will ever take them.
        """
        if self._leave_until is not None:
            return None
        try:
            return self._log.submit(records, deadline_s=self._log_s)
        except RecordTooLarge:
            raise
        except AppendFailed as error:
            self._went_away(error)
            return None

    async def rescue(self, records: Sequence[Record], error: AppendFailed, *, began: float) -> Where:
        """What is left to do after a `submit` whose future failed with ``error``; it began so by the clock of `Store`.

        Raises:
            NotDurable: the spool did not take them in time.
        """
        self._went_away(error)
        if self._spool is None:
            raise NotDurable
        return await self._to_spool(self._spool, records, began + self._deadline_s, tried=True)

    async def _to_spool(self, spool: Spool, records: Sequence[Record], ends: float, *, tried: bool) -> Where:
        try:
            await spool.put(records, deadline_s=max(0.05, ends - self._now()))
            return "spooled"
        except RecordTooLarge:
            raise
        except AppendFailed as error:
            log.error("ingest.spool_refused", error=type(error).__name__, depth=spool.depth)
        # The spool is full or broken: the log is the last hope, even while it is being left alone.
        left_s = ends - self._now()
        if not tried and left_s > 0.05 and await self._to_log(records, left_s):
            return "logged"
        raise NotDurable

    async def _only_log(self, records: Sequence[Record]) -> Where:
        if await self._to_log(records, self._deadline_s):
            return "logged"
        raise NotDurable

    def _may_try(self) -> bool:
        """Whether this delivery goes to the log: all of them while it is fine, one at a time while it is not."""
        if self._leave_until is None:
            return True
        if self._trying or self._now() < self._leave_until:
            return False
        self._trying = True
        return True

    async def _to_log(self, records: Sequence[Record], deadline_s: float) -> bool:
        try:
            await self._log.append(records, deadline_s=deadline_s)
        except RecordTooLarge:
            raise
        except AppendFailed as error:
            self._went_away(error)
            return False
        finally:
            self._trying = False
        if self._leave_until is not None:
            log.info("ingest.log_back")
            self._leave_until = None
        return True

    def _went_away(self, error: AppendFailed) -> None:
        if self._leave_until is None:
            log.warning("ingest.log_away", error=type(error).__name__, stored=error.stored)
        self._leave_until = self._now() + _PAUSE_S
        self._shipped = False
