"""What the long-running parts share: signals, the watch on leadfold.toml, a small HTTP server for health and metrics."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import os
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import structlog
from aiohttp import web

from ingest.journal import server_logger
from leadfold.announce import announce, withdraw
from leadfold.config_file import Config, WrongConfig, load
from leadfold.settings import Settings

log = structlog.get_logger(__name__)

T = TypeVar("T")

#: How often the settings file is looked at, seconds.
LOOK_S = 0.5
#: Between attempts to say where a part listens, seconds.
_ANNOUNCE_S = 3.0
#: Signals to stop that come within this time are one, seconds.
_SAME_S = 1.0
#: Before a task of the background that failed begins again, seconds.
_AGAIN_S = 2.0


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a part on uvloop."""
    import uvloop
    from prometheus_client import disable_created_metrics

    # A second metric beside each counter and histogram, which no list of ours names.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    collect_seldom()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def collect_seldom() -> None:
    """Look for cycles of garbage seldom, and not among what the program is made of.

    Deliveries and facts make many objects and hardly any cycles: looking for them took an eighth of the front door's
    time, and half of the time in which records are opened, because a batch of them lives at once.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def stop_on_signals() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set; one more, a second later, ends the process at once.

    One that comes sooner says the same again: systemd tells all processes of a service, and our supervisor tells us too.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    since = 0.0

    def told(sign: signal.Signals) -> None:
        nonlocal since
        if not stop.is_set():
            since = loop.time()
            log.info("service.stopping", signal=sign.name)
            stop.set()
        elif loop.time() - since > _SAME_S:
            os._exit(128 + sign)

    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, told, sign)
    return stop


async def changes(config: Config) -> AsyncGenerator[Config, None]:
    """Every new, right version of the settings file. A wrong one is told in the log and changes nothing."""
    # The file may have been changed since ``config`` was read: the first look reads it in any case.
    seen: tuple[int, int, int] | None = None
    current = config
    while True:
        await asyncio.sleep(LOOK_S)
        stamp = _stamp(config.file)
        if stamp is None or stamp == seen:
            continue
        seen = stamp
        try:
            fresh = await asyncio.to_thread(load, config.file)
        except WrongConfig as error:
            log.error("config.wrong", problems=[str(p) for p in error.problems], used="the one before")
            continue
        if fresh.settings != current.settings:
            log.info("config.changed")
            for doubt in fresh.doubts:
                log.warning("config.doubtful", problem=str(doubt))
            current = fresh
            yield fresh


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


@asynccontextmanager
async def served(
    app: web.Application,
    settings: Settings,
    name: str,
    host: str,
    port: int,
    *,
    stop_s: float = 3.0,
    backlog: int = 128,
    fixed: bool = True,
    shared: bool = False,
) -> AsyncIterator[str]:
    """Serve an application while inside; gives its address from this machine.

    ``backlog``: connections not yet taken. A port that is not ``fixed`` gives way to whoever has it already: the system
    chooses another one, and commands on this machine find it by the announcement. One that is ``shared`` may be listened
    on by further processes of ours: the system spreads connections over them.

    Raises:
        OSError: the address is taken.
    """
    again: asyncio.Task[None] | None = None
    runner = web.AppRunner(
        app, access_log=None, logger=server_logger(), shutdown_timeout=stop_s, handle_signals=False
    )
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port, backlog=backlog, reuse_port=shared or None).start()
        except OSError as error:
            if fixed or error.errno != errno.EADDRINUSE:
                raise
            log.warning("service.port_taken", part=name, port=port)
            await web.TCPSite(runner, host, 0, backlog=backlog).start()
        real = runner.addresses[0][1]
        if not announce(settings, name, host, real):
            again = asyncio.create_task(_announced(settings, name, host, real), name="announce")
        from leadfold.settings import local_host

        yield f"http://{local_host(host)}:{real}"
    finally:
        if again is not None:
            await ended(again)
        withdraw(settings, name)
        await runner.cleanup()


async def _announced(settings: Settings, name: str, host: str, port: int) -> None:
    """The disk was full or read-only: once it is not, commands on this machine find us."""
    while True:
        await asyncio.sleep(_ANNOUNCE_S)
        if announce(settings, name, host, port):
            return


def health_app(
    ready: Callable[[], Awaitable[dict[str, Any]]], metrics: Callable[[], Awaitable[str]]
) -> web.Application:
    """``/healthz`` (the process answers), ``/readyz`` (200 when ``ready()["ready"]``), ``/metrics``.

    ``ready`` gives ``{"ready": bool, "checks": {name: {"ok": bool, "reason": text or None, …}}}``, as all parts do.
    """

    async def healthz(_request: web.Request) -> web.Response:
        return web.json_response({"alive": True})

    async def readyz(_request: web.Request) -> web.Response:
        found = await ready()
        return web.json_response(found, status=200 if found.get("ready") else 503)

    async def show(_request: web.Request) -> web.Response:
        return web.Response(
            text=await metrics(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        )

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", show)])
    return app


async def lasting(name: str, work: Callable[[], Awaitable[None]]) -> None:
    """Do ``work`` until it ends by itself. What it did not foresee is logged, and it begins again.

    A task that nobody awaits would otherwise die unheard, and the part would show old figures and settings for ever.
    """
    while True:
        try:
            return await work()
        except Exception:
            log.exception("service.task_failed", task=name)
        await asyncio.sleep(_AGAIN_S)


async def ended(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks and wait for their end."""
    for task in tasks:
        task.cancel()
    for task in tasks:
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await task
