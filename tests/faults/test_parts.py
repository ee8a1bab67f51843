"""Single parts of ``leadfold run`` die under a posting client, the supervisor too: all mends itself, nothing is left over."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from leadfold.demo.sent import Sent
from tests.faults.client import Record, RememberingPoster, post_paced
from tests.faults.quiet import Seen
from tests.faults.services import EmbeddedService
from tests.faults.single import SENT, post, settled, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PARTS = {"ingest": "ingest", "projector": "project", "pages": "report"}


def told(service: EmbeddedService) -> Iterator[dict[str, Any]]:
    """What ``leadfold run`` said on stderr, line by line."""
    for line in service.output.read_text(encoding="utf-8").splitlines():
        if line.startswith("{"):
            yield json.loads(line)


def count(service: EmbeddedService, event: str, child: str | None = None) -> int:
    return sum(line["event"] == event and line.get("child") == child for line in told(service))


async def killed_while_posting(service: EmbeddedService, harm: str, sent: list[Sent]) -> Record:
    """Post at a steady pace, kill after the first third; every delivery is posted until it is accepted."""
    record = Record()
    async with RememberingPoster(service.places[0].targets(), record, give_up_s=60) as poster:
        posting = asyncio.create_task(post_paced([poster], ((0, one) for one in sent), per_s=30))
        while len(record.accepted) < len(sent) // 3:  # noqa: ASYNC110 - another task's set
            await asyncio.sleep(0.01)
        await service.harms[harm](0)
        await posting
    assert record.slow == []
    assert record.refused == []
    assert len(record.accepted) == len(sent)
    return record


async def test_each_part_dies_in_turn_and_says_when_it_is_back(tmp_path: Path, expected: Seen) -> None:
    async with EmbeddedService(tmp_path / "embedded") as service:
        share = len(SENT) // 4
        for number, name in enumerate((*PARTS, "postgres")):
            mine = SENT[number * share : (number + 1) * share]
            record = await killed_while_posting(service, f"kill {name}", mine)
            # only the front door's own death can be noticed by who posts, and never as a refusal
            assert set(record.statuses) <= ({0, 200} if name == "ingest" else {200})
            part = PARTS.get(name)
            died, back = (
                ("supervisor.died", "supervisor.back") if part else ("postgres.died", "postgres.back")
            )
            await until(lambda b=back, p=part: count(service, b, p) == 1, f"{name} is back")  # type: ignore[misc]
            assert count(service, died, part) == 1
        await settled(service, expected)


async def test_the_supervisor_dies_and_leaves_nobody_behind(tmp_path: Path, expected: Seen) -> None:
    """Also when Postgres and the projector were frozen in that moment and cannot hear of it."""
    async with EmbeddedService(tmp_path / "embedded") as service:
        assert set((await post(service.places[0], SENT[:120])).statuses) == {200}
        family = service.family()
        assert {"postgres"} < {process.name() for process in family}
        service.kill_supervisor()
        assert psutil.wait_procs(family, timeout=20)[1] == []

        before = service.output.stat().st_size
        await service.start()
        assert "leftover" not in service.output.read_text(encoding="utf-8")[before:]
        assert set((await post(service.places[0], SENT[120:180])).statuses) == {200}
        frozen = [
            p for p in service.family() if p.pid in (service.postmaster(), service.places[0].pid("project"))
        ]
        assert len(frozen) == 2
        others = [p for p in service.family() if p not in frozen and p.name() != "postgres"]
        for process in frozen:
            process.suspend()
        service.kill_supervisor()
        assert psutil.wait_procs(others, timeout=10)[1] == []

        await service.start()  # whoever starts ends the frozen Postgres and takes its place
        for process in frozen:
            with suppress(psutil.NoSuchProcess):
                process.resume()  # a zombie projector, whose world has gone
        assert psutil.wait_procs(frozen, timeout=10)[1] == []
        assert set((await post(service.places[0], SENT[180:])).statuses) == {200}
        await settled(service, expected)
