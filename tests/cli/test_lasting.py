"""What must go on whatever happens: tasks of the background, and the parts of ``leadfold run``."""

import asyncio
import os
import resource
import signal
import subprocess
import sys

import pytest
from structlog.testing import capture_logs

from leadfold.services import base
from leadfold.supervisor import Child, Supervisor
from tests.eventlog.records import eventually


async def test_a_task_that_fails_is_logged_and_begins_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "_AGAIN_S", 0.01)
    begun: list[int] = []

    async def work() -> None:
        begun.append(len(begun))
        if len(begun) < 3:
            raise KeyError("unforeseen")

    with capture_logs() as told:
        await base.lasting("work", work)
    assert begun == [0, 1, 2]
    assert [(line["event"], line["task"]) for line in told] == [("service.task_failed", "work")] * 2


async def test_a_task_that_is_told_to_end_does_not_begin_again() -> None:
    task = asyncio.create_task(base.lasting("work", asyncio.Event().wait))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    await base.ended(task)
    assert task.cancelled()


async def test_a_part_that_cannot_be_started_for_want_of_files_is_tried_again() -> None:
    async def ready(_name: str, _pid: int) -> None:
        return None

    child = Child("part", ("--version",))
    supervisor = Supervisor([child], dict(os.environ), None, ready)
    supervisor.settled()
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    next_one = os.open(os.devnull, os.O_RDONLY)
    os.close(next_one)
    resource.setrlimit(resource.RLIMIT_NOFILE, (next_one, before[1]))
    try:
        running = asyncio.create_task(supervisor.run())
        await asyncio.sleep(0.1)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert child.process is None
    assert not running.done()
    await eventually(lambda: child.process is not None, 20)
    await supervisor.stop()
    await running


STOPPED = """
import asyncio, os, signal
from leadfold.services.base import stop_on_signals

async def main():
    stop = stop_on_signals()
    for _ in range(2):  # systemd and the supervisor
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0.1)
    assert stop.is_set()
    print("in order", flush=True)
    await asyncio.sleep(1.0)
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.sleep(10)

asyncio.run(main())
"""


def test_who_is_told_twice_to_stop_still_stops_in_order() -> None:
    done = subprocess.run(
        [sys.executable, "-c", STOPPED], capture_output=True, text=True, timeout=20, check=False
    )
    assert done.stdout.endswith("in order\n"), done.stderr
    assert done.returncode == 128 + signal.SIGTERM
