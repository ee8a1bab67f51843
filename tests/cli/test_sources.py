"""init and sources, as processes."""

import stat
import tomllib
from pathlib import Path

import pytest

from tests.cli.service import Installation, install


@pytest.fixture
def shop(tmp_path: Path) -> Installation:
    return install(tmp_path / "shop")


def test_init_writes_a_private_file_and_never_overwrites(shop: Installation) -> None:
    assert stat.S_IMODE(shop.config.stat().st_mode) == 0o600
    before = shop.config.read_text()
    refused = shop.call("init", str(shop.folder))
    assert refused.returncode == 4
    assert "--force" in refused.stderr
    assert shop.config.read_text() == before
    shop.ok("init", str(shop.folder), "--force")
    secrets = [tomllib.loads(text)["secrets"]["key_secret"] for text in (before, shop.config.read_text())]
    assert len(secrets[0]) >= 32
    assert secrets[0] != secrets[1]


def test_add_keeps_comments_and_prints_the_address(shop: Installation) -> None:
    before = shop.config.read_text()
    url = shop.ok(
        "sources", "add", "main", "--provider", "sipuni", "--timezone", "Asia/Yekaterinburg"
    ).strip()
    added = tomllib.loads(shop.config.read_text())["sources"][0]
    assert url == f"http://127.0.0.1:0/in/main/{added['secret']}"
    assert added["timezone"] == "Asia/Yekaterinburg"
    assert [line for line in before.splitlines() if line not in shop.config.read_text()] == []
    native = shop.json("sources", "add", "crm", "--provider", "native", "--signed", "--channel", "2ГИС")
    assert native["url"].endswith("/v1/events")
    assert native["header"] == f"Authorization: Bearer {native['secret']}"
    assert native["signing_secret"].startswith("whsec_")
    listed = shop.json("sources", "list", env={"LEADFOLD_INGEST__PUBLIC_URL": "https://hooks.example.ru/"})
    assert [s["url"] for s in listed] == [
        f"https://hooks.example.ru/in/main/{added['secret']}",
        "https://hooks.example.ru/v1/events",
    ]
    shown = shop.ok("sources", "list")
    assert url in shown


def test_wrong_sources_are_refused_and_change_nothing(shop: Installation) -> None:
    shop.ok("sources", "add", "main", "--provider", "sipuni")
    before = shop.config.read_text()
    assert shop.call("sources", "add", "main", "--provider", "jivo").returncode == 4
    wrong = shop.call(
        "sources", "add", "Main", "--provider", "sipuny", "--office", "nord", "--timezone", "Mars/Base"
    )
    assert wrong.returncode == 2
    assert "Mars/Base" in wrong.stderr
    assert shop.call("sources", "add", "b", "--provider", "sipuny").returncode == 2
    assert shop.call("sources", "remove", "nobody").returncode == 2
    assert shop.config.read_text() == before


def test_a_name_is_asked_for_in_words(shop: Installation) -> None:
    wrong = shop.call("sources", "add", "MAIN", "--provider", "sipuni")
    assert wrong.returncode == 2
    assert "name: small letters, digits, . - and _" in wrong.stderr
    assert "(it is 'MAIN')" in wrong.stderr
    assert "^[a-z" not in wrong.stderr


def test_a_category_that_nobody_knows_is_said_and_no_error(shop: Installation) -> None:
    """It may come as an event of the CRM; most likely it is a slip."""
    text = shop.config.read_text()
    own = (
        '[rules]\ntarget_categories = ["repiar", "tuning"]\n[[categories]]\nid = "tuning"\nlabel = "Тюнинг"\n'
    )
    shop.config.write_text(text + own)
    done = shop.call("sources", "list", "--json")
    assert (done.returncode, done.stdout.strip()) == (0, "[]")
    told = done.stderr
    assert f"{shop.config}:{text.count(chr(10)) + 2}: rules.target_categories: no category 'repiar'" in told
    assert "did you mean 'repair'?" in told
    assert "known: repair, parts, continuation, order_status, other, tuning" in told
    shop.config.write_text(text + own.replace("repiar", "repair"))
    assert "category" not in shop.call("sources", "list").stderr


