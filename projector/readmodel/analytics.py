"""Schema ``analytics``: the live build as views for analysts. Phones masked, names and links to recordings hidden.

A client's id could be found by trying phones: analysts see a keyed hash of it, the same in every view of this database.

The views belong to the owner of the tables, so analysts need no right to the tables themselves. They are made anew in
the transaction that switches builds.
"""

# ruff: noqa: S608 - names of schemas pass check_schema, names of tables and columns come from domain.rows

from __future__ import annotations

from collections.abc import Sequence

from psycopg import sql

from domain.rows import TABLES
from projector.readmodel.tables import check_schema, columns, table_comment

#: An extension; or the phone of an employee to whom calls are forwarded, told apart by its length.
_EXTENSION = "case when length({c}) > 6 then analytics.mask_phone({c}) else {c} end"

#: The key comes from a table that the views' owner may read and analysts may not: a function of theirs with the key inside
#: would hash whatever they like. Once a query: the subselect depends on no row.
_HASHED = "substr(encode(sha256(convert_to((select salt from leadfold.mask_salt) || {c}::text, 'UTF8')), 'hex'), 1, 32)::uuid"

#: ``ext:`` and the number of a call's leg that nobody owns: an extension, or somebody's mobile.
_EMPLOYEE = "case when {c} ~ '^ext:.{{7}}' then 'ext:' || analytics.mask_phone(substr({c}, 5)) else {c} end"

#: Columns of any table, by name: what makes a client, and who of us it was.
MASKED_NAMES: dict[str, str] = {"client_id": _HASHED, "employee_id": _EMPLOYEE, "responsible_id": _EMPLOYEE}

#: (table, column) -> expression instead of the column; {c} is the quoted column. Everything else is shown as it is.
MASKED: dict[tuple[str, str], str] = {
    ("client_alias", "alias_id"): _HASHED,
    ("client", "name"): "case when {c} is not null then '•••' end",
    ("client", "phones"): "array(select analytics.mask_phone(p) from unnest({c}) p)",
    ("client", "emails"): "array(select '•••@' || split_part(e, '@', 2) from unnest({c}) e)",
    ("call", "client_phone"): "analytics.mask_phone({c})",
    ("call", "recording_url"): "case when {c} is not null then '•••' end",
    ("call", "ext"): _EXTENSION,
    ("call_leg", "ext"): _EXTENSION,
    ("call_leg", "transferred_from"): _EXTENSION,
    ("inquiry", "page"): "split_part(split_part({c}, '?', 1), '#', 1)",
}

#: A phone keeps country and region (+7 903), and its last two digits. Short numbers vanish wholly.
MASK_FUNCTION = """
create or replace function analytics.mask_phone(phone text) returns text language sql immutable parallel safe as $$
    select case when length(phone) >= 10 then left(phone, 5) || '•••' || right(phone, 2)
                when phone is not null then '•••' end
$$
"""


def create_views(schema: str, further: Sequence[str] = ()) -> str:
    """SQL that puts the schema ``analytics`` on a build; run it in the switching transaction.

    ``further`` are statements that make more views in ``analytics`` out of the build (reports as SQL); ``{schema}`` in
    them becomes the schema's name.
    """
    check_schema(schema)
    parts = [
        _DROP_ALL,
        MASK_FUNCTION,
        "comment on function analytics.mask_phone(text) is 'Телефон с закрытой серединой'",
    ]
    for table in TABLES:
        shown = ", ".join(_shown(table, column.name) for column in columns(table))
        view = f'analytics."{table}"'
        parts.append(f'create view {view} as select {shown} from {schema}."{table}"')
        parts.append(f"comment on view {view} is {_text(table_comment(table))}")
        parts += [f'comment on column {view}."{c.name}" is {_text(c.comment)}' for c in columns(table)]
    parts += [statement.replace("{schema}", schema) for statement in further]
    parts.append(_GRANT)
    return ";\n".join(parts)


def _shown(table: str, column: str) -> str:
    quoted = f'"{column}"'
    shown = masked(table, column, quoted)
    return shown if shown == quoted else f"{shown} as {quoted}"


def masked(table: str, column: str, expression: str) -> str:
    """SQL of a column as analysts may see it; ``expression`` is the column itself."""
    mask = MASKED.get((table, column)) or MASKED_NAMES.get(column)
    return mask.format(c=expression) if mask else expression


def _text(value: str) -> str:
    return sql.Literal(value).as_string(None)


_DROP_ALL = """
do $$
declare name text;
begin
    for name in select quote_ident(viewname) from pg_views where schemaname = 'analytics' loop
        execute 'drop view analytics.' || name || ' cascade';
    end loop;
end $$
"""

_GRANT = """
do $$
begin
    if exists (select from pg_roles where rolname = 'leadfold_analyst') then
        grant usage on schema analytics to leadfold_analyst;
        grant select on all tables in schema analytics to leadfold_analyst;
    end if;
end $$
"""
