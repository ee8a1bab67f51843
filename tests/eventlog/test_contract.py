"""What both engines promise, on the real thing."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from eventlog.contract import (
    MAX_RECORD_BYTES,
    AppendUnknown,
    EventLog,
    LogUnavailable,
    PositionLost,
    Record,
    RecordTooLarge,
    StoredRecord,
    Subscription,
)
from tests.eventlog.conftest import Engine
from tests.eventlog.records import ODD_HEADERS, by_key, odd_records, read_all, record, records


async def test_returned_means_readable(log: EventLog) -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    sent = records(20)
    positions = await log.append(sent, deadline_s=5)
    for each, position in zip(sent, positions, strict=True):
        stored = await log.read_at(position.partition, position.offset)
        assert stored is not None
        assert stored.record == each
        assert stored[:2] == position
        assert before <= stored.stored_at <= datetime.now(UTC)
        assert stored.stored_at.tzinfo is UTC
        assert stored.stored_at.microsecond % 1000 == 0


async def test_bytes_come_back_as_they_went_in(log: EventLog) -> None:
    odd = [
        Record(b"", b"", ()),
        Record(b"\x00\xff", bytes(range(256)) * 10, ODD_HEADERS),
        Record(b"k" * 500, b"v", (("long", b"x" * 5000),)),
    ]
    positions = await log.append(odd, deadline_s=5)
    stored = [await log.read_at(*position) for position in positions]
    assert [each.record for each in stored if each] == odd


async def test_any_record_comes_back(log: EventLog) -> None:
    # One event loop for all examples, as the log has one.
    examples: list[Record] = []

    @settings(max_examples=300, suppress_health_check=list(HealthCheck))
    @given(odd_records())
    def collect(example: Record) -> None:
        examples.append(example)

    await asyncio.to_thread(collect)
    positions = await log.append(examples, deadline_s=10)
    assert len(set(positions)) == len(examples)
    stored = {(each.partition, each.offset): each.record for each in await read_all(log)}
    assert [stored[position] for position in positions] == examples


async def test_offsets_grow_by_one_from_zero(log: EventLog) -> None:
    assert await log.append([], deadline_s=1) == []
    for part in (records(7), records(1), records(30)):
        await log.append(part, deadline_s=5)
    stored = await read_all(log)
    bounds = await log.bounds()
    assert sorted(bounds) == await log.partitions()
    for partition, (first, following) in bounds.items():
        assert first == 0
        assert [each.offset for each in stored if each.partition == partition] == list(range(following))
    assert len(stored) == 38
    assert log.counters["appended"] == 38


async def test_order_per_key_within_and_across_appends(log: EventLog) -> None:
    sent = records(300, keys=7)
    for start in range(0, 300, 60):
        await log.append(sent[start : start + 60], deadline_s=5)
    stored = by_key(await read_all(log))
    assert stored == {key: [each for each in sent if each.key == key] for key in {each.key for each in sent}}


async def test_concurrent_appends_share_commits_and_lose_nothing(log: EventLog) -> None:
    async def client(number: int) -> None:
        for turn in range(20):
            await log.append([record(turn, f"client-{number}")], deadline_s=10)

    await asyncio.gather(*(client(number) for number in range(50)))
    stored = by_key(await read_all(log))
    assert len(stored) == 50
    for sequence in stored.values():
        assert [json.loads(each.value)["n"] for each in sequence] == list(range(20))
    commits = log.counters.get("commits", 0) or log.counters["batches"]
    assert commits <= 20 * 3 * 4, "appends that wait together go together"


async def test_two_objects_write_the_same_log(engine: Engine) -> None:
    one, two = await engine.open(), await engine.open()

    async def client(log: EventLog, name: str) -> None:
        for turn in range(40):
            await log.append([record(turn, name)], deadline_s=10)

    await asyncio.gather(*(client(log, f"{n}-{i}") for i, log in enumerate((one, two)) for n in range(5)))
    stored = await read_all(one)
    assert len(stored) == 400
    for sequence in by_key(stored).values():
        assert [json.loads(each.value)["n"] for each in sequence] == list(range(40))


async def test_a_record_that_is_too_large_is_refused_and_the_largest_is_not(log: EventLog) -> None:
    largest = Record(b"key", b"x" * (MAX_RECORD_BYTES - 3), ())
    with pytest.raises(RecordTooLarge, match="exceeds the limit"):
        await log.append([record(1), Record(b"key", largest.value + b"x", ())], deadline_s=5)
    assert await read_all(log) == []
    [position] = await log.append([largest], deadline_s=10)
    stored = await log.read_at(*position)
    assert stored is not None
    assert stored.record == largest


async def test_what_is_no_record_is_refused_before_anything_is_stored(log: EventLog) -> None:
    with pytest.raises(TypeError):
        await log.append([record(1), Record("text", b"", ())], deadline_s=5)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        await log.append([Record(b"", b"", (("name", "text"),))], deadline_s=5)  # type: ignore[arg-type]
    await log.append([record(2)], deadline_s=5)
    assert [each.record for each in await read_all(log)] == [record(2)]


async def test_reading(log: EventLog) -> None:
    await log.append([record(number) for number in range(10)], deadline_s=5)
    partition = next(each.partition for each in await read_all(log))
    assert [s.offset for s in await log.read(partition, 0, max_records=3, max_wait_s=0)] == [0, 1, 2]
    assert [s.offset for s in await log.read(partition, 3, max_records=99, max_wait_s=1)] == list(
        range(3, 10)
    )
    assert [s.offset for s in await log.read(partition, 2, max_records=1, max_wait_s=1)] == [2]
    assert await log.read(partition, 10, max_records=5, max_wait_s=0) == []
    started = time.monotonic()
    assert await log.read(partition, 10, max_records=5, max_wait_s=0.3) == []
    assert 0.25 < time.monotonic() - started < 2
    with pytest.raises(PositionLost):
        await log.read(partition, 12, max_records=5, max_wait_s=0.1)
    assert await log.read_at(partition, 10) is None
    assert await log.read_at(partition, -1) is None
    assert await log.read_at(99, 0) is None
    assert (await log.bounds())[partition] == (0, 10)


async def test_a_waiting_reader_sees_what_another_process_would_append(engine: Engine) -> None:
    writer, reader = await engine.open(), await engine.open(writable=False)
    [position] = await writer.append([record(0)], deadline_s=5)
    waits: list[float] = []
    offset = position.offset + 1
    for number in range(1, 11):
        reading = asyncio.create_task(reader.read(position.partition, offset, max_records=10, max_wait_s=10))
        await asyncio.sleep(0.05)
        assert not reading.done()
        await writer.append([record(number)], deadline_s=5)
        appended = time.monotonic()
        found = await reading
        waits.append(time.monotonic() - appended)
        assert [each.record for each in found] == [record(number)]
        offset += 1
    assert sorted(waits)[5] < 0.1


READER = """
import asyncio, sys
from tests.eventlog.processes import settings_from
from eventlog.open import open_log

