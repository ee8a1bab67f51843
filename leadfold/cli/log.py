"""``leadfold log``: create, copy, follow, look into the event log."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from domain.printable import counted
from eventlog.contract import EventLog, LogRefused, StoredRecord
from leadfold.cli.common import (
    EXIT_CODES,
    Exit,
    Json,
    config,
    err,
    fail,
    print_json,
    print_line,
    print_pretty,
    print_table,
    progress,
    run_async,
)
from leadfold.settings import Settings

if TYPE_CHECKING:
    from projector.readmodel.history import FactPlace

app = typer.Typer(
    help="The event log: create a topic, copy between engines, follow, show one event, statistics.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


@app.command("create")
def create(as_json: Json = False) -> None:
    """Make the Kafka topic of `[log]` with unlimited retention, or the embedded file. An existing one is checked only.

    Example: `LEADFOLD_LOG__ENGINE=kafka leadfold log create`
    """
    settings = config().settings
    made = run_async(_create(settings))
    where = (
        settings.log.topic if not settings.embedded_log else str(settings.data_dir / "events" / "events.db")
    )
    if as_json:
        print_json({"engine": settings.log.engine, "log": where, "created": made})
    else:
        err.print(f"[green]{'Made' if made else 'There already, and right:'}[/] {where}")


async def _create(settings: Settings) -> bool:
    from leadfold.wiring import event_log, log_settings

    if settings.embedded_log:
        path = log_settings(settings).path
        there = path.exists()
        async with event_log(settings):
            return not there
    from eventlog.kafka.admin import check_topic, create_topic
    from eventlog.open import kafka_settings

    kafka = kafka_settings(log_settings(settings))
    try:
        await create_topic(kafka, partitions=settings.log.partitions, replication=settings.log.replication)
    except LogRefused as error:
        if "exists already" not in str(error):
            raise
        await check_topic(kafka)
        return False
    return True


@app.command("copy")
def copy(
    to: Annotated[str, typer.Option("--to", help="embedded or kafka: where to copy to.")],
    source: Annotated[
        str | None, typer.Option("--from", help="embedded or kafka: where from; the other one when absent.")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", help="The embedded file, when it is not the one in the data folder."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Copy all events to the other engine, ids and order per key kept. Can be cut off and called again: it goes on.

    Moving to Kafka: set `[log] bootstrap`, `LEADFOLD_LOG__ENGINE=kafka leadfold log create`, `leadfold log copy --to
    kafka`, stop Leadfold, copy again (only what came meanwhile), set `engine = "kafka"`, start, `leadfold rebuild`.

    Example: `leadfold log copy --from embedded --to kafka`
    """
    source = source or ("embedded" if to == "kafka" else "kafka")
    if {source, to} - {"embedded", "kafka"} or source == to:
        fail("--from and --to are embedded and kafka, in one order or the other", Exit.USAGE)
    done = run_async(_copy(config().settings, source, to, file))
    if as_json:
        print_json(done)
    else:
        err.print(
            f"[green]Copied {counted(done['copied'], 'event')}[/], {done['skipped']} were there already"
        )


async def _copy(settings: Settings, source: str, to: str, file: Path | None) -> dict[str, Any]:
    from contextlib import AsyncExitStack

    from eventlog.copy import CopyProgress, copy_log
    from leadfold.wiring import private_folder

    state = private_folder(settings.data_dir / "events") / f"copy-{source}-{to}.json"
    async with AsyncExitStack() as stack:
        here, there = _engine(settings, source, file, create=False), _engine(settings, to, file, create=True)
        for log in (here, there):
            stack.push_async_callback(log.close)
            await log.start()
        with progress() as bar:
            task = bar.add_task(f"{source} → {to}", total=None)

            def moved(step: CopyProgress) -> None:
                bar.update(task, completed=step.copied + step.skipped, total=step.total)

            done = await copy_log(here, there, state_path=state, progress=moved)
    return {"from": source, "to": to, "copied": done.copied, "skipped": done.skipped, "total": done.total}


def _engine(settings: Settings, engine: str, file: Path | None, *, create: bool) -> EventLog:
    from dataclasses import replace

    from eventlog.open import open_log
    from leadfold.wiring import log_settings

    chosen = settings.model_copy(update={"log": settings.log.model_copy(update={"engine": engine})})
    wanted = log_settings(chosen, client_id="leadfold-copy")
    if file is not None:
        wanted = replace(wanted, path=file.expanduser().absolute())
    return open_log(wanted, writable=create, create=create)


