"""The quiet run: the same deliveries, each once, in order, to an undisturbed embedded service. What the storm must equal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leadfold.demo.sent import Sent
from tests.faults import looking
from tests.faults.client import Record, RememberingPoster, post_paced
from tests.faults.services import EmbeddedService, Service


@dataclass(frozen=True)
class Seen:
    """What can be seen of a service from outside."""

    logged: looking.Logged
    rows: looking.Rows
    report: dict[str, Any]


async def look(service: Service) -> Seen:
    """Look at a service in which everything accepted is visible."""
    async with service.log() as log:
        on_log = await looking.logged(log)
    return Seen(
        on_log, looking.tables(service.database_url), looking.timeless(await service.places[0].report())
    )


async def quiet_run(folder: Path, sent: Sequence[Sent], *, days: int = 10) -> Seen:
    """Post all of it to a service of its own in ``folder``; nothing is left running."""
    async with EmbeddedService(folder, days=days) as service:
        await post_once(service, sent)
        await service.places[0].wait()
        return await look(service)


async def post_once(service: Service, sent: Sequence[Sent]) -> Record:
    """Each delivery once, in order, by turns to each receiver; all must be accepted."""
    record = Record()
    posters = [RememberingPoster(place.targets(), record) for place in service.places]
    for poster in posters:
        await poster.__aenter__()
    try:
        turns = ((n % len(posters), one) for n, one in enumerate(sent))
        await post_paced(posters, turns, per_s=1000, at_once=32)
    finally:
        for poster in posters:
            await poster.__aexit__(None, None, None)
    assert len(record.accepted) == len(sent), record.statuses
    return record
