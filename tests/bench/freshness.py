"""Freshness: from the answer to a webhook until its row is visible, at a steady pace, everything in one `leadfold run`."""

import subprocess
import threading
import time
from bisect import bisect_left
from pathlib import Path

import psycopg

from leadfold.embedded_postgres import EmbeddedPostgres
from tests.bench.load import Load, send
from tests.bench.options import Options
from tests.bench.places import folder
from tests.bench.servers import installation, leadfold_run
from tests.bench.table import Row

_LOOK_S = 0.02
_VISIBLE_S = 120.0


def fresh(options: Options) -> list[Row]:
    """Percentiles of the seconds between «accepted» and «visible», in the order of acceptance."""
    with folder() as place:
        installed = installation(
            place / "leadfold",
            {"ingest": {"port": 0, "rate_per_s": 0}, "projector": {"port": 0}, "reports": {"port": 0}},
        )
        running = leadfold_run(installed)
        try:
            url = _database(installed.settings.data_dir, running.process)
            send(Load(running.port, running.paths["tilda"], "tilda", 1.0, per_s=50, first=5_000_000))
            return _measure(options, running.port, running.paths["tilda"], url)
        finally:
            running.stop()


def _measure(options: Options, port: int, path: str, url: str) -> list[Row]:
    watcher = _Watcher(url)
    watcher.start()
    result = send(Load(port, path, "tilda", options.fresh_s, per_s=options.per_s, stamps=True))
    assert result.accepted == result.sent, result.answers
    ends = time.monotonic() + _VISIBLE_S
    while watcher.count < result.accepted and time.monotonic() < ends:
        time.sleep(_LOOK_S)
    watcher.stop = True
    watcher.join()
    assert watcher.count >= result.accepted, (
        f"{watcher.count} of {result.accepted} rows after {_VISIBLE_S:g} s"
    )
    counts = [count for _, count in watcher.seen]
    late = sorted(
        watcher.seen[bisect_left(counts, place + 1)][0] - moment
        for place, moment in enumerate(sorted(result.stamps))
    )
    pace = result.accepted / result.seconds
    return [
        Row("freshness, p50", late[len(late) // 2], "s", None, None, None),
        Row("freshness, p99", late[len(late) * 99 // 100], "s", None, None, "< 1 s"),
        Row("freshness: webhooks accepted", pace, "requests/s", None, None, f"{options.per_s:.0f} asked for"),
    ]


class _Watcher(threading.Thread):
    """Looks again and again how many forms are visible as inquiries."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self._url = url
        self.seen: list[tuple[float, int]] = []
        self.count = 0
        self.stop = False

    def run(self) -> None:
        with psycopg.connect(self._url, autocommit=True) as conn:
            row = conn.execute("select schema_name from leadfold.build where state = 'live'").fetchone()
            assert row is not None
            query = f"select count(*) from {row[0]}.inquiry"
            before = self._ask(conn, query)
            while not self.stop:
                self.count = self._ask(conn, query) - before
                self.seen.append((time.time(), self.count))
                time.sleep(_LOOK_S)

    @staticmethod
    def _ask(conn: psycopg.Connection[tuple[object, ...]], query: str) -> int:
        row = conn.execute(query.encode()).fetchone()
        assert row is not None
        return int(str(row[0]))


def _database(data: Path, process: subprocess.Popen[bytes]) -> str:
    """The address of the embedded Postgres once there is a live build."""
    ends = time.monotonic() + 60
    while time.monotonic() < ends and process.poll() is None:
        url = EmbeddedPostgres(data / "pg", data / "logs" / "postgres.log").url()
        if url is not None:
            try:
                with psycopg.connect(url) as conn:
                    if conn.execute("select 1 from leadfold.build where state = 'live'").fetchone():
                        return url
            except psycopg.Error:
                pass
        time.sleep(0.2)
    raise RuntimeError("no live build appeared")
