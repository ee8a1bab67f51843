"""The documentation is fresh and true, and the check finds what is not."""

from pathlib import Path

import pytest

from deploy.checks import docs, docs_claims, docs_tables


def test_the_tree_itself_is_in_order() -> None:
    assert docs.problems() == []


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("`leadfold fly`", "`leadfold fly`: there is no command leadfold fly"),
        ("`leadfold sources fly`", "`leadfold sources fly`: there is no command leadfold sources fly"),
        ("`leadfold run --fast`", "`leadfold run --fast`: leadfold run has no option --fast"),
        ("```sh\nA=1 leadfold wait \\\n  --timeuot 3\n```", "leadfold wait has no option --timeuot"),
        ("```sh\nX=$(leadfold sources add a --provder b | tail -n 1)\n```", "has no option --provder"),
        ("`make cake`", "`make cake`: there is no target cake"),
        ("`make demo TWICE=1`", "`make demo TWICE=1`: the Makefile knows no TWICE"),
        ("`LEADFOLD_INGEST__PROT`", "`LEADFOLD_INGEST__PROT`: there is no such setting"),
        ("`[ingest] prot`", "`[ingest] prot`: there is no such setting"),
        ("`leadfold_ingest_tea_total`", "`leadfold_ingest_tea_total`: there is no such metric"),
        ("`domain/nothing.py`", "`domain/nothing.py`: there is no such file"),
        ("[x](gone.md)", "dead link gone.md"),
        ("# A\n[x](#b)", "dead link #b: no such heading"),
    ],
)
def test_what_does_not_exist_is_found(tmp_path: Path, text: str, wrong: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")
    (tmp_path / "Makefile").write_text((docs.ROOT / "Makefile").read_text(encoding="utf-8"), encoding="utf-8")
    found = docs_claims.untrue(tmp_path, [page])
    assert len(found) == 1
    assert wrong in found[0]


@pytest.mark.parametrize(
    "text",
    [
        "`leadfold sources add NAME --provider sipuni`",
        "`leadfold --config shop/leadfold.toml run`",
        "```sh\nleadfold wait --timeout 30 && leadfold log tail -n 5 # --nothing\n```",
        "`make demo ONCE=1`, `make test ARGS='-k sipuni'`",
        "`[log] engine`, `[rules] attribution_days`, `LEADFOLD_INGEST__PORT`",
        "`leadfold_ingest_request_seconds_bucket`",
        "# Some words\n[x](#some-words) and [far](https://example.org/gone.md)",
    ],
)
def test_what_exists_is_not_blamed(tmp_path: Path, text: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")
    (tmp_path / "Makefile").write_text((docs.ROOT / "Makefile").read_text(encoding="utf-8"), encoding="utf-8")
    assert docs_claims.untrue(tmp_path, [page]) == []


def test_an_old_table_is_found(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    page = tmp_path / "docs" / "settings.md"
    page.write_text("<!-- generated: settings -->\nold\n<!-- /generated -->\n", encoding="utf-8")
    assert docs.stale(tmp_path)[0].startswith("docs/settings.md: generated parts are old")
    page.write_text(docs.fresh(page.read_text(encoding="utf-8")), encoding="utf-8")
    assert not any("settings.md" in line for line in docs.stale(tmp_path))


def test_two_decisions_of_one_number_are_found(tmp_path: Path) -> None:
    folder = tmp_path / "docs" / "adr"
    folder.mkdir(parents=True)
    (folder / "0001-a.md").write_text("# 0001. A\n", encoding="utf-8")
    (folder / "TEMPLATE.md").write_text("# NNNN. Title\n", encoding="utf-8")
    assert docs.numbered_twice(tmp_path) == []
    (folder / "0001-b.md").write_text("# 0002. B\n", encoding="utf-8")
    assert docs.numbered_twice(tmp_path) == [
        "docs/adr/0001-b.md: 0001 is the number of 0001-a.md",
        "docs/adr/0001-b.md: its title has another number",
    ]


def test_every_setting_has_a_meaning_and_a_line_in_the_template() -> None:
    template = (docs.ROOT / "leadfold" / "leadfold.template.toml").read_text(encoding="utf-8")
    for one in docs_tables.settings():
        key = one.path.rpartition(".")[2]
        assert one.meaning
        assert key in template, f"leadfold.template.toml does not show {one.path}"


def test_meanings_belong_to_settings_that_exist() -> None:
    assert set(docs_tables.MEANINGS) <= {s.path for s in docs_tables.settings()}


def test_every_command_teaches_by_an_example() -> None:
    for name, command in docs_tables.commands():
        if not docs_tables.subcommands(command):
            assert "Example" in (command.help or ""), f"{name} shows no example"
