"""The SQLite engine alone: crashes, other writers, sick disks, strange files."""

import asyncio
import json
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from eventlog.contract import AppendUnknown, LogRefused, LogUnavailable, PositionLost, RecordCorrupt
from eventlog.embedded import EmbeddedLog
from eventlog.embedded.file import APPLICATION_ID
from tests.eventlog.faults import file_size_limit
from tests.eventlog.records import ODD_HEADERS, eventually, read_all, record, records

WRITER = """
import asyncio, sys
from pathlib import Path
from eventlog.embedded import EmbeddedLog
from tests.eventlog.faults import file_size_limit
from tests.eventlog.records import record

async def client(log, name, number):
    for turn in range(number, number + 100000):
        positions = await log.append([record(turn, name)] * 3, deadline_s=30)
        sys.stdout.write("".join(f"{position.offset} {name} {turn}\\n" for position in positions))
        sys.stdout.flush()

async def main():
    log = EmbeddedLog(Path(sys.argv[1]))
    await log.start()
    names = [f"{sys.argv[2]}-{n}" for n in range(int(sys.argv[3]))]
    await asyncio.gather(*(client(log, name, 0) for name in names))

asyncio.run(main())
"""


def start_writer(path: Path, name: str, clients: int = 8) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), name, str(clients)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path.cwd(),
    )


def first_line(process: subprocess.Popen[str]) -> None:
    """Wait until the writer has stored something."""
    assert process.stdout is not None
    assert process.stdout.readline()


def acknowledged(process: subprocess.Popen[str]) -> dict[int, tuple[str, int]]:
    """What the writer had been told to be durable before it died: offset -> (key, number)."""
    output, _ = process.communicate(timeout=20)
    complete = output[: output.rfind("\n") + 1]
    return {
        int(offset): (name, int(number))
        for offset, name, number in (line.split() for line in complete.splitlines())
    }


async def check_file(path: Path, promised: dict[int, tuple[str, int]]) -> int:
    """Every acknowledged record is where it was said to be, and offsets have no hole; how many records there are."""
    log = EmbeddedLog(path, create=False)
    async with log:
        stored = await read_all(log)
    assert [each.offset for each in stored] == list(range(len(stored)))
    for offset, (name, number) in promised.items():
        assert stored[offset].record == record(number, name)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
    return len(stored)


@pytest.mark.slow
async def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    promised: dict[int, tuple[str, int]] = {}
    for round_ in range(5):
        process = start_writer(path, f"round-{round_}")
        await asyncio.to_thread(first_line, process)
        await asyncio.sleep(random.uniform(0.05, 0.6))
        process.kill()
        told = acknowledged(process)
        assert told
        promised |= told
    assert await check_file(path, promised) >= len(promised)


@pytest.mark.slow
async def test_several_processes_write_and_one_of_them_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    writers = [start_writer(path, f"writer-{n}") for n in range(3)]
    await asyncio.gather(*(asyncio.to_thread(first_line, process) for process in writers))
    for process in writers:
        await asyncio.sleep(0.3)  # what came with the first line was read with it and is not told again
        process.send_signal(signal.SIGKILL)
    told = [acknowledged(process) for process in writers]
    assert all(told), "each of them had its turn"
    promised = {offset: what for one in told for offset, what in one.items()}
    assert len(promised) == sum(map(len, told)), "no offset was given twice"
    await check_file(path, promised)


async def test_another_process_that_holds_the_file_only_delays(tmp_path: Path) -> None:
    async with EmbeddedLog(tmp_path / "events.db") as log:
        await log.append([record(0)], deadline_s=5)
        with closing(sqlite3.connect(log.path, isolation_level=None)) as other:
            other.execute("begin immediate")
            late = asyncio.create_task(log.append([record(1)], deadline_s=10))
            with pytest.raises((LogUnavailable, AppendUnknown)):
                await log.append([record(2)], deadline_s=0.4)
            assert [each.record for each in await read_all(log)] == [record(0)], "readers are not delayed"
            other.execute("rollback")
        await late
        await log.append([record(3)], deadline_s=5)
        numbers = [json.loads(each.record.value)["n"] for each in await read_all(log)]
        assert [n for n in numbers if n != 2] == [0, 1, 3]
        assert numbers.count(2) <= 1


