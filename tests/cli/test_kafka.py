"""The same service on Kafka, as separate processes and as one tree; an embedded log moved there."""

import json
import signal
import subprocess
import sys
import time
import urllib.parse
import urllib.request
import uuid
from pathlib import Path

import pytest

from tests.cli.service import Installation, install

pytestmark = [pytest.mark.slow, pytest.mark.kafka, pytest.mark.timeout(400)]


def on_kafka(shop: Installation, bootstrap: str) -> Installation:
    shop.environment |= {
        "LEADFOLD_LOG__ENGINE": "kafka",
        "LEADFOLD_LOG__BOOTSTRAP": bootstrap,
        "LEADFOLD_LOG__TOPIC": f"cli-{uuid.uuid4().hex[:8]}",
        "LEADFOLD_LOG__PARTITIONS": "3",
    }
    return shop


def call(url: str, number: int) -> None:
    fields = {
        "event": "2", "call_id": f"1772355600.{number}", "src_num": f"7903123{number:04}", "src_type": "1",
        "dst_num": "74951112233", "dst_type": "1", "timestamp": 1772355600 + number, "status": "NOANSWER",
        "call_start_timestamp": 1772355600, "user_id": "077001",
    }  # fmt: skip
    with urllib.request.urlopen(f"{url}?{urllib.parse.urlencode(fields)}", timeout=15) as response:
        assert json.load(response) == {"success": True}


def report(shop: Installation) -> object:
    shop.ok("wait", "--timeout", "90")
    found = shop.json("report", "inquiries", "--from", "2026-03-01", "--to", "2026-03-31")
    return [found[key] for key in ("total", "groups", "notices")]


def test_missing_topic_is_refused_and_create_makes_it(tmp_path: Path, kafka_bootstrap: str) -> None:
    shop = on_kafka(install(tmp_path / "shop"), kafka_bootstrap)
    refused = shop.call("ingest")
    assert refused.returncode == 4
    assert "leadfold log create" in refused.stderr
    assert shop.json("log", "create")["created"]
    assert not shop.json("log", "create")["created"]
    wrong = shop.call("log", "create", env={"LEADFOLD_LOG__PARTITIONS": "5"})
    assert wrong.returncode == 4
    assert "3 partitions" in wrong.stderr


def test_embedded_log_moves_to_kafka(tmp_path: Path, kafka_bootstrap: str) -> None:
    shop = install(tmp_path / "shop", ("main", "sipuni"))
    with shop.running():
        url = shop.url("main")
        for number in range(30):
            call(url, number)
        before = report(shop)
    on_kafka(shop, kafka_bootstrap)
    shop.ok("log", "create")
    moved = shop.json("log", "copy", "--from", "embedded", "--to", "kafka")
    assert moved["copied"] == 30
    assert shop.json("log", "copy", "--from", "embedded", "--to", "kafka")["copied"] == 0
    there = shop.json("log", "stats")
    assert (there["engine"], there["records"], len(there["partitions"])) == ("kafka", 30, 3)
    # read models of their own, folded from Kafka alone
    shop.environment["LEADFOLD_DATA_DIR"] = str(tmp_path / "second")
    with shop.running():
        assert report(shop) == before
        call(shop.url("main"), 99)
        shop.ok("wait")
        assert shop.json("sql", "select count(*) as n from inquiry") == [{"n": 31}]
        assert shop.json("rebuild")["switched"]


def test_separate_processes_on_kafka_and_a_postgres_of_the_users(
    tmp_path: Path, kafka_bootstrap: str, database_url: str
) -> None:
    shop = on_kafka(install(tmp_path / "shop", ("main", "sipuni")), kafka_bootstrap)
    shop.environment |= {"LEADFOLD_DATABASE_URL": database_url, "LEADFOLD_LOGGING__FILES": "false"}
    shop.ok("log", "create")
    running: list[subprocess.Popen[bytes]] = []
    try:
        for command in (["ingest"], ["project"], ["project"], ["report"]):
            process = subprocess.Popen(
                [sys.executable, "-m", "leadfold", *command],
                env=shop.environment,
                stderr=(tmp_path / f"{len(running)}-{command[0]}.log").open("wb"),
            )
            running.append(process)
        deadline = time.monotonic() + 60
        while not all(p["ready"] for p in shop.json("status")["parts"].values()):
            assert time.monotonic() < deadline, shop.ok("status")
            time.sleep(0.5)
        url = shop.url("main")
        for number in range(40):
            call(url, number)
        shop.ok("wait", "--timeout", "90")
        assert shop.json("sql", "select count(*) as n from inquiry") == [{"n": 40}]
        status = shop.json("status")
        assert status["log"]["engine"] == "kafka"
        assert status["database"]["engine"] == "postgres"
        assert status["projection"]["owned"]
    finally:
        for process in running:
            process.send_signal(signal.SIGTERM)
        codes = [process.wait(20) for process in running]
    assert codes == [0, 0, 0, 0]
