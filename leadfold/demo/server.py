"""`leadfold run` as a child process of the demo: started, waited for, stopped, never left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp

from leadfold.announce import Part, announced
from leadfold.config_file import load
from leadfold.readiness import answers
from leadfold.settings import Settings
from leadfold.supervisor import PARENT_PIPE

_STOP_S = 12.0


class ServerFailed(Exception):
    """The service did not start, or ended by itself; the text ends with its last words."""


class Server:
    """A running Leadfold on a settings file. Enter it to start, leave it to stop; both may be done once.

    Its output goes to ``run.log`` beside the settings file. When we die, it ends by itself.
    """

    def __init__(self, config_file: Path) -> None:
        self.config_file = config_file
        self.settings: Settings = load(config_file).settings
        self._output = config_file.parent / "run.log"
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        with self._output.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",
                "-m",
                "leadfold",
                "run",
                "--quiet",
                "--config",
                str(self.config_file),
                stdin=asyncio.subprocess.PIPE,
                stdout=output,
                stderr=output,
                env={**os.environ, PARENT_PIPE: "1"},
                start_new_session=True,  # Ctrl-C in the terminal is for us
            )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), _STOP_S)
        except TimeoutError:
            process.kill()
            await process.wait()

    async def ready(self, name: str, within_s: float = 30.0) -> Part:
        """A part (``ingest``, ``project``, ``report``) once it answers that it is ready.

        Raises:
            ServerFailed: the service ended, or the part is not ready in time.
        """
        deadline = time.monotonic() + within_s
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
            while time.monotonic() < deadline:
                self.check()
                part = announced(self.settings, name)
                if part is not None and await answers(session, part.url):
                    return part
                await asyncio.sleep(0.05)
        raise ServerFailed(f"{name} is not ready after {within_s:g} s; {self._last_words()}")

    def check(self) -> None:
        """Raise ServerFailed when the service is no longer there."""
        if self._process is None or self._process.returncode is not None:
            raise ServerFailed(f"Leadfold ended by itself; {self._last_words()}")

    def _last_words(self) -> str:
        tail = self._output.read_text(encoding="utf-8", errors="replace")[-1500:].strip()
        return f"the end of {self._output}:\n{tail}"
