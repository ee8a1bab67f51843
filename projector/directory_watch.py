"""The directory as of a transaction, and the stamp of what groups are folded with."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from domain.directory import Directory
from projector.database import Connection
from projector.readmodel.live import load_directory, with_rules
from projector.readmodel.tables import check_schema
from projector.settings import ProjectorSettings


@dataclass(frozen=True, slots=True)
class BuildState:
    """The row of a build, as read at the start of a transaction."""

    build_id: int
    schema: str
    state: str
    config: str | None
    rules: dict[str, Any] | None
    directory_version: int
    fingerprint: int | None

    def __post_init__(self) -> None:
        """A name out of the database gets into the text of statements: ValueError when it is no build's."""
        check_schema(self.schema)


@dataclass(frozen=True, slots=True)
class Standing:
    """What a transaction folds with. ``fingerprint`` stamps the groups; a group with another one is dirty."""

    directory: Directory
    fingerprint: int
    version: int


def config_hash(settings: ProjectorSettings) -> str:
    """What the settings and the code add to a fingerprint: projectors that differ in it leave each other's work alone."""
    parts = [settings.folding.version, settings.timezone, *sorted(map(repr, settings.sources))]
    return sha256("\n".join(parts).encode()).hexdigest()[:16]


def stamp_of(directory: Directory, fold_version: str) -> int:
    """63 bits of the directory's fingerprint and the version of the fold."""
    digest = sha256(f"{directory.fingerprint}\n{fold_version}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


class DirectoryWatch:
    """Keeps the directory of one build and reads it again only when its version has changed."""

    def __init__(self, settings: ProjectorSettings) -> None:
        self._settings = settings
        self._build: int | None = None
        self._standing: Standing | None = None

    async def standing(self, conn: Connection, build: BuildState) -> Standing:
        """The directory as of this transaction. ``build`` must have been read in it."""
        known = self._standing
        if known is not None and self._build == build.build_id and known.version == build.directory_version:
            return known
        directory = with_rules(
            await load_directory(conn, build.schema, self._settings.timezone, self._settings.sources),
            build.rules,
        )
        self._standing = Standing(
            directory, stamp_of(directory, self._settings.folding.version), build.directory_version
        )
        self._build = build.build_id
        return self._standing

    def forget(self) -> None:
        """Read it again next time: a transaction that changed it was rolled back."""
        self._standing = None
