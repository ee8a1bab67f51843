"""Clocks that jump by hours, forwards and back, under everything that runs: deadlines, leases and figures do not care."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from tests.faults.clock import Clock
from tests.faults.conftest import MakeKafka
from tests.faults.installation import Place
from tests.faults.quiet import Seen
from tests.faults.services import EmbeddedService
from tests.faults.single import SENT, post, settled

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

FORWARD, BACK = 5.0, -7.0


def test_the_clock_of_a_running_process_jumps(tmp_path: Path) -> None:
    """The tool itself: the wall clock jumps, the other one does not."""
    clock = Clock(tmp_path / "clock")
    program = "import sys, time\nfor _ in sys.stdin: print(time.time(), time.monotonic(), flush=True)"
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=clock.environment,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for hours in (0.0, FORWARD, BACK, 0.0):
            clock.jump(hours)
            process.stdin.write("\n")
            process.stdin.flush()
            wall, monotonic = map(float, process.stdout.readline().split())
            assert abs(wall - time.time() - hours * 3600) < 60
            assert abs(monotonic - time.monotonic()) < 60


def lags(status: dict[str, Any]) -> list[float]:
    """Every lag in seconds that a status tells."""
    projection = status["projection"]
    told = [projection["lag_seconds"], *(p["lag_seconds"] for p in projection["partitions"])]
    return [lag for lag in told if lag is not None]


async def well(place: Place, *, patience_s: float = 45) -> None:
    """`wait` and `status` come to "all is well", and no lag is below zero on the way."""
    assert (await place.json("wait", "--timeout", "40"))["visible"]
    async with asyncio.timeout(patience_s):
        while True:
            status = await place.json("status")
            assert all(lag >= 0 for lag in lags(status)), lags(status)
            if status["ready"] and status["projection"]["owned"] and status["projection"]["lag_seconds"] == 0:
                return


async def test_embedded_under_a_jumping_clock(tmp_path: Path, expected: Seen) -> None:
    """Postgres and all parts of ``leadfold run`` on one machine whose clock is set forwards, far back, and right again."""
    clock = Clock(tmp_path / "clock")
    service = EmbeddedService(tmp_path / "embedded")
    place = service.places[0]
    place.environment.update(clock.environment)
    async with service:
        for part, hours in enumerate((0.0, FORWARD, BACK, 0.0)):
            clock.jump(hours)
            mine = SENT[part * 60 : (part + 1) * 60]
            assert set((await post(place, mine[:30])).statuses) == {200}
            pid = place.pid("project")
            assert pid is not None, f"its announcement was lost at {hours:+} h"
            psutil.Process(pid).kill()
            assert set((await post(place, mine[30:])).statuses) == {200}
            await well(place)
            seen = hours_of_owners(service.database_url)
            assert [h for h in seen if abs(h - hours) < 0.1] == seen != []
        await settled(service, expected)


def hours_of_owners(url: str) -> list[float]:
    """When the owners of positions were seen, as hours from our own clock: they tell that the clock did jump there."""
    with psycopg.connect(url) as conn:
        rows = conn.execute("select seen_at from leadfold.position where owner is not null").fetchall()
    return [(row[0] - datetime.now(row[0].tzinfo)).total_seconds() / 3600 for row in rows]


@pytest.mark.kafka
async def test_kafka_under_clocks_that_disagree(
    make_kafka: MakeKafka, tmp_path: Path, expected: Seen
) -> None:
    """Two machines whose clocks jump in opposite directions, and a broker and a Postgres that know the time."""
    clocks = [Clock(tmp_path / "clocks" / name) for name in ("first", "second")]
    service = make_kafka(receivers=2)
    for place, clock in zip(service.places, clocks, strict=True):
        place.environment.update(clock.environment)
    async with service:
        for part, hours in enumerate((0.0, FORWARD, BACK, 0.0)):
            for clock, jump in zip(clocks, (hours, -hours), strict=True):
                clock.jump(jump)
            mine = SENT[part * 60 : (part + 1) * 60]
            answers = await asyncio.gather(
                *(post(place, mine[n::2]) for n, place in enumerate(service.places))
            )
            assert {status for record in answers for status in record.statuses} == {200}
            for place in service.places:
                assert (await place.json("status"))["spool"]["records"] == 0, f"the log refuses {hours:+} h"
            await asyncio.gather(*(well(place) for place in service.places))
        await settled(service, expected)
