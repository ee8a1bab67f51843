"""The whole service as processes: from a webhook to the report, stop, kill -9, a second one, changes while it runs."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from leadfold.metrics import registry
from tests.cli.service import Installation, Run, install

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

START = 1_772_355_600  # 2026-03-01 12:00 in Moscow


@pytest.fixture
def shop(tmp_path: Path) -> Installation:
    return install(tmp_path / "shop", ("main", "sipuni"), ("crm", "native"))


def fetch(url: str, body: Any = None, headers: dict[str, str] | None = None) -> tuple[int, str]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **(headers or {})})
    try:
        with urllib.request.urlopen(request, timeout=15) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def call(url: str, number: int, phone: str = "79031234567") -> None:
    """Two webhooks of an answered call."""
    common = {
        "call_id": f"{START + number}.{number}", "src_num": phone, "src_type": "1", "dst_num": "74951112233",
        "dst_type": "1", "user_id": "077001",
    }  # fmt: skip
    begins = {"event": "1", "timestamp": START + number * 60}
    ends = {
        "event": "2", "timestamp": START + number * 60 + 50, "status": "ANSWER", "last_called": "201",
        "call_start_timestamp": START + number * 60, "call_answer_timestamp": START + number * 60 + 10,
    }  # fmt: skip
    for phase in (begins, ends):
        status, answer = fetch(f"{url}?{urllib.parse.urlencode({**common, **phase})}")
        assert (status, json.loads(answer)) == (200, {"success": True})


def until(check: Callable[[], bool], seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if check():
            return True
        time.sleep(0.2)
    return check()


def inquiries(shop: Installation) -> int:
    return int(shop.json("sql", "select count(*) as n from inquiry")[0]["n"])


def test_from_webhook_to_report(shop: Installation, tmp_path: Path) -> None:
    with shop.running() as run:
        url = shop.url("main")
        for number in range(3):
            call(url, number, f"7903123456{number}")
        crm = next(s for s in shop.json("sources", "list") if s["name"] == "crm")
        name, _, value = crm["header"].partition(": ")
        chosen = {
            "type": "inquiry.categorised", "id": "c1", "time": "2026-03-01T12:30:00+03:00",
            "data": {"phone": "+79031234560", "category": "repair", "by": "anna"},
        }  # fmt: skip
        assert fetch(crm["url"], chosen, {name: value})[0] == 200
        assert shop.json("wait", "--timeout", "60")["visible"]

        march = ("--from", "2026-03-01", "--to", "2026-03-31")
        report = shop.json("report", "inquiries", *march)
        assert report["total"]["inquiries"] == 1
        assert [n["count"] for n in report["notices"] if n["key"] == "uncategorised"] == [2]
        page = json.loads(
            fetch(f"{part(shop, 'report')}/api/v1/reports/inquiries?from=2026-03-01&to=2026-03-31")[1]
        )
        for shown in (report, page):
            for clock in ("as_of", "lag_s"):
                shown.pop(clock)
        assert page == report
        assert "Итого" in shop.ok("report", "inquiries", *march)
        assert shop.ok("report", "inquiries", *march, "--csv").startswith("\ufefflevel;")
        shop.ok("report", "inquiries", *march, "--xlsx", str(tmp_path / "r.xlsx"), "--group", "kind,employee")
        assert (tmp_path / "r.xlsx").read_bytes()[:2] == b"PK"
        wrong = shop.call("report", "inquiries", "--from", "2026-03-01", "--group", "colour")
        assert wrong.returncode == 2
        assert "--to" in wrong.stderr
        assert "--group" in wrong.stderr

        assert shop.json("sql", "select kind, count(*) as n from inquiry group by kind") == [
            {"kind": "phone", "n": 3}
        ]
        assert shop.ok("sql", "select count(*) from call", "--csv") == "count\n3\n"
        assert "+7903•••60" in shop.ok("sql", "select phones from client order by phones")
        assert shop.call("sql", "delete from inquiry").returncode == 4
        assert shop.call("sql", "select * from leadfold.build").returncode == 4
        assert shop.call("sql", "select 1; drop schema analytics").returncode == 2
        quoted = shop.call(
            "sql", "select '\x1b[31mIvan'::int"
        )  # Postgres quotes the value, as it would a client's name
        assert (quoted.returncode, "\x1b[31m" in quoted.stderr, "Ivan" in quoted.stderr) == (2, False, True)
        assert shop.call("sql", "\udcff").stderr == "the query is not UTF-8\n"

        look_into_the_log(shop)
        look_after_it(shop)
        every_metric_is_registered(shop)
        tree = run.tree()
        assert run.stop() < 10
        assert psutil.wait_procs(tree, timeout=2)[1] == []
    # Postgres is started for one command when nothing runs
    assert inquiries(shop) == 3
    assert shop.call("wait", "--timeout", "0.5").returncode == 3


def part(shop: Installation, name: str) -> str:
    return str(shop.json("status")["parts"][name]["url"])


def look_into_the_log(shop: Installation) -> None:
    stats = shop.json("log", "stats", "--types")
    assert stats["types"]["call.started"] == 3
    assert stats["types"]["inquiry.categorised"] == 1
    lines = [json.loads(line) for line in shop.ok("log", "tail", "-n", "100", "--json").splitlines()]
    ended = next(line for line in lines if line["type"] == "call.ended")
    assert re.search(
        r"0:\d+  \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ  call.ended ", shop.ok("log", "tail", "-n", "100")
    )
    assert "call_id=" in ended["evidence"]["query"]
    assert "/in/main/***" in ended["evidence"]["path"]
    by_id, by_place = (
        shop.json("log", "show", key) for key in (ended["id"], f"{ended['partition']}:{ended['offset']}")
    )
    assert by_id == by_place
    assert shop.call("log", "show", "00000000-0000-4000-8000-000000000000").returncode == 1
    page = json.loads(fetch(f"{part(shop, 'report')}/api/v1/events/{ended['id']}")[1])
    assert page["evidence"]["query"] == ended["evidence"]["query"]


def look_after_it(shop: Installation) -> None:
    status = shop.json("status", "--check")
    assert status["ready"]
    assert status["projection"]["lag_records"] == 0
    assert status["projection"]["dead_letters"] == 0
    assert {s["source"] for s in status["projection"]["sources"]} >= {"/sipuni/main", "/native/crm"}
    assert shop.ok("status")
    assert shop.json("sources", "check", "main")["ok"]
    assert shop.json("sources", "check", "crm")["ok"]
    assert shop.json("deadletters", "list") == []
    assert "No open dead letters" in shop.call("deadletters", "list").stderr
    assert shop.json("deadletters", "retry") == {"mended": 0, "failed": []}
    unknown = shop.call("deadletters", "retry", "99")
    assert (unknown.returncode, "99" in unknown.stderr) == (2, True)
    assert shop.call("deadletters", "show", "7").returncode == 2
    assert shop.json("replay", "--dry-run")["records"] == status["log"]["records"]
    assert shop.json("replay", "--from-offset", "0", "--to-offset", "2")["new"] == 0
    built = shop.json("rebuild", "--compare")
    assert all(not (d["only_here"] or d["only_there"] or d["different"]) for d in built["differences"])
    assert shop.json("rebuild")["switched"]
    assert inquiries(shop) == 3
    assert shop.json("rebuild", "--back", "--drop-old")["switched"]
    assert inquiries(shop) == 3
    reports = shop.json("sql", "select count(*) as n from report_inquiries where is_included")
    assert reports == [{"n": 1}]


def every_metric_is_registered(shop: Installation) -> None:
    known = registry()
    for name in ("ingest", "project", "report"):
        url = part(shop, name)
        assert json.loads(fetch(f"{url}/healthz")[1]) == {"alive": True}
        status, body = fetch(f"{url}/readyz")
        told = json.loads(body)
        assert (status, told["ready"], set(told)) == (200, True, {"ready", "checks"})
        assert {(c["ok"], c["reason"]) for c in told["checks"].values()} == {(True, None)}
        types = [
            line.split() for line in fetch(f"{url}/metrics")[1].splitlines() if line.startswith("# TYPE")
        ]
        shown = {t[2]: t[3] for t in types}
        assert shown
        assert {metric: known[metric].kind for metric in shown} == shown
        assert {known[metric].part for metric in shown} == {name}


def test_kill_of_the_whole_tree_loses_nothing(shop: Installation) -> None:
    with shop.running() as run:
        url = shop.url("main")
        for number in range(5):
            call(url, number, f"7903123456{number}")
        run.kill_tree()
    with shop.running():
        assert shop.json("wait", "--timeout", "60")["visible"]
        assert inquiries(shop) == 5
        call(shop.url("main"), 9, "79031234569")
        shop.ok("wait")
        assert inquiries(shop) == 6


def test_kill_of_the_parent_takes_the_others_along(shop: Installation) -> None:
    with shop.running() as run:
        call(shop.url("main"), 1)
        others = run.tree()[1:]
        assert len([p for p in others if "leadfold" in " ".join(p.cmdline())]) >= 3
        run.process.kill()
        run.process.wait(10)
        assert psutil.wait_procs(others, timeout=15)[1] == []
    with shop.running():
        shop.ok("wait")
        assert inquiries(shop) == 1


def test_a_part_that_dies_comes_back(shop: Installation) -> None:
    with shop.running() as run:
        before = {name: p["pid"] for name, p in shop.json("status")["parts"].items()}
        for pid in before.values():
            psutil.Process(pid).kill()
        postmaster = next(p for p in run.tree() if p.name() == "postgres" and "-D" in p.cmdline())
        postmaster.kill()
        assert until(lambda: bool(shop.json("status")["ready"]), 60), run.logs()
        after = {name: p["pid"] for name, p in shop.json("status")["parts"].items()}
        assert all(before[name] != after[name] for name in before)
        call(shop.url("main"), 1)
        assert shop.json("wait", "--timeout", "60")["visible"]
        assert inquiries(shop) == 1


def test_wait_says_on_a_terminal_what_it_waits_for(shop: Installation) -> None:
    """And in a pipe nothing but how it ended."""
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "leadfold", "wait", "--timeout", "1"],
            env={**shop.environment, "TERM": "xterm", "COLUMNS": "120"},
            stdout=subprocess.DEVNULL,
            stderr=theirs,
            timeout=60,
            check=False,
        )
        told = os.read(ours, 65_536).decode()
    finally:
        os.close(theirs)
        os.close(ours)
    assert done.returncode == 3
    assert "waiting: Postgres does not run" in told
    piped = shop.call("wait", "--timeout", "1")
    assert piped.stderr == "not yet: Postgres does not run: start `leadfold run`\n"


def test_second_run_on_the_same_folder_is_refused(shop: Installation) -> None:
    with shop.running() as run:
        second = shop.call("run")
        assert second.returncode == 4
        assert f"process {run.process.pid}" in second.stderr
        assert shop.json("status")["ready"]


def test_taken_port_is_told(shop: Installation) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = shop.call("run", env={"LEADFOLD_REPORTS__PORT": str(port)})
    assert done.returncode == 4
    assert f"cannot listen on 127.0.0.1:{port}: address already in use" in done.stderr
    assert "LEADFOLD_REPORTS__PORT" in done.stderr


def test_scripts_in_the_folder_where_it_is_started_are_left_alone(shop: Installation, tmp_path: Path) -> None:
    for name in ("reports", "domain", "leadfold"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a script of the user ran')\n")
    program = Path(sys.executable).with_name("leadfold")
    with (tmp_path / "run.out").open("w") as output:
        run = subprocess.Popen(
            [program, "run"], cwd=tmp_path, env=shop.environment, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        deadline = time.monotonic() + 60
        while "pages" not in (told := (tmp_path / "run.out").read_text()):
            assert run.poll() is None, told
            assert time.monotonic() < deadline, told
            time.sleep(0.1)
    finally:
        run.terminate()
        assert run.wait(30) == 0
    assert "a script of the user ran" not in (tmp_path / "run.out").read_text()


def test_running_service_follows_leadfold_toml(shop: Installation) -> None:
    with shop.running() as run:
        added = shop.json("sources", "add", "site", "--provider", "form")
        form = {"name": "Пётр", "phone": "+7 903 123-45-67", "comment": "не заводится"}
        assert until(lambda: fetch(added["url"], form)[0] == 200, 10)
        text = shop.config.read_text()
        shop.config.write_text(text + '\n[[employees]]\nid = "anna"\nname = "Анна"\nextensions = ["201"]\n')
        call(shop.url("main"), 1, "79031234568")
        assert until(lambda: "directory.published" in run.logs(), 20), run.logs()
        shop.ok("wait")
        assert shop.json("sql", "select employee_id from call") == [{"employee_id": "anna"}]
        shop.config.write_text(text + "\n[[employees]]\nid = 7\n")
        assert until(lambda: "config.wrong" in run.logs(), 10)
        assert shop.call("status").returncode == 2
        shop.config.write_text(text)
        assert until(lambda: shop.json("status")["ready"], 20)


def test_ctrl_c_ends_like_sigterm(shop: Installation) -> None:
    with shop.running() as run:
        run.process.send_signal(signal.SIGINT)
        assert run.process.wait(15) == 0


def heed_ctrl_c() -> None:
    """Where the tests run in a shell's background, children would ignore SIGINT from birth."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_tail_follows(shop: Installation) -> None:
    with shop.running():
        tail = subprocess.Popen(
            [sys.executable, "-m", "leadfold", "log", "tail", "-f", "-n", "0", "--type", "call.ended"],
            env={**shop.environment, "PYTHONUNBUFFERED": "1"}, stdout=subprocess.PIPE, text=True,
            preexec_fn=heed_ctrl_c,  # noqa: PLW1509 - it sets a signal, nothing else
        )  # fmt: skip
        try:
            assert tail.stdout is not None
            # it tells only what comes after it began, and when that is nobody knows: call until it says something
            for number in range(1, 61):
                call(shop.url("main"), number)
                if select.select([tail.stdout], [], [], 1.0)[0]:
                    break
            assert "call.ended" in tail.stdout.readline()
        finally:
            tail.send_signal(signal.SIGINT)
            tail.wait(30)


__all__ = ["Run"]


def test_two_installations_on_one_machine(shop: Installation, tmp_path: Path) -> None:
    """Who gives the other one ports for webhooks and pages has done enough."""
    other = install(tmp_path / "other", ("main", "sipuni"))
    for one in (shop, other):
        for name in ("LEADFOLD_INGEST__OPS_PORT", "LEADFOLD_PROJECTOR__PORT"):
            one.environment.pop(name, None)
    with shop.running(), other.running():
        for one in (shop, other):
            assert one.json("status")["ready"]
        call(other.url("main"), 1)
        assert other.json("wait", "--timeout", "60")["visible"]
        assert (inquiries(other), inquiries(shop)) == (1, 0)