async def test_what_waits_for_the_disk_is_bounded_in_bytes(tmp_path: Path) -> None:
    async with EmbeddedLog(tmp_path / "events.db", queue_bytes=100_000) as log:
        await log.append([record(0)], deadline_s=5)
        large = record(1)._replace(value=b"x" * 30_000)
        with closing(sqlite3.connect(log.path, isolation_level=None)) as other:
            other.execute("begin immediate")
            given_up = log.submit([large], deadline_s=0.3)
            waiting = [log.submit([large], deadline_s=10) for _ in range(2)]
            for _ in range(3):
                with pytest.raises(LogUnavailable, match="than the queue holds; nothing was stored"):
                    log.submit([large], deadline_s=10)
            with pytest.raises((LogUnavailable, AppendUnknown)):
                await given_up
            await asyncio.sleep(0.5)  # the writer looks again: what was given up is no longer held
            waiting.append(log.submit([large], deadline_s=10))
            other.execute("rollback")
        places = await asyncio.gather(*waiting)
        assert [place for found in places for place in found] == [
            (stored.partition, stored.offset) for stored in (await read_all(log))[-3:]
        ]
        assert log.counters["append_unavailable"] >= 3
        for _ in range(10):
            await log.append([large], deadline_s=5)  # nothing is held any more


async def test_a_full_disk_is_said_clearly_and_forgotten_when_there_is_room(tmp_path: Path) -> None:
    async with EmbeddedLog(tmp_path / "events.db") as log:
        kept = records(3)
        await log.append(kept, deadline_s=5)
        with file_size_limit(64 * 1024):
            outcomes: list[BaseException] = []
            for number in range(20):
                try:
                    await log.append([record(number, size=10_000)], deadline_s=5)
                except (LogUnavailable, AppendUnknown) as error:
                    outcomes.append(error)
                else:
                    kept.append(record(number, size=10_000))
            assert len(outcomes) >= 10
            assert "cannot write the event log" in str(outcomes[0])
            assert len(await read_all(log)) >= len(kept), "reading goes on"
        await log.append([record(99)], deadline_s=5)
        kept.append(record(99))
        stored = [each.record for each in await read_all(log)]
        unknown = sum(isinstance(error, AppendUnknown) for error in outcomes)
        assert [each for each in stored if each in kept] == kept
        assert len(stored) <= len(kept) + unknown
        assert log.counters["commit_failures"] == len(outcomes)


async def test_a_file_that_was_moved_away_takes_no_more_acknowledgements(tmp_path: Path) -> None:
    async with EmbeddedLog(tmp_path / "events.db") as log:
        await log.append([record(1)], deadline_s=5)
        for suffix in ("", "-wal", "-shm"):
            (tmp_path / f"events.db{suffix}").rename(tmp_path / f"moved.db{suffix}")
        with pytest.raises(LogUnavailable, match="unable to open"):
            await log.append([record(2)], deadline_s=5)
        for suffix in ("", "-wal", "-shm"):
            part = tmp_path / f"moved.db{suffix}"
            if part.exists():
                part.rename(tmp_path / f"events.db{suffix}")
        await log.append([record(3)], deadline_s=5)
    async with EmbeddedLog(tmp_path / "events.db") as again:
        assert [each.record for each in await read_all(again)] == [record(1), record(3)]


async def test_a_log_that_cannot_be_opened_now_opens_by_itself(tmp_path: Path) -> None:
    log = EmbeddedLog(tmp_path / "events.db")
    with file_size_limit(1000), pytest.raises(LogUnavailable):
        await log.start()
    with pytest.raises(LogUnavailable):
        await log.append([record(1)], deadline_s=1)
    await eventually(lambda: log.available)
    await log.append([record(2)], deadline_s=5)
    await log.close()


async def test_files_that_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LogRefused, match="there is no event log"):
        await EmbeddedLog(tmp_path / "missing.db", create=False).start()
    assert not (tmp_path / "missing.db").exists()

    text = tmp_path / "text.db"
    text.write_text("no database at all, but long enough to be read as the header of one" * 20)
    with pytest.raises(LogRefused, match="no SQLite file"):
        await EmbeddedLog(text).start()

    foreign = tmp_path / "foreign.db"
    with closing(sqlite3.connect(foreign)) as connection:
        connection.execute("create table mine (x)")
        connection.commit()
    with pytest.raises(LogRefused, match="another program"):
        await EmbeddedLog(foreign).start()

    newer = tmp_path / "newer.db"
    async with EmbeddedLog(newer):
        pass
    with closing(sqlite3.connect(newer)) as connection:
        connection.execute("pragma user_version = 99")
    with pytest.raises(LogRefused, match="newer Leadfold"):
        await EmbeddedLog(newer).start()

    with pytest.raises(LogRefused, match="not a file"):
        await EmbeddedLog(tmp_path).start()
    with pytest.raises(LogRefused, match="cannot make the folder"):
        await EmbeddedLog(text / "below" / "events.db").start()


