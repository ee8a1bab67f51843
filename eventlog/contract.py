"""What a log promises, whichever engine stores it (design §3, §4).

A log is a set of partitions, each a sequence of immutable records with offsets that grow by one. Both engines keep
the same bytes: a `Record` read from one and appended to the other is the same record. One suite,
``tests/eventlog/test_contract.py``, holds both to these promises.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import chain
from types import TracebackType
from typing import Literal, NamedTuple, Self

Headers = tuple[tuple[str, bytes], ...]

#: Largest key + value + headers of one record in bytes. The same for both engines, so that what one took the other takes.
MAX_RECORD_BYTES = 4 * 1024 * 1024


class Record(NamedTuple):
    """What an engine stores, byte for byte. Records with equal keys stay in the order in which they were appended."""

    key: bytes
    value: bytes
    headers: Headers


class StoredRecord(NamedTuple):
    """A record and where it lies. ``stored_at`` is UTC in milliseconds, by the clock of the process that appended."""

    partition: int
    offset: int
    stored_at: datetime
    record: Record


class Position(NamedTuple):
    """Where an appended record lies. ``offset`` is -1 when Kafka confirmed the record but no longer knew its place."""

    partition: int
    offset: int


class LogError(Exception):
    """Anything a log has to say; the text is for the operator."""


class LogRefused(LogError):
    """The log must not be used as it is (missing topic, finite retention, not our file …). Trying again is useless."""


class AppendFailed(LogError):
    """An append did not return. ``stored`` says whether the records may be in the log nevertheless."""

    stored: Literal["no", "unknown"] = "no"


class LogUnavailable(AppendFailed):
    """The log does not answer. Raised by an append that surely stored nothing, and by reads."""


class RecordTooLarge(AppendFailed):
    """The record exceeds the limit of the log; it will never be taken. Nothing of that append was stored."""


class AppendUnknown(AppendFailed):
    """No confirmation in time: the records may be stored, now or a little later, all of them or some.

    Appending the same records again is right: readers drop doubles by event id.
    """

    stored = "unknown"


class PositionLost(LogError):
    """A reader asked for an offset that the log does not have: before the first or beyond the next one."""

    def __init__(self, partition: int, wanted: int, first: int, following: int) -> None:
        super().__init__(
            f"partition {partition}: position {wanted} is outside of what the log has ({first} to {following}): "
            "records were deleted, or the position belongs to another log. Point [log] to the log that these read "
            "models were made from, or make them anew from this one: leadfold rebuild"
        )
        self.partition = partition
        self.wanted = wanted
        self.first = first
        self.following = following


class RecordCorrupt(LogError):
    """One stored record cannot be read. Others can: go on at ``offset + 1``."""

    def __init__(self, partition: int, offset: int, reason: str) -> None:
        super().__init__(f"partition {partition}, offset {offset}: {reason}")
        self.partition = partition
        self.offset = offset
        self.reason = reason


OnAssigned = Callable[[Sequence[int]], Awaitable[Mapping[int, int]]]
OnRevoked = Callable[[Sequence[int]], Awaitable[None]]


class Subscription(ABC):
    """One member of a group that shares the partitions of a log. Positions are the caller's (Postgres), never Kafka's.

    Both callbacks run inside `poll` and nowhere else, so a caller that works between two polls is never disturbed:
    when partitions are to be taken away, the engine waits (bounded) for the next poll. Poll at least every few seconds.

    ``on_assigned`` gets the partitions that are now ours and returns the offset to start from for each. If it raises,
    `poll` raises the same and the next poll asks again. ``on_revoked`` gets partitions that are no longer ours; it is not
    called by `close`. A member that was cut off learns of it late: correctness needs a fence (an epoch beside the
    position).
    """

    @abstractmethod
    async def start(self, on_assigned: OnAssigned, on_revoked: OnRevoked) -> None:
        """Join the group. Raises LogUnavailable when the log does not answer."""

    @abstractmethod
    async def poll(self, *, max_records: int, max_wait_s: float) -> dict[int, list[StoredRecord]]:
        """The next records by partition, in offset order; empty when none came within ``max_wait_s``.

        An empty answer is also what a log that is away looks like; `EventLog.bounds` tells the difference.

        Raises:
            PositionLost: a start offset lies outside of the log.
            RecordCorrupt: the next record of a partition cannot be read; `seek` past it to go on.
            LogUnavailable: the embedded file cannot be read now, or Kafka refuses this member; nothing was skipped.
        """

    @abstractmethod
    def pause(self, partitions: Iterable[int]) -> None:
        """Give no records of these until `resume`; an assignment ends the pause. Those not ours are ignored."""

    @abstractmethod
    def resume(self, partitions: Iterable[int]) -> None:
        """End a pause."""

    @abstractmethod
    async def seek(self, partition: int, offset: int) -> None:
        """The next poll gives ``partition`` from ``offset``."""

    @abstractmethod
    async def commit_hint(self, offsets: Mapping[int, int]) -> None:
        """Tell lag tools the next offset to be read by partition. Never raises: nothing depends on it."""

    @abstractmethod
    def assignment(self) -> set[int]:
        """Partitions whose ``on_assigned`` has been answered and that were not taken away since."""

    @abstractmethod
    async def close(self) -> None:
        """Leave the group. Bounded in time."""

    async def __aenter__(self) -> Self:
        """Nothing happens yet: `start` needs the callbacks."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        await self.close()


