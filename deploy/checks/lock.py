"""Checks, without network, that the lock files fit pyproject.toml, each other and what is installed.

Run as ``python -m deploy.checks.lock``. ``make lock`` writes the files; this finds the cases in which somebody
forgot to.
"""

import importlib.metadata
import re
import sys
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]

#: name -> (version, marker applies here, number of hashes)
Lock = Mapping[str, tuple[Version, bool, int]]


def read_lock(text: str) -> Lock:
    """The pinned packages of a lock file's text.

    Raises:
        ValueError: an entry is not pinned exactly (``name==version``).
    """
    packages: dict[str, tuple[Version, bool, int]] = {}
    for entry in re.sub(r"\\\n", " ", text).splitlines():
        if not entry.strip() or entry.startswith("#"):
            continue
        specification, *hashes = entry.split("--hash=")
        requirement = Requirement(specification.strip())
        (specifier,) = requirement.specifier
        if specifier.operator != "==":
            raise ValueError(f"{requirement} is not pinned")
        applies = requirement.marker is None or requirement.marker.evaluate()
        packages[canonicalize_name(requirement.name)] = (Version(specifier.version), applies, len(hashes))
    return packages


def unfit(wanted: Iterable[Requirement], lock: Lock, name: str) -> list[str]:
    """Requirements of pyproject.toml that the lock does not meet."""
    found = []
    for requirement in wanted:
        locked = lock.get(canonicalize_name(requirement.name))
        if locked is None:
            found.append(f"{name}: {requirement.name} of pyproject.toml is missing")
        elif not requirement.specifier.contains(locked[0], prereleases=True):
            found.append(f"{name}: {requirement.name} {locked[0]} does not fit {requirement.specifier}")
    return found


def unreached(wanted: Iterable[Requirement], lock: Lock, name: str) -> list[str]:
    """Packages of the lock that nothing in pyproject.toml leads to any more, by the installed metadata."""
    todo = [(canonicalize_name(requirement.name), frozenset(requirement.extras)) for requirement in wanted]
    seen: set[tuple[str, frozenset[str]]] = set()
    while todo:
        package = todo.pop()
        if package in seen:
            continue
        seen.add(package)
        for text in _requires(package[0]):
            requirement = Requirement(text)
            environments = [{"extra": extra} for extra in package[1]] or [{"extra": ""}]
            if requirement.marker is None or any(map(requirement.marker.evaluate, environments)):
                todo.append((canonicalize_name(requirement.name), frozenset(requirement.extras)))
    reached = {package for package, _extras in seen}
    return [
        f"{name}: nothing needs {package}"
        for package, (_version, applies, _hashes) in lock.items()
        if applies and package not in reached
    ]


def _requires(package: str) -> list[str]:
    try:
        return importlib.metadata.requires(package) or []
    except importlib.metadata.PackageNotFoundError:
        return []  # not for this platform, or missing: `not_installed` tells


def not_installed(lock: Lock) -> list[str]:
    """Packages of which another version than the locked one is installed, or none."""
    found = []
    for package, (version, applies, _hashes) in lock.items():
        if not applies:
            continue
        try:
            installed = Version(importlib.metadata.version(package))
        except importlib.metadata.PackageNotFoundError:
            found.append(f"{package} {version} is locked but not installed: run make setup")
            continue
        if installed != version:
            found.append(f"{package} {installed} is installed, {version} is locked: run make setup")
    return found


def malformed(text: str, lock: Lock, name: str) -> list[str]:
    """Entries without hashes, and addresses: where packages come from is the machine's business, not the tree's."""
    found = [f"{name}: {package} has no hash" for package, (_, _, hashes) in lock.items() if not hashes]
    if re.search(r"https?://|--(extra-)?index-url|--find-links", text):
        found.append(f"{name}: names the address of a package index")
    return found


def problems(root: Path = ROOT) -> list[str]:
    """Everything that is wrong with the locks of the tree at ``root``, one line each."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    runtime = [Requirement(line) for line in [*project["dependencies"], *extras["build"]]]
    everything = [*runtime, *(Requirement(line) for line in extras["dev"])]
    texts = {name: (root / name).read_text() for name in ("requirements.lock", "requirements-dev.lock")}
    small, large = (read_lock(text) for text in texts.values())
    found = unfit(runtime, small, "requirements.lock") + unfit(everything, large, "requirements-dev.lock")
    found += unreached(runtime, small, "requirements.lock")
    found += unreached(everything, large, "requirements-dev.lock")
    found += [
        f"{package} differs between the two locks"
        for package, (version, _, _) in small.items()
        if package not in large or large[package][0] != version
    ]
    for (name, text), lock in zip(texts.items(), (small, large), strict=True):
        found += malformed(text, lock, name)
    return found + not_installed(large)


def main() -> int:
    """Print what is wrong; 0 when nothing is."""
    found = problems()
    for line in found:
        print(line, file=sys.stderr)
    if found:
        print("make lock writes the lock files anew", file=sys.stderr)
        return 1
    print("locks fit pyproject.toml, each other and what is installed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