async def test_a_damaged_header_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    async with EmbeddedLog(path) as log:
        await log.append(records(50), deadline_s=5)
    content = bytearray(path.read_bytes())
    content[100:4096] = random.Random(1).randbytes(3996)  # page 1: the schema
    path.write_bytes(content)
    with pytest.raises(LogRefused, match="cannot open"):
        await EmbeddedLog(path).start()


async def test_several_objects_may_make_the_same_file_at_once(tmp_path: Path) -> None:
    logs = [EmbeddedLog(tmp_path / "new" / "events.db") for _ in range(8)]
    await asyncio.gather(*(log.start() for log in logs))
    await asyncio.gather(*(log.append([record(n)], deadline_s=10) for n, log in enumerate(logs)))
    assert len(await read_all(logs[0])) == 8
    for log in logs:
        await log.close()


async def test_a_rotten_row_is_noticed_and_the_rest_is_readable(tmp_path: Path) -> None:
    async with EmbeddedLog(tmp_path / "events.db") as log:
        await log.append(records(10), deadline_s=5)
        with closing(sqlite3.connect(log.path, isolation_level=None)) as other:
            other.execute("update records set value = x'7b7d' where position = 4")
            other.execute("delete from records where position = 7")
            other.execute("update records set headers = 'text' where position = 9")
        assert [s.offset for s in await log.read(0, 0, max_records=100, max_wait_s=0)] == [0, 1, 2]
        for offset, reason in ((3, "checksum"), (6, "missing"), (8, "type")):
            with pytest.raises(RecordCorrupt, match=reason) as caught:
                await log.read(0, offset, max_records=100, max_wait_s=0)
            assert caught.value.offset == offset
        assert [s.offset for s in await log.read(0, 4, max_records=100, max_wait_s=0)] == [4, 5]
        with pytest.raises(RecordCorrupt):
            await log.read_at(0, 3)


async def test_offsets_are_never_used_twice(tmp_path: Path) -> None:
    async with EmbeddedLog(tmp_path / "events.db") as log:
        await log.append(records(5), deadline_s=5)
        with closing(sqlite3.connect(log.path, isolation_level=None)) as other:
            other.execute("delete from records")
        assert await log.bounds() == {0: (5, 5)}
        with pytest.raises(PositionLost):
            await log.read(0, 4, max_records=1, max_wait_s=0)
        [position] = await log.append([record(1)], deadline_s=5)
        assert position.offset == 5


async def test_the_file_is_readable_with_sqlite_alone(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    async with EmbeddedLog(path) as log:
        await log.append([record(7)._replace(headers=ODD_HEADERS)], deadline_s=5)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("pragma application_id").fetchone()[0] == APPLICATION_ID
        assert connection.execute("pragma journal_mode").fetchone()[0] == "wal"
        headers = connection.execute("select headers from records").fetchone()[0]
    assert json.loads(headers)[:3] == [["ce_id", "1"], ["ce_id", "again"], ["имя", "значение"]]


async def test_large_answers_are_cut_into_pieces(tmp_path: Path) -> None:
    async with EmbeddedLog(tmp_path / "events.db") as log:
        for _ in range(3):
            await log.append([record(n, size=1_000_000) for n in range(8)], deadline_s=20)
        first = await log.read(0, 0, max_records=1000, max_wait_s=0)
        assert 16 <= len(first) < 24
        rest = await log.read(0, len(first), max_records=1000, max_wait_s=0)
        assert len(first) + len(rest) == 24


@pytest.mark.slow
async def test_group_commit_keeps_up_beside_a_busy_loop(tmp_path: Path) -> None:
    """One commit per append would be 0.2-0.6 ms each at best; under load they must share."""
    async with EmbeddedLog(tmp_path / "events.db") as log:

        async def client() -> None:
            for _ in range(100):
                await log.append([record(1, size=1000)], deadline_s=30)

        started = time.monotonic()
        await asyncio.gather(*(client() for _ in range(64)))
        took = time.monotonic() - started
        assert log.counters["appended"] == 6400
        assert log.counters["commits"] <= 1600
        assert took < 20


async def test_appends_of_one_turn_of_the_loop_share_commits(tmp_path: Path) -> None:
    async with EmbeddedLog(tmp_path / "events.db") as log:
        await log.append([record(0)], deadline_s=10)
        before = log.counters["commits"]
        waiting = [log.submit([record(number)], deadline_s=10) for number in range(1, 9)]
        assert [where.offset for future in waiting for where in await future] == list(range(1, 9))
        assert log.counters["commits"] == before + 1
        # more than a handful do not wait for the turn to end, and what is left when the log closes is stored
        left = [log.submit([record(number)], deadline_s=10) for number in range(9, 59)]
    assert [where.offset for future in left for where in future.result()] == list(range(9, 59))
