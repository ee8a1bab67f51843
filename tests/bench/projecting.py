"""One contender of the live projection, in a process of its own: ``python -m tests.bench.projecting KIND LOG URL``.

KIND is ``leadfold`` (the real projector), ``batches`` (the same, folding after each batch), ``counters`` (the floor: forty lines that fold counters per client and write them
by one statement a batch) or ``upsert`` (what a sink does: every fact as a row, nothing folded). Prints JSON: facts,
seconds until all was committed, processor seconds of this process.
"""

import asyncio
import json
import resource
import sys
import time
from collections.abc import Callable, Coroutine
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import uvloop
from psycopg import AsyncConnection

from eventlog.contract import Record, StoredRecord
from eventlog.embedded import EmbeddedLog
from leadfold import logs
from leadfold.services.base import collect_seldom
from projector import garbage
from projector.database import connect
from projector.run import Projector
from projector.settings import Limits, ProjectorSettings
from projector.wait import wait_visible

BATCH = 2000

Connection = AsyncConnection[Any]


async def leadfold(log: EmbeddedLog, url: str) -> float:
    """The real one as it is shipped: far behind it stores first and folds each client once, near the end batch by batch."""
    return await _project(log, url, Limits())


async def batches(log: EmbeddedLog, url: str) -> float:
    """The real one with every batch folded at once, whatever waits behind it."""
    return await _project(log, url, Limits(batch_records=BATCH, bulk_behind=1 << 40))


async def _project(log: EmbeddedLog, url: str, limits: Limits) -> float:
    garbage.begin()  # as `leadfold project` does
    settings = ProjectorSettings(database_url=url, limits=limits)
    stop = asyncio.Event()
    projector = asyncio.create_task(Projector(log, settings).run(stop))
    waited = await wait_visible(log, url, 3600)
    done = time.perf_counter()
    assert waited.visible, waited.missing
    stop.set()
    await projector
    return done


def client_of(value: dict[str, Any]) -> str:
    """The client of a fact, as simply as can be: its first ref."""
    return str(value["refs"][0]) if value["refs"] else "-"


def amount_of(value: dict[str, Any]) -> Decimal:
    """Roubles of a sale."""
    lines = value["fact"].get("lines", ())
    return sum((Decimal(x["price"]) * Decimal(x.get("qty", 1)) for x in lines), Decimal(0))


async def counters(log: EmbeddedLog, url: str) -> float:
    """The floor: read, count by client and kind, add up in one statement, commit with the position."""
    async with await connect(url) as conn:
        await conn.execute(
            "create table counters (client text primary key, calls int, forms int, other int, amount numeric)"
        )
        await conn.execute("create table place (next bigint)")
        await conn.execute("insert into place values (0)")

        async def apply(batch: list[StoredRecord], end: int) -> None:
            found: dict[str, list[Any]] = {}
            for one in batch:
                value = orjson.loads(one.record.value)
                kind = dict(one.record.headers)["ce_type"]
                row = found.setdefault(client_of(value), [0, 0, 0, Decimal(0)])
                row[0 if kind.startswith(b"call.") else 1 if kind.startswith(b"form.") else 2] += 1
                row[3] += amount_of(value)
            async with conn.transaction():
                await conn.execute(
                    "insert into counters select * from unnest(%s::text[], %s::int[], %s::int[], %s::int[], %s::numeric[])"
                    " on conflict (client) do update set calls = counters.calls + excluded.calls,"
                    " forms = counters.forms + excluded.forms, other = counters.other + excluded.other,"
                    " amount = counters.amount + excluded.amount",
                    [list(found), *([row[i] for row in found.values()] for i in range(4))],
                )
                await conn.execute("update place set next = %s", (end,))

        return await _each_batch(log, apply)


async def upsert(log: EmbeddedLog, url: str) -> float:
    """What a database sink does: one row per message, by key, in batches; nothing is folded."""
    async with await connect(url) as conn:
        await conn.execute("create table sink (id text primary key, type text, at text, value jsonb)")

        async def apply(batch: list[StoredRecord], _end: int) -> None:
            rows = [_row(one.record) for one in batch]
            async with conn.transaction(), conn.cursor() as cursor:
                await cursor.executemany(
                    "insert into sink values (%s, %s, %s, %s::text::jsonb) on conflict (id) do update"
                    " set type = excluded.type, at = excluded.at, value = excluded.value",
                    rows,
                )

        return await _each_batch(log, apply)


def _row(record: Record) -> tuple[str, str, str, str]:
    headers = dict(record.headers)
    return (
        headers["ce_id"].decode(),
        headers["ce_type"].decode(),
        headers["ce_time"].decode(),
        record.value.decode(),
    )


async def _each_batch(
    log: EmbeddedLog, apply: Callable[[list[StoredRecord], int], Coroutine[Any, Any, None]]
) -> float:
    offset, end = (await log.bounds())[0]
    while offset < end:
        batch = await log.read(0, offset, max_records=BATCH, max_wait_s=0)
        offset = batch[-1].offset + 1
        await apply(batch, offset)
    return time.perf_counter()


KINDS = {"leadfold": leadfold, "batches": batches, "counters": counters, "upsert": upsert}


async def main(kind: str, file: str, url: str) -> dict[str, float]:
    """Project the whole log."""
    async with EmbeddedLog(Path(file), create=False) as log:
        facts = (await log.bounds())[0][1]
        began, used = time.perf_counter(), _used_s()
        done = await KINDS[kind](log, url)
        return {"facts": facts, "seconds": done - began, "cpu_s": _used_s() - used}


def _used_s() -> float:
    """Processor seconds of this process and of those that it had begun and that are gone."""
    helpers = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + helpers.ru_utime + helpers.ru_stime


if __name__ == "__main__":
    logs.quiet()
    collect_seldom()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(main(*sys.argv[1:4]))))