async def main() -> None:
    log = open_log(settings_from(sys.argv[1]), writable=False)
    await log.start()
    wanted, seen = int(sys.argv[2]), 0
    places = {partition: first for partition, (first, _) in (await log.bounds()).items()}
    async with asyncio.timeout(30):
        while seen < wanted:
            for partition in places:
                for stored in await log.read(partition, places[partition], max_records=100, max_wait_s=0.05):
                    assert stored.offset == places[partition]
                    places[partition] += 1
                    seen += 1
    await log.close()
    print(seen)

asyncio.run(main())
"""


@pytest.mark.slow
async def test_other_processes_read_while_one_writes(engine: Engine) -> None:
    log = await engine.open()
    from tests.eventlog.processes import settings_text

    command = [sys.executable, "-c", READER, settings_text(engine.settings), "400"]
    readers = [
        await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, cwd=Path.cwd())
        for _ in range(3)
    ]
    for start in range(0, 400, 20):
        await log.append([record(start + n, f"key-{n}") for n in range(20)], deadline_s=10)
        await asyncio.sleep(0.02)
    for reader in readers:
        output, _ = await reader.communicate()
        assert output.strip() == b"400"


class Member:
    """A subscriber that remembers what it was told, with positions in a dictionary instead of Postgres."""

    def __init__(self, subscription: Subscription, positions: dict[int, int]) -> None:
        self.subscription = subscription
        self.positions = positions
        self.told: list[tuple[str, tuple[int, ...]]] = []
        self.seen: list[StoredRecord] = []

    async def assigned(self, partitions: Sequence[int]) -> dict[int, int]:
        self.told.append(("assigned", tuple(partitions)))
        return {partition: self.positions.get(partition, 0) for partition in partitions}

    async def revoked(self, partitions: Sequence[int]) -> None:
        self.told.append(("revoked", tuple(partitions)))

    async def poll(self, max_records: int = 100, max_wait_s: float = 0.2) -> int:
        got = await self.subscription.poll(max_records=max_records, max_wait_s=max_wait_s)
        for partition, stored in got.items():
            assert partition in self.subscription.assignment()
            self.seen += stored
            self.positions[partition] = stored[-1].offset + 1
        return sum(map(len, got.values()))

    async def poll_until(self, count: int, timeout_s: float = 20) -> None:
        async with asyncio.timeout(timeout_s):
            while len(self.seen) < count:
                await self.poll()


@asynccontextmanager
async def member(
    log: EventLog, positions: dict[int, int], group: str = "projectors"
) -> AsyncIterator[Member]:
    async with log.subscribe(group) as subscription:
        made = Member(subscription, positions)
        await subscription.start(made.assigned, made.revoked)
        yield made


async def test_a_subscriber_starts_where_its_own_positions_say(log: EventLog) -> None:
    await log.append(records(60), deadline_s=5)
    positions: dict[int, int] = {}
    async with member(log, positions) as first:
        assert first.subscription.assignment() == set()
        await first.poll_until(60)
        await first.subscription.commit_hint({0: 1})  # a lie: hints decide nothing
        assert first.subscription.assignment() == set(await log.partitions())
    assert positions == {partition: following for partition, (_, following) in (await log.bounds()).items()}
    # Back in the middle: whatever the group once committed, the caller's positions count.
    halfway = {partition: following // 2 for partition, following in positions.items()}
    expected = 60 - sum(halfway.values())
    async with member(log, halfway) as second:
        await second.poll_until(expected)
        assert await second.poll() == 0
        await log.append(records(5), deadline_s=5)
        await second.poll_until(expected + 5)
    for partition in await log.partitions():
        offsets = [each.offset for each in second.seen if each.partition == partition]
        assert offsets == list(range(positions[partition] // 2, halfway[partition]))


async def test_seek_pause_and_resume(log: EventLog) -> None:
    await log.append([record(number) for number in range(30)], deadline_s=5)
    async with member(log, {}) as only:
        await only.poll_until(30)
        partition = only.seen[0].partition
        await only.subscription.seek(partition, 25)
        await only.poll_until(35)
        assert [each.offset for each in only.seen[30:]] == list(range(25, 30))
        only.subscription.pause([partition])
        await log.append([record(30)], deadline_s=5)
        assert await only.poll(max_wait_s=0.5) == 0
        only.subscription.resume([partition])
        await only.poll_until(36)
        assert only.seen[-1].offset == 30


async def test_a_position_outside_of_the_log_is_lost_not_guessed(log: EventLog) -> None:
    await log.append(records(10), deadline_s=5)
    async with member(log, dict.fromkeys(await log.partitions(), 1000)) as only:
        with pytest.raises(PositionLost, match="1000") as caught:
            await only.poll_until(1)
        assert caught.value.wanted == 1000
        # Not forgotten by asking again …
        with pytest.raises(PositionLost):
            await only.poll_until(1)
        # … until the caller knows better.
        only.positions = {}
        await only.poll_until(10)


async def test_an_error_of_the_callback_reaches_the_caller_and_is_tried_again(log: EventLog) -> None:
    await log.append(records(10), deadline_s=5)
    answers: list[Exception | None] = [OSError("postgres is away"), None]
    only = Member(log.subscribe("projectors"), {})

    async def assigned(partitions: Sequence[int]) -> dict[int, int]:
        if (answer := answers.pop(0) if answers else None) is not None:
            raise answer
        return await only.assigned(partitions)

    async with only.subscription:
        await only.subscription.start(assigned, only.revoked)
        with pytest.raises(OSError, match="postgres is away"):
            await only.poll_until(1)
        assert only.subscription.assignment() == set()
        await only.poll_until(10)


async def test_closing_twice_is_harmless_and_a_closed_log_says_so(engine: Engine) -> None:
    log = await engine.open()
    await log.append([record(1)], deadline_s=5)
    available = [log.available]
    await log.close()
    available.append(log.available)
    assert available == [True, False]
    with pytest.raises(LogUnavailable):
        await log.append([record(2)], deadline_s=1)
    with pytest.raises(LogUnavailable):
        await log.read(0, 0, max_records=1, max_wait_s=0)
    await log.close()


async def test_closing_answers_everybody_who_waits(engine: Engine) -> None:
    log = await engine.open()
    appends = [asyncio.create_task(log.append([record(n)], deadline_s=30)) for n in range(50)]
    await asyncio.sleep(0)
    await log.close()
    outcomes = await asyncio.wait_for(asyncio.gather(*appends, return_exceptions=True), 5)
    stored = {each.record.value for each in await read_all(await engine.open())}
    for number, outcome in enumerate(outcomes):
        if isinstance(outcome, list):
            assert record(number).value in stored
        else:
            assert isinstance(outcome, LogUnavailable | AppendUnknown)
            if isinstance(outcome, LogUnavailable):
                assert record(number).value not in stored


async def test_a_cancelled_append_disturbs_nobody(log: EventLog) -> None:
    appends = [asyncio.create_task(log.append([record(n, f"{n}")], deadline_s=5)) for n in range(40)]
    await asyncio.sleep(0)
    for each in appends[::2]:
        each.cancel()
    outcomes = await asyncio.gather(*appends, return_exceptions=True)
    assert all(isinstance(each, list) for each in outcomes[1::2])
    stored = {each.record.value for each in await read_all(log)}
    assert {record(n).value for n in range(1, 40, 2)} <= stored
    await log.append([record(99)], deadline_s=5)


async def test_a_deadline_that_has_passed_stores_nothing_or_says_unknown(log: EventLog) -> None:
    with pytest.raises((LogUnavailable, AppendUnknown)) as caught:
        await log.append([record(1)], deadline_s=0)
    [position] = await log.append([record(2)], deadline_s=5)
    stored = [each.record for each in await read_all(log)]
    assert record(2) in stored
    if isinstance(caught.value, LogUnavailable):
        assert record(1) not in stored
    assert position in [(each.partition, each.offset) for each in await read_all(log)]
