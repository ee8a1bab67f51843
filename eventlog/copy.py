"""Copy a log into another one, of the same or the other engine: records byte for byte, order per key kept."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import orjson

from eventlog.contract import EventLog, LogError, LogRefused, PositionLost, Record
from eventlog.identity import same_log

#: The longest one batch may take to be stored, seconds.
_DEADLINE_S = 60.0


@dataclass(frozen=True, slots=True)
class CopyProgress:
    """How far a copy has come, in records. ``skipped`` were found in the target already."""

    copied: int
    skipped: int
    total: int


async def copy_log(
    source: EventLog,
    target: EventLog,
    *,
    state_path: Path | None = None,
    batch: int = 1000,
    progress: Callable[[CopyProgress], None] | None = None,
) -> CopyProgress:
    """Copy everything that is in ``source`` now to the end of ``target``; both are started.

    Partition by partition, so records of one key keep their order. With ``state_path`` the positions reached are kept
    in that small file: a copy that was cut off goes on from there, and the batch that it may have stored without
    remembering is recognised at the end of ``target`` and skipped (unless others write there too: then that batch
    is stored twice, which readers drop by event id). Copying again later copies what has come since.

    Raises:
        LogRefused: the state file belongs to another pair of logs (also: a topic or file that was made again in the
            same place), or cannot be read.
        LogUnavailable, AppendUnknown: a log does not answer; call again to go on.
        RecordTooLarge: the target does not take a record.
        RecordCorrupt: the source cannot be read at some place.
    """
    bounds = await source.bounds()
    state = _State.load(state_path, pair=f"{_name(source)} -> {_name(target)}")
    state.belongs_to(await source.identity(), await target.identity())
    for partition, (first, following) in bounds.items():
        reached = state.positions.setdefault(partition, first)
        if not first <= reached <= following:
            raise PositionLost(partition, reached, first, following)
    await asyncio.to_thread(
        state.save
    )  # before the first record: a crash in the first batch is found out as well
    total = sum(following - state.positions[partition] for partition, (_, following) in bounds.items())
    copied = skipped = 0
    tail = await _tail(target, batch) if state.resumed else Counter[Record]()
    for partition, (_, following) in bounds.items():
        first_batch = True
        while (offset := state.positions[partition]) < following:
            found = await source.read(
                partition, offset, max_records=min(batch, following - offset), max_wait_s=5.0
            )
            if not found:
                raise LogError(f"partition {partition} gives nothing from offset {offset}")
            records = [each.record for each in found]
            if first_batch:
                records = _without(records, tail)
                skipped += len(found) - len(records)
                first_batch = False
            await target.append(records, deadline_s=_DEADLINE_S)
            copied += len(records)
            state.positions[partition] = found[-1].offset + 1
            await asyncio.to_thread(state.save)
            if progress is not None:
                progress(CopyProgress(copied, skipped, total))
    return CopyProgress(copied, skipped, total)


def _without(records: list[Record], there: Counter[Record]) -> list[Record]:
    """Those records that are not ``there`` yet, each counted as often as it is."""
    missing = []
    for record in records:
        if there[record] > 0:
            there[record] -= 1
        else:
            missing.append(record)
    return missing


async def _tail(target: EventLog, batch: int) -> Counter[Record]:
    """The last records of every partition of the target: whatever the last batch of a copy was, it is in there."""
    found: Counter[Record] = Counter()
    for partition, (first, following) in (await target.bounds()).items():
        offset = max(first, following - batch)
        while offset < following:
            records = await target.read(partition, offset, max_records=following - offset, max_wait_s=5.0)
            if not records:
                break
            found.update(each.record for each in records)
            offset = records[-1].offset + 1
    return found


class _State:
    """The file with the positions reached."""

    def __init__(self, path: Path | None, pair: str, positions: dict[int, int], *, resumed: bool) -> None:
        self.path = path
        self.pair = pair
        self.positions = positions
        self.resumed = resumed
        self.logs: list[str] = []  # identities of source and target

    @classmethod
    def load(cls, path: Path | None, pair: str) -> _State:
        if path is None or not path.exists():
            return cls(path, pair, {}, resumed=False)
        try:
            given = orjson.loads(path.read_bytes())
            positions = {int(partition): int(offset) for partition, offset in given["positions"].items()}
            of = given["copy"]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise LogRefused(f"cannot read the state of the copy, {path}: {error}") from error
        if of != pair:
            raise LogRefused(f"{path} is the state of another copy: {of}")
        state = cls(path, pair, positions, resumed=True)
        state.logs = [str(each) for each in given.get("logs", ())]
        return state

    def belongs_to(self, *logs: str) -> None:
        """Remember the identities of source and target; LogRefused when they were others."""
        for before, now in zip(self.logs, logs, strict=False):
            if not same_log(before, now):
                raise LogRefused(
                    f"{self.path} is the state of a copy of other logs in the same places ({before}, and now {now}): "
                    "delete it to copy everything from the beginning"
                )
        self.logs = list(logs)

    def save(self) -> None:
        if self.path is None:
            return
        text = orjson.dumps(
            {
                "copy": self.pair,
                "logs": self.logs,
                "positions": {str(key): value for key, value in self.positions.items()},
            },
            option=orjson.OPT_INDENT_2,
        )
        fresh = self.path.with_name(self.path.name + ".new")
        with fresh.open("wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.path)


def _name(log: EventLog) -> str:
    return f"{log.engine}:{log.place}"
