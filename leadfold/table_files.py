"""Tables that people bring: CSV with comma, semicolon or tab, with or without BOM, UTF-8 or Windows-1251."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


class WrongTable(ValueError):
    """The file cannot be read as a table; the text says where."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table: its number in the file, and its cells by the header's names; empty cells are left out."""

    line: int
    cells: dict[str, str]


def read_table(
    path: Path, *, known: Sequence[str], needed: Sequence[str], open_ended: bool = False
) -> list[Row]:
    """Rows of a file with a header line.

    Names in the header are compared without case and spaces. ``open_ended`` allows names beside the known ones.

    Raises:
        WrongTable: unreadable text, a missing or unknown column, a row with too many cells.
        OSError: no such file.
    """
    text = _text(path)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    rows: list[Row] = []
    header: list[str] = []
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if not header:
                header = [_name(cell, known) for cell in cells]
                _check_header(header, known, needed, open_ended)
                continue
            if len(cells) > len(header) and any(cell.strip() for cell in cells[len(header) :]):
                raise WrongTable(
                    f"line {reader.line_num}: {len(cells)} cells, but the header has {len(header)}"
                )
            found = {n: c.strip() for n, c in zip(header, cells, strict=False) if n and c.strip()}
            rows.append(Row(reader.line_num, found))
    except csv.Error as error:
        raise WrongTable(f"line {reader.line_num}: {error}") from error
    if not header:
        raise WrongTable("the file is empty: the first line must name the columns")
    return rows


def _text(path: Path) -> str:
    raw = path.read_bytes()
    for encoding in ("utf-8-sig", "cp1251"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise WrongTable("the file is neither UTF-8 nor Windows-1251 text")


def _delimiter(text: str) -> str:
    first = next((line for line in text.splitlines() if line.strip()), "")
    return max(";,\t", key=first.count)


def _name(cell: str, known: Sequence[str]) -> str:
    plain = cell.strip()
    folded = plain.casefold().replace(" ", "_")
    return next((name for name in known if name.casefold() == folded), plain)


def _check_header(
    header: Sequence[str], known: Sequence[str], needed: Sequence[str], open_ended: bool
) -> None:
    problems = [f"column {name!r} is missing" for name in needed if name not in header]
    if not open_ended:
        problems += [f"unknown column {name!r}" for name in header if name and name not in known]
    problems += [
        f"column {name!r} is there twice" for name in dict.fromkeys(header) if name and header.count(name) > 1
    ]
    if problems:
        raise WrongTable(f"line 1: {'; '.join(problems)}. Columns: {', '.join(known)}")
