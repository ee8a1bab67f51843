"""What the projector must be told. Nothing here reads files or the environment."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from uuid import uuid4

from domain.directory import DEFAULT_TIMEZONE, Directory, SourceInfo
from domain.event import Event
from domain.rows import Rows

Fold = Callable[[Sequence[Event], Directory], Rows]

#: The group of projectors on the log.
GROUP = "leadfold-projector"


@dataclass(frozen=True, slots=True)
class Folding:
    """The fold and its version: a new version means that all groups are folded again.

    Must be picklable (module-level function) for rebuilds in several processes.
    """

    fold: Fold
    version: str

    @classmethod
    def default(cls) -> Folding:
        """The fold of ``domain.fold``."""
        from domain.fold import FOLD_VERSION, fold_group

        return cls(fold_group, str(FOLD_VERSION))


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one batch and of one refold, and when to stop for dead letters.

    ``bulk_behind``: with more records than this between position and end of the log, facts are stored first and
    groups folded afterwards, once each; when that takes longer than ``bulk_s``, some are folded between batches.
    With more than ``help_behind`` another process helps to fold. ``dead_in_a_row`` and ``dead_ratio`` (over at least ``dead_sample`` records)
    stop the projector. A piece of work on the database that takes longer than ``statement_s`` is given up, and tried
    again with twice the time. An owner on the embedded log that was not seen for ``stale_owner_s`` is followed by another.
    """

    batch_records: int = 2000
    batch_bytes: int = 16 * 1024 * 1024
    bulk_records: int = 5_000
    bulk_behind: int = 5_000
    bulk_s: float = 10.0
    help_behind: int = 20_000
    refold_groups: int = 500
    refold_facts: int = 20_000
    dead_in_a_row: int = 100
    dead_ratio: float = 0.5
    dead_sample: int = 200
    statement_s: float = 30.0
    stale_owner_s: float = 10.0


@dataclass(frozen=True, slots=True)
class ProjectorSettings:
    """Where the read models are and what they are folded with.

    ``timezone`` and ``sources`` are part of the directory. ``further_views``: statements for ``analytics``, see
    ``readmodel.analytics.create_views``.
    """

    database_url: str
    timezone: str = DEFAULT_TIMEZONE
    sources: tuple[SourceInfo, ...] = ()
    folding: Folding = field(default_factory=Folding.default)
    limits: Limits = field(default_factory=Limits)
    further_views: tuple[str, ...] = ()
    owner: str = field(default_factory=lambda: f"{socket.gethostname()}/{os.getpid()}/{uuid4().hex[:6]}")


def no_progress(_phase: str, _done: int, _total: int | None) -> None:
    """Progress for those who do not watch."""


Progress = Callable[[str, int, int | None], None]
"""Called with the phase, what is done of it, and how much there is (None = unknown)."""
