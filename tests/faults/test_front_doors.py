"""Two front doors on one address, on both engines: one dies under load, with a full spool, and for good."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path

import psutil
import pytest

from eventlog.embedded.turns import Turns
from leadfold.demo.sent import Sent
from leadfold.wiring import log_settings, spools
from tests.faults.client import Record, RememberingPoster, post_paced
from tests.faults.conftest import MakeKafka
from tests.faults.installation import Place
from tests.faults.quiet import Seen
from tests.faults.services import EmbeddedService
from tests.faults.single import SENT, settled, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

TWO = {"ingest": {"processes": 2}}


async def post(place: Place, sent: Sequence[Sent], *, per_s: float = 10_000) -> Record:
    """On so many connections that each front door surely gets some; every delivery until it is accepted."""
    record = Record()
    async with RememberingPoster(place.targets(), record, give_up_s=60) as poster:
        await post_paced([poster], ((0, one) for one in sent), per_s=per_s, at_once=48)
    assert record.slow == []
    assert record.refused == []
    assert len(record.accepted) == len(sent)
    return record


async def killed_under_load(place: Place, sent: Sequence[Sent]) -> None:
    """kill -9 of the second one while it answers; what it took along is posted again, and nobody is refused."""
    posting = asyncio.create_task(post(place, sent, per_s=60))
    await asyncio.sleep(len(sent) / 60 / 3)
    before = kill(place, "ingest-2")
    assert set((await posting).statuses) <= {0, 200}
    await until(lambda: place.pid("ingest-2") not in (None, before), "the second front door is back")


def kill(place: Place, part: str) -> int:
    pid = place.pid(part)
    assert pid is not None
    with suppress(psutil.NoSuchProcess):
        psutil.Process(pid).send_signal(signal.SIGKILL)
    return pid


def waiting(place: Place) -> list[int]:
    """Records in each spool."""
    found = []
    for path in spools(place.settings).values():
        with closing(sqlite3.connect(path)) as spool:
            found.append(spool.execute("select count(*) from records").fetchone()[0])
    return found


async def test_embedded(tmp_path: Path, expected: Seen) -> None:
    async with EmbeddedService(tmp_path / "embedded", changes=TWO) as service:
        place = service.places[0]
        assert place.pid("ingest-2") not in (None, place.pid("ingest"))
        await killed_under_load(place, SENT[:120])

        await place.ready("ingest-2")
        with closing(sqlite3.connect(log_settings(place.settings).path, isolation_level=None)) as other:
            other.execute("begin immediate")  # the log does not answer
            await post(place, SENT[120:180])
            assert [count > 0 for count in waiting(place)] == [True, True]
            before = kill(place, "ingest-2")
            other.execute("rollback")
        await until(lambda: place.pid("ingest-2") not in (None, before), "the second front door is back")
        await until(lambda: waiting(place) == [0, 0], "both spools are shipped")

        # A writer that was stopped has the turn. The second front door is given up while its spool holds something: the
        # first one ships it.
        turns = Turns(log_settings(place.settings).path)
        turns.take()
        await post(place, SENT[180:])
        assert [count > 0 for count in waiting(place)] == [True, True]
        await service.kill()
        turns.close()
        text = place.config.read_text(encoding="utf-8")
        assert "processes = 2" in text
        place.config.write_text(text.replace("processes = 2", "processes = 1"), encoding="utf-8")
        await service.start()
        await settled(service, expected)
        assert place.pid("ingest-2") is None
        assert waiting(place) == [0, 0]


@pytest.mark.kafka
async def test_kafka(make_kafka: MakeKafka, expected: Seen) -> None:
    """The front doors alone: ``leadfold ingest`` starts both and keeps them."""
    async with make_kafka(changes=TWO) as kafka:
        place = kafka.places[0]
        await place.ready("ingest-2")
        await killed_under_load(place, SENT[:120])
        await place.ready("ingest-2")
        kafka.weather("broker", "cut")
        await post(place, SENT[120:])
        assert [count > 0 for count in waiting(place)] == [True, True]
        kill(place, "ingest-2")
        kafka.weather("broker", "pass")
        await until(lambda: waiting(place) == [0, 0], "both spools are shipped")
        await settled(kafka, expected)
