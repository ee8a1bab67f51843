"""``leadfold deadletters``: events that could not be folded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import typer

from domain.printable import printable
from leadfold.cli.common import (
    EXIT_CODES,
    Exit,
    Json,
    config,
    err,
    fail,
    print_json,
    print_pretty,
    print_table,
    run_async,
)
from leadfold.settings import Settings

app = typer.Typer(
    help="Events that could not be folded. They stay on the log, and reports go on without them: list, look into, try again.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


@asynccontextmanager
async def _connected(settings: Settings) -> AsyncIterator[Any]:
    from leadfold.wiring import running_database_url
    from projector.database import connect

    url = await asyncio.to_thread(running_database_url, settings)
    if url is None:
        fail("Postgres does not run: start `leadfold run` first", Exit.NOT_YET)
    conn = await connect(url, name="leadfold-deadletters")
    async with conn:
        cursor = await conn.execute("select to_regclass('leadfold.deadletter')")
        row = await cursor.fetchone()
        if row is None or row[0] is None:
            fail("there are no read models yet: start `leadfold run` once", Exit.NOT_YET)
        yield conn


@app.command("list")
def list_(
    resolved: Annotated[bool, typer.Option("--resolved", help="Also those that were mended.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest.")] = 1000,
    as_json: Json = False,
) -> None:
    """Open dead letters, the newest first. `place` is partition:offset on the log, `reason` what went wrong.

    None is the rule. After an upgrade or a corrected dictionary: `leadfold deadletters retry`.

    Example: `leadfold deadletters list --json | jq length`
    """
    found = run_async(_list(config().settings, resolved, limit))
    if as_json:
        print_json(found)
    elif not found:
        err.print("[green]No dead letters[/]" if resolved else "[green]No open dead letters[/]")
    else:
        print_table(
            ("number", "kind", "event", "type", "place", "reason", "attempts", "last"),
            (
                (
                    d.deadletter_id,
                    d.kind,
                    d.event_id,
                    d.event_type,
                    f"{d.partition}:{d.offset}",
                    d.reason,
                    d.attempts,
                    d.last_at,
                )
                for d in found
            ),
        )


async def _list(settings: Settings, resolved: bool, limit: int) -> list[Any]:
    from projector import deadletters

    async with _connected(settings) as conn:
        return list(await deadletters.listing(conn, resolved=resolved, limit=limit))


@app.command("show")
def show(number: Annotated[int, typer.Argument(help="From the list.")], as_json: Json = False) -> None:
    """One dead letter with the whole reason and the event on the log, decoded as far as it can be.

    Example: `leadfold deadletters show 17`
    """
    found = run_async(_show(config().settings, number))
    if found is None:
        fail(f"there is no dead letter {number}", Exit.USAGE)
    if as_json:
        print_json(found)
    else:
        print_pretty(found)


async def _show(settings: Settings, number: int) -> dict[str, Any] | None:
    from dataclasses import asdict

    from eventlog.contract import LogError
    from leadfold.event_text import as_json
    from leadfold.wiring import event_log
    from projector import deadletters

    async with _connected(settings) as conn:
        letter = await deadletters.show(conn, number)
    if letter is None:
        return None
    shown = asdict(letter)
    if letter.partition >= 0:
        try:
            async with event_log(settings) as log:
                stored = await log.read_at(letter.partition, letter.offset)
            shown["event"] = None if stored is None else as_json(stored)
        except LogError as error:
            shown["event"] = {"unreadable": str(error)}
    return shown


@app.command("retry")
def retry(
    numbers: Annotated[
        list[int] | None, typer.Argument(help="From the list; all open ones when absent.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Fold them again, after a fix: those that succeed are in the reports at once. Exit code 1 when some still fail.

    Example: `leadfold deadletters retry 17 18`
    """
    found = run_async(_retry(config().settings, numbers))
    failed = [d for d in found if d.resolved_at is None]
    if as_json:
        print_json({"mended": len(found) - len(failed), "failed": failed})
    else:
        err.print(f"{len(found) - len(failed)} mended, {len(failed)} still fail")
        for letter in failed:
            err.print(f"  {letter.deadletter_id}: {printable(letter.reason)}", markup=False)
    if missing := set(numbers or ()) - {d.deadletter_id for d in found}:
        fail(f"no open dead letter has the number {', '.join(map(str, sorted(missing)))}", Exit.USAGE)
    if failed:
        raise typer.Exit(Exit.FAILED)


async def _retry(settings: Settings, numbers: list[int] | None) -> list[Any]:
    from leadfold.wiring import event_log, projector_settings, running_database_url
    from projector import deadletters

    async with _connected(settings) as conn, event_log(settings) as log:
        url = await asyncio.to_thread(running_database_url, settings)
        assert url is not None
        return list(await deadletters.retry(log, conn, projector_settings(settings, url), numbers or None))
