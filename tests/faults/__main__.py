"""``make soak``: a long storm, told while it goes on; exit code 1 when a promise was broken.

python -m tests.faults --minutes 30 --seed 7 --engine kafka
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.faults.deliveries import history
from tests.faults.harness import broken_promises, described, ride
from tests.faults.plan import plan
from tests.faults.quiet import quiet_run
from tests.faults.services import EmbeddedService, KafkaService, Service

#: On average a delivery is posted so many times (`tests.faults.deliveries.storm`).
_COPIES = 1.75


def _say(text: str) -> None:
    print(text, flush=True)


def _service(engine: str, folder: Path, days: int, processes: int) -> Service:
    changes = {"ingest": {"processes": processes}}
    if engine == "kafka":
        return KafkaService(folder, days=days, changes=changes)
    return EmbeddedService(folder, days=days, changes=changes)


async def soak(
    engine: str,
    minutes: float,
    seed: int,
    per_s: float,
    every_s: float,
    without: Sequence[str],
    processes: int,
    folder: Path,
) -> bool:
    """Ride the storm in ``folder``; whether every promise was kept."""
    seconds = minutes * 60
    wanted, days = seconds * per_s / _COPIES, 30
    sent = history(seed, days=days, scale=wanted / 11_000)[: int(wanted)]
    service = _service(engine, folder / "storm", days, processes)
    kinds = [kind for kind in service.harms if not any(kind.startswith(word) for word in without)]
    faults = plan(seed, kinds, seconds=seconds, every_s=every_s)
    _say(
        f"{engine}, seed {seed}: {len(sent)} deliveries, {len(faults)} faults over {minutes:g} min in {folder}"
    )
    async with service:
        outcome = await ride(service, sent, faults, seed=seed, per_s=per_s, say=_say)
    _say(described(outcome))
    _say("the quiet run of the same deliveries …")
    broken = broken_promises(outcome, await quiet_run(folder / "quiet", sent, days=days), sent)
    for problem in broken:
        _say(f"BROKEN: {problem[:4000]}")
    _say(
        "a promise was broken"
        if broken
        else "every promise was kept: losses 0, doubles 0, tables and report equal"
    )
    return not broken


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--engine", choices=("embedded", "kafka"), default="kafka")
    parser.add_argument("--per-s", type=float, default=30, help="requests a second")
    parser.add_argument(
        "--every-s", type=float, default=6, help="seconds from one fault to the next, on average"
    )
    parser.add_argument(
        "--without",
        action="append",
        default=[],
        metavar="KIND",
        help="leave out faults that begin so, e.g. 'kill ingest' (repeatable): long lives show whether memory stays flat",
    )
    parser.add_argument("--processes", type=int, default=1, help="front doors of each receiver")
    parser.add_argument("--keep", action="store_true", help="leave data and logs there for a look")
    given = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="leadfold-soak-"))
    folder.chmod(0o755)  # Postgres runs as another user when we are root
    kept = False
    try:
        kept = asyncio.run(
            soak(
                given.engine,
                given.minutes,
                given.seed,
                given.per_s,
                given.every_s,
                given.without,
                given.processes,
                folder,
            )
        )
    finally:
        if given.keep or not kept:
            _say(f"left for a look: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