def test_a_source_that_does_not_exist_has_no_quiet_log(shop: Installation) -> None:
    shop.ok("log", "create")
    none = shop.call("log", "tail", "--source", "nosuch")
    assert (none.returncode, none.stdout) == (2, "")
    assert "there is no source 'nosuch'" in none.stderr
    assert "there are none yet" in none.stderr
    shop.ok("sources", "add", "main", "--provider", "sipuni")
    assert "known: main" in shop.call("log", "tail", "--source", "nosuch").stderr
    assert shop.ok("log", "tail", "--source", "main") == ""


def test_a_data_folder_that_takes_nothing_is_said(shop: Installation) -> None:
    (shop.folder / "data" / "run.lock").mkdir(parents=True)
    for folder in (str(shop.folder / "data"), "/sys/leadfold"):  # where not even root may write
        refused = shop.call("run", env={"LEADFOLD_DATA_DIR": folder})
        assert refused.returncode == 1
        assert f"the data folder {folder} cannot be used: its run.lock cannot be written" in refused.stderr
        assert "give another data_dir" in refused.stderr
        assert "Traceback" not in refused.stderr


def test_an_office_nobody_described_is_added_and_a_misspelt_one_refused(shop: Installation) -> None:
    added = shop.json("sources", "add", "main", "--provider", "sipuni", "--office", "center")
    assert added["office"] == "center"
    shop.ok("sources", "add", "site", "--provider", "form", "--office", "center")
    before = shop.config.read_text()
    assert before.count('[[offices]]\nid = "center"') == 1
    assert before.startswith("# Settings of Leadfold.")
    slip = shop.call("sources", "add", "chat", "--provider", "jivo", "--office", "centre")
    assert slip.returncode == 2
    assert "did you mean 'center'?" in slip.stderr
    assert shop.config.read_text() == before
    shop.ok("sources", "add", "ural", "--provider", "sipuni", "--office", "ekb")
    assert [s["office"] for s in shop.json("sources", "list")] == ["center", "center", "ekb"]


def test_removed_source_is_gone_and_the_others_stay(shop: Installation) -> None:
    for name in ("a", "b", "c"):
        shop.ok("sources", "add", name, "--provider", "form")
    shop.ok("sources", "remove", "b")
    assert [s["name"] for s in shop.json("sources", "list")] == ["a", "c"]
    shop.ok("sources", "remove", "a")
    shop.ok("sources", "remove", "c")
    assert shop.json("sources", "list") == []
    shop.ok("sources", "add", "d", "--provider", "tilda")
    assert [s["name"] for s in shop.json("sources", "list")] == ["d"]


def test_check_says_that_nobody_runs(shop: Installation) -> None:
    shop.ok("sources", "add", "main", "--provider", "sipuni")
    done = shop.call("sources", "check", "main")
    assert done.returncode == 3
    assert "leadfold run" in done.stdout


def test_config_may_stand_anywhere(shop: Installation, tmp_path: Path) -> None:
    path = str(shop.config)
    for arguments in (
        ("--config", path, "sources", "list", "--json"),
        ("sources", "--config", path, "list", "--json"),
        ("sources", "list", "--json", "--config", path),
        ("sources", "list", "--json", f"--config={shop.folder}"),
    ):
        assert shop.ok(*arguments, env={"LEADFOLD_CONFIG": str(tmp_path / "no.toml")}) == "[]\n"
    lost = shop.call("sources", "list", "--config")
    assert lost.returncode == 2


def test_wrong_configuration_stops_every_command_with_all_problems(shop: Installation) -> None:
    text = shop.config.read_text().replace("[reports]\n", '[reports]\nhost = "0.0.0.0"\ncolour = "red"\n')
    shop.config.write_text(text)
    line = text.splitlines().index('host = "0.0.0.0"') + 1
    for command in (
        ("run",),
        ("ingest",),
        ("project",),
        ("report",),
        ("status", "--json"),
        ("wait",),
        ("sql", "select 1"),
    ):
        done = shop.call(*command)
        assert done.returncode == 2, (command, done.stderr)
        assert f"{shop.config}:{line}: reports.host" in done.stderr
        assert f"{shop.config}:{line + 1}: unknown setting 'reports.colour'" in done.stderr
        assert done.stdout == ""
    assert not (shop.folder / "data").exists()
