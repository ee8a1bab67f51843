"""Tables of a build's schema, derived from ``domain.rows``: names, types, comments, indexes.

Each read-model table has the columns of its row type, then ``group_id`` (the unit of folding, locking and
replacing) and ``row_hash`` (64 bits over the contents, without the group). ``fact``, ``ref`` and ``grp`` are the
projector's own: all facts, the group of each node, and the state of each group.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints
from uuid import UUID

from psycopg import sql

from domain.codes import without_codes
from domain.rows import TABLES

#: Schemas of builds are named so, with the number of the build; nothing else is taken for one.
_SCHEMA_NAME = re.compile(r"build_\d{4,9}")

_SCALARS: dict[type, str] = {
    UUID: "uuid",
    str: "text",
    datetime: "timestamptz",
    int: "bigint",
    bool: "boolean",
    Decimal: "numeric",
}

#: Indexes of read-model tables besides the primary key and ``group_id``: what reports filter, join and sort by.
_INDEXED: dict[str, tuple[str, ...]] = {
    "client": ("first_seen_at", "phones gin"),
    "client_alias": ("client_id",),
    "call": ("inquiry_id", "client_id", "started_at", "touch_id"),
    "call_leg": ("call_id",),
    "touch": ("client_id", "inquiry_id", "lead_id", "at"),
    "inquiry": ("opened_at", "client_id", "lead_id", "arrived_at", "booked_at"),
    "lead": ("client_id", "opened_at", "crm_id"),
    "lead_alias": ("lead_id",),
    "stage": ("lead_id", "entered_at"),
    "booking": ("inquiry_id", "client_id", "lead_id", "made_at", "slot_at"),
    "visit": ("inquiry_id", "client_id", "lead_id", "arrived_at"),
    "sale": ("inquiry_id", "client_id", "visit_id", "sold_at"),
    "sale_line": ("sale_id",),
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a read-model table."""

    name: str
    type: str
    nullable: bool
    comment: str


@cache
def columns(table: str) -> tuple[Column, ...]:
    """Columns of a read-model table in the order of its row type; the first is the primary key (uuid)."""
    hints = get_type_hints(TABLES[table], include_extras=True)
    return tuple(_column(name, hint) for name, hint in hints.items())


@cache
def table_comment(table: str) -> str:
    """What a row of the table is: the first line of the row type's docstring."""
    return without_codes((TABLES[table].__doc__ or "").strip().splitlines()[0])


def schema_name(build_id: int) -> str:
    """Name of the schema of a build, ``build_0001`` and so on."""
    return f"build_{build_id:04d}"


def check_schema(schema: str) -> str:
    """The same name, for use inside of SQL text.

    Raises:
        ValueError: it is not the name of a build's schema.
    """
    if not _SCHEMA_NAME.fullmatch(schema):
        raise ValueError(f"not the schema of a build: {schema!r}")
    return schema


def create_schema(schema: str) -> str:
    """DDL of a whole empty build schema but for the indexes of `create_indexes`."""
    check_schema(schema)
    parts = [f"create schema {schema}", _OWN_TABLES.format(s=schema)]
    for table in TABLES:
        parts.append(_create_table(schema, table))
    return ";\n".join(parts)


def create_indexes(schema: str) -> str:
    """DDL of the indexes of the read-model tables; a bulk load makes them at its end."""
    return ";\n".join(_indexes(check_schema(schema)))


def _create_table(schema: str, table: str) -> str:
    lines = []
    for index, column in enumerate(columns(table)):
        rule = " primary key" if index == 0 else "" if column.nullable else " not null"
        lines.append(f'    "{column.name}" {column.type}{rule}')
    lines += ["    group_id bigint not null", "    row_hash bigint not null"]
    name = f'{schema}."{table}"'
    parts = [f"create table {name} (\n" + ",\n".join(lines) + "\n)"]
    parts.append(f"comment on table {name} is {_text(table_comment(table))}")
    comments = [(c.name, c.comment) for c in columns(table)]
    comments += [
        ("group_id", "группа связанных фактов, из которой получена строка"),
        ("row_hash", "хеш содержимого"),
    ]
    parts += [f'comment on column {name}."{column}" is {_text(comment)}' for column, comment in comments]
    return ";\n".join(parts)


def _indexes(schema: str) -> Iterator[str]:
    for table in TABLES:
        yield f'create index if not exists {table}_group on {schema}."{table}" (group_id)'
        for entry in _INDEXED[table]:
            column, _, method = entry.partition(" ")
            yield (
                f'create index if not exists {table}_{column} on {schema}."{table}"'
                f' using {method or "btree"} ("{column}")'
            )


def _column(name: str, hint: Any) -> Column:
    comment = ""
    if get_origin(hint) is Annotated:
        hint, comment = get_args(hint)[0], without_codes(get_args(hint)[1])
    nullable = False
    if get_origin(hint) in (Union, UnionType):
        options = get_args(hint)
        nullable = NoneType in options
        (hint,) = (option for option in options if option is not NoneType)
    origin = get_origin(hint)
    if origin is tuple:
        return Column(name, _SCALARS[get_args(hint)[0]] + "[]", nullable, comment)
    if origin is dict:
        return Column(name, "jsonb", nullable, comment)
    return Column(name, _SCALARS[hint], nullable, comment)


def _text(value: str) -> str:
    return sql.Literal(value).as_string(None)


_OWN_TABLES = """
create table {s}.fact (
    id uuid primary key,
    type text not null,
    version integer not null,
    source text not null,
    "time" timestamptz not null,
    time_basis text not null,
    received timestamptz not null,
    revision bigint not null,
    subject text,
    partitionkey text not null,
    refs text[] not null,
    data json not null,
    carrier uuid,
    delivery_id uuid,
    "partition" integer not null,
    "offset" bigint not null,
    group_id bigint,
    dead boolean not null default false
);
comment on table {s}.fact is 'Факты: каждый принятый факт один раз, без доставки (она в журнале)';
comment on column {s}.fact.carrier is 'факт той же доставки, при котором в журнале лежит сама доставка; он сам, если равно id';
comment on column {s}.fact.group_id is 'группа связанных фактов; пусто у справочников и у фактов без идентификаторов';
comment on column {s}.fact.dead is 'не учитывается: не удалось свернуть, см. leadfold.deadletter';
create index fact_group on {s}.fact (group_id);
create index fact_directory on {s}.fact (type) where group_id is null;
create index fact_time on {s}.fact using brin ("time") with (pages_per_range = 32, autosummarize = on);
create index fact_received on {s}.fact using brin (received) with (pages_per_range = 32, autosummarize = on);

create table {s}.ref (
    node bigint primary key,
    group_id bigint not null
) with (fillfactor = 90);
comment on table {s}.ref is 'Хеш идентификатора (projector.readmodel.history.node_key) и группа, к которой он относится';
create index ref_group on {s}.ref (group_id);

create table {s}.grp (
    group_id bigint primary key,
    fingerprint bigint,
    facts bigint not null default 0,
    folded boolean not null default false
) with (fillfactor = 80);
comment on table {s}.grp is 'Группа: факты, связанные общими идентификаторами; сворачивается целиком';
comment on column {s}.grp.fingerprint is 'справочники и версия свёртки, с которыми свёрнута; пусто — ждёт свёртки';
comment on column {s}.grp.folded is 'строки таблиц отчётов у неё есть';
create index grp_fingerprint on {s}.grp (fingerprint, group_id);
create sequence {s}.grp_id cache 1
"""
