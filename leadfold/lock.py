"""One owner of a data folder: an advisory lock that the kernel lets go when its holder dies, kill -9 included."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self


class AlreadyRunning(Exception):
    """Another process holds the folder; ``pid`` when it could be read."""

    def __init__(self, folder: Path, pid: int | None) -> None:
        who = f" (process {pid})" if pid else ""
        super().__init__(f"Leadfold already runs on {folder}{who}: stop it first, or give another data_dir")
        self.pid = pid


class CannotLock(OSError):
    """The folder cannot be written: nothing of Leadfold can run on it."""

    def __init__(self, folder: Path, name: str, error: OSError) -> None:
        super().__init__(error.errno, error.strerror)
        self.text = (
            f"the data folder {folder} cannot be used: its {name} cannot be written"
            f" ({(error.strerror or str(error)).lower()}). Make it writable for this user, or give another data_dir"
        )

    def __str__(self) -> str:
        return self.text


class FolderLock:
    """Holds the file ``name`` in a folder while entered. Raises AlreadyRunning, CannotLock.

    The file stays: only the lock means something.
    """

    def __init__(self, folder: Path, name: str = "run.lock") -> None:
        self._folder = folder
        self._name = name
        self._fd: int | None = None

    def __enter__(self) -> Self:
        try:
            if not self._folder.exists():
                self._folder.mkdir(mode=0o700, parents=True)
            descriptor = os.open(self._folder / self._name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise CannotLock(self._folder, self._name, error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            text = os.read(descriptor, 20).decode("ascii", "replace").strip()
            os.close(descriptor)
            raise AlreadyRunning(self._folder, int(text) if text.isdigit() else None) from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        self._fd = descriptor
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def held(folder: Path) -> bool:
    """Whether somebody holds the folder now."""
    try:
        with FolderLock(folder):
            return False
    except AlreadyRunning:
        return True
