"""What a report needs besides its parameters: the live build, its directory, the clock, and how fresh the data is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection

from domain.directory import DEFAULT_TIMEZONE, Directory, SourceInfo
from projector.readmodel.live import directory_version, freshness, live_schema, load_directory


@dataclass(frozen=True, slots=True)
class Context:
    """The world in which reports are built. ``now`` (aware) is their only clock.

    ``fresh_at``: when the newest folded fact was received; ``lag_s``: seconds the read models are behind the log.
    Both None when unknown. ``stands_since``: nobody has brought the figures up to date since then; None while somebody does.
    """

    schema: str
    directory: Directory
    now: datetime
    fresh_at: datetime | None = None
    lag_s: float | None = None
    stands_since: datetime | None = None

    @property
    def rules(self) -> str:
        """The version of rules and dictionaries: a short fingerprint, and since when the latest rules are in force."""
        short = self.directory.fingerprint[:8]
        versions = self.directory.rule_versions
        return f"{short} ({versions[-1][0]:%Y-%m-%d})" if versions else short


@dataclass(slots=True)
class DirectoryCache:
    """The directory of one database, read again only when a build or its directory is another one."""

    _key: tuple[object, ...] | None = None
    _directory: Directory | None = None

    async def get(
        self, conn: AsyncConnection[Any], schema: str, timezone: str, sources: tuple[SourceInfo, ...]
    ) -> Directory:
        """The directory as `load_directory` gives it now."""
        # the version first: what is read afterwards may be newer than it says, never older
        key = (schema, await directory_version(conn, schema), timezone, sources)
        if self._directory is None or key != self._key:
            self._directory = await load_directory(conn, schema, timezone, sources)
            self._key = key
        return self._directory


async def load_context(
    conn: AsyncConnection[Any],
    *,
    now: datetime,
    timezone: str = DEFAULT_TIMEZONE,
    sources: Iterable[SourceInfo] = (),
    lag_s: float | None = None,
    directories: DirectoryCache | None = None,
) -> Context:
    """The context of the live build. ``timezone`` and ``sources`` are the company's settings, as the projector has them.

    ``directories``: for who asks again and again.

    Raises projector.readmodel.live.NoLiveBuild when nothing was ever projected.
    """
    schema = await live_schema(conn)
    cache = directories or DirectoryCache()
    directory = await cache.get(conn, schema, timezone, tuple(sources))
    fresh = await freshness(conn)
    return Context(schema, directory, now, fresh.received, lag_s, fresh.stands_since)
