"""The golden records: what was ever written must always be read, and say the same.

A line holds a sealed record and what the code of its day read in it. Fields may be added to what is read; none may
go, change its name or its value. When a fact gets a new version, old records are lifted to it: then the expected form
of older lines is renewed once (``says_version``), by hand visible in the diff.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from domain.event import Event
from domain.facts.registry import FACTS
from domain.upcasting import check_ladder
from eventlog.contract import Record
from eventlog.sealing import Undecodable, seal, unseal
from leadfold.schemas.samples import sample


@dataclass(frozen=True, slots=True)
class Golden:
    """One line of the file. ``says``: the fact as read by the code of version ``says_version``."""

    type: str
    version: int
    key: str
    value: str
    headers: tuple[tuple[str, str], ...]
    says_version: int
    says: dict[str, Any]

    @property
    def record(self) -> Record:
        """The record as it lies in a log."""
        return Record(self.key.encode(), self.value.encode(), tuple((n, v.encode()) for n, v in self.headers))

    def line(self) -> str:
        """The line without its end."""
        return json.dumps(
            {
                "type": self.type,
                "version": self.version,
                "key": self.key,
                "headers": [list(h) for h in self.headers],
                "value": self.value,
                "says_version": self.says_version,
                "says": self.says,
            },
            ensure_ascii=False,
        )


def read(text: str) -> list[Golden]:
    """The lines of the file."""
    lines = []
    for row in text.splitlines():
        if row.strip():
            given = json.loads(row)
            given["headers"] = tuple((n, v) for n, v in given["headers"])
            lines.append(Golden(**given))
    return lines


def said(event: Event) -> dict[str, Any]:
    """What a reader gets out of an event, as JSON."""
    return {
        "id": str(event.id),
        "type": event.type,
        "source": event.source,
        "time": event.time.isoformat(),
        "received": event.received.isoformat(),
        "revision": event.revision,
        "subject": event.subject,
        "partitionkey": event.partitionkey,
        "time_basis": event.time_basis,
        "refs": list(event.refs),
        "fact": event.data.model_dump(mode="json", exclude_none=True),
    }


def problems(lines: Sequence[Golden]) -> list[str]:
    """What today's code no longer understands, and versions that have no line."""
    found = check_ladder({type_: model.VERSION for type_, model in FACTS.items()})
    for line in lines:
        found += [f"golden {line.type} v{line.version}: {p}" for p in _line_problems(line)]
    have = {(line.type, line.version) for line in lines}
    for type_, model in sorted(FACTS.items()):
        found += [
            f"golden {type_} v{v}: no line" for v in range(1, model.VERSION + 1) if (type_, v) not in have
        ]
        if not any(line.type == type_ and line.record == seal(sample(model)) for line in lines):
            found.append(f"golden {type_} v{model.VERSION}: no line with all fields of today (stale file)")
    return found


def _line_problems(line: Golden) -> list[str]:
    event = unseal(line.record)
    if isinstance(event, Undecodable):
        return [f"can no longer be read: {event.reason}"]
    model = FACTS[line.type]
    if line.says_version != model.VERSION:
        return [f"says what version {line.says_version} read, not {model.VERSION} (stale file)"]
    return list(_lost(line.says, said(event), ""))


def _lost(before: Any, now: Any, path: str) -> Iterator[str]:
    """Where what was read before is no longer there, or differs."""
    if isinstance(before, dict) and isinstance(now, dict):
        for name, value in before.items():
            here = f"{path}.{name}" if path else name
            if name not in now:
                yield f"{here} is gone"
            else:
                yield from _lost(value, now[name], here)
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for index, (one, other) in enumerate(zip(before, now, strict=True)):
            yield from _lost(one, other, f"{path}[{index}]")
    elif before != now:
        yield f"{path} was {before!r}, is {now!r}"


def renewed(lines: Sequence[Golden]) -> list[Golden]:
    """The file brought up to date: lines for new versions and fields, older ones lifted to a raised version.

    What `problems` calls broken stays as it is, so that it keeps failing.
    """
    result = []
    for line in lines:
        event = unseal(line.record)
        model = FACTS.get(line.type)
        if model and line.says_version < model.VERSION and not isinstance(event, Undecodable):
            line = replace(line, says_version=model.VERSION, says=said(event))  # noqa: PLW2901
        result.append(line)
    for type_, model in sorted(FACTS.items()):
        record = seal(sample(model))
        if not any(line.type == type_ and line.record == record for line in result):
            event = unseal(record)
            if isinstance(event, Undecodable):
                raise ValueError(f"the sample of {type_} cannot be read: {event.reason}")
            headers = tuple((n, v.decode()) for n, v in record.headers)
            result.append(
                Golden(
                    type_,
                    model.VERSION,
                    record.key.decode(),
                    record.value.decode(),
                    headers,
                    model.VERSION,
                    said(event),
                )
            )
    return result
