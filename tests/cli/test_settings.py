"""leadfold.toml: defaults, environment, and problems told with their line."""

import re
from importlib.resources import files
from pathlib import Path

import pytest
from pydantic import BaseModel

from leadfold.config_file import WrongConfig, load, parse
from leadfold.settings import Settings
from leadfold.toml_lines import Lines

HEAD = '[secrets]\nkey_secret = "0123456789012345678901234567890123456789"\n'
PATH = Path("/srv/leadfold.toml")


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.startswith("LEADFOLD_"):
            monkeypatch.delenv(name)


def problems(text: str) -> list[str]:
    with pytest.raises(WrongConfig) as caught:
        parse(HEAD + text, PATH)
    return [str(p).removeprefix(f"{PATH}:") for p in caught.value.problems]


def template() -> str:
    text = (files("leadfold") / "leadfold.template.toml").read_text(encoding="utf-8")
    return text.replace("@KEY_SECRET@", "k" * 40).replace('"…"', '"abcdefghijklmnopqrs"')


def test_template_as_written_is_right() -> None:
    settings = parse(template(), PATH)
    assert settings == parse(HEAD.replace("0123456789" * 4, "k" * 40), PATH)
    assert settings.data_dir == Path("/srv/data")


def test_template_shows_every_setting() -> None:
    shown = re.sub(r"(?m)^# (?=\[|[a-z_]+ = )", "", template())
    lines = Lines(shown)
    for path in _paths(Settings):
        assert lines.find(path) is not None, path
        where = [p for p in _all_paths(lines) if tuple(s for s in p if isinstance(s, str)) == path]
        assert where, f"{'.'.join(path)} is not in the template"


def test_template_with_everything_switched_on_is_right_too() -> None:
    shown = re.sub(r"(?m)^# (?=\[|[a-z_]+ = )", "", template()).replace('signing_secret = "', 'channel2 = "')
    shown = re.sub(r"(?m)^channel2.*\n", "", shown)
    settings = parse(shown, PATH)
    assert settings.employees[0].extensions[1].source == "main"
    assert settings.rules.body["attribution_days"] == 30


def _paths(model: type[BaseModel], above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    from leadfold.config_file import _model_in

    found: list[tuple[str, ...]] = []
    for name, field in model.model_fields.items():
        path = (*above, field.alias or name)
        inner = _model_in(field.annotation)
        if path[-1] == "extensions" or inner is None:
            found.append(path)
        elif path[0] in ("reasons", "categories"):
            found += [(path[0], "id"), (path[0], "label")]
        else:
            found += _paths(inner, path)
    return found


def _all_paths(lines: Lines) -> list[tuple[str | int, ...]]:
    return list(lines._at)


def test_several_problems_are_told_at_once_with_line_and_reason() -> None:
    found = problems(
        '[ingest]\nprot = 80\nport = 99999\n[reports]\nhost = "0.0.0.0"\n[[sources]]\nname = "main"\n'
        'provider = "sipuni"\nsecret = "short"\ntimezone = "Europe/Moskow"\n[rules]\natribution_days = 3\n'
    )
    assert found == [
        "4: unknown setting 'ingest.prot'; did you mean 'port'?",
        "5: ingest.port: input should be less than or equal to 65535 (it is 99999)",
        (
            "7: reports.host: '0.0.0.0' can be reached from outside, and the pages have no login yet: "
            "use 127.0.0.1 and put a proxy with a password before it"
        ),
        "11: sources.secret: a secret must have at least 16 characters",
        "12: sources.timezone: 'Europe/Moskow' is not a time zone; did you mean 'Europe/Moscow'?",
        "14: unknown setting 'rules.atribution_days'; did you mean 'attribution_days'?",
    ]


SOURCE = '[[sources]]\nname = "{}"\nprovider = "{}"\nsecret = "{}"\n'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (SOURCE.format("a", "sipuny", "x" * 20), "5: there is no provider 'sipuny'; did you mean 'sipuni'?"),
        (SOURCE.format("a", "amocrm", "x" * 20), "5: there is no provider 'amocrm'; known: form, jivo, native (any CRM, ERP or script), sipuni, sipuni-tracking, tilda"),
        (SOURCE.format("a", "tilda", "x" * 20) + 'options = { keyin = "header", key_name = "Token" }\n', "3: source 'a': no option 'keyin'; did you mean 'key_in'?"),
        (SOURCE.format("a", "sipuni", "x" * 20) + 'options = { areacode = "343" }\n', "3: source 'a': no option 'areacode'; did you mean 'area_code'?"),
        (SOURCE.format("a", "form", "x" * 20) + 'office = "nord"\n', "7: there is no office 'nord'; describe it in [[offices]]"),
        (SOURCE.format("a", "form", "x" * 20) + SOURCE.format("a", "form", "y" * 20), "8: sources: 'a' is there twice"),
        (SOURCE.format("a", "form", "x" * 20) + SOURCE.format("b", "form", "x" * 20), "10: 'b' has the same secret as 'a'"),
        (SOURCE.format("a", "form", "with/slash+and more"), "6: a secret is part of an address: letters, digits, - _ . ~ only"),
        ("[reports]\nport = 8080\n", "4: port 8080 is already that of [ingest]"),
        (
            '[[employees]]\nid = "a"\nname = "A"\nextensions = ["101"]\n[[employees]]\nid = "b"\nname = "B"\nextensions = [{ ext = "101", from = 2026-01-01 }]\n',
            "10: extension 101 is held by 'a' and 'b' on the same days: give them periods (from, to)",
        ),
        ('[[numbers]]\nnumber = "8 495"\n', "4: numbers.number: '8 495' is not a full number; write it like +74951234567"),
        (
            '[[numbers]]\nnumber = "+74951234567"\nfrom = 2026-02-01\nto = 2026-01-01\n',
            "3: numbers: 'to' (2026-01-01) must be later than 'from' (2026-02-01)",
        ),
        ('[[employees]]\nid = "a"\nname = "A"\nextensions = "101"\n', "6: employees.extensions: must be a list, such as [\"a\", \"b\"] (it is '101')"),
        ('[log]\nengine = "kafka"\nsecurity = "sasl_ssl"\n', "3: security = 'sasl_ssl' needs a username and a password"),
        ('[[plans]]\nmetric = "arrival_rate"\n', "3: 'value' is missing"),
        ('[company]\nregion = "RU"\nregion = "KZ"\n', '5: is not TOML here: Key "region" already exists.'),
        ("[ingest\nport = 1\n", "3: is not TOML here: Unexpected character: '\\n'"),
    ],
)  # fmt: skip
def test_each_problem_has_its_line(text: str, expected: str) -> None:
    assert expected in problems(text)


