"""``leadfold run``: everything in one process tree, no other server needed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import structlog
import typer

from leadfold.cli.common import Exit, config, err, out
from leadfold.supervisor import Child, GaveUp, Supervisor

if TYPE_CHECKING:
    from leadfold.announce import Part
    from leadfold.config_file import Config
    from leadfold.embedded_postgres import EmbeddedPostgres

log = structlog.get_logger(__name__)

_PARTS = ("ingest", "project", "report")

#: How long the addresses may take to appear before they are no longer waited for, seconds.
_READY_S = 60.0


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("run")(run)


def run(
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Do not print the addresses.")] = False,
) -> None:
    """Serve: webhooks in, pages out; the event log and Postgres come along unless the settings name others.

    Starts `ingest`, `project` and `report` as processes of their own, restarts one that dies, and ends all of them on
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
    from leadfold.services.base import stop_on_signals
    from leadfold.wiring import embedded_postgres

    settings = current.settings
    stop = stop_on_signals()
    started = time.monotonic()
    server = embedded_postgres(settings) if settings.embedded_postgres else None
    if server is not None:
        await asyncio.to_thread(server.start)
    environment = {**os.environ, "LEADFOLD_CONFIG": str(current.file)}
    logs_folder = settings.data_dir / "logs" if settings.logging.files else None
    supervisor = Supervisor(
        [
            Child("ingest", ("ingest",), stop_s=3.5),
            Child("project", ("project",), stop_s=3.0),
            Child("report", ("report", "serve"), stop_s=1.5),
        ],
        environment,
        logs_folder,
        lambda name, pid: _ready(current, name, pid),
    )
    tasks = [
        asyncio.create_task(supervisor.run(), name="children"),
        asyncio.create_task(stop.wait(), name="stop"),
    ]
    if server is not None:
        tasks.append(asyncio.create_task(_keep_postgres(server, stop), name="postgres"))
    told = asyncio.create_task(_tell(current, supervisor, started, quiet))
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return _code(tasks)
    finally:
        told.cancel()
        stop.set()
        await supervisor.stop()
        if server is not None:
            await asyncio.to_thread(server.stop, 2.5)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, told, return_exceptions=True)


def _code(tasks: Sequence[asyncio.Task[object]]) -> int:
    for task in tasks:
        if not task.done() or task.cancelled():
            continue
        error = task.exception()
        if isinstance(error, GaveUp):
            err.print(f"{error.name} cannot work: see its message above", style="red")
            return error.code
        if error is not None:
            raise error
    return Exit.OK


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


async def _tell(current: Config, supervisor: Supervisor, started: float, quiet: bool) -> None:
    """Print the addresses once everything answers."""
    import aiohttp

    from leadfold.announce import announced

    deadline = time.monotonic() + _READY_S
    found: dict[str, Part] = {}
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
        while len(found) < len(_PARTS) and time.monotonic() < deadline:
            for name in _PARTS:
                part = announced(current.settings, name)
                if name not in found and part is not None and await _answers(session, part):
                    found[name] = part
            await asyncio.sleep(0.05)
    missing = [name for name in _PARTS if name not in found]
    if missing:
        err.print(
            f"not ready after {_READY_S:g} s: {', '.join(missing)}; see {current.settings.data_dir / 'logs'}"
        )
        return
    supervisor.settled()
    if quiet:
        return
    out.print(f"[green]Leadfold runs[/] (ready in {time.monotonic() - started:.1f} s), Ctrl-C ends it.")
    out.print(f"  webhooks  {found['ingest'].url}", markup=False)
    out.print(f"  pages     {found['report'].url}", markup=False)
    out.print(f"  data      {current.settings.data_dir}", markup=False)
    if not current.settings.sources:
        out.print("  no sources yet: leadfold sources add main --provider sipuni", markup=False)


async def _ready(current: Config, name: str, pid: int) -> None:
    """Return when a part answers that it is ready, in the process of this id."""
    import aiohttp

    from leadfold.announce import announced

    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
        while True:
            part = announced(current.settings, name)
            if part is not None and part.pid == pid and await _answers(session, part):
                return
            await asyncio.sleep(0.1)


async def _answers(session: object, part: Part) -> bool:
    import aiohttp

    assert isinstance(session, aiohttp.ClientSession)
    try:
        async with session.get(f"{part.url}/readyz") as response:
            return response.status == 200
    except (aiohttp.ClientError, OSError, TimeoutError):
        return False
