"""Applies ``migrations/``, makes the role of analysts, and the first build. All of it can be repeated and raced."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from importlib import resources
from typing import Final

import psycopg
import structlog
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from projector.database import Connection
from projector.errors import DatabaseRefused

log = structlog.get_logger(__name__)

#: Seconds that a change of the structure waits for another one, or for readers of what it changes.
_PATIENCE_S: Final = 30

OLDEST_SERVER: Final = 150000

ROLE: Final = "leadfold_analyst"

NO_ROLE: Final = (
    f"the role {ROLE} does not exist and the login role may not create it; as an administrator run: "
    f"create role {ROLE} nologin; grant {ROLE} to <login role>; then start Leadfold again"
)


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file."""

    number: int
    name: str
    text: str


def migrations() -> list[Migration]:
    """All migrations in order."""
    found = []
    for file in resources.files("projector.migrations").iterdir():
        if file.name.endswith(".sql"):
            found.append(Migration(int(file.name[:4]), file.name, file.read_text(encoding="utf-8")))
    return sorted(found, key=lambda m: m.number)


async def migrate(conn: Connection) -> list[str]:
    """Bring the control schema up to date; names of what was applied.

    Raises:
        DatabaseRefused: the server is too old, the login role may not create schemas, or the database was used by a
            newer Leadfold.
    """
    if conn.info.server_version < OLDEST_SERVER:
        raise DatabaseRefused(
            f"Postgres {conn.info.server_version // 10000} is too old: 15 or newer is needed"
        )
    try:
        await _begin(conn)
        async with conn.transaction():
            await lock_structure(conn)
            applied = await _apply(conn)
    except psycopg.errors.LockNotAvailable:
        log.warning(
            "projector.structure_held",
            after_s=_PATIENCE_S,
            hint="another process changes the tables, or a long query holds what an update of the program changes",
        )
        raise
    except psycopg.errors.InsufficientPrivilege as error:
        raise DatabaseRefused(
            f"the login role may not create schemas in this database ({error.diag.message_primary});"
            " run: grant create on database <database> to <login role>"
        ) from error
    await _make_role(conn)
    return applied


async def lock_structure(conn: Connection, patience_s: int = _PATIENCE_S) -> None:
    """Be the only one who changes the structure, until the transaction ends; for those who read nothing changes.

    A lock of a table of ours and no advisory lock: that one anybody may take who may connect, analysts too.

    Raises:
        LockNotAvailable: somebody else had it for too long; also later in the transaction, when readers hold what is changed.
    """
    await conn.execute("select set_config('lock_timeout', %s, true)", (f"{patience_s}s",))
    await conn.execute("lock table leadfold.migration in share row exclusive mode")


async def _begin(conn: Connection) -> None:
    """The schema with its first table. Of several processes one makes them, the others find them."""
    cursor = await conn.execute("select to_regclass('leadfold.migration')")
    row = await cursor.fetchone()
    if row and row[0] is not None:
        return
    try:
        async with conn.transaction():
            await conn.execute(
                "create schema leadfold;"
                " create table leadfold.migration"
                " (number integer primary key, name text not null, applied_at timestamptz not null default now())"
            )
    except (psycopg.errors.UniqueViolation, psycopg.errors.DuplicateSchema):
        pass  # made in the same moment


async def _apply(conn: Connection) -> list[str]:
    cursor = await conn.execute("select number from leadfold.migration")
    done = {row[0] for row in await cursor.fetchall()}
    known = migrations()
    if done - {m.number for m in known}:
        raise DatabaseRefused(
            "this database was used by a newer Leadfold: use that version, or another database"
        )
    applied = []
    for migration in known:
        if migration.number not in done:
            await conn.execute(migration.text)
            await conn.execute(
                "insert into leadfold.migration (number, name) values (%s, %s)",
                (migration.number, migration.name),
            )
            applied.append(migration.name)
    return applied


