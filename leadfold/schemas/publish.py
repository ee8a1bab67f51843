"""Writes and checks the files under ``schemas/``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from leadfold.schemas import asyncapi, golden, openapi, yaml
from leadfold.schemas.compat import breaking
from leadfold.schemas.events import all_schemas


def contents() -> dict[str, str]:
    """Name below the folder → text, of everything that is made from today's code alone."""
    files = {f"events/{name}": _json(schema) for name, schema in all_schemas().items()}
    files["asyncapi.yaml"] = yaml.dump(asyncapi.build())
    files["openapi.json"] = _json(openapi.build())
    return files


def outdated(folder: Path) -> list[str]:
    """What is stale, missing, or would break readers of older events; empty when all is well."""
    found = breaks(folder)
    for name, text in contents().items():
        path = folder / name
        if not path.exists():
            found.append(f"{path}: missing (stale)")
        elif path.read_text(encoding="utf-8") != text:
            found.append(f"{path}: stale")
    return found + golden.problems(_golden(folder))


def breaks(folder: Path) -> list[str]:
    """Changes to a version that was published before, which its readers would not survive."""
    found = []
    for name, schema in all_schemas().items():
        path = folder / "events" / name
        if path.exists():
            old = json.loads(path.read_text(encoding="utf-8"))
            found += [f"{path}: breaks readers: {what}" for what in breaking(old, schema)]
    for path in sorted((folder / "events").glob("*.json")):
        type_ = path.name.rsplit(".v", 1)[0]
        if type_ not in {n.rsplit(".v", 1)[0] for n in all_schemas()}:
            found.append(f"{path}: breaks readers: the event type {type_} is gone")
    return found


def write(folder: Path) -> list[str]:
    """Renew the files. Nothing is written when a change would break readers: the problems are returned instead."""
    found = breaks(folder)
    if found:
        return found
    lines = golden.renewed(_golden(folder))
    for name, text in contents().items():
        _write(folder / name, text)
    _write(folder / "golden" / "events.jsonl", "".join(line.line() + "\n" for line in lines))
    return golden.problems(lines)


def _golden(folder: Path) -> list[golden.Golden]:
    path = folder / "golden" / "events.jsonl"
    return golden.read(path.read_text(encoding="utf-8")) if path.exists() else []


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"
