"""Schema ``analytics``: the live build as views for analysts. Phones masked, names and links to recordings hidden.

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

#: (table, column) -> expression instead of the column; {c} is the quoted column. Everything else is shown as it is.
MASKED: dict[tuple[str, str], str] = {
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
    expression = MASKED.get((table, column))
    return f"{expression.format(c=quoted)} as {quoted}" if expression else quoted


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
