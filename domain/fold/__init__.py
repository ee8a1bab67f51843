"""The fold: all facts of one group → all rows of its clients. Pure: any order, any duplicates, the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from domain.directory import Directory
from domain.event import Event
from domain.fold.history import hide_lines, history
from domain.fold.person import tell
from domain.fold.tables import write
from domain.fold_version import FOLD_VERSION
from domain.resolve import resolve
from domain.rows import TABLES, Row, Rows

__all__ = ["FOLD_VERSION", "fold_group"]


def fold_group(events: Sequence[Event], directory: Directory) -> Rows:
    """Fold all facts of one group (in any order, duplicates allowed) into the rows of all its clients.

    Never reads a clock; raises nothing for facts that passed their schema.
    """
    rows: Rows = {table: [] for table in TABLES}
    for person in resolve(hide_lines(history(events), directory.own_lines), directory):
        write(tell(person, directory), directory, rows)
    for table, written in rows.items():
        if len(written) > 1 and len({row[0].int for row in written}) != len(written):
            rows[table] = _first_of_each(written)
    return rows


def _first_of_each(written: list[Row]) -> list[Row]:
    """One row for each key: two clients of a group may be told under one id (a walk-in's number, a callback's).

    No table holds both. Clients come in the order of their ids, so the same facts always leave the same row.
    """
    kept: dict[UUID, Row] = {}
    for row in written:
        kept.setdefault(row[0], row)
    return list(kept.values())