class EventLog(ABC):
    """The log. One object belongs to one event loop; `start` before anything else, `close` at the end."""

    #: "embedded" or "kafka"
    engine: str

    @abstractmethod
    async def start(self) -> None:
        """Open the log and check that it may be used.

        Raises:
            LogRefused: it must not be used; the text says why and what to do.
            LogUnavailable: no answer in time. A log opened for writing goes on trying in the background: appends
                raise LogUnavailable until it answers, so a caller with a spool may go on. Closing is still due.
        """

    @abstractmethod
    async def close(self) -> None:
        """Let what is under way finish for a moment, then let go. Bounded in time even when nothing answers."""

    async def append(self, records: Sequence[Record], *, deadline_s: float) -> list[Position]:
        """Store the records; returns their places when every one is durable (fsync, or acks=all).

        Calls running at the same time share one commit. Records of one call and one key stay in order; a call that
        begins after another returned comes after it. ``deadline_s`` is seconds from now.

        Raises:
            LogUnavailable: surely nothing was stored.
            RecordTooLarge: surely nothing was stored, and it never will be.
            AppendUnknown: no confirmation within ``deadline_s``, or the confirmation was lost.
        """
        return await self.submit(records, deadline_s=deadline_s)

    @abstractmethod
    def submit(self, records: Sequence[Record], *, deadline_s: float) -> asyncio.Future[list[Position]]:
        """Begin an `append` and do not wait: the future ends as `append` does, within ``deadline_s`` and a little.

        For callers with thousands of appends under way, who need no task for each. Cancelling the future withdraws
        the records if they still wait. What is refused at once is raised here.
        """

    @abstractmethod
    async def identity(self, *, max_age_s: float = 0.0) -> str:
        """What tells this log from every other one, for as long as it lives; an answer up to ``max_age_s`` old will do.

        Copies of an embedded file have the identity of the file: what was appended to them since tells them apart. Empty
        when it is not known (a file of an earlier version on a disk that takes nothing). Compare with
        `eventlog.identity.same_log`. No secrets.

        Raises:
            LogUnavailable: the log does not answer. LogRefused: there is no such topic.
        """

    @abstractmethod
    async def partitions(self) -> list[int]:
        """Numbers of the partitions, ascending."""

    @abstractmethod
    async def bounds(self) -> dict[int, tuple[int, int]]:
        """By partition: the first offset that can be read, and the next one to be written (equal when empty)."""

    @abstractmethod
    async def read(
        self, partition: int, offset: int, *, max_records: int, max_wait_s: float
    ) -> list[StoredRecord]:
        """Records of ``partition`` from ``offset`` on, in order; empty when none came within ``max_wait_s``.

        May give fewer than ``max_records``: an answer is also bounded in bytes.

        Raises:
            PositionLost: ``offset`` lies outside of the log.
            RecordCorrupt: the record at ``offset`` cannot be read.
            LogUnavailable: the log does not answer.
        """

    @abstractmethod
    async def read_at(self, partition: int, offset: int) -> StoredRecord | None:
        """The record at exactly this place, None when there is none. Raises as `read` does, but for PositionLost."""

    @abstractmethod
    def subscribe(self, group: str) -> Subscription:
        """A new member of ``group``; not started yet."""

    @property
    @abstractmethod
    def place(self) -> str:
        """Where the log is, for people: a path, or servers and topic. No secrets."""

    @property
    @abstractmethod
    def available(self) -> bool:
        """Whether an append now has a chance. When False it fails at once, so asking first is not needed."""

    @property
    @abstractmethod
    def counters(self) -> Mapping[str, int]:
        """Totals since the object was made, by name; for the metrics registry of the caller."""

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        await self.close()


def record_bytes(record: Record) -> int:
    """Size of key, value and headers in bytes, the measure of `MAX_RECORD_BYTES`."""
    return len(record.key) + len(record.value) + sum(map(len, chain.from_iterable(record.headers)))


def check_records(records: Sequence[Record], limit: int) -> list[int]:
    """Sizes of the records in bytes, as `record_bytes` counts.

    Raises:
        RecordTooLarge: one of them exceeds ``limit``.
        TypeError: key, value or a header is not what `Record` says; an engine must not find out half-way.
    """
    sizes = []
    for key, value, headers in records:
        if type(key) is not bytes or type(value) is not bytes:
            raise TypeError("key and value of a record are bytes")
        # Joined, because that checks the types and adds up the lengths without a loop in Python.
        names = "".join([name for name, _ in headers])
        values = b"".join([content for _, content in headers])
        size = len(key) + len(value) + len(names) + len(values)
        if size > limit:
            raise RecordTooLarge(f"a record of {size} bytes exceeds the limit of the log, {limit} bytes")
        sizes.append(size)
    return sizes