@app.command("tail")
def tail(
    count: Annotated[
        int,
        typer.Option("-n", "--lines", min=0, help="How many of the newest events (of that type and source)."),
    ] = 20,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on with new ones until Ctrl-C.")] = False,
    type_: Annotated[str | None, typer.Option("--type", help="Only this type, e.g. call.ended.")] = None,
    source: Annotated[str | None, typer.Option("--source", help="Only this source, by its name.")] = None,
    as_json: Json = False,
) -> None:
    """The newest events, one a line; `--json` prints each with its contents and evidence as one line of JSON.

    Of an unreadable delivery the line also says why.

    Example: `leadfold log tail -f --source main`
    """
    run_async(_tail(config().settings, count, follow, type_, source, as_json))


async def _tail(
    settings: Settings, count: int, follow: bool, type_: str | None, source: str | None, as_json: bool
) -> None:
    from eventlog.sealing import Label, label
    from leadfold.log_reading import newest
    from leadfold.wiring import event_log

    def wanted(told: Label) -> bool:
        return type_ in (None, told.type) and source in (None, told.source_name)

    async with event_log(settings) as log:
        offsets = {partition: following for partition, (_, following) in (await log.bounds()).items()}
        found = await newest(log, count, wanted=wanted if type_ or source else None)
        names = [known.name for known in settings.sources]
        # the log may know one that is not configured any more
        if source is not None and source not in names and not (found or await _speaks(log, source)):
            known = f"known: {', '.join(names)}" if names else "there are none yet"
            fail(f"there is no source {source!r}, and the log has no event of one; {known}", Exit.USAGE)
        for stored in found:
            _show_line(stored, as_json)
        while follow:
            for partition, offset in list(offsets.items()):
                found = await log.read(partition, offset, max_records=500, max_wait_s=0.0)
                for stored in found:
                    if wanted(label(stored.record)):
                        _show_line(stored, as_json)
                    offsets[partition] = stored.offset + 1
            await asyncio.sleep(0.3)


async def _speaks(log: EventLog, source: str) -> bool:
    """Whether there is an event of a source, of whatever type."""
    from leadfold.log_reading import newest

    return bool(await newest(log, 1, wanted=lambda told: told.source_name == source))


def _show_line(stored: StoredRecord, as_json: bool) -> None:
    import json

    from domain.facts.company import DeliveryUnreadable
    from eventlog.sealing import label
    from leadfold.cli.common import plain
    from leadfold.event_text import as_json as decoded

    if as_json:
        print_line(json.dumps(plain(decoded(stored)), ensure_ascii=False))
        return
    told = label(stored.record)
    place = f"{stored.partition}:{stored.offset}"
    why = ""
    if told.type == DeliveryUnreadable.TYPE:
        why = f"  {decoded(stored, evidence=False).get('data', {}).get('reason', '')}"
    print_line(f"{place:>10}  {told.time[:19]}Z  {told.type:<24} {told.source:<24} {told.id}{why}")


@app.command("show")
def show(
    event: Annotated[str, typer.Argument(metavar="EVENT", help="Its id, or its place as PARTITION:OFFSET.")],
    as_json: Json = False,
) -> None:
    """One event with its contents and the raw webhook it came from.

    By place it is found at once; by id through the read models, and when they do not know it by reading the whole log.

    Example: `leadfold log show 0:1042`
    """
    found = run_async(_find(config().settings, event))
    if not found:
        fail(f"there is no event {event} on the log", Exit.FAILED)
    if as_json:
        print_json(found[0] if len(found) == 1 else found)
        return
    for one in found:
        print_pretty(one)


async def _find(settings: Settings, event: str) -> list[dict[str, Any]]:
    from leadfold.event_text import as_json
    from leadfold.log_reading import find
    from leadfold.wiring import event_log

    async with event_log(settings) as log:
        partition, colon, offset = event.partition(":")
        if colon and partition.isdigit() and offset.isdigit():
            stored = await log.read_at(int(partition), int(offset))
            return [] if stored is None else [await _with_carrier(settings, log, as_json(stored))]
        try:
            wanted = str(UUID(event))
        except ValueError:
            fail(f"{event!r} is neither an event id nor PARTITION:OFFSET", Exit.USAGE)
        place = await _place_in_database(settings, wanted)
        if place is not None and (stored := await log.read_at(place.partition, place.offset)) is not None:
            return [await _with_carrier(settings, log, as_json(stored))]
        bounds = await log.bounds()
        with progress() as bar:
            task = bar.add_task("reading the log", total=sum(b - a for a, b in bounds.values()))
            records = await find(log, wanted, step=lambda n: bar.advance(task, n))
        return [await _with_carrier(settings, log, as_json(r)) for r in records]


