"""The fold: all facts of one group → all rows of its clients. Pure: any order, any duplicates, the same rows."""

from __future__ import annotations

from collections.abc import Sequence

from domain.directory import Directory
from domain.event import Event
from domain.fold.history import history
from domain.fold.person import tell
from domain.fold.tables import write
from domain.fold_version import FOLD_VERSION
from domain.resolve import resolve
from domain.rows import TABLES, Rows

__all__ = ["FOLD_VERSION", "fold_group"]


def fold_group(events: Sequence[Event], directory: Directory) -> Rows:
    """Fold all facts of one group (in any order, duplicates allowed) into the rows of all its clients.

    Never reads a clock; raises nothing for facts that passed their schema.
    """
    rows: Rows = {table: [] for table in TABLES}
    for person in resolve(history(events), directory):
        write(tell(person, directory), directory, rows)
    return rows
