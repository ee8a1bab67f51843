"""`leadfold demo --once` from nothing to the report, as a user starts it; the report's figures are the truth's."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psutil
import pytest

from leadfold.demo.company import COMPANY_ZONE
from leadfold.demo.play import claimed
from leadfold.demo.world import generate
from leadfold.lock import FolderLock
from tests.demo.figures import Figures, count

UNTIL = datetime(2026, 6, 30, 9, tzinfo=UTC)
SEED, SCALE = 5, 0.15
FIRST, LAST = date(2026, 5, 1), date(2026, 5, 31)


def _leadfold(*arguments: str, folder: Path, timeout: float = 100) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "leadfold", *arguments],
        cwd=folder,
        text=True,
        capture_output=True,
        timeout=timeout,
        check=False,
        env={k: v for k, v in os.environ.items() if not k.startswith("LEADFOLD_")},
    )


def _left_running(folder: Path) -> list[str]:
    """Command lines of processes that know the folder."""
    found = []
    for process in psutil.process_iter(["cmdline", "environ"]):
        told = " ".join(process.info["cmdline"] or ()) + (process.info["environ"] or {}).get(
            "LEADFOLD_CONFIG", ""
        )
        if str(folder) in told and process.pid != os.getpid():
            found.append(told)
    return found


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of a demo that has ended, and what it printed."""
    folder = tmp_path_factory.mktemp("demo")
    done = _leadfold(
        "demo",
        "--once",
        "--seed",
        str(SEED),
        "--scale",
        str(SCALE),
        "--until",
        UNTIL.isoformat(),
        "--dir",
        str(folder / "shop"),
        folder=folder,
    )
    assert done.returncode == 0, done.stderr
    assert "With --once it ends here, that page too" in done.stderr
    assert not _left_running(folder)
    return folder / "shop", done.stdout


def _report(shop: Path, *more: str) -> dict[str, Any]:
    done = _leadfold(
        "--config",
        str(shop),
        "report",
        "inquiries",
        "--from",
        str(FIRST),
        "--to",
        str(LAST),
        "--as-of",
        UNTIL.isoformat(),
        *more,
        "--json",
        folder=shop,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def _same(told: dict[str, Any], counted: Figures) -> bool:
    return all(Decimal(str(told[name])) == value for name, value in vars(counted).items())


@pytest.mark.slow
def test_the_report_is_printed(played: tuple[Path, str]) -> None:
    _, printed = played
    assert "Обращения клиентов в автосервис" in printed
    assert "Ольга Смирнова" in printed
    assert "Итого" in printed


@pytest.mark.slow
def test_every_figure_is_what_happened(played: tuple[Path, str]) -> None:
    shop, _ = played
    report = _report(shop)
    truth = count(generate(SEED, UNTIL, scale=SCALE).truths, FIRST, LAST, UNTIL, COMPANY_ZONE)
    assert _same(report["total"], truth.total), (report["total"], truth.total)
    rows = {
        (direction["key"], employee["key"], kind["key"]): kind["values"]
        for direction in report["groups"]
        for employee in direction["groups"]
        for kind in employee["groups"]
    }
    assert rows.keys() == truth.rows.keys()
    wrong = {key: (rows[key], truth.rows[key]) for key in rows if not _same(rows[key], truth.rows[key])}
    assert not wrong
    notices = {n["key"]: n["count"] for n in report["notices"]}
    assert notices.get("uncategorised", 0) == truth.uncategorised
    assert notices.get("excluded:non_target", 0) == truth.non_target
    assert notices.get("excluded:valid_refusal", 0) == truth.valid_refusal
    for mark in ("spam", "supplier", "employee"):
        assert notices.get(f"excluded:mark:{mark}", 0) == truth.marks.get(mark, 0)


@pytest.mark.slow
def test_two_at_once_one_of_which_is_told_why_not(tmp_path: Path) -> None:
    command = ["demo", "--once", "--scale", "0.01", "--dir", str(tmp_path / "shop")]
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: _leadfold(*command, folder=tmp_path), range(2)))
    done, refused = sorted(both, key=lambda each: each.returncode)
    assert done.returncode == 0, done.stderr
    assert "Обращения" in done.stdout
    assert refused.returncode == 4
    told = refused.stderr.replace("\n", " ")
    assert f"a demo runs in {tmp_path / 'shop'} already (process " in told
    assert "--dir" in told
    assert "ended by itself" not in told


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    refused = _leadfold("demo", "--once", "--dir", str(tmp_path), folder=tmp_path)
    assert refused.returncode == 4
    assert "was not made by the demo" in refused.stderr.replace("\n", " ")
    assert [each.name for each in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.slow
def test_the_data_of_the_last_one_is_left_alone_while_it_is_served(tmp_path: Path) -> None:
    with claimed(tmp_path / "shop"):
        (tmp_path / "shop" / "data").mkdir()
    with FolderLock(tmp_path / "shop" / "data"):
        refused = _leadfold("demo", "--once", "--dir", str(tmp_path / "shop"), folder=tmp_path)
    assert refused.returncode == 4
    assert f"is in use (process {os.getpid()}): end `leadfold run`" in refused.stderr.replace("\n", " ")


@pytest.mark.slow
def test_it_serves_pages_and_live_traffic_until_it_is_stopped(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "leadfold", "demo", "--scale", "0.03"],
        cwd=tmp_path,
        text=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    page = next(line.split()[1] for line in process.stderr if line.startswith("Pages: "))
    told = next(process.stderr)
    assert shutil.which(told.split()[3]) or Path(told.split()[3]).exists(), told
    with urllib.request.urlopen(page, timeout=10) as answer:
        assert "Обращения клиентов в автосервис" in answer.read().decode()
    config = tmp_path / "build" / "demo"
    shown = json.loads(
        _leadfold(
            "--config", str(config), "sql", "select count(*) from inquiry", "--json", folder=tmp_path
        ).stdout
    )
    deadline = time.monotonic() + 12
    later = shown
    while later == shown:
        assert time.monotonic() < deadline, "nobody came in twelve seconds"
        time.sleep(1)
        later = json.loads(
            _leadfold(
                "--config", str(config), "sql", "select count(*) from inquiry", "--json", folder=tmp_path
            ).stdout
        )
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0
    process.stderr.close()
    assert not _left_running(tmp_path)
    assert (config / "leadfold.toml").exists()


@pytest.mark.slow
def test_another_start_replaces_only_its_own_folder(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("keep me")
    done = _leadfold("demo", "--once", "--dir", str(tmp_path / "mine"), folder=tmp_path)
    assert done.returncode == 4
    assert (tmp_path / "mine" / "letter.txt").read_text() == "keep me"


@pytest.mark.slow
def test_once_leaves_nothing_behind_even_when_stopped(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "leadfold", "demo", "--once", "--scale", "0.5"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("build/*/data/run/ingest.json")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.terminate()
    assert process.wait(30) == 130
    assert not list((tmp_path / "build").iterdir())
    assert not _left_running(tmp_path)
