"""What a stranger wrote into a name moves no cursor and paints nothing in the terminal of whoever looks."""

import io
import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rich.console import Console
from rich.table import Table

from domain.event import Event, Evidence
from domain.facts.sites import FormSubmitted
from domain.printable import printable
from domain.said import Said, make_events
from eventlog.contract import StoredRecord
from eventlog.sealing import seal
from leadfold.cli import common, log
from leadfold.event_text import as_json
from reports import as_terminal
from reports.result import Label

HOSTILE = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202eИван\x7f\r\n\u2028\ud800"
ACTING = [c for c in HOSTILE if c not in "Иван[2J]0;owned31m\n"]


def hostile_event() -> Event:
    import uuid

    name = HOSTILE.replace("\ud800", "")
    body = json.dumps({"name": name}, ensure_ascii=False).encode()
    evidence = Evidence(uuid.UUID(int=1), "POST", "/in", HOSTILE[:5], (("user-agent", name),), body, "form@1")
    said = Said(FormSubmitted(submission_id="1", name=name, phone="+79031234567"), ("1",), None)
    (event,) = make_events(
        [said], source="/form/x", received=datetime(2026, 3, 1, tzinfo=UTC), revision=1, evidence=evidence,
        key_secret=b"k",
    )  # fmt: skip
    return event


def test_what_acts_is_spelled_and_letters_stay() -> None:
    assert printable("Ёлка — 5 ₽ 🚗 \u00a0") == "Ёлка — 5 ₽ 🚗 \u00a0"
    assert printable("a\x1b[31m\n", keep="\n") == "a\\u001b[31m\n"
    assert not set(ACTING) & set(printable(HOSTILE))


@pytest.mark.parametrize("terminal", [False, True])
def test_every_way_to_print(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
    seen = io.StringIO()
    monkeypatch.setattr(seen, "isatty", lambda: terminal, raising=False)
    monkeypatch.setattr("sys.stdout", seen)
    monkeypatch.setattr(
        common, "out", Console(file=seen, force_terminal=terminal, width=60, color_system=None)
    )
    monkeypatch.setattr(common, "err", Console(file=seen, color_system=None))
    stored = StoredRecord(0, 5, datetime(2026, 3, 1, tzinfo=UTC), seal(hostile_event()))
    common.print_json(as_json(stored))
    common.print_pretty(as_json(stored))
    log._show_line(stored, as_json=True)
    log._show_line(stored, as_json=False)
    common.print_line(HOSTILE)
    common.print_table(("a", "b", "c", "d", "e", "f", "g"), [[HOSTILE] * 7])
    common.print_table(("a",), [[{HOSTILE: [HOSTILE]}]])
    with pytest.raises(Exception, match="1"):
        common.fail(HOSTILE)
    text = seen.getvalue()
    assert "Иван" in text
    assert not set(ACTING) & set(text), sorted(set(ACTING) & set(text))


def test_json_says_the_same_after_all(capsys: pytest.CaptureFixture[str]) -> None:
    value: Any = {"name": HOSTILE, "n": [1]}
    common.print_json(value)
    assert json.loads(capsys.readouterr().out) == value


def test_names_in_the_report() -> None:
    seen = io.StringIO()
    table = Table("")
    group = SimpleNamespace(label=Label(HOSTILE, HOSTILE), values={}, children=())
    as_terminal._add(table, cast("Any", (group,)), (), 0, "ru")
    Console(file=seen, color_system=None, width=200).print(table)
    assert "Иван" in seen.getvalue()
    assert not set(ACTING) & set(seen.getvalue())
