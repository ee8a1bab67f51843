"""A clock that jumps under running processes: a small library in front of the C library's clocks, told by a file.

Wall clocks only (``time``, ``gettimeofday``, CLOCK_REALTIME), as when somebody sets the machine's clock or NTP steps it:
CLOCK_MONOTONIC goes on as it did.
"""

from __future__ import annotations

import mmap
import shutil
import struct
import subprocess
from pathlib import Path

from tests.support.require import unavailable

_SOURCE = Path(__file__).with_name("clock.c")


class Clock:
    """The clock of every process that is started with its `environment`, and of what those start."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        library, file = folder / "clock.so", folder / "clock"
        compiler = shutil.which("cc")
        if compiler is None:
            unavailable("compiler", "no `cc` in PATH; `make test` installs one where apt-get is")
        command = [compiler, "-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o", str(library), str(_SOURCE)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        file.write_bytes(bytes(mmap.PAGESIZE))
        for each in (library, file):  # Postgres runs as another user when we are root
            each.chmod(0o755)
        with file.open("r+b") as opened:
            self._offset = mmap.mmap(opened.fileno(), mmap.PAGESIZE)
        self.environment = {"LD_PRELOAD": str(library), "WRONG_CLOCK_FILE": str(file)}

    def jump(self, hours: float) -> None:
        """So many hours from the true time, at once."""
        self._offset[:8] = struct.pack("=q", int(hours * 3600e9))
