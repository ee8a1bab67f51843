"""Files that people bring: tables in every usual form, errors with line numbers, events that count once."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest

from domain.directory import Directory
from domain.event import Event
from domain.facts.company import DictionaryChanged, EmployeeChanged, NumberAssigned
from domain.facts.sales import SaleRecorded
from ingest.sources import SourceConfig
from leadfold import imports
from leadfold.config_file import parse
from leadfold.config_sync import BEGINNING
from leadfold.source_settings import dictionary_of
from leadfold.table_files import WrongTable, read_table
from tests.cli.service import Installation, install

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = b"k"
SOURCE = SourceConfig(name="1c", provider="native", secret="x" * 16)

STAFF = (
    "ID;Name;Team;Extensions;Phones;Logins\r\n"
    "anna;Анна Смирнова;Приёмка;101|102@main:2026-01-01..2026-02-01;+7 903 123-45-67;anna@example.ru 17\r\n"
    "\r\n"
    "ivan;Иван;;;;\r\n"
)


def employees(path: Path, directory: Directory | None = None) -> imports.Import:
    return imports.employees(path, directory=directory, now=NOW, key_secret=KEY)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1251"])
@pytest.mark.parametrize("delimiter", [";", ",", "\t"])
def test_employees_in_every_usual_form(tmp_path: Path, encoding: str, delimiter: str) -> None:
    path = tmp_path / "staff.csv"
    path.write_bytes(STAFF.replace(";", delimiter).encode(encoding))
    found = employees(path, Directory())
    assert found.wrong == []
    anna, ivan = (e.data for e in found.events)
    assert isinstance(anna, EmployeeChanged)
    assert isinstance(ivan, EmployeeChanged)
    assert (anna.name, anna.team, anna.phones) == ("Анна Смирнова", "Приёмка", ("+79031234567",))
    assert anna.logins == ("anna@example.ru", "17")
    assert [(e.ext, e.scope, e.valid_from, e.valid_to) for e in anna.extensions] == [
        ("101", None, None, None),
        ("102", "main", date(2026, 1, 1), date(2026, 2, 1)),
    ]
    assert ivan.name == "Иван"
    assert {e.time for e in found.events} == {BEGINNING}


def test_what_is_known_is_left_out_and_a_change_holds_from_now(tmp_path: Path) -> None:
    path = tmp_path / "staff.csv"
    path.write_text(STAFF)
    first = employees(path, Directory())
    known = Directory.build(first.events)
    assert employees(path, known).events == []
    assert employees(path, known).same == 2
    path.write_text(STAFF.replace("Иван", "Пётр"))
    changed = employees(path, known)
    assert [(e.subject, e.time) for e in changed.events] == [("ivan", NOW)]
    assert Directory.build([*first.events, *changed.events]).employees["ivan"].name == "Пётр"


def test_who_comes_to_known_colleagues_comes_now(tmp_path: Path) -> None:
    """He may take over an extension: its past stays with whose it was."""
    path = tmp_path / "staff.csv"
    path.write_text("id;name;extensions\nanna;Анна;101\n")
    first = employees(path, Directory())
    path.write_text("id;name;extensions\nanna;Анна;\nivan;Иван;101\n")
    second = employees(path, Directory.build(first.events))
    assert [(e.subject, e.time) for e in second.events] == [("anna", NOW), ("ivan", NOW)]


def test_every_wrong_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "staff.csv"
    path.write_text(
        "id,name,phones,extensions\nanna,Анна,12345,\nivan,,,\nanna,Анна,,\npetr,Пётр,,101:2026\n"
    )
    assert [(w.line, w.reason) for w in employees(path).wrong] == [
        (2, "phones.0: '12345' is not a full number; write it like +74951234567"),
        (3, "name: field required"),
        (5, "extensions: '101:2026': write a period as 101:2026-01-01..2026-03-01"),
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the file is empty"),
        ("id;team\n", "line 1: column 'name' is missing"),
        ("id;name;colour\n", "unknown column 'colour'"),
        ("id;name;name\n", "column 'name' is there twice"),
        ("id;name\na;b;c\n", "line 2: 3 cells, but the header has 2"),
        ('id;name\n"a;b\n', "line 2"),
    ],
)
def test_tables_that_cannot_be_read(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(WrongTable, match=reason):
        read_table(path, known=("id", "name", "team"), needed=("id", "name"))


def test_numbers(tmp_path: Path) -> None:
    path = tmp_path / "n.csv"
    path.write_text(
        "number,channel,from,to\n+74951234567,2ГИС,2026-01-01,2026-07-01\n+74951234567,Сайт,2026-07-01,\n"
    )
    found = imports.numbers(path, directory=Directory(), now=NOW, key_secret=KEY)
    assert [
        (e.data.channel, e.data.valid_from) for e in found.events if isinstance(e.data, NumberAssigned)
    ] == [
        ("2ГИС", date(2026, 1, 1)),
        ("Сайт", date(2026, 7, 1)),
    ]


def test_events_from_csv_and_json_lines_count_once(tmp_path: Path) -> None:
    table = tmp_path / "e.csv"
    table.write_text(
        "type;id;time;phone;category\ninquiry.categorised;;01.03.2026 12:00;8 (903) 123-45-67;Услуги по ремонту\n"
        "client.arrived;v1;2026-03-02 10:00;+79031234567;\n"
    )
    first = imports.events(table, source=SOURCE, now=NOW, key_secret=KEY)
    later = imports.events(table, source=SOURCE, now=NOW.replace(day=9), key_secret=KEY)
    assert first.wrong == []
    assert [e.type for e in first.events] == ["inquiry.categorised", "client.arrived"]
    assert [e.id for e in first.events] == [e.id for e in later.events]
    assert first.events[0].time == datetime(2026, 3, 1, 9, tzinfo=UTC)
    lines = tmp_path / "e.jsonl"
    lines.write_text(
        '{"type": "sale.recorded", "id": "r1", "time": "2026-03-02T10:00:00Z", "data": {"receipt_id": "1", '
        '"phone": "+79031234567", "lines": [{"price": "100.50"}]}}\n\n{"type": "sale.recorde"}\n{"type": "client.arrived"}\n'
    )
    found = imports.events(lines, source=SOURCE, now=NOW, key_secret=KEY)
    assert [(w.line, w.reason.split(":")[0]) for w in found.wrong] == [(3, "type"), (4, "data")]
    lines.write_text("{\n")
    with pytest.raises(WrongTable, match="line 1: is not JSON"):
        imports.events(lines, source=SOURCE, now=NOW, key_secret=KEY)


def test_a_word_that_no_dictionary_knows_is_imported_and_named(tmp_path: Path) -> None:
    path = tmp_path / "categories.csv"
    path.write_text(
        "type;time;phone;category\n"
        "inquiry.categorised;09.03.2024 19:02;+7 999 000-00-01;repair\n"
        "inquiry.categorised;09.03.2024 19:03;+7 999 000-00-01;ремнт\n",
        encoding="utf-8",
    )
    source = replace(SOURCE, dictionary=Directory.build([]))
    found = imports.events(path, source=source, now=NOW, key_secret=KEY)
    assert (len(found.events), found.wrong) == (2, [])
    assert [line.line for line in found.doubtful] == [3]
    assert found.doubtful[0].reason.startswith("category: is not in the dictionary (did you mean repair?)")


def test_the_words_of_the_settings_are_known_beside_those_that_came_as_events(tmp_path: Path) -> None:
    text = f'[secrets]\nkey_secret = "{"k" * 40}"\n[[categories]]\nid = "tyres"\nlabel = "Шины"\n'
    settings = parse(text, tmp_path / "leadfold.toml")
    told = DictionaryChanged(dictionary="category", item="wash", label="Мойка")
    event = Event(UUID(int=1), told.TYPE, 1, "/native/crm", NOW, NOW, 0, None, "x", told, (), None)
    entries = dictionary_of(settings, [event]).entries
    known = {item for kind, item in entries if kind == "category"}
    assert {"tyres", "wash", "repair"} <= known


def test_offices_stages_rules_and_receipts_from_csv(tmp_path: Path) -> None:
    path = tmp_path / "e.csv"
    path.write_text(
        "type;dictionary;item;label;attrs;version;body;receipt_id;phone;lines;by\n"
        'dictionary.changed;office;ural;Урал;{"timezone": "Asia/Yekaterinburg"};;;;;;\n'
        'dictionary.changed;stage;done;Готово;"{""group"": ""won""}";;;;;;\n'
        "dictionary.changed;reason;far;[Далеко];;;;;;;\n"
        'rule.published;;;;;v1;{"attribution_days": 10};;;;\n'
        'sale.recorded;;;;;;;r1;+79031234567;[{"price": 100, "qty": 2}];anna\n'
    )
    found = imports.events(path, source=SOURCE, now=NOW, key_secret=KEY)
    assert found.wrong == []
    directory = Directory.build(found.events)
    assert directory.zone_of("ural") == "Asia/Yekaterinburg"
    assert directory.entries["stage", "done"].attrs == {"group": "won"}
    assert directory.entries["reason", "far"].label == "[Далеко]"
    assert directory.rules_at(NOW).attribution_days == 10
    sale = found.events[-1].data
    assert isinstance(sale, SaleRecorded)
    assert [line.price * line.qty for line in sale.lines] == [Decimal(200)]


def test_many_rows_are_read_in_parts(tmp_path: Path) -> None:
    path = tmp_path / "e.csv"
    rows = "".join(f"client.arrived,v{n},2026-03-02T10:00:00Z,+7903{n:07}\n" for n in range(250))
    path.write_text("type,id,time,phone\n" + rows + "client.arrived,x,yesterday,+79031234567\n")
    found = imports.events(path, source=SOURCE, now=NOW, key_secret=KEY)
    assert len({e.id for e in found.events if e.type == "client.arrived"}) == 250
    assert [(w.line, w.reason.partition(":")[0]) for w in found.wrong] == [(252, "time")]


@pytest.fixture
def shop(tmp_path: Path) -> Installation:
    return install(tmp_path / "shop")


def test_command_appends_only_when_every_line_is_right(shop: Installation, tmp_path: Path) -> None:
    path = tmp_path / "staff.csv"
    path.write_text("id,name,phones\nanna,Анна,12345\n")
    wrong = shop.call("import", "employees", str(path))
    assert wrong.returncode == 2
    assert f"{path}:2: phones.0" in wrong.stderr
    path.write_text(STAFF)
    assert shop.json("import", "employees", str(path), "--dry-run")["imported"] == 0
    assert shop.json("log", "stats")["records"] == 0
    assert shop.json("import", "employees", str(path))["imported"] == 2
    assert shop.json("log", "stats", "--types")["types"] == {"employee.changed": 2}
    assert shop.call("import", "events", str(tmp_path / "no.csv")).returncode == 2
    path.write_text("type,time,phone\nclient.arrived,2026-03-02T10:00:00Z,+79031234567\n")
    for _ in range(2):
        told = shop.call("import", "events", str(path)).stderr
        assert "1 imported, one that was imported before counts once" in told
