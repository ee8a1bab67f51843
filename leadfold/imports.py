"""Tables of employees, numbers and events turned into events for the log."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from domain.directory import Directory, item_key
from domain.event import Event
from domain.facts.base import Fact
from domain.facts.company import EmployeeChanged
from domain.identity import event_id
from domain.said import partition_key
from ingest.adapters.native import ADAPTER as NATIVE
from ingest.delivery import Delivery
from ingest.limits import Limits
from ingest.sources import SourceConfig
from ingest.translate import translate
from leadfold.config_sync import BEGINNING, employee_fact, number_fact
from leadfold.directory_settings import Employee, Number
from leadfold.table_files import Row, WrongTable, read_table

SOURCE: Final = "/import/leadfold"
_CHUNK: Final = 100

EMPLOYEE_COLUMNS: Final = ("id", "name", "team", "office", "role", "extensions", "logins", "phones")
NUMBER_COLUMNS: Final = ("number", "channel", "office", "from", "to")
EVENT_COLUMNS: Final = ("type", "id", "time")


@dataclass(frozen=True, slots=True)
class Wrong:
    """What is wrong with a line of the file."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Import:
    """Events to be appended, in the order of the file; ``same``: rows that say what is known already.

    ``doubtful``: imported all the same, but the dictionary does not know a word.
    """

    events: list[Event]
    wrong: list[Wrong] = field(default_factory=list)
    same: int = 0
    doubtful: list[Wrong] = field(default_factory=list)


def employees(path: Path, *, directory: Directory | None, now: datetime, key_secret: bytes) -> Import:
    """Employee cards. ``extensions``: ``101 102@main 103:2026-01-01..2026-03-01``; lists by spaces or ``|``.

    Raises WrongTable, OSError.
    """
    rows = read_table(path, known=EMPLOYEE_COLUMNS, needed=("id", "name"))
    return _items(rows, _employee, directory=directory, now=now, key_secret=key_secret)


def numbers(path: Path, *, directory: Directory | None, now: datetime, key_secret: bytes) -> Import:
    """Numbers of ours with their traffic source and office. Raises WrongTable, OSError."""
    rows = read_table(path, known=NUMBER_COLUMNS, needed=("number",))
    return _items(rows, _number, directory=directory, now=now, key_secret=key_secret)


def _employee(row: Row) -> Fact:
    cells: dict[str, Any] = dict(row.cells)
    for name in ("logins", "phones"):
        if name in cells:
            cells[name] = _list(cells[name], spaces=name == "logins")
    if "extensions" in cells:
        cells["extensions"] = [_extension(text) for text in _list(cells["extensions"], spaces=True)]
    return employee_fact(Employee.model_validate(cells))


def _list(text: str, *, spaces: bool) -> list[str]:
    for mark in "|;,":
        text = text.replace(mark, "\n")
    return [part.strip() for part in (text.split() if spaces else text.split("\n")) if part.strip()]


def _extension(text: str) -> dict[str, str]:
    """``101``, ``101@source``, ``101:2026-01-01..2026-03-01`` (either end may be empty)."""
    head, _, period = text.partition(":")
    ext, _, source = head.partition("@")
    first, dots, last = period.partition("..")
    if period and not dots:
        raise ValueError(f"extensions: {text!r}: write a period as 101:2026-01-01..2026-03-01")
    found = {"ext": ext, "source": source, "from": first, "to": last}
    return {name: value for name, value in found.items() if value}


def _number(row: Row) -> Fact:
    return number_fact(Number.model_validate(row.cells))


def _items(
    rows: Sequence[Row],
    make: Callable[[Row], Fact],
    *,
    directory: Directory | None,
    now: datetime,
    key_secret: bytes,
) -> Import:
    found = Import([])
    same = 0
    first_line: dict[tuple[str, ...], int] = {}
    known = _known(directory) if directory else {}
    for row in rows:
        try:
            fact = make(row)
        except ValidationError as error:
            found.wrong.extend(Wrong(row.line, _words(e)) for e in error.errors())
            continue
        except ValueError as error:
            found.wrong.append(Wrong(row.line, str(error)))
            continue
        key = item_key(fact)
        assert key is not None
        if key in first_line:
            found.wrong.append(Wrong(row.line, f"the same {key[0]} as in line {first_line[key]}: {key[1]}"))
            continue
        first_line[key] = row.line
        if known.get(key) == fact:
            same += 1
            continue
        time = BEGINNING if directory is not None and _holds_always(fact, key, directory, known) else now
        found.events.append(_event(fact, key, time, now, key_secret))
    return Import(found.events, found.wrong, same)


