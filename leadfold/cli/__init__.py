"""The command line: ``leadfold …``. One noun per file; this one puts them together."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from leadfold.cli.app import build


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code (`leadfold.cli.common.Exit`)."""
    return build(list(sys.argv[1:] if arguments is None else arguments))


__all__ = ["main"]
