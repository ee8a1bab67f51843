"""The demo's company, installed for a test: its settings file, fixed ports, commands and processes."""

from __future__ import annotations

import asyncio
import json
import os
import random
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from leadfold.announce import announced
from leadfold.config_file import load
from leadfold.demo import installation
from leadfold.demo.poster import Target
from leadfold.readiness import answers
from leadfold.settings import Settings
from tests.faults.deliveries import handover

_TAKEN: set[int] = set()


def fixed_port() -> int:
    """A free port below those that the system gives to outgoing connections: ours also while nobody listens there."""
    while True:
        port = random.randrange(12_000, 32_000)
        with socket.socket() as probe:
            if port not in _TAKEN and probe.connect_ex(("127.0.0.1", port)):
                _TAKEN.add(port)
                return port


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Ours without what would configure Leadfold or Postgres by accident."""
    mine = {k: v for k, v in os.environ.items() if not k.startswith(("LEADFOLD_", "PG", "COVERAGE"))}
    return {**mine, **(more or {})}


class Place:
    """One data folder with a front door of its own, on a settings file that several places may share."""

    def __init__(self, config: Path, data: Path, port: int) -> None:
        self.config = config
        self.data = data
        self.url = f"http://127.0.0.1:{port}"
        self.environment = environment(
            {
                "LEADFOLD_CONFIG": str(config),
                "LEADFOLD_DATA_DIR": str(data),
                "LEADFOLD_INGEST__PORT": str(port),
                "LEADFOLD_INGEST__OPS_PORT": "0",
                "LEADFOLD_REPORTS__PORT": "0",
                "LEADFOLD_PROJECTOR__PORT": "0",
            }
        )

    @property
    def settings(self) -> Settings:
        """The settings with this place's data folder."""
        return load(self.config).settings.model_copy(update={"data_dir": self.data})

    def targets(self) -> dict[str, Target]:
        """Where each source's deliveries go."""
        return installation.targets(self.settings, self.url)

    async def call(self, *arguments: str, patience_s: float = 200) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "leadfold", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=patience_s,
            check=False,
        )

    async def json(self, *arguments: str) -> Any:
        """What a command prints as JSON; it must succeed."""
        done = await self.call(*arguments, "--json")
        assert done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout)

    async def json_with(self, more: Mapping[str, str], *arguments: str) -> Any:
        """`json` with further environment."""
        other = Place(self.config, self.data, 0)
        other.environment = {**self.environment, **more}
        return await other.json(*arguments)

    async def wait(self, patience_s: float = 120) -> float:
        """`leadfold wait`; seconds it took."""
        found = await self.json("wait", "--timeout", str(patience_s))
        assert found["visible"], found
        return float(found["seconds"])

    async def report(self) -> Any:
        """The report over the whole history, as JSON."""
        return await self.json("report", "inquiries", "--from", "2026-06-01", "--to", "2026-06-30")

    def pid(self, part: str) -> int | None:
        """Process id of a part that has told where it listens and lives."""
        found = announced(self.settings, part)
        return found.pid if found else None

    async def ready(self, *parts: str, patience_s: float = 60) -> None:
        """Wait until these parts answer that they are ready."""
        async with (
            asyncio.timeout(patience_s),
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=3)) as session,
        ):
            for name in parts:
                while not await self._answers(session, name):  # noqa: ASYNC110 - another process
                    await asyncio.sleep(0.1)

    async def _answers(self, session: aiohttp.ClientSession, name: str) -> bool:
        part = announced(self.settings, name)
        return part is not None and await answers(session, part.url)


def install(folder: Path, changes: dict[str, dict[str, Any]] | None = None, *, days: int = 10) -> Path:
    """Write ``leadfold.toml`` for the history of so many days; the file."""
    return installation.write(folder, handover(days), changes)


class Running:
    """One ``leadfold …`` process, to be killed, frozen and started again."""

    def __init__(self, place: Place, *arguments: str, name: str) -> None:
        self.name = name
        self.starts = 0
        self.disk_full = False  # from the next start on: every write to a file fails
        self.output_folder = place.data
        self._place = place
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None
        self._ended_by_us = False
        self._deaths = 0

    @property
    def pid(self) -> int | None:
        """Its process id while it lives."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    def output(self) -> Path:
        """What it printed, over all its lives."""
        return self.output_folder / f"{self.name}.out"

    def told(self) -> str:
        """What it printed, over all its lives."""
        return self.output.read_text(encoding="utf-8")

    @property
    def deaths(self) -> int:
        """How often it ended although nobody told it to."""
        self._look()
        return self._deaths

    def tell_the_end(self) -> None:
        """From now on its end is our doing."""
        self._look()
        self._ended_by_us = True

    def _look(self) -> None:
        if self._process is not None and self._process.poll() is not None and not self._ended_by_us:
            self._deaths += 1
            self._ended_by_us = True  # counted

    def start(self) -> None:
        """Start it unless it lives."""
        self._look()
        if self.pid is not None:
            return
        self.starts += 1
        self._ended_by_us = False
        self.output_folder.mkdir(parents=True, exist_ok=True)
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "leadfold", *self._arguments],
                env=self._place.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=_no_room if self.disk_full else None,  # noqa: PLW1509 - one system call, no locks
            )

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if it lives."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL to it and everything below it, at once."""
        self.tell_the_end()
        if (pid := self.pid) is not None:  # asked once: it may end by itself between two questions
            kill_tree(pid)
        if self._process is not None:
            self._process.wait(10)

    def end(self) -> None:
        """SIGTERM, by force when it takes too long."""
        self.tell_the_end()
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            if self._process is not None:
                self._process.wait(15)
        except subprocess.TimeoutExpired:
            self.kill()


def _no_room() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


def kill_tree(pid: int) -> None:
    """SIGKILL to a process and its descendants; all are stopped first so that none can react to another's end."""
    try:
        root = psutil.Process(pid)
        family = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for sign in (signal.SIGSTOP, signal.SIGKILL):
        for process in family:
            try:
                process.send_signal(sign)
            except psutil.NoSuchProcess:
                continue
    psutil.wait_procs(family, timeout=10)
