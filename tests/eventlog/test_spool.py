"""The spool and what ships it: in order, nothing lost, nothing in the way of the rest."""

import asyncio
import json
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from eventlog.contract import (
    AppendFailed,
    AppendUnknown,
    LogRefused,
    LogUnavailable,
    Position,
    Record,
    RecordTooLarge,
    StoredRecord,
)
from eventlog.drainer import Drainer
from eventlog.embedded import EmbeddedLog
from eventlog.spool import Spool, SpoolFull
from tests.eventlog.faults import file_size_limit
from tests.eventlog.records import eventually, read_all, record, records


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[Spool]:
    async with Spool(tmp_path / "spool.db") as opened:
        yield opened


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator["FlakyLog"]:
    async with FlakyLog(tmp_path / "events.db", max_record_bytes=5_000) as opened:
        yield opened


class FlakyLog(EmbeddedLog):
    """The real log, with outcomes that come from outside put before or after its own."""

    refuse = 0  # next appends that are not even tried
    forget = 0  # next appends that are stored without a confirmation

    async def append(self, records: Sequence[Record], *, deadline_s: float) -> list[Position]:
        if self.refuse:
            self.refuse -= 1
            raise LogUnavailable("away")
        positions = await super().append(records, deadline_s=deadline_s)
        if self.forget:
            self.forget -= 1
            raise AppendUnknown("stored, and the answer lost")
        return positions


def damaged_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("spool.db.damaged-*"))


def spool_files(folder: Path) -> set[Path]:
    return set(folder.glob("spool*"))


async def drained(spool: Spool, drainer: Drainer, timeout_s: float = 10) -> None:
    task = asyncio.create_task(drainer.run())
    await eventually(lambda: not spool.depth, timeout_s)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_put_is_durable_counted_and_found_again(tmp_path: Path) -> None:
    async with Spool(tmp_path / "spool.db") as spool:
        assert (spool.depth, spool.bytes, spool.oldest_age_s()) == (0, 0, None)
        await spool.put(records(3), deadline_s=5)
        await spool.put(records(2), deadline_s=5)
        counted = (spool.depth, spool.bytes)
        age = spool.oldest_age_s()
        assert age is not None
        assert 0 <= age < 5
    async with Spool(tmp_path / "spool.db") as again:
        assert (again.depth, again.bytes) == counted
        assert counted[0] == 5
        assert again.oldest_age_s() is not None
        assert [each.record for each in await again.head(10)] == records(3) + records(2)


async def test_a_spool_has_one_owner(spool: Spool) -> None:
    with pytest.raises(LogRefused, match="in use by another process"):
        await Spool(spool.path).start()
    await spool.put([record(1)], deadline_s=5)


async def test_a_full_spool_says_so_and_takes_again_when_there_is_room(tmp_path: Path, log: FlakyLog) -> None:
    async with Spool(tmp_path / "spool.db", max_bytes=5_000) as spool:
        await spool.put([record(n, size=1000) for n in range(4)], deadline_s=5)
        assert spool.available
        with pytest.raises(SpoolFull):
            await spool.put([record(5, size=1000)], deadline_s=5)
        assert spool.depth == 4
        await spool.put([record(6)], deadline_s=5)
        await drained(spool, Drainer(spool, log))
        assert (spool.depth, spool.bytes) == (0, 0)
        await spool.put([record(7, size=4000)], deadline_s=5)


async def test_what_was_put_is_shipped_in_order(spool: Spool, log: FlakyLog) -> None:
    log.refuse = 2
    drainer = Drainer(spool, log, batch=7)
    task = asyncio.create_task(drainer.run())
    sent = records(50)
    for each in sent:
        await spool.put([each], deadline_s=5)
    await eventually(lambda: not spool.depth)
    task.cancel()
    assert [each.record for each in await read_all(log)] == sent
    assert drainer.counters == {"shipped": 50, "ship_failures": 2, "set_aside": 0}
    assert spool.oldest_age_s() is None
    assert await spool.head(10) == []


async def test_a_lost_confirmation_ships_twice_and_in_order(spool: Spool, log: FlakyLog) -> None:
    await spool.put(records(5), deadline_s=5)
    log.forget = 1
    drainer = Drainer(spool, log)
    with pytest.raises(AppendUnknown):
        await drainer.ship()
    assert spool.depth == 5
    await drained(spool, drainer)
    assert [each.record for each in await read_all(log)] == records(5) * 2, "doubles, with the same ids"


