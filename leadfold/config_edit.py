"""Changes ``leadfold.toml`` without losing its comments; the result is checked before it replaces the file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.items import AoT

from leadfold.config_file import parse
from leadfold.files import write_private
from leadfold.settings import Settings


def add_source(path: Path, values: Mapping[str, Any], *, office: str | None = None) -> Settings:
    """Append one ``[[sources]]`` table; the settings as they are afterwards.

    ``office``: also append an ``[[offices]]`` table of this id, with the id as its label.

    Raises:
        WrongConfig: the file would be wrong with it (lines are those of the new text).
        ValueError: the file writes one of the two as an inline array.
        OSError: it cannot be written.
    """
    document = tomlkit.parse(path.read_text(encoding="utf-8"))
    _append(document, "sources", values)
    if office is not None:
        _append(document, "offices", {"id": office, "label": office})
    return _save(path, tomlkit.dumps(document))


def _append(document: tomlkit.TOMLDocument, section: str, values: Mapping[str, Any]) -> None:
    table = tomlkit.table()
    for name, value in values.items():
        table.add(name, value)
    table.add(tomlkit.nl())
    tables = document.get(section)
    if isinstance(tables, AoT):
        tables.append(table)
    elif tables is None:
        array = tomlkit.aot()
        array.append(table)
        document.append(section, array)
    else:
        raise ValueError(f"{section} is written as an inline array: write each as [[{section}]] first")


def remove_source(path: Path, name: str) -> Settings:
    """Remove the ``[[sources]]`` table of this name. Raises KeyError when there is none, and as `add_source` does."""
    document = tomlkit.parse(path.read_text(encoding="utf-8"))
    tables = document.get("sources")
    if not isinstance(tables, AoT):
        raise KeyError(name)
    index = next((i for i, table in enumerate(tables) if table.get("name") == name), None)
    if index is None:
        raise KeyError(name)
    if len(tables) == 1:
        document.remove("sources")
    else:
        del tables[index]
    return _save(path, tomlkit.dumps(document))


def _save(path: Path, text: str) -> Settings:
    settings = parse(text, path)
    write_private(path, text)
    return settings
