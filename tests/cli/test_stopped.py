"""A projector that stops by itself: webhooks are taken, and everybody who asks is told what is wrong and what to do."""

import json
import time
from pathlib import Path

import pytest

from leadfold.announce import announced
from leadfold.config_file import load
from tests.cli.service import install
from tests.cli.test_service import call, fetch, inquiries, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


def test_on_another_log_it_takes_webhooks_says_why_and_goes_on_after_a_rebuild(tmp_path: Path) -> None:
    shop = install(tmp_path / "shop", ("main", "sipuni"))
    events = shop.folder / "data" / "events"
    with shop.running():
        call(shop.url("main"), 1)
        shop.ok("wait")
    events.rename(shop.folder / "events-of-before")  # another log in its place
    with shop.running() as run:
        assert "Leadfold runs" not in run.text()
        assert until(lambda: "the figures stand still" in run.text())
        assert "leadfold rebuild" in run.text()
        call(shop.url("main"), 2)
        call(shop.url("main"), 3)

        part = announced(load(shop.config).settings, "project")
        assert part is not None
        code, answer = fetch(f"{part.url}/readyz")
        checks = json.loads(answer)["checks"]
        assert checks["log"]["ok"]  # it is there: only the wrong one
        check = checks["projector"]
        assert (code, check["ok"], check["stopped"]) == (503, False, True)
        assert "made from the log" in check["reason"]
        assert "leadfold_projector_stopped 1" in fetch(f"{part.url}/metrics")[1]

        told = shop.call("status").stdout
        assert "figures stand still since" in told
        assert "leadfold rebuild" in told
        assert shop.json("status")["projection"]["stopped_at"] is not None
        assert "lag      unknown, of another log" in told
        assert "0 events" not in told
        projection = shop.json("status")["projection"]
        assert (projection["lag_records"], projection["lag_seconds"]) == (None, None)
        assert "made from the log" in projection["other_log"]
        assert "leadfold_projector_lag_known 0" in fetch(f"{part.url}/metrics")[1]
        began = time.monotonic()
        waited = shop.call("wait", "--timeout", "80")
        assert (waited.returncode, time.monotonic() - began < 40) == (4, True)
        assert waited.stderr.startswith("in vain: the read models were made from the log embedded:")
        assert "leadfold rebuild" in waited.stderr
        as_json = json.loads(shop.call("wait", "--json").stdout)
        assert (as_json["visible"], "leadfold rebuild" in as_json["missing"]) == (False, True)

        pages = announced(load(shop.config).settings, "report")
        assert pages is not None
        assert "цифры стоят с" in fetch(f"{pages.url}/")[1]
        assert json.loads(fetch(f"{pages.url}/api/v1/reports/inquiries")[1])["stands_since"] is not None
        assert inquiries(shop) == 1
        page = shop.call("report", "inquiries").stderr.splitlines()[-1]
        assert page.startswith(f"Page: {pages.url}/reports/inquiries?")

        pid = part.pid
        shop.ok("rebuild")
        shop.ok("wait")
        assert until(lambda: "The figures move again" in run.text())
        assert until(lambda: fetch(f"{part.url}/readyz")[0] == 200)
        assert pid == announced(load(shop.config).settings, "project").pid  # type: ignore[union-attr] # it never ended
        call(shop.url("main"), 4, "79035555555")
        shop.ok("wait")
        assert inquiries(shop) >= 2
        assert "stand still" not in shop.call("status").stdout
        assert "цифры стоят" not in fetch(f"{pages.url}/")[1]
