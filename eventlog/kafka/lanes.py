"""Appends on their way to one partition: what waits, and the one batch that is out."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any

from eventlog.contract import AppendFailed, AppendUnknown, LogUnavailable, Position, Record


class Call:
    """One append: its future, and how many of its records are not confirmed yet.

    ``counts`` is the appender's: what became of appends (for ``appended``, of their records).
    """

    __slots__ = ("counts", "future", "left", "positions", "sent")

    def __init__(self, count: int, future: asyncio.Future[list[Position]], counts: dict[str, int]) -> None:
        self.counts = counts
        self.future = future
        self.left = count
        self.positions: list[Position] = [Position(-1, -1)] * count
        self.sent = False  # whether any record was given to a producer

    @property
    def over(self) -> bool:
        """Answered or cancelled: its records that still wait are not to be sent."""
        return self.future.done()

    def confirm(self, index: int, position: Position) -> None:
        """One record is durable; the last one resolves the future."""
        self.positions[index] = position
        self.left -= 1
        if not self.left and not self.future.done():
            self.counts["appended"] += len(self.positions)
            self.future.set_result(self.positions)

    def fail(self, error: AppendFailed) -> None:
        """Answer it, once."""
        if not self.future.done():
            if isinstance(error, AppendUnknown):
                self.counts["append_unknown"] += 1
            elif isinstance(error, LogUnavailable):
                self.counts["append_unavailable"] += 1
            self.future.set_exception(error)


class Batch:
    """What one batch on its way to Kafka holds: (call, index within the call) in the order of offsets."""

    __slots__ = ("entries", "since", "size")

    def __init__(self, since: float) -> None:
        self.entries: list[tuple[Call, int]] = []
        self.size = 0
        self.since = since  # time.monotonic()


class Lane:
    """One partition. At most one batch of it is out, so its records keep their order."""

    __slots__ = ("batch", "partition", "suspect", "waiting")

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.waiting: deque[tuple[Record, int, Call, int]] = deque()  # record, its size, call, index
        self.batch: Batch | None = None
        self.suspect = False  # an append ran out of time here and nothing was confirmed since

    @property
    def ready(self) -> bool:
        """Whether a batch can go out now."""
        return self.batch is None and bool(self.waiting)

    def fill(self, builder: Any, now: float, now_ms: int) -> int:
        """Move what waits into the builder until it is full and call that the batch; bytes taken from the queue.

        Appends that were answered meanwhile are left out. Without any record left there is no batch.
        """
        batch = Batch(now)
        taken = 0
        while self.waiting:
            record, size, call, index = self.waiting[0]
            if not call.over:
                if (
                    builder.append(
                        timestamp=now_ms, key=record.key, value=record.value, headers=list(record.headers)
                    )
                    is None
                ):
                    break  # full
                call.sent = True
                batch.entries.append((call, index))
                batch.size += size
            taken += size
            self.waiting.popleft()
        self.batch = batch if batch.entries else None
        return taken

    def confirm(self, base_offset: int) -> None:
        """The batch is durable from this offset on (-1: Kafka no longer knows)."""
        batch, self.batch, self.suspect = self.batch, None, False
        if batch is not None:
            for place, (call, index) in enumerate(batch.entries):
                offset = base_offset + place if base_offset >= 0 else -1
                call.confirm(index, Position(self.partition, offset))

    def lose(self, error: AppendFailed) -> None:
        """The batch failed: answer its appends."""
        batch, self.batch = self.batch, None
        if batch is not None:
            fail_all([call for call, _ in batch.entries], error)

    def refuse_waiting(self, error: AppendFailed) -> int:
        """Answer the appends that wait; bytes taken from the queue. Those partly sent get no better answer."""
        taken = sum(size for _, size, _, _ in self.waiting)
        calls = [call for _, _, call, _ in self.waiting if not call.sent]
        self.waiting = deque(entry for entry in self.waiting if entry[2].sent and not entry[2].over)
        taken -= sum(size for _, size, _, _ in self.waiting)
        fail_all(calls, error)
        return taken


def fail_all(calls: Sequence[Call], error: AppendFailed) -> None:
    """Each call gets an exception of its own: a shared one would gather everybody's traceback."""
    for call in calls:
        call.fail(type(error)(*error.args))