async def test_a_record_the_log_never_takes_is_set_aside(spool: Spool, log: FlakyLog) -> None:
    sent = [record(0), record(1, size=6_000), record(2), record(3, size=7_000), record(4)]
    await spool.put(sent, deadline_s=5)
    drainer = Drainer(spool, log)
    await drained(spool, drainer)
    assert [each.record for each in await read_all(log)] == [sent[0], sent[2], sent[4]]
    assert drainer.counters == {"shipped": 3, "ship_failures": 0, "set_aside": 2}
    with closing(sqlite3.connect(spool.path)) as connection:
        rows = connection.execute("select value, reason from set_aside order by position").fetchall()
    assert [row[0] for row in rows] == [sent[1].value, sent[3].value]
    assert "exceeds the limit" in rows[0][1]


async def test_a_torn_record_is_set_aside_and_the_rest_is_shipped(spool: Spool, log: FlakyLog) -> None:
    await spool.put(records(10), deadline_s=5)
    with closing(sqlite3.connect(spool.path, isolation_level=None)) as other:
        other.execute("update records set value = substr(value, 1, 3) where position in (1, 5)")
        other.execute("update records set headers = x'ff' where position = 10")
    drainer = Drainer(spool, log, batch=4)
    await drained(spool, drainer)
    assert [json.loads(s.record.value)["n"] for s in await read_all(log)] == [1, 2, 3, 5, 6, 7, 8]
    assert drainer.counters["set_aside"] == 3


async def test_a_row_whose_moment_is_torn_keeps_nobody_from_starting_and_shipping(
    tmp_path: Path, log: FlakyLog
) -> None:
    path = tmp_path / "spool.db"
    await fill(path, 3)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("update records set stored_at = -stored_at * 1000 where position = 1")
        other.execute("update records set stored_at = 'torn' where position = 2")
    async with Spool(path) as spool:
        assert spool.oldest_age_s()
        drainer = Drainer(spool, log)
        await drained(spool, drainer)
    assert [json.loads(s.record.value)["n"] for s in await read_all(log)] == [2]
    assert drainer.counters["set_aside"] == 2


async def test_rows_that_are_gone_are_counted_anew_instead_of_waited_for(spool: Spool, log: FlakyLog) -> None:
    await spool.put(records(3), deadline_s=5)
    with closing(sqlite3.connect(spool.path, isolation_level=None)) as other:
        other.execute("delete from records")
    await drained(spool, Drainer(spool, log))
    assert (spool.bytes, spool.oldest_age_s()) == (0, None)
    assert not await spool.wait_for_records(0)


async def test_whatever_happens_the_drainer_goes_on(
    spool: Spool, log: FlakyLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    await spool.put(records(2), deadline_s=5)
    drainer, head = Drainer(spool, log), spool.head

    async def unforeseen(max_records: int) -> list[StoredRecord]:
        monkeypatch.setattr(spool, "head", head)
        raise ZeroDivisionError

    monkeypatch.setattr(spool, "head", unforeseen)
    await drained(spool, drainer)
    assert drainer.counters["ship_failures"] == 1
    assert len(await read_all(log)) == 2


async def fill(path: Path, count: int) -> list[Record]:
    sent = [record(n, size=700) for n in range(count)]
    async with Spool(path) as spool:
        for start in range(0, count, 100):
            await spool.put(sent[start : start + 100], deadline_s=5)
    return sent


async def test_a_page_torn_out_of_the_middle_costs_only_its_own_records(
    tmp_path: Path, log: FlakyLog
) -> None:
    path = tmp_path / "spool.db"
    sent = await fill(path, 400)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 4096] = b"\x07" * 4096
    path.write_bytes(content)
    async with Spool(path) as spool:
        drainer = Drainer(spool, log)
        await drained(spool, drainer)
        stored = [each.record for each in await read_all(log)]
        assert 380 <= len(stored) < 400
        assert stored == [each for each in sent if each in stored]
        assert len(stored) + drainer.counters["set_aside"] == 400
        await spool.put([record(1)], deadline_s=5)
    damaged = damaged_files(tmp_path)
    assert damaged
    assert spool_files(tmp_path) - set(damaged) == {path, tmp_path / "spool.db.lock"}, "the copy left nothing"


async def test_a_file_that_is_no_database_any_more_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    await fill(path, 10)
    path.write_bytes(b"\x00garbage" * 5000)
    async with Spool(path) as spool:
        assert spool.depth == 0
        assert spool.set_aside == 1
        await spool.put([record(1)], deadline_s=5)
        assert spool.depth == 1
    [damaged] = damaged_files(tmp_path)
    assert damaged.read_bytes().startswith(b"\x00garbage")