def test_ports_that_nobody_set_give_way() -> None:
    settings = parse(HEAD + "[ingest]\nport = 8083\n[reports]\nport = 8082\n", PATH)
    assert (settings.ops_port, settings.projector_port) == ((0, False), (0, False))
    settings = parse(HEAD + "[ingest]\nport = 8090\nops_port = 8082\n", PATH)
    assert (settings.ops_port, settings.projector_port) == ((8082, True), (0, False))
    settings = parse(HEAD, PATH)
    assert (settings.ops_port, settings.projector_port) == ((8083, False), (8082, False))


def test_a_number_may_be_written_as_providers_and_people_do() -> None:
    written = ("+7 495 123-45-67", "74951234567", "8 (495) 123-45-67")
    settings = parse(
        HEAD
        + "".join(
            f'[[numbers]]\nnumber = "{n}"\nfrom = 20{20 + i}-01-01\nto = 20{21 + i}-01-01\n'
            for i, n in enumerate(written)
        ),
        PATH,
    )
    assert {one.number for one in settings.numbers} == {"+74951234567"}


def test_secrets_are_never_shown() -> None:
    for told in problems(
        "[database]\nurl = 7\n[log]\npassword = 5\n" + SOURCE.format("a", "form", "tooshort")
    ):
        assert "tooshort" not in told
        assert not re.search(r"it is|\(5\)|\(7\)", told)


def test_missing_secrets_say_what_makes_them() -> None:
    with pytest.raises(WrongConfig, match="`leadfold init` makes it"):
        parse("[secrets]\n", PATH)


def test_environment_wins_and_is_named_when_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEADFOLD_INGEST__PORT", "81")
    monkeypatch.setenv("LEADFOLD_DATA_DIR", "/var/lib/leadfold")
    monkeypatch.setenv("LEADFOLD_DATABASE_URL", "postgresql://x@h/d")
    monkeypatch.setenv("LEADFOLD_LOG__ENGINE", "kafka")
    monkeypatch.setenv("LEADFOLD_LOG__BOOTSTRAP", "k:9092")
    settings = parse(HEAD + "[ingest]\nport = 80\ndeadline_s = 1.5\n", PATH)
    assert (settings.ingest.port, settings.ingest.deadline_s) == (81, 1.5)
    assert settings.data_dir == Path("/var/lib/leadfold")
    assert settings.database.url.get_secret_value() == "postgresql://x@h/d"
    assert (settings.log.engine, settings.log.bootstrap) == ("kafka", "k:9092")
    monkeypatch.setenv("LEADFOLD_INGEST__PORT", "many")
    monkeypatch.setenv("LEADFOLD_INGEST__PROT", "1")
    with pytest.raises(WrongConfig) as caught:
        parse(HEAD, PATH)
    assert [p.place for p in caught.value.problems] == [
        "environment LEADFOLD_INGEST__PORT",
        "environment LEADFOLD_INGEST__PROT",
    ]


def test_missing_file_and_foreign_text(tmp_path: Path) -> None:
    with pytest.raises(WrongConfig, match="no such file"):
        load(tmp_path / "no.toml")
    (tmp_path / "leadfold.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(WrongConfig, match="not UTF-8"):
        load(tmp_path)


def test_lines_survive_strings_comments_and_nested_tables() -> None:
    text = (
        'a = """\n[not.a.table]\nb = 1\n"""\nc = [ # [x]\n  "]", { d = "}" },\n]\n[t."quoted key"]\n'
        "e.f = 1\n[[arr]]\nname = 'one'\n[arr.sub]\nk = 1\n[[arr]]\nname = 'two'\n[[arr.in]]\nz = 1\n"
    )
    lines = Lines(text)
    expected: dict[tuple[str | int, ...], int] = {
        ("a",): 1, ("c",): 5, ("t", "quoted key"): 8, ("t", "quoted key", "e", "f"): 9, ("arr", 0): 10,
        ("arr", 0, "name"): 11, ("arr", 0, "sub", "k"): 13, ("arr", 1): 14, ("arr", 1, "name"): 15,
        ("arr", 1, "in", 0, "z"): 17,
    }  # fmt: skip
    assert {path: lines.find(path) for path in expected} == expected
    assert lines.find(("b",)) is None
    assert lines.find(("arr", 1, "nothing")) == 14
