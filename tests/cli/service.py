"""Runs the command line as a user does: as processes, with a folder of its own and ports from the system."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import psutil

from leadfold.files import write_private

_READY_S = 90.0


@dataclass
class Installation:
    """A folder with a ``leadfold.toml``."""

    folder: Path
    environment: dict[str, str]

    @property
    def config(self) -> Path:
        return self.folder / "leadfold.toml"

    def call(
        self, *arguments: str, env: dict[str, str] | None = None, timeout: float = 90
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "leadfold", *arguments],
            env={**self.environment, **(env or {})},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def ok(self, *arguments: str, **more: Any) -> str:
        """Standard output of a command that must succeed."""
        done = self.call(*arguments, **more)
        assert done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def json(self, *arguments: str, **more: Any) -> Any:
        """What a command prints as JSON."""
        return json.loads(self.ok(*arguments, "--json", **more))

    def url(self, source: str) -> str:
        """Ready address of a source of the running service."""
        return str(next(s["url"] for s in self.json("sources", "list") if s["name"] == source))

    @contextmanager
    def running(self) -> Iterator[Run]:
        """``leadfold run``, ready; stopped (or killed) at the end."""
        run = Run(self)
        try:
            run.wait_ready()
            yield run
        finally:
            run.end()


class Run:
    """A running ``leadfold run``."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.output = installation.folder / "run.out"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "leadfold", "run"],
                env=installation.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def text(self) -> str:
        return self.output.read_text(encoding="utf-8")

    def wait_ready(self) -> None:
        deadline = time.monotonic() + _READY_S
        while "pages" not in self.text():
            assert self.process.poll() is None, f"ended with {self.process.returncode}: {self.text()}"
            assert time.monotonic() < deadline, f"not ready: {self.text()}\n{self.logs()}"
            time.sleep(0.05)

    def logs(self) -> str:
        folder = self.installation.folder / "data" / "logs"
        return "\n".join(
            f"== {f.name}\n{f.read_text(encoding='utf-8')[-3000:]}" for f in sorted(folder.glob("*"))
        )

    def tree(self) -> list[psutil.Process]:
        """The process and everything below it."""
        root = psutil.Process(self.process.pid)
        return [root, *root.children(recursive=True)]

    def stop(self) -> float:
        """SIGTERM; seconds until it ended."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == 0, self.text()
        return time.monotonic() - began

    def kill_tree(self) -> None:
        """SIGKILL to everything at once."""
        found = self.tree()
        for process in found:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        self.process.wait(10)
        psutil.wait_procs(found, timeout=10)

    def end(self) -> None:
        """Leave nothing behind."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill_tree()


def install(folder: Path, *sources: tuple[str, str]) -> Installation:
    """A fresh installation with these sources (name, provider); every port is the system's choice.

    Its settings are what `leadfold init` and `sources add` wrote once in this process for such sources, secrets included.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_private(folder / "leadfold.toml", _written(sources))
    return _at(folder)


@cache
def _written(sources: tuple[tuple[str, str], ...]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        made = _at(Path(folder) / "shop")
        made.ok("init", str(made.folder))
        for name, provider in sources:
            made.ok("sources", "add", name, "--provider", provider)
        return made.config.read_text(encoding="utf-8")


def _at(folder: Path) -> Installation:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("LEADFOLD_", "COVERAGE"))}
    environment |= {
        "LEADFOLD_CONFIG": str(folder / "leadfold.toml"),
        "LEADFOLD_INGEST__PORT": "0",
        "LEADFOLD_INGEST__HOST": "127.0.0.1",
        "LEADFOLD_REPORTS__PORT": "0",
        "LEADFOLD_PROJECTOR__PORT": "0",
    }
    return Installation(folder, environment)
