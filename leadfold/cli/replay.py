"""``leadfold replay``: a bounded range of the log once more."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Annotated, Any

import typer

from leadfold.cli.common import Exit, Json, config, err, fail, moment, print_json, progress, run_async
from leadfold.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("replay")(replay)


def replay(
    partition: Annotated[int | None, typer.Option(help="Only this partition.")] = None,
    first: Annotated[
        int | None, typer.Option("--from-offset", min=0, help="From here on; default: the beginning.")
    ] = None,
    last: Annotated[
        int | None, typer.Option("--to-offset", min=0, help="Up to and including this one.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since", metavar="TIME", help="Stored at or after this moment (local time of the company)."
        ),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="Stored before this moment.")
    ] = None,
    retranslate: Annotated[
        bool,
        typer.Option(
            "--retranslate", help="Translate unreadable deliveries again, after a fix of their adapter."
        ),
    ] = False,
    source: Annotated[
        str | None, typer.Option("--source", help="With --retranslate: only this source.")
    ] = None,
    read_as: Annotated[
        str | None,
        typer.Option(
            "--as",
            metavar="NAME",
            help="With --source: what could not be read came to the wrong address, and is this source's.",
        ),
    ] = None,
    outdated: Annotated[
        bool,
        typer.Option(
            "--outdated", help="With --retranslate: also deliveries that an older adapter revision read."
        ),
    ] = False,
    rate: Annotated[
        float | None, typer.Option("--rate", min=0.1, help="At most so many events a second.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    as_json: Json = False,
) -> None:
    """Apply a range of the log to the live read models once more.

    Needed when an adapter was mended (`--retranslate`), or to make sure of a range. What the tables have already changes nothing,
    positions stay, and the service may run on. To tell all of history anew: `leadfold rebuild`.

    With `--retranslate` the raw webhooks are translated anew and what comes out is appended under a higher revision, so the log keeps both and readers take the newer.

    Examples: `leadfold replay --since 2026-03-01 --dry-run`, `leadfold replay --retranslate --source main`
    """
    current = config().settings
    if (source or outdated) and not retranslate:
        fail("--source and --outdated go with --retranslate", Exit.USAGE)
    if read_as and (outdated or not source):
        fail("--as goes with --source, and not with --outdated", Exit.USAGE)
    zone = current.company.timezone
    bounds = (partition, first, last, moment(since, zone), moment(until, zone))
    found = run_async(
        _retranslate(current, bounds, source, read_as, outdated, rate, dry_run)
        if retranslate
        else _apply(current, bounds, rate, dry_run)
    )
    if as_json:
        print_json(found | {"dry_run": dry_run})
        return
    for name, value in found.items():
        if name == "failed":
            for reason, count in value.items():
                err.print(f"  {count} × {reason}", markup=False)
        else:
            err.print(f"{name.replace('_', ' ')}: {value}")


async def _range(log: Any, bounds: tuple[Any, ...]) -> dict[int, tuple[int, int]]:
    from leadfold.log_reading import first_stored_since

    partition, first, last, since, until = bounds
    wanted = {}
    for number, (low, high) in (await log.bounds()).items():
        if partition is not None and number != partition:
            continue
        start = max(low, first) if first is not None else low
        end = min(high, last + 1) if last is not None else high
        if since is not None:
            start = max(start, await first_stored_since(log, number, since))
        if until is not None:
            end = min(end, await first_stored_since(log, number, until))
        if start < end:
            wanted[number] = (start, end)
    if partition is not None and partition not in await log.bounds():
        fail(f"there is no partition {partition}", Exit.USAGE)
    return wanted


async def _apply(
    settings: Settings, bounds: tuple[Any, ...], rate: float | None, dry_run: bool
) -> dict[str, Any]:
    from leadfold.replaying import apply_again
    from leadfold.wiring import event_log, projector_settings, running_database_url
    from projector.database import connect
    from projector.readmodel.live import NoLiveBuild

    url = await asyncio.to_thread(running_database_url, settings)
    if url is None:
        fail("Postgres does not run: start `leadfold run` first", Exit.NOT_YET)
    async with event_log(settings) as log:
        wanted = await _range(log, bounds)
        conn = await connect(url, name="leadfold-replay")
        async with conn:
            with progress() as bar:
                task = bar.add_task("replaying", total=sum(b - a for a, b in wanted.values()))
                try:
                    done = await apply_again(
                        log,
                        conn,
                        projector_settings(settings, url),
                        wanted,
                        rate_per_s=rate,
                        dry_run=dry_run,
                        step=lambda n: bar.advance(task, n),
                    )
                except NoLiveBuild as error:
                    fail(str(error), Exit.NOT_YET)
    return asdict(done)


async def _retranslate(
    settings: Settings,
    bounds: tuple[Any, ...],
    source: str | None,
    read_as: str | None,
    outdated: bool,
    rate: float | None,
    dry_run: bool,
) -> dict[str, Any]:
    from ingest.sources import SourceBook
    from leadfold.replaying import translate_again
    from leadfold.services.ingest import limits
    from leadfold.source_settings import source_configs
    from leadfold.wiring import event_log

    book = SourceBook(source_configs(settings))
    other = book.get(read_as) if read_as else None
    if read_as and other is None:
        fail(f"there is no source {read_as!r}: leadfold sources list", Exit.USAGE)
    async with event_log(settings, writable=True) as log:
        wanted = await _range(log, bounds)
        with progress() as bar:
            task = bar.add_task("reading", total=sum(b - a for a, b in wanted.values()))
            done = await translate_again(
                log,
                wanted,
                book=book,
                key_secret=settings.secrets.key_secret.get_secret_value().encode(),
                limits=limits(settings),
                source=source,
                outdated=outdated,
                rate_per_s=rate,
                dry_run=dry_run,
                step=lambda n: bar.advance(task, n),
                read_as=other,
            )
    return asdict(done)
