"""What tests of one fault at a time share: a small history, a client, and the state that must be there afterwards."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from leadfold.demo.sent import Sent
from tests.faults import looking
from tests.faults.client import Record, RememberingPoster
from tests.faults.deliveries import history
from tests.faults.installation import Place
from tests.faults.quiet import Seen
from tests.faults.services import Service

SENT = history(31)[:240]


async def post(place: Place, sent: Sequence[Sent], *, give_up_s: float = 0) -> Record:
    """Post through one receiver, eight at a time; every request must be answered within 3 s."""
    record = Record()
    async with RememberingPoster(place.targets(), record, give_up_s=give_up_s) as poster:
        queue = iter(sent)

        async def worker() -> None:
            for one in queue:
                await poster.post(one)

        await asyncio.gather(*(worker() for _ in range(8)))
    assert record.slow == []
    return record


async def settled(service: Service, expected: Seen, *, patience_s: float = 60) -> None:
    """Everything is visible, each fact once, the tables are those of the quiet run, and all is green without a hand."""
    await asyncio.gather(*(place.wait() for place in service.places))
    rows = looking.tables(service.database_url)
    assert looking.differences(expected.rows, rows) == {}
    assert len(rows["fact"]) == len(set(rows["fact"]))
    ends = time.monotonic() + patience_s
    for place in service.places:
        while wrong := looking.green(status := await place.json("status")):
            assert time.monotonic() < ends, (wrong, status["parts"])
            await asyncio.sleep(0.3)
    assert service.deaths() == {}


async def until(check: Callable[[], bool], what: str, *, patience_s: float = 60) -> float:
    """Wait for a condition; seconds it took. Fails, naming ``what``, when it does not come."""
    began = time.monotonic()
    while not await asyncio.to_thread(check):
        assert time.monotonic() - began < patience_s, f"not within {patience_s:g} s: {what}"
        await asyncio.sleep(0.1)
    return time.monotonic() - began
