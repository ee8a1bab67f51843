"""A process beside a projector that folds what waits: folding is most of the work, and one process uses one core.

It is begun when far more waits than beginning costs (about half a second), and ended when nothing is left. To the
database it is one more projector that only folds: it claims groups by their locks, so it may die at any moment, and
what it had not finished stays dirty.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection as Pipe
from multiprocessing.process import BaseProcess

import structlog

from projector import garbage
from projector.settings import ProjectorSettings
from projector.workers import Folded, Process

log = structlog.get_logger(__name__)

#: Seconds of folding without an end after which help pays.
_LONG_S = 2.0

#: Seconds without work after which the process is let go.
_IDLE_S = 3.0

#: Seconds until it looks again for what waits.
_LOOK_S = 0.2

#: Seconds until a process that was told to end is killed.
_END_S = 2.0


@dataclass(slots=True)
class _Child:
    build_id: int
    process: BaseProcess
    pipe: Pipe
    ready: bool = False
    asked: bool = False  # to fold


class Helper:
    """At most one process; it is used from one event loop. Nothing here waits."""

    def __init__(self, settings: ProjectorSettings) -> None:
        self._settings = settings
        self._child: _Child | None = None
        self._able = (os.cpu_count() or 1) > 1
        self._folding_since: float | None = None
        self._used = 0.0

    def watch(self, build_id: int, *, behind: int | None, dirty: bool, storing: bool) -> Folded:
        """Begin, use or end the process; what it has told of since the last call.

        ``dirty``: groups wait. While facts are stored (``storing``) it only begins: it would hold groups that are needed.
        """
        now = time.monotonic()
        folded = self._told()
        folding = dirty and not storing
        self._folding_since = (self._folding_since or now) if folding else None
        far = storing and (behind or 0) > self._settings.limits.help_behind
        if self._child is not None and self._child.build_id != build_id:
            self.leave()
        if self._able and self._child is None and (far or now - (self._folding_since or now) > _LONG_S):
            self._begin(build_id)
        if self._child is not None:
            self._ask(self._child, folding)
            if folding or far or folded.groups or not self._child.ready:
                self._used = now
            elif now - self._used > _IDLE_S:
                self.leave()
        return folded

    def leave(self) -> None:
        """End the process, at whatever it is."""
        child, self._child = self._child, None
        if child is not None:
            child.pipe.close()
            child.process.terminate()
            child.process.join(_END_S)
            if child.process.is_alive():
                child.process.kill()
                child.process.join()
            child.process.close()

    def _begin(self, build_id: int) -> None:
        # spawn: a fork would copy this process's connections and event loop
        context = get_context("spawn")
        mine, its = context.Pipe()
        process = context.Process(target=_serve, args=(self._settings, build_id, its), daemon=True)
        try:
            process.start()
        except Exception as error:  # noqa: BLE001 - whatever keeps it from beginning, we do without it
            log.warning("projector.no_helper", error=type(error).__name__)
            mine.close()
            self._able = False
            return
        finally:
            its.close()
        log.info("projector.helper", build=build_id, pid=process.pid)
        self._child = _Child(build_id, process, mine)

    def _ask(self, child: _Child, folding: bool) -> None:
        if child.asked is not folding:
            child.asked = folding
            with contextlib.suppress(OSError):  # it died: seen when it is listened to
                child.pipe.send(folding)

    def _told(self) -> Folded:
        total = Folded()
        while (child := self._child) is not None:
            try:
                if not child.pipe.poll():
                    break
                told: Folded | str = child.pipe.recv()
            except (EOFError, OSError):
                told = "it died"
            if isinstance(told, str):
                log.warning("projector.helper_lost", reason=told)
                self.leave()
                break
            child.ready = True
            total = Folded(*map(sum, zip(total, told, strict=True)))
        return total


def _serve(settings: ProjectorSettings, build_id: int, pipe: Pipe) -> None:
    """The process: folds while it is asked to, and tells of it every second. Ends when nobody is there to ask."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # meant for the projector, which ends this one
    garbage.begin()
    process = Process(settings, build_id, None, strict=False)
    asked = False
    try:
        pipe.send(Folded())
        while True:
            while pipe.poll(None if not asked else 0):
                asked = pipe.recv()
            folded = process.runner.run(process.fold())
            garbage.between()
            pipe.send(folded)
            if not folded.groups:  # all that is left is in other hands; there may be more when those are done
                pipe.poll(_LOOK_S)
    except (EOFError, BrokenPipeError):
        return
    except Exception as error:  # noqa: BLE001 - told to the projector, which goes on alone
        pipe.send(type(error).__name__)
