"""On which line of a TOML text a key stands: the TOML libraries parse well but do not tell.

Only for messages to people: a path that cannot be found gives the nearest thing around it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

Path = tuple[str | int, ...]

_PART = r"""(?:"[^"\n]*"|'[^'\n]*'|[A-Za-z0-9_-]+)"""
_KEYS = rf"{_PART}(?:\s*\.\s*{_PART})*"
_TABLE = re.compile(rf"^\s*\[(?!\[)\s*({_KEYS})\s*\]")
_ARRAY = re.compile(rf"^\s*\[\[\s*({_KEYS})\s*\]\]")
_PAIR = re.compile(rf"^\s*({_KEYS})\s*=")


class Lines:
    """Line numbers (from 1) of the keys and tables of one text."""

    def __init__(self, text: str) -> None:
        self._at: dict[Path, int] = {}
        self._count: dict[Path, int] = {}
        table: Path = ()
        for number, line in _statements(text):
            if found := _ARRAY.match(line):
                table = self._resolve(_parts(found[1])[:-1])
                name: Path = (*table, _parts(found[1])[-1])
                index = self._count.get(name, -1) + 1
                self._count[name] = index
                table = (*name, index)
                self._at.setdefault(name, number)
                self._at[table] = number
            elif found := _TABLE.match(line):
                table = self._resolve(_parts(found[1]))
                self._at.setdefault(table, number)
            elif found := _PAIR.match(line):
                self._note((*table, *_parts(found[1])), number)

    def _note(self, path: Path, number: int) -> None:
        for length in range(1, len(path) + 1):
            self._at.setdefault(path[:length], number)

    def _resolve(self, parts: Sequence[str]) -> Path:
        """The path of a table header: below an array of tables it means the array's last element."""
        path: Path = ()
        for part in parts:
            path = (*path, part)
            if path in self._count:
                path = (*path, self._count[path])
        return path

    def find(self, path: Sequence[str | int]) -> int | None:
        """The line of a path, or of the nearest thing around it; None when not even its table is written."""
        for length in range(len(path), 0, -1):
            if (line := self._at.get(tuple(path[:length]))) is not None:
                return line
        return None


def _parts(keys: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in re.findall(_PART, keys))


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Lines at which a statement begins: not those inside a multi-line value."""
    depth = 0
    quote = ""  # of a multi-line string we are in
    for number, line in enumerate(text.splitlines(), 1):
        if depth == 0 and not quote:
            yield number, line
            if _TABLE.match(line) or _ARRAY.match(line):
                continue
        depth, quote = _after(line, depth, quote)


def _after(line: str, depth: int, quote: str) -> tuple[int, str]:
    """Depth of brackets and open multi-line quote at the end of a line."""
    at = 0
    while at < len(line):
        if quote:
            if line[at] == "\\" and quote[0] == '"':
                at += 2
                continue
            if line.startswith(quote, at):
                at += len(quote)
                quote = ""
                continue
        elif line.startswith(('"""', "'''"), at):
            quote = line[at : at + 3]
            at += 3
            continue
        elif line[at] in "\"'":
            quote = line[at]
        elif line[at] == "#":
            break
        elif line[at] in "[{":
            depth += 1
        elif line[at] in "]}":
            depth = max(0, depth - 1)
        at += 1
    return depth, quote if len(quote) == 3 else ""
