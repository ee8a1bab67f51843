"""The table of builds: making a schema, putting it live, dropping it. Each under the structure lock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

import orjson
import psycopg
import structlog

from projector.database import Connection
from projector.errors import BuildError
from projector.migrate import lock_structure, migrate
from projector.positions import live_build
from projector.readmodel.analytics import create_views
from projector.readmodel.tables import check_schema, create_indexes, create_schema, schema_name
from projector.settings import ProjectorSettings

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Build:
    """A row of ``leadfold.build``."""

    build_id: int
    schema: str
    state: str
    purpose: str
    fold_version: str
    rules: dict[str, Any] | None
    known_before: datetime | None
    created_at: datetime
    live_at: datetime | None
    note: str | None

    def __post_init__(self) -> None:
        """A name out of the database gets into the text of statements: ValueError when it is no build's."""
        check_schema(self.schema)


_SELECT = (
    "select build_id, schema_name, state, purpose, fold_version, rules, known_before, created_at, live_at, note"
    " from leadfold.build "
)


async def prepare(conn: Connection, settings: ProjectorSettings) -> int:
    """Bring the database up to date and make the first build when there is none; the live build's number.

    Safe to be called by every process at its start. Raises DatabaseRefused.
    """
    await migrate(conn)
    if (build := await live_build(conn)) is not None:
        await _refresh_views(conn, settings)
        return build.build_id
    async with conn.transaction():
        await lock_structure(conn)
        if (build := await live_build(conn)) is not None:
            return build.build_id
        build_id = await _insert(conn, settings, "live", None, None)
        await conn.execute(create_indexes(schema_name(build_id)))
        await _put_live(conn, settings, build_id)
    return build_id


async def create(
    conn: Connection,
    settings: ProjectorSettings,
    *,
    purpose: str,
    rules: dict[str, Any] | None = None,
    known_before: datetime | None = None,
) -> Build:
    """A new empty build in state ``filling``; its read-model tables have no indexes yet."""
    async with conn.transaction():
        await lock_structure(conn)
        build_id = await _insert(conn, settings, purpose, rules, known_before)
    return await get(conn, build_id)


async def _insert(
    conn: Connection,
    settings: ProjectorSettings,
    purpose: str,
    rules: dict[str, Any] | None,
    known_before: datetime | None,
) -> int:
    cursor = await conn.execute("select coalesce(max(build_id), 0) + 1 from leadfold.build")
    row = await cursor.fetchone()
    assert row is not None
    build_id = int(row[0])
    await conn.execute(
        "insert into leadfold.build (build_id, schema_name, state, purpose, fold_version, rules, known_before)"
        " values (%s, %s, 'filling', %s, %s, %s::text::jsonb, %s)",
        (
            build_id, schema_name(build_id), purpose, settings.folding.version,
            None if rules is None else orjson.dumps(rules).decode(), known_before,
        ),
    )  # fmt: skip
    await conn.execute(create_schema(schema_name(build_id)))
    return build_id


async def get(conn: Connection, build_id: int) -> Build:
    """A build by its number. Raises BuildError."""
    cursor = await conn.execute(_SELECT + "where build_id = %s", (build_id,))
    row = await cursor.fetchone()
    if row is None:
        raise BuildError(f"there is no build {build_id}")
    return Build(*row)


async def listing(conn: Connection) -> list[Build]:
    """All builds, the newest first."""
    cursor = await conn.execute(_SELECT + "order by build_id desc")
    return [Build(*row) for row in await cursor.fetchall()]


async def mark(conn: Connection, build_id: int, state: str, note: str | None = None) -> None:
    """Set the state of a build that is not live."""
    await conn.execute(
        "update leadfold.build set state = %s, note = coalesce(%s, note) where build_id = %s and state <> 'live'",
        (state, note, build_id),
    )


def check_switchable(build: Build) -> None:
    """Raise BuildError unless the build can be put live: finished, not live, with the published rules."""
    if build.state not in {"ready", "old"}:
        raise BuildError(f"build {build.build_id} is {build.state}: only a finished one can be put live")
    if build.known_before is not None or build.rules is not None:
        raise BuildError(f"build {build.build_id} has its own rules or cut-off: it is for comparison only")


async def switch(conn: Connection, settings: ProjectorSettings, build_id: int) -> int | None:
    """Put a build live in one transaction; the number of the one that was. Readers keep reading all the time.

    The epochs of both builds' positions grow: a projector that works on the former build is fenced, finds the new live
    build and goes on from its positions.

    Raises:
        BuildError: the build is not ready (or was dropped).
    """
    async with conn.transaction():
        await lock_structure(conn, 10)
        build = await get(conn, build_id)
        check_switchable(build)
        former = await live_build(conn)
        if former is not None:
            await conn.execute(
                "update leadfold.build set state = 'old', retired_at = now() where build_id = %s",
                (former.build_id,),
            )
            await _fence(conn, former.build_id)
        await _fence(conn, build_id)
        await _put_live(conn, settings, build_id)
    return None if former is None else former.build_id


async def _fence(conn: Connection, build_id: int) -> None:
    await conn.execute(
        "update leadfold.position set epoch = epoch + 1, owner = null, backend = null where build_id = %s",
        (build_id,),
    )


async def _put_live(conn: Connection, settings: ProjectorSettings, build_id: int) -> None:
    await conn.execute(
        "update leadfold.build set state = 'live', live_at = now(), retired_at = null where build_id = %s",
        (build_id,),
    )
    await _make_views(conn, settings, build_id)


async def _refresh_views(conn: Connection, settings: ProjectorSettings) -> None:
    """Make the views of ``analytics`` anew when an update of the program has changed them.

    Where a reader's long query holds them, they stay as they are until the next start: nobody waits behind us for long.
    """
    query = "select build_id, schema_name, views from leadfold.build where state = 'live'"
    row = await (await conn.execute(query)).fetchone()
    if row is None or row[2] == _views_hash(row[1], settings):
        return
    try:
        async with conn.transaction():
            await lock_structure(conn, 2)
            row = await (await conn.execute(query)).fetchone()
            if row is not None and row[2] != _views_hash(row[1], settings):
                await _make_views(conn, settings, row[0])
    except psycopg.errors.LockNotAvailable:
        log.warning(
            "projector.views_held",
            hint="a long query reads analytics: its views are renewed at the next start",
        )


async def _make_views(conn: Connection, settings: ProjectorSettings, build_id: int) -> None:
    schema = schema_name(build_id)
    await conn.execute(create_views(schema, settings.further_views))
    await conn.execute(
        "update leadfold.build set views = %s where build_id = %s", (_views_hash(schema, settings), build_id)
    )


def _views_hash(schema: str, settings: ProjectorSettings) -> str:
    return sha256(create_views(schema, settings.further_views).encode()).hexdigest()[:16]


async def drop(conn: Connection, build_id: int) -> None:
    """Delete the schema of a build that is not live. Raises BuildError."""
    async with conn.transaction():
        await lock_structure(conn)
        build = await get(conn, build_id)
        if build.state == "live":
            raise BuildError(f"build {build_id} is live: put another one live first")
        await conn.execute(f"drop schema if exists {check_schema(build.schema)} cascade")
        await conn.execute("delete from leadfold.position where build_id = %s", (build_id,))
        await conn.execute("delete from leadfold.deadletter where build_id = %s", (build_id,))
        await conn.execute("delete from leadfold.source_seen where build_id = %s", (build_id,))
        await conn.execute(
            "update leadfold.build set state = 'dropped', config = null where build_id = %s", (build_id,)
        )
