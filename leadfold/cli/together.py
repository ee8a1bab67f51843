"""Several parts under one supervisor: all of them for ``leadfold run``, the front doors alone for ``leadfold ingest``."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leadfold.announce import OPS, Part, announced
from leadfold.cli.common import Exit, err
from leadfold.cli.listening import cannot_listen
from leadfold.cli.telling import PROJECTOR, watch, why_stopped
from leadfold.doors import environment, number_of, numbered, reserved
from leadfold.settings import Settings
from leadfold.supervisor import Child, GaveUp, Supervisor

if TYPE_CHECKING:
    import aiohttp

    from leadfold.config_file import Config

#: How long the addresses may take to appear before they are no longer waited for, seconds.
_READY_S = 60.0


@contextmanager
def address_held(settings: Settings) -> Iterator[int]:
    """The address of several front doors; its port. Ends the command when it cannot be had."""
    with ExitStack() as stack:
        try:
            port = stack.enter_context(reserved(settings))
        except OSError as error:
            cannot_listen(error, "ingest", settings.ingest.host, settings.ingest.port)
        yield port


def front_doors(settings: Settings) -> list[Child]:
    """The front doors as children; only of several each is told its number."""
    if settings.ingest.processes == 1:
        return [Child("ingest", ("ingest",), stop_s=3.5, takes_in=True)]
    return [
        Child(numbered("ingest", n), ("ingest", "--number", str(n)), stop_s=3.5, takes_in=True)
        for n in range(1, settings.ingest.processes + 1)
    ]


async def together(
    current: Config,
    port: int,
    others: Sequence[Child],
    stop: asyncio.Event,
    beside: Callable[[], Coroutine[Any, Any, None]] | None,
    tell: Callable[[dict[str, Part], bool], object],
    *,
    logs: Path | None,
) -> int:
    """Run the front doors and the ``others`` until ``stop``; an exit code.

    ``port``: of the front doors, as `leadfold.doors.reserved` gave it. ``beside``: work of our own meanwhile. ``tell``
    hears where they listen once all of them answer, and whether all do their work: a projector that has stopped by itself
    answers too. ``logs``: the folder of their logs; None: they write to stderr.
    """
    settings = current.settings
    supervisor = Supervisor(
        [*front_doors(settings), *others],
        {**environment(settings, port), "LEADFOLD_CONFIG": str(current.file)},
        logs,
        lambda name, pid: _ready(settings, name, pid),
    )
    tasks = [
        asyncio.create_task(supervisor.run(), name="children"),
        asyncio.create_task(stop.wait(), name="stop"),
    ]
    if beside is not None:
        tasks.append(asyncio.create_task(beside(), name="beside"))
    told = asyncio.create_task(_all_ready(current, supervisor, tell))
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return _code(tasks)
    finally:
        told.cancel()
        stop.set()
        await supervisor.stop()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, told, return_exceptions=True)


def _code(tasks: Sequence[asyncio.Task[Any]]) -> int:
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


async def _all_ready(
    current: Config, supervisor: Supervisor, tell: Callable[[dict[str, Part], bool], object]
) -> None:
    """Hand on the addresses once everything answers; then say whether the figures stand still."""
    import aiohttp

    names = [child.name for child in supervisor.children]
    deadline = time.monotonic() + _READY_S
    found: dict[str, Part] = {}
    well = True
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
        while len(found) < len(names) and time.monotonic() < deadline:
            for name in names:
                part = announced(current.settings, name)
                if name in found or part is None:
                    continue
                ready = await _answers(session, current.settings, name)
                if ready or await _stands(current.settings, name):
                    found[name], well = part, well and ready
            await asyncio.sleep(0.05)
    missing = [name for name in names if name not in found]
    if missing:
        err.print(
            f"not ready after {_READY_S:g} s: {', '.join(missing)}; see {current.settings.data_dir / 'logs'}"
        )
        return
    supervisor.settled()
    tell(found, well)
    if PROJECTOR in names:
        await watch(current.settings)


async def _ready(settings: Settings, name: str, pid: int) -> None:
    """Return when a part answers that it is ready, in the process of this id."""
    import aiohttp

    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
        while True:
            part = announced(settings, name)
            if part is not None and part.pid == pid and await _answers(session, settings, name):
                return
            await asyncio.sleep(0.1)


async def _stands(settings: Settings, name: str) -> bool:
    """Whether it is a projector that has stopped by itself: it says so to whoever asks, and the others do their work."""
    return name == PROJECTOR and await why_stopped(settings) is not None


async def _answers(session: aiohttp.ClientSession, settings: Settings, name: str) -> bool:
    """Whether it says that it is ready; a front door where it alone listens, because the others share its address."""
    from leadfold.readiness import answers

    part = announced(settings, numbered(OPS, number_of(name)) if name.startswith("ingest") else name)
    return part is not None and await answers(session, part.url)
