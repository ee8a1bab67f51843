"""Reads a bounded range of the log again: into the live read models, or through today's adapters."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from domain.event import Event, Evidence
from domain.facts.company import DeliveryUnreadable
from eventlog.contract import EventLog, StoredRecord
from eventlog.sealing import Undecodable, label, seal, unseal
from ingest.adapters.registry import adapters
from ingest.limits import Limits
from ingest.sources import SourceBook, SourceConfig
from ingest.translate import retranslate
from leadfold.log_reading import records
from projector.batch import Applier, Batch, open_record
from projector.database import Connection
from projector.positions import live_build
from projector.readmodel.live import NoLiveBuild
from projector.settings import ProjectorSettings

Range = Mapping[int, tuple[int, int]]
"""Partition → first offset, and the one after the last."""

Step = Callable[[int], object]


@dataclass
class Applied:
    """What reading again into the live build did. ``dead``: records that could not be read or folded."""

    records: int = 0
    new: int = 0
    superseded: int = 0
    rows_changed: int = 0
    dead: int = 0


@dataclass
class Retranslated:
    """What translating again did. ``failed``: reasons by how often."""

    looked_at: int = 0
    deliveries: int = 0
    mended: int = 0
    events: int = 0
    failed: dict[str, int] = field(default_factory=dict)


async def apply_again(
    event_log: EventLog,
    conn: Connection,
    settings: ProjectorSettings,
    wanted: Range,
    *,
    rate_per_s: float | None,
    dry_run: bool,
    step: Step,
    batch: int = 500,
) -> Applied:
    """Apply a range to the live build, beside running projectors; facts it has already change nothing.

    Positions stay where they are. Raises NoLiveBuild, LogError.
    """
    build = await live_build(conn)
    if build is None:
        raise NoLiveBuild("no live build: start the projector once")
    applier = Applier(settings)
    done = Applied()
    pace = _Pace(rate_per_s)
    waiting: list[StoredRecord] = []

    async def flush() -> None:
        items = tuple(open_record(stored) for stored in waiting)
        done.records += len(items)
        if dry_run:
            done.dead += sum(isinstance(item.content, Undecodable) for item in items)
        elif items:
            outcome = await applier.apply(conn, build.build_id, Batch(items, ()))
            done.new += outcome.new
            done.superseded += outcome.superseded
            done.rows_changed += outcome.folded.changed
            done.dead += sum(outcome.dead)
        step(len(waiting))
        await pace.spent(len(waiting))
        waiting.clear()

    for partition, (first, following) in wanted.items():
        async for stored in records(event_log, partition, first, following):
            if not isinstance(stored, StoredRecord):
                done.dead += 1
                continue
            waiting.append(stored)
            if len(waiting) >= batch:
                await flush()
    await flush()
    return done


async def translate_again(
    event_log: EventLog,
    wanted: Range,
    *,
    book: SourceBook,
    key_secret: bytes,
    limits: Limits,
    source: str | None,
    outdated: bool,
    rate_per_s: float | None,
    dry_run: bool,
    step: Step,
    read_as: SourceConfig | None = None,
) -> Retranslated:
    """Translate deliveries of a range anew and append what came out, under a higher revision.

    Deliveries that were unreadable, as those of the source ``read_as`` where they came to the wrong address; with
    ``outdated`` also those that an older revision of their adapter translated.
    """
    done = Retranslated()
    pace = _Pace(rate_per_s)
    for event in await _chosen(event_log, wanted, source, outdated, step, done):
        done.deliveries += 1
        made = _again(event, book, key_secret, limits, done, read_as)
        if not made:
            continue
        done.mended += 1
        done.events += len(made)
        if not dry_run:
            await event_log.append([seal(one) for one in made], deadline_s=30.0)
        await pace.spent(len(made))
    return done


async def _chosen(
    event_log: EventLog, wanted: Range, source: str | None, outdated: bool, step: Step, done: Retranslated
) -> list[Event]:
    """Events of the range whose delivery is to be translated again: of each its newest revision, mended ones left out."""
    chosen: dict[UUID, Event] = {}
    revisions = {provider: adapter.REVISION for provider, adapter in adapters().items()}
    for partition, (first, following) in wanted.items():
        async for stored in records(event_log, partition, first, following, step=step):
            if not isinstance(stored, StoredRecord):
                continue
            done.looked_at += 1
            told = label(stored.record)
            if source is not None and told.source_name != source:
                continue
            if not outdated and told.type != DeliveryUnreadable.TYPE:
                continue
            event = unseal(stored.record)
            if isinstance(event, Undecodable):
                continue
            known = chosen.get(event.id)
            if known is None or event.revision > known.revision:
                chosen[event.id] = event
    return [event for event in chosen.values() if _is_due(event, revisions)]


def _is_due(event: Event, revisions: Mapping[str, int]) -> bool:
    if isinstance(event.data, DeliveryUnreadable):
        return not event.data.reason.startswith(DeliveryUnreadable.MENDED)
    return _is_outdated(event, revisions)


def _is_outdated(event: Event, revisions: Mapping[str, int]) -> bool:
    """Whether the event carries its delivery, and an older revision of the adapter read it."""
    if not isinstance(event.evidence, Evidence):
        return False
    provider = event.evidence.adapter.partition("@")[0]
    return event.revision < revisions.get(provider, 0)


def _again(
    event: Event,
    book: SourceBook,
    key_secret: bytes,
    limits: Limits,
    done: Retranslated,
    read_as: SourceConfig | None,
) -> list[Event]:
    try:
        made = retranslate(event, book=book, key_secret=key_secret, limits=limits, read_as=read_as)
    except LookupError as error:
        reason = str(error)
        if str(event.id) in reason:
            reason = "points to a delivery elsewhere"
    else:
        if made:
            return made
        reason = "still says nothing"
    done.failed[reason] = done.failed.get(reason, 0) + 1
    return []


class _Pace:
    """Keeps to a rate of events a second."""

    def __init__(self, rate_per_s: float | None) -> None:
        self._rate = rate_per_s
        self._began = time.monotonic()
        self._spent = 0

    async def spent(self, count: int) -> None:
        self._spent += count
        if self._rate:
            ahead_s = self._spent / self._rate - (time.monotonic() - self._began)
            if ahead_s > 0:
                await asyncio.sleep(ahead_s)
