"""``leadfold run``: starts the parts as child processes, restarts what dies, stops everything in order."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)

#: Set for children: they end when the pipe on their standard input closes, which it does when we are killed.
PARENT_PIPE = "LEADFOLD_PARENT_PIPE"

#: A part that ends with one of these will end so again: wrong configuration, refused.
HOPELESS = frozenset({2, 4})

_FIRST_PAUSE_S = 0.3
_LAST_PAUSE_S = 15.0
_SETTLED_S = 30.0


@dataclass
class Child:
    """One part. ``stop_s``: how long it may take to end by itself. ``takes_in``: it ends before the others do."""

    name: str
    arguments: Sequence[str]
    stop_s: float = 6.0
    takes_in: bool = False
    process: asyncio.subprocess.Process | None = field(default=None, repr=False)
    restarts: int = 0


class GaveUp(Exception):
    """A part ended in a way that another start would not mend."""

    def __init__(self, name: str, code: int) -> None:
        super().__init__(f"{name} ended with code {code}")
        self.name = name
        self.code = code


Ready = Callable[[str, int], Awaitable[None]]
"""Returns when the part of this name answers that it is ready, in the process of this id."""


class Supervisor:
    """Keeps children alive until `stop`. Made and used on one event loop, in the main thread.

    ``ready``: to say when a part that died is back.
    """

    def __init__(
        self, children: Sequence[Child], environment: dict[str, str], logs: Path | None, ready: Ready
    ) -> None:
        self._children = list(children)
        self._environment = environment
        self._logs = logs
        self._ready = ready
        self._stopping = asyncio.Event()
        self._settled = False
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def children(self) -> Sequence[Child]:
        """The parts, in the order of their start."""
        return self._children

    def settled(self) -> None:
        """Everything was ready once: from now on a refusal is tried again too, so a slip in the settings ends nothing."""
        self._settled = True

    async def run(self) -> None:
        """Keep the children alive. Ends when `stop` was called.

        Raises:
            GaveUp: a part refused to start at all; the others still run, `stop` is due.
        """
        self._tasks = [asyncio.create_task(self._keep(child), name=child.name) for child in self._children]
        try:
            await asyncio.gather(*self._tasks)
        except asyncio.CancelledError:
            if not self._stopping.is_set():
                raise

    async def _keep(self, child: Child) -> None:
        pause_s = _FIRST_PAUSE_S
        away_since: float | None = None  # time.monotonic(); None: it was ready since its last death
        while not self._stopping.is_set():
            started = time.monotonic()
            try:
                child.process = await self._spawn(child)
            except OSError as error:  # no memory, no files: that passes, and the other parts do their work
                if not self._settled:
                    raise
                log.error("supervisor.not_started", child=child.name, error=str(error))
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, _LAST_PAUSE_S)
                continue
            log.info("supervisor.started", child=child.name, child_pid=child.process.pid)
            telling = None if away_since is None else asyncio.create_task(self._tell_back(child, away_since))
            try:
                code = await child.process.wait()
            finally:
                if telling is not None:
                    telling.cancel()
            if self._stopping.is_set():
                return
            if away_since is None or (telling is not None and telling.done()):
                away_since = time.monotonic()
            log.error("supervisor.died", child=child.name, code=code, restarts=child.restarts)
            if code in HOPELESS and not self._settled:
                raise GaveUp(child.name, code)
            if time.monotonic() - started > _SETTLED_S:
                pause_s = _FIRST_PAUSE_S
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _LAST_PAUSE_S)
            child.restarts += 1

    async def _tell_back(self, child: Child, away_since: float) -> None:
        """Who read of the death reads of its end too."""
        assert child.process is not None
        await self._ready(child.name, child.process.pid)
        log.warning("supervisor.back", child=child.name, after_s=round(time.monotonic() - away_since, 1))

    async def _spawn(self, child: Child) -> asyncio.subprocess.Process:
        environment = {**self._environment, PARENT_PIPE: "1"}
        if self._logs is not None:
            environment["LEADFOLD_LOG_FILE"] = str(self._logs / f"{child.name}.jsonl")
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # a reports.py in the folder where somebody stands is not ours
            "-m",
            "leadfold",
            *child.arguments,
            stdin=asyncio.subprocess.PIPE,
            env=environment,
            start_new_session=True,  # Ctrl-C in the terminal is for us: we stop them in order
        )

    async def stop(self) -> None:
        """End those that take things in, then the others: SIGTERM and, when that takes too long, SIGKILL.

        What was taken in is seen through by the others.
        """
        self._stopping.set()
        for takes_in in (True, False):
            await asyncio.gather(*(_end(child) for child in self._children if child.takes_in is takes_in))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _end(child: Child) -> None:
    process = child.process
    if process is None or process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        await asyncio.wait_for(process.wait(), child.stop_s)
    except TimeoutError:
        log.error("supervisor.killed", child=child.name, after_s=child.stop_s)
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def follow_parent() -> None:
    """In a child: end at once when the parent is gone. Everything we do survives a kill, so nothing is tidied up."""
    if os.environ.pop(PARENT_PIPE, None) is None:
        return
    import threading

    def watch() -> None:
        with contextlib.suppress(OSError):
            while os.read(0, 4096):
                pass
        os._exit(1)

    threading.Thread(target=watch, name="follow-parent", daemon=True).start()
