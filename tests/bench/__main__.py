"""``python -m tests.bench [row …]``: measures, prints a table, writes build/bench.json."""

import argparse
import dataclasses
import os
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from rich.console import Console

from leadfold import logs
from tests.bench import freshness, ingest, projection, reading
from tests.bench.options import Options
from tests.bench.table import Row, show, write

RESULT = Path(__file__).resolve().parents[2] / "build" / "bench.json"

#: In the order of their importance.
ROWS: dict[str, Callable[[Options], list[Row]]] = {
    "ingest-embedded": ingest.embedded,
    "ingest-kafka": ingest.kafka,
    "projection": projection.live,
    "rebuild": projection.rebuilt,
    "freshness": freshness.fresh,
    "report": reading.report,
}


def main() -> None:
    """Measure the rows that were asked for, all by default."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("rows", nargs="*", choices=[*ROWS, []], help=f"of {', '.join(ROWS)}; all by default")
    parser.add_argument("--full", action="store_true", help="the sizes of the aims (an hour)")
    for field in dataclasses.fields(Options):
        parser.add_argument(
            f"--{field.name.replace('_', '-')}",
            type=type(field.default),
            metavar="N",
            help=f"default {field.default}",
        )
    parser.add_argument(
        "--result", type=Path, default=RESULT, metavar="FILE", help="default build/bench.json"
    )
    given = parser.parse_args()
    logs.quiet()
    options = Options.full() if given.full else Options()
    chosen = {
        f.name: getattr(given, f.name)
        for f in dataclasses.fields(Options)
        if getattr(given, f.name) is not None
    }
    options = dataclasses.replace(options, **chosen)
    console = Console(stderr=True)
    console.print(
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before we began, {psutil.virtual_memory().total >> 30} GB"
    )
    rows: list[Row] = []
    for name in given.rows or ROWS:
        began = time.monotonic()
        console.print(f"{name} …")
        found = ROWS[name](options)
        rows += found
        write(found, given.result)
        console.print(f"{name}: {time.monotonic() - began:.0f} s")
    show(rows)


if __name__ == "__main__":
    main()
