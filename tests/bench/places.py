"""Folders, servers and databases of one measurement; gone when it is over."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.postgres import LocalPostgres


@contextmanager
def folder() -> Iterator[Path]:
    """An empty folder."""
    made = Path(tempfile.mkdtemp(prefix="leadfold-bench-"))
    made.chmod(0o755)  # Postgres may run as another user
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


@contextmanager
def postgres(place: Path) -> Iterator[LocalPostgres]:
    """A Postgres of its own, without fsync: what is compared is work, not the disk."""
    server = LocalPostgres(place / "pg")
    server.start()
    try:
        yield server
    finally:
        server.stop()
