"""Where the parts of a running Leadfold listen: each writes a small file into the data folder once it does.

Only a convenience for commands on the same machine; no part depends on another's file.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import psutil
import structlog

from leadfold.files import write_private
from leadfold.settings import Settings, local_host

log = structlog.get_logger(__name__)

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
#: The part of ingest that answers the operator; ``ingest`` is where deliveries go.
OPS: Final = "ingest-ops"


@dataclass(frozen=True, slots=True)
class Part:
    """A part that listens. ``url`` has no slash at the end."""

    name: str
    pid: int
    host: str
    port: int
    started: str  # when the process was, as `_started` tells it: its id may be another's by now

    @property
    def url(self) -> str:
        """Its address from this machine."""
        return f"http://{local_host(self.host)}:{self.port}"


def announce(settings: Settings, name: str, host: str, port: int) -> bool:
    """Say where this process listens; whether that worked. A data folder that can't be written is no reason to stop."""
    folder = settings.data_dir / "run"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_private(
            folder / f"{name}.json",
            json.dumps(asdict(Part(name, os.getpid(), host, port, _started(os.getpid())))),
        )
    except OSError as error:
        log.warning("announce.failed", part=name, error=error.strerror)
        return False
    return True


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
    return part if part.started and part.started == _started(part.pid) else None


def _started(pid: int) -> str:
    """When a process was started, whatever is done to the clock since; empty when there is none, or only its remains.

    On Linux the kernel counts from its own start. What it says of the time of day at that start moves with the clock, so
    it is taken out again, and the kernel's start goes by the name that it gave to it.
    """
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return ""
        if not sys.platform.startswith("linux"):
            return f"{process.create_time():.2f}"
        after_s = process.create_time() - psutil.boot_time()
        return f"{_BOOT_ID.read_text(encoding='ascii').strip()} {after_s:.2f}"
    except (psutil.Error, OSError):
        return ""
