"""Live projection in facts a second, and a rebuild beside a raw COPY of the rows that it writes."""

import asyncio
import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median

import psycopg

from domain.event import Event
from eventlog.embedded import EmbeddedLog
from eventlog.sealing import seal
from leadfold.services.base import collect_seldom
from projector.builds import rebuild
from projector.settings import ProjectorSettings
from tests.bench import peers
from tests.bench.history import FACTS_A_CLIENT, events
from tests.bench.options import Options
from tests.bench.places import folder, postgres
from tests.bench.projecting import amount_of, client_of
from tests.bench.rounds import Series
from tests.bench.table import Row
from tests.support.postgres import LocalPostgres, fresh_database

FLOOR = "projection: 40-line fold of counters, one upsert a batch"
OURS = "projection, live"
BATCHES = "projection, live, folded after each batch of 2,000"
SINK = "projection: plain upsert of every fact, nothing folded"
PEER = "projection: eventsourcing's ProjectionRunner"


def live(options: Options) -> list[Row]:
    """Facts a second; every contender projects the same log into an empty database of its own."""
    with folder() as place, postgres(place) as server:
        log = place / "events.db"
        asyncio.run(write_log(log, events(options.clients)))
        facts = place / "facts.jsonl"
        asyncio.run(_as_lines(log, facts))
        cpu_us: dict[str, list[float]] = {"leadfold": [], "batches": []}

        def project(kind: str) -> float:
            with fresh_database(server.url) as url:
                done = subprocess.run(
                    [sys.executable, "-m", "tests.bench.projecting", kind, str(log), url],
                    stdout=subprocess.PIPE, check=True, timeout=3600,
                )  # fmt: skip
            found = json.loads(done.stdout)
            if kind in cpu_us:
                cpu_us[kind].append(found["cpu_s"] / found["facts"] * 1e6)
            return float(found["facts"] / found["seconds"])

        def peer() -> float:
            with fresh_database(server.url) as url:
                return peers.eventsourcing(facts, url)

        contenders = [
            (FLOOR, lambda: project("counters")),
            (SINK, lambda: project("upsert")),
            (OURS, lambda: project("leadfold")),
            (BATCHES, lambda: project("batches")),
        ]
        if peers.python() is not None:
            contenders.append((PEER, peer))
        series = Series(contenders)
        rows = series.rows("facts/s", {OURS: "≥ 10,000 facts/s"})
        rows.append(
            Row(
                f"{OURS}, beside the sink",
                series.value(OURS),
                "facts/s",
                SINK,
                series.ratio(OURS, SINK),
                "height: 1",
            )
        )
        if peers.python() is not None:
            rows.append(
                Row(
                    f"{OURS}, beside eventsourcing",
                    series.value(OURS),
                    "facts/s",
                    PEER,
                    series.ratio(OURS, PEER),
                    "≥ 5",
                )
            )
        for name, kind in ((OURS, "leadfold"), (BATCHES, "batches")):
            rows.append(Row(f"{name}: CPU of the projector", median(cpu_us[kind]), "µs/fact"))
        return rows


def rebuilt(options: Options) -> list[Row]:
    """A rebuild from the log into a new schema with two folding processes, beside COPY of the same rows."""
    clients = options.rebuild_facts // FACTS_A_CLIENT
    with folder() as place, postgres(place) as server:
        log = place / "events.db"
        asyncio.run(write_log(log, events(clients)))
        facts = clients * FACTS_A_CLIENT
        size = f"{facts:,} facts"
        with fresh_database(server.url) as url:
            seconds = asyncio.run(_rebuild(log, url))
            copying = _copy(server, url)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return [
            Row(f"COPY of the rows of {size}", copying, "s"),
            Row(
                f"rebuild of {size}",
                seconds,
                "s",
                f"COPY of the rows of {size}",
                copying / seconds,
                "1M in ≤ 30 s",
            ),
            Row(
                f"rebuild of {size}: facts a second",
                facts / seconds,
                "facts/s",
                None,
                None,
                "≥ 33,000 facts/s",
            ),
            Row(f"rebuild of {size}: memory of the process", memory, "MB", None, None, "flat"),
        ]


async def write_log(file: Path, history: Iterator[Event]) -> None:
    """A log with these events."""
    async with EmbeddedLog(file) as log:
        while batch := [seal(event) for event in islice(history, 2000)]:
            await log.append(batch, deadline_s=60)


async def _as_lines(file: Path, facts: Path) -> None:
    """The first facts as (client, type, amount), for peers that have a store of their own."""
    async with EmbeddedLog(file, create=False) as log:
        found = await log.read(0, 0, max_records=5000, max_wait_s=0)
    lines = []
    for one in found:
        value = json.loads(one.record.value)
        kind = dict(one.record.headers)["ce_type"].decode()
        lines.append(json.dumps([client_of(value), kind, float(amount_of(value))]))
    await asyncio.to_thread(facts.write_text, "\n".join(lines) + "\n", encoding="utf-8")


async def _rebuild(file: Path, url: str) -> float:
    settings = ProjectorSettings(database_url=url)
    collect_seldom()
    async with EmbeddedLog(file, create=False) as log:
        began = time.perf_counter()
        await rebuild(log, settings, workers=2, reopen=partial(EmbeddedLog, file, create=False))
        return time.perf_counter() - began


def _copy(server: LocalPostgres, url: str) -> float:
    """Seconds to COPY all rows of the live build into tables without indexes."""
    with psycopg.connect(url, autocommit=True) as conn:
        row = conn.execute("select schema_name from leadfold.build where state = 'live'").fetchone()
        assert row is not None
        names = [
            name
            for (name,) in conn.execute(
                "select tablename from pg_tables where schemaname = %s", (row[0],)
            ).fetchall()
        ]
        conn.execute("create schema raw")
        took = 0.0
        for name in names:
            conn.execute(f'create table raw."{name}" as select * from {row[0]}."{name}" limit 0')
            with conn.cursor().copy(f'copy {row[0]}."{name}" to stdout (format binary)') as out:
                data = b"".join(out)
            began = time.perf_counter()
            with conn.cursor().copy(f'copy raw."{name}" from stdin (format binary)') as into:
                into.write(data)
            took += time.perf_counter() - began
        return took
