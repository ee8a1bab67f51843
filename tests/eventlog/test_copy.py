"""Copies between engines: the same bytes, the same order per key, resumed where they were cut off."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from eventlog.contract import EventLog, LogRefused, LogUnavailable, Position, PositionLost, Record
from eventlog.copy import CopyProgress, copy_log
from eventlog.embedded import EmbeddedLog
from tests.eventlog.conftest import Engine, kafka_engine
from tests.eventlog.records import ODD_HEADERS, by_key, read_all, record, records


@pytest.fixture
async def source(tmp_path: Path) -> AsyncIterator[EmbeddedLog]:
    async with EmbeddedLog(tmp_path / "source.db") as log:
        odd = [Record(b"odd", bytes(range(256)), ODD_HEADERS), Record(b"", b"", ())]
        await log.append(records(500, keys=11) + odd, deadline_s=10)
        yield log


async def records_of(log: EventLog) -> dict[bytes, list[Record]]:
    return by_key(await read_all(log))


async def test_there_and_back_gives_the_same_bytes(
    engine: Engine, source: EmbeddedLog, tmp_path: Path
) -> None:
    there = await engine.open()
    seen: list[CopyProgress] = []
    result = await copy_log(source, there, batch=100, progress=seen.append)
    assert result == CopyProgress(copied=502, skipped=0, total=502)
    assert seen[-1] == result
    assert [each.copied for each in seen] == sorted(each.copied for each in seen)
    assert await records_of(there) == await records_of(source)
    async with EmbeddedLog(tmp_path / "back.db") as back:
        await copy_log(there, back, batch=64)
        assert await records_of(back) == await records_of(source)


@pytest.mark.kafka
async def test_from_one_topic_to_another_with_more_partitions(
    source: EmbeddedLog, kafka_bootstrap: str
) -> None:
    engines = [await kafka_engine(kafka_bootstrap, partitions) for partitions in (2, 5)]
    small, large = [await engine.open() for engine in engines]
    await copy_log(source, small)
    await copy_log(small, large)
    assert await records_of(large) == await records_of(source)
    for engine in engines:
        await engine.close()


class Cut(Exception):
    """The process ends here."""


@pytest.mark.parametrize("at", [0, 1, 3, 4])
async def test_a_copy_that_was_cut_off_goes_on(
    engine: Engine, source: EmbeddedLog, tmp_path: Path, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off after a batch was stored and before that was written down: the worst moment."""
    state = tmp_path / "copy.json"
    target = await engine.open()
    append = target.append
    calls = 0

    async def cut(batch: Sequence[Record], *, deadline_s: float) -> list[Position]:
        nonlocal calls
        positions = await append(batch, deadline_s=deadline_s)
        if calls == at:
            raise Cut
        calls += 1
        return positions

    monkeypatch.setattr(target, "append", cut)
    with pytest.raises(Cut):
        await copy_log(source, target, state_path=state, batch=100)
    monkeypatch.undo()
    assert len(await read_all(target)) == 100 * (at + 1)
    result = await copy_log(source, target, state_path=state, batch=100)
    assert result.skipped == 100
    assert await records_of(target) == await records_of(source)
    # Later, what has come since.
    await source.append([record(1000, "late")], deadline_s=5)
    assert await copy_log(source, target, state_path=state) == CopyProgress(1, 0, 1)
    assert await records_of(target) == await records_of(source)
    assert (await copy_log(source, target, state_path=state)).total == 0


async def test_a_state_of_another_copy_is_refused(source: EmbeddedLog, tmp_path: Path) -> None:
    state = tmp_path / "copy.json"
    async with EmbeddedLog(tmp_path / "target.db") as target:
        await copy_log(source, target, state_path=state)
        async with EmbeddedLog(tmp_path / "other.db") as other:
            with pytest.raises(LogRefused, match="another copy"):
                await copy_log(source, other, state_path=state)
        given = json.loads(state.read_text())
        given["positions"]["0"] = 10_000
        state.write_text(json.dumps(given))
        with pytest.raises(PositionLost):
            await copy_log(source, target, state_path=state)
        state.write_text("{")
        with pytest.raises(LogRefused, match="cannot read the state"):
            await copy_log(source, target, state_path=state)


async def test_a_log_that_is_away_stops_the_copy_with_a_clear_error(
    source: EmbeddedLog, tmp_path: Path
) -> None:
    target = EmbeddedLog(tmp_path / "target.db")
    with pytest.raises(LogUnavailable):
        await asyncio.wait_for(copy_log(source, target), 5)
    await target.close()