async def _make_role(conn: Connection) -> None:
    """The group role for analysts and this database's own login in it; without the right to, only a warning."""
    try:
        async with conn.transaction():
            await lock_structure(conn)
            await _role_statements(conn)
    except (
        psycopg.errors.InsufficientPrivilege,
        psycopg.errors.UniqueViolation,
        psycopg.errors.DuplicateObject,
    ) as error:
        # unique violation: the same role is being made in another database of this server; the next start finds it
        log.warning("projector.analyst_role", error=error.diag.message_primary, hint=NO_ROLE)
        return
    for asked, statement in _CLOSED:
        try:
            cursor = await conn.execute(asked, {"role": ROLE})
            if await cursor.fetchone() is not None:
                await conn.execute(statement.encode())
        except psycopg.errors.InsufficientPrivilege:
            log.info("projector.analyst_not_closed", statement=statement)


#: What Postgres lets everybody do and an analyst need not, since it fills the disk: (whether he
#: still may, what ends it). The second needs a superuser; without one the rest of it still holds.
_CLOSED: Final = (
    (
        # only by the owner: «as of» makes temporary tables, and he keeps the right to
        (
            "select from pg_database where datname = current_database() and pg_get_userbyid(datdba) = current_user"
            " and has_database_privilege(%(role)s, current_database(), 'temporary')"
        ),
        "do $$ begin execute format('revoke temporary on database %I from public', current_database()); end $$",
    ),
    *(
        (
            f"select where has_function_privilege(%(role)s, 'pg_catalog.{name}', 'execute')",
            f"revoke execute on function pg_catalog.{name} from public",
        )
        for name in (
            "lo_creat(int4)",
            "lo_create(oid)",
            "lo_from_bytea(oid, bytea)",
        )
    ),
)


async def _role_statements(conn: Connection) -> None:
    role = sql.Identifier(ROLE)
    if not await _exists(conn, ROLE):
        await conn.execute(sql.SQL("create role {} nologin").format(role))
    await conn.execute(
        sql.SQL(
            "do $$ begin if not pg_has_role(current_user, {name}, 'member') then grant {role} to current_user; end if; end $$"
        ).format(name=sql.Literal(ROLE), role=role)
    )
    await conn.execute(sql.SQL("grant usage on schema analytics to {}").format(role))
    await conn.execute(sql.SQL("grant select on all tables in schema analytics to {}").format(role))
    cursor = await conn.execute("select name, password from leadfold.analyst_login")
    known = await cursor.fetchone()
    if known and await _exists(conn, known[0]):
        return
    cursor = await conn.execute("select oid from pg_database where datname = current_database()")
    row = await cursor.fetchone()
    assert row is not None
    name, password = f"{ROLE}_{row[0]}_{secrets.token_hex(3)}", secrets.token_urlsafe(24)
    await conn.execute(
        sql.SQL("create role {} login in role {} password {}").format(
            sql.Identifier(name), role, sql.Literal(password)
        )
    )
    await conn.execute(
        sql.SQL("alter role {} set default_transaction_read_only = on").format(sql.Identifier(name))
    )
    await conn.execute(
        "insert into leadfold.analyst_login (name, password) values (%s, %s)"
        " on conflict (only_one) do update set name = excluded.name, password = excluded.password",
        (name, password),
    )


async def _exists(conn: Connection, role: str) -> bool:
    cursor = await conn.execute("select from pg_roles where rolname = %s", (role,))
    return await cursor.fetchone() is not None


async def analyst_conninfo(conn: Connection, database_url: str) -> str:
    """Connection string of this database's analyst login: sees the views of ``analytics`` and nothing else.

    It is a login of its own and not only SET ROLE, because a SELECT can undo SET ROLE (``set_config``).

    Raises:
        DatabaseRefused: there is none, because the login role may not create roles.
    """
    cursor = await conn.execute("select name, password from leadfold.analyst_login")
    row = await cursor.fetchone()
    if row is None or not await _exists(conn, row[0]):
        raise DatabaseRefused(NO_ROLE)
    given = conninfo_to_dict(database_url)
    return make_conninfo("", **{**given, "user": row[0], "password": row[1]})


__all__ = ["NO_ROLE", "ROLE", "Migration", "analyst_conninfo", "migrate", "migrations"]
