"""Where the parts of a running Leadfold listen: each writes a small file into the data folder once it does.

Only a convenience for commands on the same machine; no part depends on another's file.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass

import psutil
import structlog

from leadfold.files import write_private
from leadfold.settings import Settings, local_host

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Part:
    """A part that listens. ``url`` has no slash at the end."""

    name: str
    pid: int
    host: str
    port: int
    started: float  # of the process: its id may be another's by now

    @property
    def url(self) -> str:
        """Its address from this machine."""
        return f"http://{local_host(self.host)}:{self.port}"


def announce(settings: Settings, name: str, host: str, port: int) -> None:
    """Say where this process listens. A data folder that cannot be written is no reason to stop."""
    folder = settings.data_dir / "run"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_private(
            folder / f"{name}.json",
            json.dumps(asdict(Part(name, os.getpid(), host, port, _started(os.getpid())))),
        )
    except OSError as error:
        log.warning("announce.failed", part=name, error=error.strerror)


def withdraw(settings: Settings, name: str) -> None:
    """Take our own announcement back."""
    part = announced(settings, name)
    if part is not None and part.pid == os.getpid():
        with suppress(OSError):
            (settings.data_dir / "run" / f"{name}.json").unlink(missing_ok=True)


def announced(settings: Settings, name: str) -> Part | None:
    """The part of this name if its process lives."""
    try:
        part = Part(**json.loads((settings.data_dir / "run" / f"{name}.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return part if abs(_started(part.pid) - part.started) < 1 else None


def _started(pid: int) -> float:
    """When a process was started; 0 when there is none of this id, or only what is left of it."""
    try:
        process = psutil.Process(pid)
        return 0.0 if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
    except psutil.Error:
        return 0.0
