"""``python -m leadfold.schemas``: write the published contracts; with ``--check`` only say what is wrong with them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from leadfold.schemas.publish import outdated, write


def main() -> int:
    """Exit code 0 when all is well, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m leadfold.schemas", description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail when anything is stale or breaking"
    )
    parser.add_argument(
        "--folder", type=Path, default=Path("schemas"), help="where they are (default: schemas)"
    )
    given = parser.parse_args()
    found = outdated(given.folder) if given.check else write(given.folder)
    for problem in found:
        sys.stderr.write(f"{problem}\n")
    if found and given.check:
        sys.stderr.write(
            "`python -m leadfold.schemas` renews what is stale; what breaks readers needs a new version\n"
        )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
