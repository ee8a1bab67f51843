"""The Postgres that comes along: started, adopted, mended after kills; nothing of it is left."""

import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from leadfold.embedded_postgres import EmbeddedPostgres, PostgresFailed
from leadfold.lock import AlreadyRunning, FolderLock, held

pytestmark = pytest.mark.slow


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    made = EmbeddedPostgres(tmp_path / "pg", tmp_path / "logs" / "postgres.log")
    yield made
    made.stop()


def value(url: str, query: str = "select count(*) from kept") -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(query.encode()).fetchone()
        assert row is not None
        return row[0]


def keep(url: str) -> None:
    with psycopg.connect(url) as connection:
        # the last half second of a killed server is folded again from the log; here it is to stay
        connection.execute("set synchronous_commit = on")
        connection.execute("create table kept as select 1 as n")


def test_starts_stops_and_keeps_data(server: EmbeddedPostgres) -> None:
    assert server.url() is None
    url = server.start()
    keep(url)
    assert value(url, "select lower('ПРИВЕТ')") == "привет"
    assert value(url, "show unix_socket_permissions") == "0700"
    server.stop()
    assert server.url() is None
    assert value(server.start()) == 1


def test_comes_back_after_its_kill_and_after_half_an_initdb(server: EmbeddedPostgres, tmp_path: Path) -> None:
    (tmp_path / "pg.new").mkdir()
    (tmp_path / "pg.new" / "PG_VERSION").write_text("18")
    keep(server.start())
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while not server.exited and time.monotonic() < deadline:
        time.sleep(0.01)
    assert server.url() is None
    assert value(server.start()) == 1


def test_killed_while_it_starts_it_is_started_again(server: EmbeddedPostgres) -> None:
    """By whoever ends processes when memory is out: that is no reason for the whole service to give up."""
    keep(server.start())
    server.stop()

    def kill() -> None:
        while server.pid is None:
            time.sleep(0.001)
        os.kill(server.pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    assert value(server.start()) == 1
    killer.join()


def test_a_mark_with_a_strangers_process_id_does_not_matter(server: EmbeddedPostgres, tmp_path: Path) -> None:
    server.start()
    server.stop()
    (tmp_path / "pg" / "postmaster.pid").write_text(
        f"{os.getpid()}\n{tmp_path / 'pg'}\n1\n5432\n{tmp_path}\n\n1 2\nready\n"
    )
    assert server.url() is None
    server.start()


def test_dies_with_its_parent_and_a_leftover_is_taken_over(server: EmbeddedPostgres, tmp_path: Path) -> None:
    program = (
        "import sys, time, pathlib; from leadfold.embedded_postgres import EmbeddedPostgres as E;"
        "s = E(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])); s.start(); print(s.pid, flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", program, str(server.folder), str(server.log_file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        left = psutil.Process(int(parent.stdout.readline()))
        left.suspend()  # cannot hear that its parent is gone
        parent.kill()
        parent.wait()
    left.resume()
    url = server.start()
    assert not left.is_running()
    assert value(url, "select 1") == 1


def test_a_folder_that_is_none_is_told(tmp_path: Path) -> None:
    broken = EmbeddedPostgres(tmp_path / "pg", tmp_path / "postgres.log")
    broken.start()
    broken.stop()
    (tmp_path / "pg" / "postgresql.conf").write_text("shared_buffers = many\n")
    with pytest.raises(PostgresFailed, match="shared_buffers"):
        broken.start()


def test_a_long_path_gets_a_private_folder_for_the_socket(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 20)
    folder.mkdir()
    made = EmbeddedPostgres(folder / "pg", folder / "postgres.log")
    try:
        url = made.start()
        assert str(folder) not in url
        assert value(url, "select 1") == 1
    finally:
        made.stop()


def test_a_link_that_lies_in_the_place_of_the_sockets_folder_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = tmp_path / ("long" * 20)
    strangers = tmp_path / "strangers"
    strangers.mkdir(mode=0o755)
    before = strangers.stat()
    digest = hashlib.sha256(os.fsencode(folder / "pg")).hexdigest()[:12]
    (tmp_path / f"leadfold-{os.getuid()}-{digest}").symlink_to(strangers)
    folder.mkdir()
    with pytest.raises(PostgresFailed, match="belongs to somebody else"):
        EmbeddedPostgres(folder / "pg", folder / "postgres.log").start()
    assert (strangers.stat().st_uid, strangers.stat().st_mode) == (before.st_uid, before.st_mode)


def test_the_lock_of_a_folder_is_let_go_by_a_kill(tmp_path: Path) -> None:
    program = (
        "import sys, time, pathlib; from leadfold.lock import FolderLock;"
        "FolderLock(pathlib.Path(sys.argv[1])).__enter__(); print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        assert held(tmp_path)
        with pytest.raises(AlreadyRunning, match=f"process {holder.pid}"), FolderLock(tmp_path):
            pass
        holder.kill()
        holder.wait()
    assert not held(tmp_path)
