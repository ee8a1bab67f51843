"""``leadfold wait``: until everything accepted so far is visible in the read models."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from eventlog.contract import LogError, LogRefused, LogUnavailable
from leadfold.cli.common import Exit, Json, config, err, print_json, run_async
from leadfold.settings import Settings

if TYPE_CHECKING:
    from projector.wait import Waited


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("wait")(wait)


def wait(
    timeout: Annotated[
        float, typer.Option("--timeout", min=0, help="Seconds; exit code 3 when they are over.")
    ] = 60.0,
    as_json: Json = False,
) -> None:
    """Return when everything accepted so far can be read in reports.

    That is what was answered with success, on the log or still in the spool of ingest: the one in our data folder, or of
    an ingest elsewhere that answers at `[ingest] status_url` (else at its host and port). A given `status_url` that does
    not answer means «not yet»; an ingest that nobody named and that does not answer cannot be waited for. What comes in
    while it waits is not waited for. On a terminal it says what it waits for. Where the read models were made from
    another log it ends at once, with exit code 4: nothing comes in time.

    Example: `leadfold wait --timeout 30 && leadfold report inquiries --from 2026-03-01 --to 2026-03-31`
    """
    settings = config().settings
    if sys.stderr.isatty():
        with err.status("waiting") as shown:
            found = run_async(
                waited(settings, timeout, tell=lambda text: shown.update(escape(f"waiting: {text}")))
            )
    else:
        found = run_async(waited(settings, timeout))
    if as_json:
        print_json({"visible": found.visible, "seconds": round(found.seconds, 3), "missing": found.missing})
    elif found.in_vain:
        err.print(f"in vain: {found.missing}", style="red", markup=False)
    elif not found.visible:
        err.print(f"not yet: {found.missing}", style="yellow", markup=False)
    if not found.visible:
        raise typer.Exit(Exit.REFUSED if found.in_vain else Exit.NOT_YET)


async def waited(
    settings: Settings,
    timeout: float,  # noqa: ASYNC109
    *,
    tell: Callable[[str], object] = lambda _missing: None,
) -> Waited:
    """Wait; never raises for a log or database that is away. ``tell`` hears again and again what is still due."""
    import time

    from leadfold.wiring import event_log, running_database_url
    from projector.wait import Waited, wait_visible

    started = time.monotonic()
    missing = "Postgres does not run: start `leadfold run`"
    while True:
        left = timeout - (time.monotonic() - started)
        url = await asyncio.to_thread(running_database_url, settings)
        if url is not None:
            try:
                async with event_log(settings) as log:
                    found = await wait_visible(
                        log, url, max(0.0, left), spool_depth=lambda: spool_depth(settings), tell=tell
                    )
                    return replace(found, seconds=time.monotonic() - started)
            except LogRefused:
                raise
            except LogError as error:
                missing = str(error)
        if left <= 0:
            return Waited(False, time.monotonic() - started, missing)
        tell(missing)
        await asyncio.sleep(min(0.2, left))


async def spool_depth(settings: Settings) -> int:
    """Records in all spools: asked of an ingest elsewhere, or counted in the files, for which ingest need not answer.

    Raises:
        LogUnavailable: how many wait is unknown now, and not none.
    """
    from leadfold.doors import names
    from leadfold.wiring import spools

    files = spools(settings)
    if settings.ingest.status_url or not files:
        return sum([await _asked(settings, name) for name in names(settings)])
    return sum([await _counted(path) for path in files.values()])


async def _asked(settings: Settings, name: str) -> int:
    from leadfold.readiness import address_of, ask

    address = address_of(settings, name)
    told = None if address is None else await ask(address)
    if address is None or told is None:
        if address is not None and address.given:
            raise LogUnavailable(f"ingest does not answer at {address.url}: its spool is unknown")
        return 0
    spool = told.checks.get("spool", {})
    depth, left = spool.get("depth", 0), spool.get("left", 0)
    if not isinstance(depth, int) or not isinstance(left, int):
        raise LogUnavailable(f"{address.url} does not tell how much waits in its spool")
    return depth + left


async def _counted(path: Path) -> int:
    from eventlog.embedded import EmbeddedLog

    try:
        async with EmbeddedLog(path, create=False) as spool:
            first, following = (await spool.bounds())[0]
    except LogError as error:
        raise LogUnavailable(f"the spool cannot be counted: {error}") from error
    return following - first
