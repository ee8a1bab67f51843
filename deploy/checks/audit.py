"""Checks, without network, that no lock holds a version that is known to be bad, or anything without a hash.

Run as ``python -m deploy.checks.audit``. It knows only what ``known_bad.toml`` says; `make audit` asks the advisory
database itself and needs network.
"""

import sys
import tomllib
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from packaging.utils import canonicalize_name
from packaging.version import Version

from deploy.checks.lock import ROOT, malformed, read_lock

LIST = Path(__file__).with_name("known_bad.toml")


@dataclass(frozen=True)
class Bad:
    """Versions of a package before ``below``, or just ``version`` (a yanked one)."""

    package: str
    why: str
    below: Version | None = None
    version: Version | None = None

    def hits(self, version: Version) -> bool:
        """Whether a locked version is one of them."""
        return version == self.version or (self.below is not None and version < self.below)


def known(text: str) -> tuple[date, list[Bad]]:
    """The day of the list, and the list. Raises KeyError, ValueError for an entry that says nothing."""
    told = tomllib.loads(text)
    found = []
    for entry in told["bad"]:
        below, version = entry.get("below"), entry.get("version")
        if (below is None) == (version is None):
            raise ValueError(f"{entry['package']}: either below or version")
        found.append(
            Bad(
                canonicalize_name(entry["package"]), entry["why"], Version(below) if below else None,
                Version(version) if version else None,
            )
        )  # fmt: skip
    return told["looked"], found


def problems(root: Path = ROOT, text: str | None = None) -> list[str]:
    """Everything that is wrong with the locks of the tree at ``root``, one line each."""
    _, bad = known(LIST.read_text(encoding="utf-8") if text is None else text)
    found = []
    for file in sorted(root.glob("requirements*.lock")):
        content = file.read_text(encoding="utf-8")
        lock = read_lock(content)
        found += malformed(content, lock, file.name)
        for one in bad:
            if (locked := lock.get(one.package)) is not None and one.hits(locked[0]):
                found.append(f"{file.name}: {one.package} {locked[0]}: {one.why}")
    return found


def main() -> int:
    """Print what is wrong; 0 when nothing is."""
    found = problems()
    for line in found:
        print(line, file=sys.stderr)
    if not found:
        looked, bad = known(LIST.read_text(encoding="utf-8"))
        print(f"no lock holds one of {len(bad)} versions known to be bad on {looked}; news: make audit")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
