"""Re-reading the log: into the live build, and unreadable deliveries through mended adapters or settings."""

import json
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.cli.service import Installation, install

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def post(url: str, body: bytes, key: str) -> dict[str, object]:
    request = urllib.request.Request(
        url, body, {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    )
    try:
        with urllib.request.urlopen(request, timeout=15) as response:
            return dict(json.load(response))
    except urllib.error.HTTPError as error:  # told to the sender, and kept nevertheless
        return dict(json.load(error))


@pytest.fixture
def shop(tmp_path: Path) -> Installation:
    return install(tmp_path / "shop", ("crm", "native"))


def test_unreadable_deliveries_are_mended_once(shop: Installation) -> None:
    with shop.running():
        crm = shop.json("sources", "list")[0]
        item = {
            "type": "client.arrived", "id": "v1", "time": "2026-03-02T10:00:00Z",
            "data": {"phone": "8 (903) 123-45-67"},
        }  # fmt: skip
        deep: object = "x"
        for _ in range(14):
            deep = {"in": deep}
        told = post(crm["url"], json.dumps([{**item, "more": deep}]).encode(), crm["secret"])
        assert told["result"] == "error"
        shop.ok("wait")
        assert shop.json("log", "stats", "--types")["types"] == {"delivery.unreadable": 1}
        nothing = shop.json("replay", "--retranslate")
        assert (nothing["deliveries"], nothing["mended"]) == (1, 0)
        assert sum(nothing["failed"].values()) == 1
        # the limit was too narrow: mended by a setting, without a restart
        deeper = {"LEADFOLD_INGEST__MAX_DEPTH": "40"}
        assert shop.json("replay", "--retranslate", "--dry-run", env=deeper)["mended"] == 1
        assert shop.json("replay", "--retranslate", "--source", "other", env=deeper)["deliveries"] == 0
        assert shop.json("log", "stats")["records"] == 1
        assert shop.json("replay", "--retranslate", "--source", "crm", env=deeper)["mended"] == 1
        assert shop.json("replay", "--retranslate", env=deeper)["deliveries"] == 0
        shop.ok("wait")
        assert shop.json("sql", "select count(*) as n from visit") == [{"n": 1}]


def test_a_webhook_at_the_wrong_address_is_read_as_another_source(tmp_path: Path) -> None:
    shop = install(tmp_path / "shop", ("chat", "jivo"), ("site", "tilda"))
    with shop.running():
        chat = shop.json("sources", "list")[0]
        form = b'{"Name": "A", "Phone": "+79990000001", "tranid": "1:2", "formid": "form1"}'
        assert post(chat["url"], form, "") == {"result": "ok"}
        shop.ok("wait")
        again = ("replay", "--retranslate", "--source", "chat")
        assert shop.json(*again)["mended"] == 0
        assert shop.call(*again, "--as", "nobody").returncode == 2
        assert shop.call("replay", "--retranslate", "--as", "site").returncode == 2
        assert shop.json(*again, "--as", "site")["mended"] == 1
        assert shop.json(*again, "--as", "site")["deliveries"] == 0
        shop.ok("wait")
        assert shop.json("sql", "select source, kind from inquiry") == [{"source": "site", "kind": "site"}]


def test_a_range_by_offset_and_by_time(shop: Installation) -> None:
    with shop.running():
        crm = shop.json("sources", "list")[0]
        for number in range(20):
            item = {
                "type": "client.arrived", "id": f"v{number}", "time": "2026-03-02T10:00:00Z",
                "data": {"phone": f"+790312345{number:02}"},
            }  # fmt: skip
            post(crm["url"], json.dumps(item).encode(), crm["secret"])
        shop.ok("wait")
        assert shop.json("replay", "--from-offset", "5", "--to-offset", "9", "--dry-run")["records"] == 5
        assert shop.json("replay", "--since", "2000-01-01", "--until", "2001-01-01")["records"] == 0
        assert shop.json("replay", "--since", "2000-01-01", "--rate", "1000")["records"] == 20
        assert shop.call("replay", "--partition", "7").returncode == 2
        assert shop.call("replay", "--since", "spring").returncode == 2
        assert shop.call("replay", "--source", "crm").returncode == 2
        assert shop.json("sql", "select count(*) as n from visit") == [{"n": 20}]
