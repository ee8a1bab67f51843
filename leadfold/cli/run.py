"""``leadfold run``: everything in one process tree, no other server needed."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Annotated

import structlog
import typer

from leadfold.cli.common import config, out
from leadfold.supervisor import Child

if TYPE_CHECKING:
    from leadfold.announce import Part
    from leadfold.config_file import Config
    from leadfold.embedded_postgres import EmbeddedPostgres

log = structlog.get_logger(__name__)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("run")(run)


def run(
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Do not print the addresses.")] = False,
) -> None:
    """Serve: webhooks in, pages out; the event log and Postgres come along unless the settings name others.

    Starts `ingest` (`[ingest] processes` of it), `project` and `report` as processes of their own, restarts one that dies, and ends all of them on
    Ctrl-C or SIGTERM. Survives `kill -9`: the next start goes on where it was. A second one on the same data folder is
    refused (exit code 4).

    Example: `leadfold run --config shop/leadfold.toml`
    """
    from leadfold import logs
    from leadfold.lock import FolderLock
    from leadfold.supervisor import follow_parent

    follow_parent()  # `leadfold demo` starts us
    current = config()
    settings = current.settings
    with FolderLock(settings.data_dir):
        folder = settings.data_dir / "logs" if settings.logging.files else None
        logs.setup("run", settings.logging.level, file=folder / "run.jsonl" if folder else None)
        raise typer.Exit(asyncio.run(_run(current, quiet)))


async def _run(current: Config, quiet: bool) -> int:
    from leadfold.cli.together import address_held, together
    from leadfold.services.base import stop_on_signals
    from leadfold.wiring import embedded_postgres

    settings = current.settings
    stop = stop_on_signals()
    started = time.monotonic()
    server = embedded_postgres(settings) if settings.embedded_postgres else None
    with address_held(settings) as port:
        if server is not None:
            await asyncio.to_thread(server.start)
        try:
            return await together(
                current,
                port,
                (
                    Child("project", ("project",), stop_s=3.0),
                    Child("report", ("report", "serve"), stop_s=1.5),
                ),
                stop,
                (lambda: _keep_postgres(server, stop)) if server is not None else None,
                lambda found, well: (
                    None if quiet else _tell(current, found, time.monotonic() - started, well=well)
                ),
                logs=settings.data_dir / "logs" if settings.logging.files else None,
            )
        finally:
            if server is not None:
                await asyncio.to_thread(server.stop, 2.5)


async def _keep_postgres(server: EmbeddedPostgres, stop: asyncio.Event) -> None:
    """Start it again when it dies; the parts wait for it and go on."""
    pause_s = 0.5
    away_since: float | None = None  # time.monotonic()
    while not stop.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), 0.5)
        if stop.is_set() or not server.exited:
            continue
        if away_since is None:
            log.error("postgres.died")
            away_since = time.monotonic()
        try:
            await asyncio.to_thread(server.start)
            log.warning("postgres.back", after_s=round(time.monotonic() - away_since, 1))
            pause_s, away_since = 0.5, None
        except Exception as error:  # noqa: BLE001 - whatever it was, the next try may do
            log.error("postgres.not_started", error=str(error))
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, 15.0)


def _tell(current: Config, found: dict[str, Part], took_s: float, *, well: bool) -> None:
    """Print the addresses."""
    what = "[green]Leadfold runs[/]" if well else "[yellow]Leadfold takes webhooks[/]"
    out.print(f"{what} (ready in {took_s:.1f} s), Ctrl-C ends it.")
    out.print(f"  webhooks  {found['ingest'].url}", markup=False)
    out.print(f"  pages     {found['report'].url}", markup=False)
    out.print(f"  data      {current.settings.data_dir}", markup=False)
    if not current.settings.sources:
        out.print("  no sources yet: leadfold sources add main --provider sipuni", markup=False)