async def _with_carrier(settings: Settings, log: EventLog, shown: dict[str, Any]) -> dict[str, Any]:
    """Facts after the first of a delivery point to it: show the delivery as well.

    The read models know where it lies: on Kafka facts about two clients are in two partitions. Without them it is looked
    for right before the fact, where it lies when both have one key.
    """
    from eventlog.sealing import label
    from leadfold.event_text import as_json

    carrier = shown.get("evidence", {}).get("carried_by")
    if carrier is None:
        return shown
    place = await _place_in_database(settings, str(shown["id"]))
    places = [(shown["partition"], shown["offset"] - back) for back in range(1, 200)]
    if place is not None and place.carrier_partition is not None and place.carrier_offset is not None:
        places = [(place.carrier_partition, place.carrier_offset)]
    for partition, offset in places:
        stored = await log.read_at(partition, offset)
        if stored is None:
            break
        if label(stored.record).id == str(carrier):
            shown["evidence"] |= as_json(stored).get("evidence", {})
            break
    return shown


async def _place_in_database(settings: Settings, event_id: str) -> FactPlace | None:
    import psycopg

    from leadfold.wiring import running_database_url
    from projector.database import address
    from projector.readmodel.history import locate
    from projector.readmodel.live import NoLiveBuild, live_schema

    url = running_database_url(settings)
    if url is None:
        return None
    try:
        async with await psycopg.AsyncConnection.connect(**address(url)) as conn:
            return await locate(conn, await live_schema(conn), UUID(event_id))
    except (psycopg.Error, NoLiveBuild):
        return None


@app.command("stats")
def stats(
    types: Annotated[
        bool, typer.Option("--types", help="Also count by type and source: reads the whole log.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Partitions with their first and next offsets and the moments of their ends; `--types` counts events.

    Example: `leadfold log stats --types --json`
    """
    settings = config().settings
    found = run_async(_stats(settings, types))
    if as_json:
        print_json(found)
        return
    print_table(
        ("partition", "first", "next", "records", "oldest", "newest"),
        (
            (
                p["partition"],
                p["first"],
                p["next"],
                p["records"],
                p["oldest_stored_at"],
                p["newest_stored_at"],
            )
            for p in found["partitions"]
        ),
        title=f"{found['engine']}: {found['records']} records",
    )
    if types:
        print_table(("type", "records"), found["types"].items())
        print_table(("source", "records"), found["sources"].items())


async def _stats(settings: Settings, types: bool) -> dict[str, Any]:
    from eventlog.sealing import label
    from leadfold.log_reading import records
    from leadfold.wiring import event_log

    async with event_log(settings) as log:
        bounds = await log.bounds()
        rows = []
        for partition, (first, following) in sorted(bounds.items()):
            oldest = await log.read_at(partition, first) if following > first else None
            newest = await log.read_at(partition, following - 1) if following > first else None
            rows.append(
                {
                    "partition": partition,
                    "first": first,
                    "next": following,
                    "records": following - first,
                    "oldest_stored_at": oldest.stored_at if oldest else None,
                    "newest_stored_at": newest.stored_at if newest else None,
                }
            )
        total = sum(b - a for a, b in bounds.values())
        found: dict[str, Any] = {"engine": log.engine, "records": total, "partitions": rows}
        if types:
            by_type: Counter[str] = Counter()
            by_source: Counter[str] = Counter()
            with progress() as bar:
                task = bar.add_task("counting", total=total)
                for partition, (first, following) in bounds.items():
                    async for stored in records(
                        log, partition, first, following, step=lambda n: bar.advance(task, n)
                    ):
                        if isinstance(stored, StoredRecord):
                            told = label(stored.record)
                            by_type[told.type] += 1
                            by_source[told.source] += 1
            found |= {"types": dict(by_type.most_common()), "sources": dict(by_source.most_common())}
        return found