async def test_of_a_file_that_nobody_can_read_it_is_not_said_that_something_was_lost(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    async with Spool(path):
        pass
    path.write_bytes(b"\x00garbage" * 5000)
    with capture_logs() as told:
        async with Spool(path) as spool:
            assert spool.set_aside == 1, "somebody is to look at it"
    (mended,) = (line for line in told if line["event"] == "eventlog.spool_mended")
    assert mended["lost"] == "unknown, perhaps nothing"


async def test_a_file_that_is_damaged_while_it_is_empty_and_open_is_mended(
    tmp_path: Path, log: FlakyLog
) -> None:
    path = tmp_path / "spool.db"
    async with Spool(path) as spool:
        pass
    async with Spool(path) as spool:
        content = bytearray(path.read_bytes())
        content[4096:] = b"\x07" * len(content[4096:])  # all but the schema
        path.write_bytes(content)
        drainer = Drainer(spool, log)
        task = asyncio.create_task(drainer.run())
        async with asyncio.timeout(20):
            while not await accepted(spool, record(1)):
                pass
        await eventually(lambda: not spool.depth and drainer.counters["shipped"] > 0)
        task.cancel()
    assert record(1) in [each.record for each in await read_all(log)]


async def test_mending_that_found_no_room_is_tried_again(tmp_path: Path, log: FlakyLog) -> None:
    path = tmp_path / "spool.db"
    sent = await fill(path, 100)
    async with Spool(path) as spool:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("pragma wal_checkpoint(truncate)")
        content = bytearray(path.read_bytes())
        content[32768:36864] = b"\x07" * 4096
        path.write_bytes(content)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("create table other (x)")  # others change the file: pages in memory are read again
        with file_size_limit(20_000), pytest.raises(LogUnavailable):
            await spool.head(100)
        with pytest.raises(LogUnavailable):
            await spool.put([record(1)], deadline_s=1)
        await drained(spool, Drainer(spool, log))
        stored = [each.record for each in await read_all(log)]
        assert 80 <= len(stored) <= 100
        assert stored == [each for each in sent if each in stored]
        await spool.put([record(1)], deadline_s=1)


async def accepted(spool: Spool, each: Record) -> bool:
    try:
        await spool.put([each], deadline_s=2)
    except AppendFailed:
        await asyncio.sleep(0.05)
        return False
    return True


async def test_mending_that_was_cut_off_is_finished_or_begun_again(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    await fill(path, 10)
    # A complete copy that was not put in place yet: the one that counts.
    (tmp_path / "spool.db").rename(tmp_path / "spool.db.mended")
    path.write_bytes(b"damaged")
    # And one that was not complete.
    (tmp_path / "spool.db.mending").write_bytes(b"half")
    async with Spool(path) as spool:
        assert spool.depth == 10
    assert not (tmp_path / "spool.db.mending").exists()


async def test_a_put_left_unknown_is_found_and_shipped(spool: Spool, log: FlakyLog) -> None:
    with closing(sqlite3.connect(spool.path, isolation_level=None)) as other:
        other.execute("begin immediate")
        with pytest.raises((AppendUnknown, LogUnavailable)):
            await spool.put([record(1)], deadline_s=0.1)
        other.execute("rollback")
    await spool.put([record(2)], deadline_s=5)
    drainer = Drainer(spool, log)
    await drained(spool, drainer)
    assert await drainer.ship() == 0
    numbers = [json.loads(s.record.value)["n"] for s in await read_all(log)]
    assert numbers in ([1, 2], [2])
    assert spool.bytes == 0


PUTTER = """
import asyncio, sys
from pathlib import Path
from eventlog.spool import Spool
from tests.eventlog.faults import file_size_limit
from tests.eventlog.records import record

async def main():
    async with Spool(Path(sys.argv[1])) as spool:
        for number in range(100000):
            await spool.put([record(number)], deadline_s=10)
            print(number, flush=True)

asyncio.run(main())
"""


def start_putter(path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PUTTER, str(path)], stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
    )


@pytest.mark.slow
async def test_what_was_put_survives_kill_9(tmp_path: Path, log: FlakyLog) -> None:
    path = tmp_path / "spool.db"
    process = start_putter(path)
    assert process.stdout is not None
    process.stdout.readline()
    await asyncio.sleep(0.5)
    process.kill()
    output, _ = process.communicate()
    told = int(output[: output.rfind("\n")].split("\n")[-1])
    assert told > 10
    async with Spool(path) as spool:
        await drained(spool, Drainer(spool, log))
    numbers = [json.loads(s.record.value)["n"] for s in await read_all(log)]
    assert numbers in (list(range(told + 1)), list(range(told + 2)))


async def test_a_closed_spool_says_so(spool: Spool) -> None:
    await spool.close()
    for attempt in (spool.put([record(1)], deadline_s=1), spool.head(1)):
        with pytest.raises(LogUnavailable):
            await attempt
    assert not spool.available


async def test_a_record_too_large_for_the_spool_is_refused_there(tmp_path: Path) -> None:
    async with Spool(tmp_path / "spool.db", max_record_bytes=1000) as spool:
        with pytest.raises(RecordTooLarge):
            await spool.put([record(1, size=2000)], deadline_s=5)
        assert (spool.depth, spool.bytes) == (0, 0)
