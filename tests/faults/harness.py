"""A storm: a service under load, broken by a plan; then the look from outside and what it must show."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime

import psutil

from leadfold.demo.sent import Sent
from tests.faults import looking
from tests.faults.client import Record, RememberingPoster, post_paced
from tests.faults.deliveries import storm
from tests.faults.plan import Fault
from tests.faults.quiet import Seen, look
from tests.faults.services import Service

Say = Callable[[str], object]

_SAMPLE_S = 5.0
_GREEN_S = 60.0


@dataclass
class Outcome:
    """What a storm did and what was seen after it."""

    record: Record
    faults: Counter[str]
    seconds: float  # under load
    visible_s: float  # from the last answer until everything was visible
    green_s: float  # and until `status` was green at every place
    not_green: list[str]  # what still was not, when patience ended
    seen: Seen
    doubles: int  # rows of a fact beyond the first
    deaths: dict[str, int]  # parts that ended although nobody told them to
    memory: dict[str, list[tuple[float, float]]] = field(default_factory=dict)  # by part: seconds, MB


def quietly(_text: str) -> None:
    """Say nothing."""


async def ride(
    service: Service,
    sent: Sequence[Sent],
    faults: Sequence[Fault],
    *,
    seed: int,
    per_s: float,
    say: Say = quietly,
) -> Outcome:
    """Post a shuffled, repeated history to a started service while the faults happen; wait; look."""
    record = Record()
    memory: dict[str, list[tuple[float, float]]] = {}
    began = time.monotonic()
    async with AsyncExitStack() as stack:
        posters = [
            await stack.enter_async_context(RememberingPoster(place.targets(), record))
            for place in service.places
        ]
        sampling = asyncio.create_task(_sample(service, memory, began, record, say))
        breaking = asyncio.create_task(_break(service, faults, began, say))
        try:
            await post_paced(posters, storm(sent, seed, len(posters)), per_s=per_s)
            await breaking
        finally:
            sampling.cancel()
            breaking.cancel()
    seconds = time.monotonic() - began
    await service.mended()
    say(f"storm over after {seconds:.0f} s: {dict(record.statuses)}")
    began = time.monotonic()
    for place in service.places:
        await place.wait()
    visible_s = time.monotonic() - began
    not_green = await _until_green(service, began + _GREEN_S)
    green_s = time.monotonic() - began
    seen = await look(service)
    doubles = len(seen.rows["fact"]) - len(set(seen.rows["fact"]))
    done = Counter(fault.kind for fault in faults)
    return Outcome(
        record, done, seconds, visible_s, green_s, not_green, seen, doubles, service.deaths(), memory
    )


async def _break(service: Service, faults: Sequence[Fault], began: float, say: Say) -> None:
    async def one(fault: Fault) -> None:
        await asyncio.sleep(max(0.0, began + fault.at_s - time.monotonic()))
        say(f"{time.monotonic() - began:6.1f} s  {fault.kind}, {fault.lasting_s:.1f} s")
        await service.harms[fault.kind](fault.lasting_s)

    async with asyncio.TaskGroup() as group:
        for fault in faults:
            group.create_task(one(fault))


async def _sample(
    service: Service, memory: dict[str, list[tuple[float, float]]], began: float, record: Record, say: Say
) -> None:
    """Resident memory of every part with its children, now and then."""
    told = 0.0
    while True:
        at = time.monotonic() - began
        for name, pid in service.processes().items():
            try:
                family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
                own = [p for p in family if name != "run" or p.pid == pid]
                memory.setdefault(name, []).append((at, sum(p.memory_info().rss for p in own) / 1e6))
            except psutil.NoSuchProcess:
                continue
        if at - told > 60:
            told = at
            say(f"{at:6.0f} s  {dict(record.statuses)}, slowest {record.slowest_s:.2f} s")
        await asyncio.sleep(_SAMPLE_S)


async def _until_green(service: Service, deadline: float) -> list[str]:
    wrong: list[str] = ["nothing was asked"]
    while wrong:
        wrong = [
            f"{place.data.name}: {problem}"
            for place in service.places
            for problem in looking.green(await place.json("status"))
        ]
        if time.monotonic() > deadline:
            break
    return wrong


def broken_promises(outcome: Outcome, expected: Seen, sent: Sequence[Sent]) -> list[str]:
    """What did not hold, in words; empty when every promise was kept."""
    record = outcome.record
    found: list[str] = []
    if record.refused:
        found.append(f"{len(record.refused)} deliveries were never accepted, e.g. {record.refused[0]}")
    lost = looking.missing(expected.logged, outcome.seen.logged, record.accepted)
    if lost:
        found.append(f"{len(lost)} accepted deliveries are not on the log, e.g. of {lost[0]}")
    unfolded = folded_ids(expected) - folded_ids(outcome.seen)
    if unfolded:
        found.append(f"{len(unfolded)} facts are not in the tables, e.g. {min(unfolded)}")
    if outcome.doubles:
        found.append(f"{outcome.doubles} facts are in the tables twice")
    if len(record.accepted) == len(sent):
        for table, (only_quiet, only_storm) in looking.differences(expected.rows, outcome.seen.rows).items():
            found.append(f"table {table}: quiet {only_quiet}, storm {only_storm}")
        if expected.report != outcome.seen.report:
            found.append(f"the report differs: {looking.paths(expected.report, outcome.seen.report)[:5]}")
    return found + _broken_manners(outcome)


def _broken_manners(outcome: Outcome) -> list[str]:
    """Of answers, processes and the state afterwards."""
    record = outcome.record
    found: list[str] = []
    if outcome.deaths:
        found.append(f"parts died by themselves: {outcome.deaths}")
    if record.slow:
        found.append(
            f"{len(record.slow)} requests took longer than {record.patience_s:g} s: {record.slow[:5]}"
        )
    if record.statuses[503]:
        found.append(f"{record.statuses[503]} times 503 although spool and log could take it")
    strange = set(record.statuses) - {0, 200, 201, 202, 204, 503}
    if strange:
        found.append(f"answers that nobody expects: { {s: record.statuses[s] for s in strange} }")
    if outcome.not_green:
        found.append(f"not green after {_GREEN_S:g} s: {outcome.not_green}")
    return found


def folded_ids(seen: Seen) -> set[str]:
    """Ids of the facts in the tables, as the first item of each text."""
    return {text[2:38] for text in seen.rows["fact"]}


def described(outcome: Outcome) -> str:
    """The figures of a storm, for people."""
    record = outcome.record
    faults = ", ".join(f"{kind} {count}" for kind, count in sorted(outcome.faults.items()))
    lines = [
        f"when                {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        f"under load          {outcome.seconds:.0f} s",
        f"requests            {record.requests} ({record.requests / outcome.seconds:.0f}/s), by answer {dict(record.statuses)}",
        f"accepted deliveries {len(record.accepted)}",
        f"records on the log  {outcome.seen.logged.records}",
        f"faults              {sum(outcome.faults.values())}: {faults}",
        f"slowest request     {record.slowest_s:.2f} s",
        f"503                 {record.statuses[503]}",
        f"visible after       {outcome.visible_s:.1f} s, green after {outcome.green_s:.1f} s",
        "memory, MB          first, at half time, last, highest",
    ]
    for name, samples in sorted(outcome.memory.items()):
        values = [mb for _, mb in samples]
        shown = (values[0], values[len(values) // 2], values[-1], max(values))
        lines.append(f"  {name:<18}" + ", ".join(f"{mb:.0f}" for mb in shown))
    return "\n".join(lines)
