"""Disks that fill up and that become read-only: real ones where we may mount, else what comes nearest to them."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from pathlib import Path

import psutil

_EXT4 = ("mkfs.ext4", "losetup", "e2fsck")


def _root(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a command as root, by sudo where we are somebody else."""
    before = () if os.geteuid() == 0 else ("sudo", "-n")
    return subprocess.run([*before, *command], capture_output=True, text=True, check=False)


@cache
def can_mount(folder: Path) -> bool:
    """Whether file systems can be mounted here: as root, outside of a container that forbids it."""
    if os.geteuid() != 0 and shutil.which("sudo") is None:
        return False
    probe = folder / "probe"
    probe.mkdir(parents=True)
    with _mounted(probe, "-t", "tmpfs", "tmpfs") as mounted:
        return mounted


@contextmanager
def _mounted(at: Path, *how: str) -> Iterator[bool]:
    done = _root("mount", *how, str(at)).returncode == 0
    try:
        yield done
    finally:
        if done:
            _root("umount", "--lazy", str(at))


class SmallDisk:
    """A file system of so many MiB at a folder; a plain folder where nothing can be mounted.

    Then `fill` and `read_only` do to the given process alone what they would do to the disk: every write fails.
    """

    def __init__(self, at: Path, *, real: bool) -> None:
        self.at = at
        self.real = real

    @asynccontextmanager
    async def full(self, pid: int | None) -> AsyncIterator[None]:
        """Inside, nobody can write one more byte."""
        if not self.real:
            async with disk_that_takes_nothing(pid):
                yield
            return
        ballast = self.at / "ballast"
        await asyncio.to_thread(_fill, ballast)
        try:
            yield
        finally:
            ballast.unlink()

    @contextmanager
    def read_only(self) -> Iterator[None]:
        """Inside, the disk can be read and not written. Nobody may have a file open there for writing."""
        if self.real:
            assert _root("mount", "-o", "remount,ro", str(self.at)).returncode == 0, "somebody writes there"
        else:
            self.at.chmod(0o500)
        try:
            yield
        finally:
            if self.real:
                assert _root("mount", "-o", "remount,rw", str(self.at)).returncode == 0
            else:
                self.at.chmod(0o700)


def _fill(ballast: Path) -> None:
    """Write until there is no room."""
    with ballast.open("wb", buffering=0) as file:
        for size in (1024 * 1024, 4096, 1):
            try:
                while file.write(bytes(size)):
                    pass
            except OSError:
                continue


@contextmanager
def small_disk(at: Path, scratch: Path, *, mebibytes: int) -> Iterator[SmallDisk]:
    """A tmpfs at ``at``; gone at the end, also when somebody still uses it."""
    at.mkdir(parents=True, exist_ok=True)
    if not can_mount(scratch):
        yield SmallDisk(at, real=False)
        return
    owner = f"size={mebibytes}m,mode=0755,uid={os.getuid()},gid={os.getgid()}"
    with _mounted(at, "-t", "tmpfs", "-o", owner, "tmpfs") as done:
        assert done
        yield SmallDisk(at, real=True)


@asynccontextmanager
async def disk_that_takes_nothing(pid: int | None) -> AsyncIterator[None]:
    """What a full disk is to one process: every write to a file fails."""
    assert pid is not None
    process = psutil.Process(pid)
    before = process.rlimit(psutil.RLIMIT_FSIZE)
    process.rlimit(psutil.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        process.rlimit(psutil.RLIMIT_FSIZE, before)


class FailingDisk:
    """A file system that turns read-only under those who write, as ext4 does when its device fails.

    Only an unmount mends it. Where that can't be had, `fail` is not there: see `available`.
    """

    def __init__(self, image: Path, at: Path) -> None:
        self._image = image
        self.at = at

    @staticmethod
    def available(scratch: Path) -> bool:
        """Whether this machine can do it."""
        return all(map(shutil.which, _EXT4)) and can_mount(scratch) and Path("/sys/fs/ext4").exists()

    def make(self) -> None:
        """A new file system, mounted."""
        self.at.mkdir(parents=True, exist_ok=True)
        with self._image.open("wb") as file:
            file.truncate(32 * 1024 * 1024)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", str(self._image)], check=True)
        self._mount()
        _root("chown", f"{os.getuid()}:{os.getgid()}", str(self.at))

    def _mount(self) -> None:
        done = _root("mount", "-o", "loop,errors=remount-ro", str(self._image), str(self.at))
        assert done.returncode == 0, done.stderr

    def fail(self) -> None:
        """From now on it is read-only, for open files too."""
        device = _root("findmnt", "-no", "SOURCE", str(self.at)).stdout.strip()
        trigger = f"/sys/fs/ext4/{Path(device).name}/trigger_fs_error"
        assert _root("sh", "-c", f"echo test > {trigger}").returncode == 0

    def mend(self) -> None:
        """What an operator does, when nobody uses it any more."""
        assert _root("umount", str(self.at)).returncode == 0, "somebody uses it"
        _root("e2fsck", "-f", "-y", str(self._image))
        self._mount()

    def gone(self) -> None:
        """Unmount it, also when somebody still uses it."""
        _root("umount", "--lazy", str(self.at))
