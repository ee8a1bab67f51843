"""Fair turns of several processes that write one file.

SQLite lets them take turns too, but by asking again after 1, 2, 5, 10 … ms: who has just written is back first, and the
other waits. Here whoever waits is woken by the kernel. Two locks make the turns fair: one to write, and one to be the
next, which is kept until the right to write has been had; so nobody writes twice while another waits.

The kernel frees both when their holder dies. A holder that is stopped stops the others, as it would by SQLite's own
lock; their appends run out of time, unwritten, as long as they wait here. SQLite's lock stays what keeps the file whole:
without these (a disk that takes no new files, a program that knows nothing of them) things are only less fair.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
from contextlib import suppress
from pathlib import Path

# Called without giving up Python's global lock: a busy event loop gives it back after half a millisecond only.
_flock = ctypes.PyDLL(None).flock
_flock.argtypes = (ctypes.c_int, ctypes.c_int)
_flock.restype = ctypes.c_int


class Turns:
    """The turns of one writer. Used by one thread."""

    def __init__(self, path: Path) -> None:
        self._paths = (path.with_name(path.name + ".next"), path.with_name(path.name + ".turn"))
        self._open: tuple[int, int] | None = None
        self._mine = False

    def take(self) -> None:
        """Wait for our turn, however long that takes."""
        if self._mine:
            return
        if self._open is None:
            self._open = self._opened()
            if self._open is None:
                return
        following, writing = self._open
        _lock(following)
        _lock(writing)
        _flock(following, fcntl.LOCK_UN)
        self._mine = True

    def give(self) -> None:
        """Let the next one write."""
        if self._mine and self._open is not None:
            _flock(self._open[1], fcntl.LOCK_UN)
        self._mine = False

    def close(self) -> None:
        """Give it back and forget the files; they stay."""
        self.give()
        opened, self._open = self._open, None
        for descriptor in opened or ():
            os.close(descriptor)

    def _opened(self) -> tuple[int, int] | None:
        opened: list[int] = []
        try:
            for path in self._paths:
                opened.append(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError:
            for descriptor in opened:
                os.close(descriptor)
            return None
        return opened[0], opened[1]


def _lock(descriptor: int) -> None:
    if _flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB):
        with suppress(OSError):  # no locks on this file system
            fcntl.flock(descriptor, fcntl.LOCK_EX)