def _holds_always(
    fact: Fact, key: tuple[str, ...], directory: Directory, known: Mapping[tuple[str, ...], Fact]
) -> bool:
    """What nobody knew yet holds for all history, a change from now on; so does who comes to known colleagues.

    He may take over an extension; one that nobody held before is his for all history anyway.
    """
    if isinstance(fact, EmployeeChanged):
        return not directory.cards
    return key not in known


def _known(directory: Directory) -> dict[tuple[str, ...], Fact]:
    facts: Iterable[Fact] = (
        *directory.employees.values(),
        *(n for group in directory.numbers.values() for n in group),
    )
    return {key: fact for fact in facts if (key := item_key(fact)) is not None}


def _words(error: Any) -> str:
    name = ".".join(str(part) for part in error["loc"])
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{name}: {message[:1].lower()}{message[1:]}" if name else message


def _event(fact: Fact, key: tuple[str, ...], time: datetime, now: datetime, key_secret: bytes) -> Event:
    digest = sha256(fact.model_dump_json().encode()).hexdigest()[:32]
    return Event(
        id=event_id(SOURCE, fact.TYPE, *key, digest, now.isoformat()),
        type=fact.TYPE,
        version=fact.VERSION,
        source=SOURCE,
        time=time,
        received=time,
        revision=1,
        subject=key[1],
        partitionkey=partition_key((), f"{SOURCE}/{'/'.join(key)}", key_secret),
        data=fact,
        refs=(),
        evidence=None,
    )


def events(path: Path, *, source: SourceConfig, now: datetime, key_secret: bytes) -> Import:
    """Events of the native contract: CSV with columns type, id, time and the fact's fields, or one JSON object a line.

    A cell of CSV that is a JSON object or array counts as one: lines of a receipt, a rule's body, an office's clock.
    Without an id the contents are the identity: the same file imported twice counts once.

    Raises WrongTable, OSError.
    """
    given = _json_lines(path) if path.suffix in (".jsonl", ".json", ".ndjson") else _csv_lines(path)
    found = Import([])
    for start in range(0, len(given), _CHUNK):
        part = given[start : start + _CHUNK]
        body = json.dumps([item for _, item in part], ensure_ascii=False).encode()
        delivery = Delivery(
            method="POST",
            path="/v1/events",
            query="",
            headers={"content-type": "application/json"},
            body=body,
            received=now,
            source=source,
            limits=Limits(max_body=len(body) + 1, max_batch=_CHUNK, max_fields=1_000_000),
        )
        told = translate(delivery, NATIVE, key_secret)
        results = json.loads(told.answer.body).get("results", [])
        for (line, _), result in zip(part, results, strict=False):
            for error in result.get("errors", ()):
                found.wrong.append(Wrong(line, f"{error['field']}: {error['what']}"))
            for warning in result.get("warnings", ()):
                found.doubtful.append(Wrong(line, f"{warning['field']}: {warning['what']}"))
        if len(results) != len(part):
            found.wrong.append(
                Wrong(part[0][0], f"cannot be read: {told.unreadable or told.answer.body.decode()}")
            )
        found.events.extend(told.events)
    return found


def _csv_lines(path: Path) -> list[tuple[int, dict[str, Any]]]:
    rows = read_table(path, known=EVENT_COLUMNS, needed=("type",), open_ended=True)
    return [
        (row.line, {name: _nested(cell) for name, cell in _identified(dict(row.cells)).items()})
        for row in rows
    ]


def _nested(cell: str) -> Any:
    """The object or array that a cell spells in JSON; any other text as it is."""
    if cell[:1] not in ("{", "["):
        return cell
    try:
        return json.loads(cell)
    except ValueError:
        return cell


def _json_lines(path: Path) -> list[tuple[int, dict[str, Any]]]:
    found = []
    for number, text in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1):
        if not text.strip():
            continue
        try:
            value = json.loads(text)
        except ValueError as error:
            raise WrongTable(f"line {number}: is not JSON: {error}") from error
        if not isinstance(value, dict):
            raise WrongTable(f"line {number}: is not a JSON object: write one event a line")
        found.append((number, _identified(value)))
    return found


def _identified(value: dict[str, Any]) -> dict[str, Any]:
    if value.get("id"):
        return value
    digest = sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
    return {**value, "id": f"row-{digest[:40]}"}
