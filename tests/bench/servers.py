"""Servers under load, as processes: Leadfold's own front door, and the floors."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import psutil

from leadfold.announce import announced
from leadfold.config_file import load
from leadfold.demo.installation import targets, write
from leadfold.settings import Settings

_START_S = 30.0


@dataclass(slots=True)
class Running:
    """A server that listens; ``paths`` by shape of delivery."""

    name: str
    process: subprocess.Popen[bytes]
    port: int
    paths: dict[str, str]

    def cpu_s(self) -> float:
        """Processor seconds that the process and those below it have used, in user and kernel mode, all threads."""
        root = psutil.Process(self.process.pid)
        found = [process.cpu_times() for process in (root, *root.children(recursive=True))]
        return sum(times.user + times.system for times in found)

    def stop(self) -> None:
        """End it in order, and whoever is left below it."""
        below = (
            psutil.Process(self.process.pid).children(recursive=True) if self.process.poll() is None else []
        )
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for process in below:
            with suppress(psutil.NoSuchProcess):
                process.kill()


def floor(name: str, arguments: Sequence[str], folder: Path, processes: int = 1) -> Running:
    """Start a floor of `tests.bench.bare`."""
    folder.mkdir(parents=True, exist_ok=True)
    port_file = folder / "port"
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.bare", str(processes), *arguments, str(port_file)]
    )
    port = _wait(process, lambda: port_file.read_text() if port_file.exists() else "", name)
    return Running(name, process, int(port), {"tilda": "/in/site/secret", "sipuni": "/in/pbx/secret"})


@dataclass(frozen=True, slots=True)
class Installation:
    """A ``leadfold.toml`` in a folder of its own, with sources of several providers."""

    file: Path
    settings: Settings


def installation(folder: Path, changes: dict[str, dict[str, Any]] | None = None) -> Installation:
    """Write a configuration; ``changes`` are further settings by table."""
    file = write(folder, date(2026, 1, 1), changes)
    return Installation(file, load(file).settings)


def leadfold(installed: Installation, part: str = "ingest", *, door: str = "ingest") -> Running:
    """Start a part of Leadfold as anybody would; returns when ``door``, the part whose address is given, listens."""
    log = (installed.file.parent / f"{part}.log").open("ab")
    process = subprocess.Popen(
        [sys.executable, "-m", "leadfold", part, "--config", str(installed.file)],
        stdout=log, stderr=log, env={**os.environ, "PYTHONHASHSEED": "0"},
    )  # fmt: skip
    log.close()

    def port() -> str:
        found = announced(installed.settings, door)
        return str(found.port) if found else ""

    listens = int(_wait(process, port, part))
    paths = {
        name: target.url.removeprefix("http://x")
        for name, target in targets(installed.settings, "http://x").items()
    }
    return Running(part, process, listens, paths)


def leadfold_run(installed: Installation) -> Running:
    """Start all parts as `leadfold run` does; gives the front door."""
    return leadfold(installed, "run", door="ingest")


def _wait(process: subprocess.Popen[bytes], ask: Any, name: str) -> str:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{name} ended with {process.returncode} before it listened")
        if answer := ask():
            return str(answer)
        time.sleep(0.05)
    process.kill()
    process.wait()
    raise RuntimeError(f"{name} does not listen after {_START_S:g} s")
