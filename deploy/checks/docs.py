"""Writes the generated parts of the documentation, and finds what it says that is not so.

Run as ``python -m deploy.checks.docs`` (``make docs``) to write, with ``--check`` to see that everything is fresh and true: the tables
stand between ``<!-- generated: name -->`` and ``<!-- /generated -->``, and every command, option, make target, setting,
metric, file and link that the documents name must exist.
"""

import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from deploy.checks import docs_claims, docs_models, docs_tables

ROOT = Path(__file__).resolve().parents[2]

_BLOCK = re.compile(r"<!-- generated: (\w+) -->\n.*?<!-- /generated -->", re.DOTALL)

PARTS: Mapping[str, Callable[[], str]] = {
    "settings": docs_tables.settings_tables,
    "rules": docs_tables.rules_table,
    "metrics": docs_tables.metrics_table,
    "commands": docs_tables.commands_text,
    "columns": docs_models.columns_table,
    "dimensions": docs_models.dimensions_table,
    "facts": docs_models.facts_tables,
}


def documents(root: Path = ROOT) -> list[Path]:
    """Every document of the tree that people read."""
    return [*sorted(root.glob("*.md")), *sorted((root / "docs").rglob("*.md"))]


def fresh(text: str) -> str:
    """A document with its generated parts written anew. Raises KeyError for a part that nobody writes."""
    return _BLOCK.sub(
        lambda m: f"<!-- generated: {m[1]} -->\n{PARTS[m[1]]().strip(chr(10))}\n<!-- /generated -->", text
    )


def stale(root: Path = ROOT) -> list[str]:
    """Documents whose generated parts are old, and parts that stand nowhere."""
    texts = {path: path.read_text(encoding="utf-8") for path in documents(root)}
    found = [
        f"{path.relative_to(root)}: generated parts are old; run `make docs`"
        for path, text in texts.items()
        if fresh(text) != text
    ]
    used = {name for text in texts.values() for name in _BLOCK.findall(text)}
    return found + [f"no document shows the generated part {name!r}" for name in PARTS if name not in used]


def problems(root: Path = ROOT) -> list[str]:
    """Everything that is wrong with the documentation of the tree at ``root``, one line each."""
    return [*stale(root), *docs_claims.untrue(root, documents(root)), *numbered_twice(root)]


def numbered_twice(root: Path) -> list[str]:
    """Decisions that have the number of another one, or another number than their title."""
    seen: dict[str, str] = {}
    found = []
    for path in sorted((root / "docs" / "adr").glob("[0-9]*.md")):
        number = path.name[:4]
        if number in seen:
            found.append(f"docs/adr/{path.name}: {number} is the number of {seen[number]}")
        if not path.read_text(encoding="utf-8").startswith(f"# {number}. "):
            found.append(f"docs/adr/{path.name}: its title has another number")
        seen[number] = path.name
    return found


def main() -> int:
    """Write or check; 0 when all is well."""
    if "--check" not in sys.argv[1:]:
        for path in documents():
            text = path.read_text(encoding="utf-8")
            if (new := fresh(text)) != text:
                path.write_text(new, encoding="utf-8")
                print(f"wrote {path.relative_to(ROOT)}")
    found = problems()
    for line in found:
        print(line, file=sys.stderr)
    if not found:
        print("the documentation is fresh, and what it names exists")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
