"""New tables beside the live ones: leave them there, switch to them later, go back, delete what is not live."""

import json
from pathlib import Path

import pytest

from tests.cli.service import Installation, install

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def shop(tmp_path: Path, database_url: str) -> Installation:
    """On a Postgres of its own, so that commands work without a running service."""
    made = install(tmp_path / "shop", ("crm", "native"))
    made.environment["LEADFOLD_DATABASE_URL"] = database_url
    return made


def arrivals(shop: Installation, first: int, last: int) -> None:
    """Put visits onto the log, as another source would."""
    file = shop.folder / "arrivals.jsonl"
    lines = [
        {
            "type": "client.arrived", "id": f"v{number}", "time": "2026-03-02T10:00:00Z",
            "data": {"phone": f"+7903123{number:04}"},
        }
        for number in range(first, last)
    ]  # fmt: skip
    file.write_text("\n".join(json.dumps(line) for line in lines))
    shop.ok("import", "events", str(file), "--source", "crm")


def visits(shop: Installation) -> int:
    return int(shop.json("sql", "select count(*) as n from visit")[0]["n"])


def states(shop: Installation) -> dict[str, str]:
    return {b["schema"]: b["state"] for b in shop.json("status")["projection"]["builds"]}


def test_a_build_left_beside_is_switched_to_later(shop: Installation) -> None:
    arrivals(shop, 0, 3)
    left = shop.json("rebuild", "--no-switch")
    assert (left["build"], left["switched"], left["live"]) == ("build_0002", False, None)
    assert states(shop) == {"build_0002": "ready", "build_0001": "live"}
    assert visits(shop) == 0  # no projector runs: the live tables are as they were
    arrivals(shop, 3, 5)

    there = shop.json("rebuild", "--switch", "build_0002")
    assert there == {"build": "build_0002", "switched": True, "live": "build_0002", "former": "build_0001"}
    assert shop.json("status")["projection"]["facts"] == 5  # not Postgres's estimate, which is not there yet
    assert visits(shop) == 5  # what came in meanwhile was caught up first

    done = shop.call("rebuild", "--back")
    assert "Live now: build_0001" in done.stderr
    assert visits(shop) == 0
    assert shop.json("rebuild", "--switch", "2")["live"] == "build_0002"
    assert visits(shop) == 5

    done = shop.call("rebuild", "--drop-old")
    assert (done.returncode, done.stderr.strip()) == (0, "Deleted: build_0001")
    assert states(shop) == {"build_0002": "live", "build_0001": "dropped"}
    assert "only the live tables" in shop.call("rebuild", "--drop-old").stderr
    assert visits(shop) == 5
    for wrong, reason in (
        ("build_0002", "is live"),
        ("1", "is dropped"),
        ("build_0009", "there is no build 9"),
    ):
        done = shop.call("rebuild", "--switch", wrong)
        assert (done.returncode, reason in done.stderr) == (1, True), done.stderr
    assert shop.json("rebuild", "--drop-old")["dropped"] == []


@pytest.mark.parametrize(
    "options",
    [
        ("--switch", "the-new-one"),
        ("--switch", "2", "--back"),
        ("--back", "--compare"),
        ("--switch", "2", "--no-switch"),
        ("--no-switch", "--drop-old"),
        ("--compare", "--drop-old"),
    ],
)
def test_options_that_contradict_are_refused(shop: Installation, options: tuple[str, ...]) -> None:
    assert shop.call("rebuild", *options).returncode == 2
