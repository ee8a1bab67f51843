"""Several processes write one embedded log by turns: fair, and nobody is lost with who holds the turn."""

import asyncio
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from eventlog.contract import LogUnavailable
from eventlog.embedded import EmbeddedLog
from eventlog.embedded.turns import Turns
from tests.eventlog.records import read_all, record
from tests.eventlog.test_embedded import acknowledged, check_file, first_line, start_writer

HOLDER = """
import sys, time
from pathlib import Path
from eventlog.embedded.turns import Turns
Turns(Path(sys.argv[1])).take()
print("mine", flush=True)
time.sleep(100)
"""


@contextmanager
def holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has the turn."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "mine\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_nobody_writes_twice_while_another_waits(tmp_path: Path) -> None:
    """One that writes without a pause beside one that comes now and then, as threads: the locks are per open file."""
    order: list[str] = []
    ended = threading.Event()

    def greedy() -> None:
        mine = Turns(tmp_path / "events.db")
        while not ended.is_set():
            mine.take()
            order.append("greedy")
            time.sleep(0.001)
            mine.give()
        mine.close()

    thread = threading.Thread(target=greedy)
    thread.start()
    waited = []
    rare = Turns(tmp_path / "events.db")
    try:
        for _ in range(30):
            time.sleep(0.003)
            before = len(order)
            rare.take()
            waited.append(len(order) - before)
            rare.give()
    finally:
        ended.set()
        thread.join()
        rare.close()
    # When the system lets one of us sleep it may be more, now and then.
    assert statistics.median(waited) == 0
    assert len(order) > 30


async def test_a_holder_that_is_stopped_costs_its_deadline_and_nothing_else(tmp_path: Path) -> None:
    async with EmbeddedLog(tmp_path / "events.db") as log:
        await log.append([record(0)], deadline_s=5)
        with holder(log.path) as other:
            other.send_signal(signal.SIGSTOP)
            late = asyncio.create_task(log.append([record(1)], deadline_s=20))
            began = time.monotonic()
            with pytest.raises(LogUnavailable, match="nothing was stored"):
                await log.append([record(2)], deadline_s=0.4)
            assert time.monotonic() - began < 1.0
            assert [each.record for each in await read_all(log)] == [record(0)]
            other.send_signal(signal.SIGCONT)
            other.kill()  # the kernel gives the turn back
            await late
        await log.append([record(3)], deadline_s=5)
        assert [each.record for each in await read_all(log)] == [record(0), record(1), record(3)]


async def test_without_room_for_the_locks_it_is_written_all_the_same(tmp_path: Path) -> None:
    for name in ("events.db.next", "events.db.turn"):
        (tmp_path / name).mkdir()
    async with EmbeddedLog(tmp_path / "events.db") as log:
        await log.append([record(0)], deadline_s=5)
        assert len(await read_all(log)) == 1


@pytest.mark.slow
async def test_two_processes_write_and_each_is_killed_in_turn(tmp_path: Path) -> None:
    """Under load: what was acknowledged is there, offsets have no hole, and neither starves the other."""
    path = tmp_path / "events.db"
    promised: dict[int, tuple[str, int]] = {}
    steady = start_writer(path, "steady", 4)
    await asyncio.to_thread(first_line, steady)
    reading = asyncio.create_task(asyncio.to_thread(acknowledged, steady))  # or its pipe is full soon
    shares = []
    for round_ in range(3):
        process = start_writer(path, f"round-{round_}", 4)
        await asyncio.to_thread(first_line, process)
        await asyncio.sleep(0.4)
        process.kill()
        told = await asyncio.to_thread(acknowledged, process)
        assert not promised.keys() & told.keys(), "an offset was given twice"
        promised |= told
        shares.append(len(told))
    steady.kill()
    told = await reading
    assert not promised.keys() & told.keys()
    assert all(shares)
    assert told
    assert await check_file(path, promised | told) >= len(promised | told)
