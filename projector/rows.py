"""Rows of the read model: compared with what is there by their hash; only what differs is written."""

# ruff: noqa: S608 - names of schemas pass check_schema, names of tables and columns come from domain.rows

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cache
from hashlib import blake2b
from typing import NamedTuple
from uuid import UUID

from domain.rows import TABLES, Row, Rows
from projector.database import Connection
from projector.facts import dump
from projector.readmodel.tables import check_schema, columns

_TABLES = tuple(TABLES)
_NUMBER = {table: number for number, table in enumerate(_TABLES)}


class Stored(NamedTuple):
    """A row as it is in the database: hash of its contents, and its group."""

    row_hash: int
    group_id: int


@dataclass(slots=True)
class Changes:
    """What must be written: rows as JSON objects by table, keys of rows that vanished."""

    upserts: dict[str, list[bytes]] = field(default_factory=dict)
    deletes: dict[str, list[UUID]] = field(default_factory=dict)

    @property
    __all__ = ["Changes", "Encoded", "Stored", "apply", "difference", "encode", "load"]
