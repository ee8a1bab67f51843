"""The folder that all processes of one test run share: servers' data, temporary files, state of shared servers.

pytest-xdist runs the tests in several worker processes under one controller. The controller makes the folder and
removes it; workers find it through the environment.
"""

import os
import shutil
import tempfile
from pathlib import Path

import psutil

_VARIABLE = "LEADFOLD_TEST_RUN_DIR"
#: Set to keep the folder (servers' logs, tmp_path) for a look after the run.
_KEEP = "LEADFOLD_TEST_KEEP"


def create() -> Path:
    """Make the folder and tell the workers to come where it is. Call in the controller only."""
    path = Path(tempfile.mkdtemp(prefix="leadfold-tests-"))
    os.environ[_VARIABLE] = str(path)
    return path


def current() -> Path:
    """The folder of this run."""
    return Path(os.environ[_VARIABLE])


def controller_pid() -> int:
    """Process id of the run's controller: as long as it lives, shared servers must."""
    return int((current() / "controller.pid").read_text())


def remove(path: Path) -> None:
    """End every process that a crashed worker has left in the folder, then remove it."""
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and any(str(path) in part for part in process.cmdline()):
                process.kill()
        except psutil.Error:
            continue  # it ended by itself, or belongs to somebody else
    if os.environ.get(_KEEP):
        print(f"kept: {path}")
    else:
        shutil.rmtree(path, ignore_errors=True)
