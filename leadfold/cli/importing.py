"""``leadfold import``: employees, numbers and events from files."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leadfold.cli.common import EXIT_CODES, Exit, Json, config, err, fail, print_json, progress, run_async
from leadfold.settings import Settings

if TYPE_CHECKING:
    from domain.directory import Directory
    from leadfold.imports import Import, Wrong

app = typer.Typer(
    help="Bring employees, numbers or events from a CSV file (comma, semicolon or tab; UTF-8 or Windows-1251).",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

#: So many lines of a file are named one by one.
_TOLD = 50

File = Annotated[Path, typer.Argument(metavar="FILE", help="The file; its first line names the columns.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Read and check everything, change nothing.")]


@app.command("employees")
def employees(file: File, dry_run: DryRun = False, as_json: Json = False) -> None:
    """Employee cards. Columns: id, name, team, office, role, extensions, logins, phones (id and name are needed).

    Several values are separated by `|`; an extension with a period is written `101:2026-01-01..2026-03-01`, one that
    holds only in one source `101@main`. All rows are right, or nothing is imported (exit code 2, with line numbers).

    Example: `leadfold import employees staff.csv --dry-run`
    """
    from leadfold import imports

    settings = config().settings
    directory = run_async(_directory(settings))
    key = settings.secrets.key_secret.get_secret_value().encode()
    _finish(
        settings, lambda: imports.employees(file, directory=directory, now=datetime.now(UTC), key_secret=key),
        file, dry_run, as_json,
    )  # fmt: skip


@app.command("numbers")
def numbers(file: File, dry_run: DryRun = False, as_json: Json = False) -> None:
    """Our telephone numbers and the traffic source they stand for. Columns: number, channel, office, from, to.

    Example: `leadfold import numbers numbers.csv`
    """
    from leadfold import imports

    settings = config().settings
    directory = run_async(_directory(settings))
    key = settings.secrets.key_secret.get_secret_value().encode()
    _finish(
        settings, lambda: imports.numbers(file, directory=directory, now=datetime.now(UTC), key_secret=key),
        file, dry_run, as_json,
    )  # fmt: skip


@app.command("events")
def events(
    file: File,
    source: Annotated[
        str,
        typer.Option("--source", help="Name under which the events appear; a native source, or a new name."),
    ] = "import",
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Events of the native contract: a CSV with columns type, id, time and the fields of the fact, or `.jsonl`.

    Types and fields: `leadfold openapi`. A cell may hold JSON where a field is an object or a list (`lines` of a receipt,
    `attrs` of an office or stage, `body` of a rule). Without an id the row itself is the identity, so importing a file
    twice counts once. A category or refusal reason that no dictionary knows is imported, and told in yellow.

    Example: `leadfold import events sales.csv --source 1c --dry-run`
    """
    from ingest.sources import SourceConfig
    from leadfold import imports
    from leadfold.source_settings import dictionary_of, source_config

    settings = config().settings
    dictionary = run_async(_directory(settings)) or dictionary_of(settings)
    known = settings.source(source)
    if known is not None and known.provider != "native":
        fail(f"{source!r} is a source of {known.provider}: choose a native one, or another name", Exit.USAGE)
    described = (
        source_config(known, settings, dictionary)
        if known
        else SourceConfig(
            name=source,
            provider="native",
            secret="-" * 16,
            timezone=settings.company.timezone,
            region=settings.company.region,
            dictionary=dictionary,
        )
    )
    key = settings.secrets.key_secret.get_secret_value().encode()
    _finish(
        settings, lambda: imports.events(file, source=described, now=datetime.now(UTC), key_secret=key),
        file, dry_run, as_json, events=True,
    )  # fmt: skip


def _finish(
    settings: Settings, read: object, file: Path, dry_run: bool, as_json: bool, *, events: bool = False
) -> None:
    from leadfold.table_files import WrongTable

    assert callable(read)
    try:
        found: Import = read()
    except WrongTable as error:
        fail(f"{file}: {error}", Exit.USAGE)
    except OSError as error:
        fail(f"{file}: {error.strerror}", Exit.USAGE)
    if not as_json:
        _tell(file, found.wrong, "red")
        _tell(file, found.doubtful, "yellow")
    if not found.wrong and not dry_run:
        run_async(_append(settings, found))
    imported = 0 if dry_run or found.wrong else len(found.events)
    if as_json:
        print_json(
            {
                "imported": imported,
                "new": len(found.events),
                "same": found.same,
                "dry_run": dry_run,
                "wrong": found.wrong,
                "doubtful": found.doubtful,
            }
        )
    elif not found.wrong:
        told = f"{len(found.events)} would be imported" if dry_run else f"[green]{imported} imported[/]"
        again = "one that was imported before counts once" if events else f"{found.same} are known already"
        err.print(f"{told}, {again}")
    if found.wrong:
        if not as_json:
            err.print("Nothing was imported.", style="red")
        raise typer.Exit(Exit.USAGE)


def _tell(file: Path, lines: list[Wrong], style: str) -> None:
    for line in lines[:_TOLD]:
        err.print(f"{file}:{line.line}: {line.reason}", style=style, markup=False)
    if len(lines) > _TOLD:
        err.print(f"… and {len(lines) - _TOLD} more", style=style)


async def _append(settings: Settings, found: Import) -> None:
    from eventlog.sealing import seal
    from leadfold.wiring import event_log

    async with event_log(settings, writable=True) as log:
        with progress() as bar:
            task = bar.add_task("importing", total=len(found.events))
            for start in range(0, len(found.events), 500):
                part = [seal(event) for event in found.events[start : start + 500]]
                await log.append(part, deadline_s=30.0)
                bar.advance(task, len(part))


async def _directory(settings: Settings) -> Directory | None:
    """What the read models know; None when they do not answer."""
    import psycopg

    from leadfold.source_settings import source_infos
    from leadfold.wiring import running_database_url
    from projector.database import address
    from projector.readmodel.live import NoLiveBuild, live_schema, load_directory

    url = await asyncio.to_thread(running_database_url, settings)
    if url is None:
        return None
    try:
        async with await psycopg.AsyncConnection.connect(**address(url), autocommit=True) as conn:
            schema = await live_schema(conn)
            return await load_directory(conn, schema, settings.company.timezone, source_infos(settings))
    except (psycopg.Error, NoLiveBuild):
        return None
