"""The projector's loop: records from the log into the live build, for as long as it is not told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import psycopg
import structlog

from eventlog.contract import (
    EventLog,
    LogUnavailable,
    PositionLost,
    RecordCorrupt,
    Subscription,
)
from eventlog.sealing import Undecodable
from projector import garbage, origin, positions
from projector.backlog import Backlog
from projector.batch import Applier, Batch, Item, Outcome, batch_of
from projector.builds_store import prepare
from projector.database import GONE, ISOLATED, RETRYABLE, is_gone, retrying, within
from projector.errors import Fenced, ProjectorStopped, Standby
from projector.facts import Place
from projector.helper import Helper
from projector.intake import Intake, Opened
from projector.letters import DeadLetterLimit, reason_of
from projector.link import Link
from projector.metrics import Counters
from projector.positions import Held
from projector.settings import GROUP, ProjectorSettings

log = structlog.get_logger(__name__)

#: Seconds: longest wait for records, and far behind; between looks for groups to be folded; between signs of life of an idle owner.
_POLL_S = 0.5
_BULK_POLL_S = 0.05
_LOOK_S = 1.0
_BEAT_S = 2.0


@dataclass(frozen=True, slots=True)
class ProjectorStatus:
    """What a running projector knows of itself."""

    running: bool
    begun: bool  # it has found nothing that stops it at once: it took partitions, or there are none for it
    database_up: bool
    log_up: bool
    build_id: int | None
    held: Mapping[int, Held]
    behind: int | None  # records between our positions and the end of our partitions; None = unknown
    bulk: bool
    standby: bool  # another projector is at work on the embedded log
    stopped: str | None  # why it stopped by itself
    counters: dict[str, float] = field(default_factory=dict)


class Projector:
    """One projector. Any number of them may run on one log and database; on the embedded log the others wait.

    Use: ``await Projector(log, settings).run(stop)``; `status` may be asked at any time from the same event loop.
    """

    def __init__(self, event_log: EventLog, settings: ProjectorSettings) -> None:
        self._log = event_log
        self._settings = settings
        self._limits = settings.limits
        self._applier = Applier(settings)
        self._dead = DeadLetterLimit(settings.limits)
        self._link = Link(settings)
        self._build_id: int | None = None
        self._intake: Intake | None = None
        self._held: dict[int, Held] = {}
        self._counters = Counters()
        self._backlog = Backlog(settings.limits)
        self._helper = Helper(settings)
        self._dirty = True
        self._standby = False
        self._running = self._begun = False
        self._stopped: str | None = None
        self._fenced: str | None = None  # why we lost a partition, until it is said
        self._stop = asyncio.Event()
        self._beaten = self._checked = 0.0

    def status(self) -> ProjectorStatus:
        """What this projector knows of itself, without asking anybody."""
        return ProjectorStatus(
            running=self._running,
            begun=self._begun,
            database_up=self._link.up,
            log_up=self._backlog.log_up,
            build_id=self._build_id,
            held=dict(self._held),
            behind=self._backlog.behind,
            bulk=self._backlog.bulk,
            standby=self._standby,
            stopped=self._stopped,
            counters=self._counters.as_dict(),
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set; then end within a few seconds, after the batch at hand.

        Postgres or the log away: waits and goes on by itself.

        Raises:
            ProjectorStopped: too many dead letters, or positions on another log. DatabaseRefused, LogRefused,
                PositionLost: needs a person.
        """
        self._running = True
        self._stop = stop
        pause_s = 0.05
        try:
            while not stop.is_set():
                started = time.monotonic()
                try:
                    await self._session(stop)
                except Fenced as error:
                    self._counters.fenced += 1
                    self._fenced = str(error)
                except Standby as error:
                    if not self._standby:
                        log.info("projector.standby", reason=str(error))
                    self._standby = self._begun = True
                except LogUnavailable as error:
                    self._counters.log_lost += 1
                    log.warning("projector.log_away", error=str(error))
                except RETRYABLE as error:  # conflicts that did not end after many attempts: start over
                    log.warning("projector.conflicts", error=type(error).__name__)
                except GONE as error:
                    self._counters.database_lost += 1
                    log.warning("projector.database_away", error=type(error).__name__)
                garbage.between()
                calm = time.monotonic() - started > 10
                pause_s = 0.05 if calm else min(pause_s * 2, 2.0)
                await _sleep(stop, pause_s * random.uniform(0.5, 1.5))  # noqa: S311 - only to part two rivals
        except (ProjectorStopped, PositionLost) as error:
            self._stopped = str(error)
            log.error("projector.stopped", reason=str(error))
            await self._note_stop()
            raise
        finally:
            self._running = False
            self._helper.leave()
            await self._link.close()

    # --- one session: a database connection, a membership in the group, a build ------------------------------------

    async def _session(self, stop: asyncio.Event) -> None:
        self._held = {}
        await self._link.renew()
        former = self._build_id
        self._build_id = await self._link.ask(prepare(self._link.conn, self._settings))
        self._say_fenced(former)
        subscription = self._log.subscribe(GROUP)
        steady = self._log.engine == "embedded"
        self._intake = intake = Intake(subscription, self._limits.batch_bytes, steady=steady)
        try:
            await subscription.start(self._assigned, self._revoked)
            noted = False
            while not stop.is_set():
                await self._turn(subscription, intake)
                garbage.between()  # when the records of the turn are gone
                self._begun = True  # a spare one too
                if self._held and not noted:
                    await self._link.ask(origin.note_work(self._link.conn, self._build()))
                    noted = True
            await self._give_back()
        finally:
            await intake.drop()
            await subscription.close()
            self._held = {}

    def _say_fenced(self, former: int | None) -> None:
        """Why the session before ended, now that it is known what to go on with: after a switch all is as it should be."""
        reason, self._fenced = self._fenced, None
        if reason is not None and self._build_id != former:
            log.info("projector.switched", build=self._build_id, former=former)
        elif reason is not None:
            log.warning("projector.fenced", reason=reason)

    async def _turn(self, subscription: Subscription, intake: Intake) -> None:
        wait_s = _POLL_S
        if self._held and self._dirty:  # what is stored waits to be folded
            wait_s = _BULK_POLL_S if self._backlog.bulk else 0.0
        try:
            taken = await intake.take(size=self._backlog.size, wait_s=wait_s, ahead=self._backlog.bulk)
        except RecordCorrupt as error:
            await self._bury_corrupt(subscription, error)
            return
        parts = [part for part in taken if any(p in self._held for p in part.records)]
        if parts:
            self._backlog.log_up = True  # an empty poll says nothing: an unreachable Kafka looks the same
            if self._backlog.behind is None:  # the first ones: are they the beginning of many?
                await self._backlog.look(self._log, self._held, empty=False)
            await self._take_in(subscription, parts)
        elif self._held:
            await self._idle()
        # also with nothing to do: a spare one must know whether the log is there
        await self._backlog.look(self._log, self._held, empty=not parts)
        if self._held:
            await self._fold_some()
            self._let_help()

    async def _assigned(self, partitions: Sequence[int]) -> Mapping[int, int]:
        conn, build_id = self._link.conn, self._build()
        await self._link.ask(origin.check_log(conn, build_id, self._log))
        polite = self._limits.stale_owner_s if self._log.engine == "embedded" else None
        taken = await self._link.ask(
            positions.take(conn, build_id, partitions, self._settings.owner, polite_s=polite)
        )
        await origin.check_places(self._log, taken)
        self._standby = False
        self._held.update(taken)
        self._counters.assignments += len(taken)
        await self._link.ask(self._applier.adopt(conn, build_id))
        self._dirty = True
        self._begun = True
        log.info("projector.assigned", build=build_id, positions={p: h.next_offset for p, h in taken.items()})
        return {p: h.next_offset for p, h in taken.items()}

    async def _revoked(self, partitions: Sequence[int]) -> None:
        lost = {p: self._held.pop(p) for p in partitions if p in self._held}
        log.info("projector.revoked", partitions=sorted(lost))

    async def _take_in(self, subscription: Subscription, parts: Sequence[Opened]) -> None:
        taken: set[int] = set()
        for part in parts:
            records = {p: found for p, found in part.records.items() if p in self._held}
            for partition, found in records.items():
                expected = self._held[partition].next_offset
                self._counters.gaps += found[-1].offset + 1 - expected - len(found)
            if not await self._apply(subscription, batch_of(records, part.items, self._held)):
                return  # nothing of it is acknowledged, and the subscription was set back to before it
            taken.update(records)
        await subscription.commit_hint({p: self._held[p].next_offset for p in taken if p in self._held})

    async def _apply(self, subscription: Subscription, batch: Batch) -> bool:
        """Apply a batch, or what of it can be applied; False when the database was away and we start over."""
        started = time.monotonic()
        try:
            outcome = await self._applied(batch)
        except ISOLATED as error:
            return await self._isolate(subscription, batch, error)
        except GONE as error:
            if not is_gone(error):
                raise
            await self._recover(subscription)
            return False
        self._advance(batch, outcome, time.monotonic() - started)
        return True

    async def _applied(self, batch: Batch) -> Outcome:
        async for attempt in retrying():
            with attempt:
                if attempt.retry_state.attempt_number > 1:
                    self._counters.retries += 1
                return await self._link.ask(
                    self._applier.apply(
                        self._link.conn,
                        self._build(),
                        batch,
                        fold=not self._backlog.bulk,
                        check=self._dead.check,
                    )
                )
        raise AssertionError("unreachable: the last attempt raises")

    async def _isolate(self, subscription: Subscription, batch: Batch, error: Exception) -> bool:
        """Find the record that Postgres or our code cannot take, by halving; it alone becomes a dead letter."""
        if len(batch.items) > 1:
            for half in batch.halves():
                if not await self._apply(subscription, half):
                    return False
            return True
        log.error("projector.record_refused", place=batch.items[0].place, reason=reason_of(error))
        outcome = await self._link.ask(
            self._applier.bury(
                self._link.conn, self._build(), batch, reason_of(error), check=self._dead.check
            )
        )
        self._advance(batch, outcome, 0.0)
        return True

    async def _bury_corrupt(self, subscription: Subscription, error: RecordCorrupt) -> None:
        mine = self._held[error.partition]
        item = Item(Place(error.partition, error.offset), Undecodable(error.reason, None))
        step = positions.Advance(error.partition, mine.next_offset, error.offset + 1, mine.epoch)
        if await self._apply(subscription, Batch((item,), (step,))):
            await subscription.seek(error.partition, error.offset + 1)

    def _advance(self, batch: Batch, outcome: Outcome, seconds: float) -> None:
        for step in batch.steps:
            if step.partition in self._held:
                self._held[step.partition] = replace(self._held[step.partition], next_offset=step.next_offset)
        self._dead.count(outcome.dead)
        self._beaten = time.monotonic()
        counters = self._counters
        counters.records += outcome.records
        counters.facts += outcome.new
        counters.superseded += outcome.superseded
        counters.batches += 1
        counters.batch_seconds += seconds
        counters.groups_folded += outcome.folded.groups
        counters.facts_folded += outcome.folded.facts
        counters.rows_changed += outcome.folded.changed
        counters.dead_letters += sum(outcome.dead)
        if outcome.directory_changed or self._backlog.bulk:
            self._dirty = True

    # --- between batches -------------------------------------------------------------------------------------------

    async def _idle(self) -> None:
        if time.monotonic() - self._beaten < _BEAT_S:
            return
        await self._link.ask(positions.beat(self._link.conn, self._build(), self._held))
        self._beaten = time.monotonic()

    async def _fold_some(self) -> None:
        """One chunk of dirty groups; when there were none, look again a second later."""
        if not self._backlog.fold_anyway or (not self._dirty and time.monotonic() - self._checked < _LOOK_S):
            return
        self._checked = time.monotonic()
        try:
            outcome = await self._link.ask(self._applier.refold_dirty(self._link.conn, self._build()))
        except RETRYABLE:
            self._counters.retries += 1
            return
        self._dirty = outcome.groups > 0
        self._counters.groups_folded += outcome.groups
        self._counters.facts_folded += outcome.facts
        self._counters.rows_changed += outcome.changed
        self._counters.dead_letters += len(outcome.letters)

    def _let_help(self) -> None:
        backlog = self._backlog
        done = self._helper.watch(
            self._build(), behind=backlog.behind, dirty=self._dirty, storing=backlog.bulk
        )
        self._counters.groups_folded += done.groups
        self._counters.facts_folded += done.facts
        self._counters.rows_changed += done.changed
        self._counters.dead_letters += done.dead

    # --- the database comes and goes -------------------------------------------------------------------------------

    async def _recover(self, subscription: Subscription) -> None:
        """Stay in the group while Postgres is away; then go on where the database says we are."""
        self._counters.database_lost += 1
        log.warning("projector.database_away", build=self._build_id)
        if self._intake is not None:
            await self._intake.drop()
        subscription.pause(self._held)
        found: dict[int, Held] | None = None
        while found is None:
            if self._stop.is_set():
                raise psycopg.OperationalError("told to stop while the database was away")
            try:
                await self._link.renew()
                found = await self._link.ask(positions.reread(self._link.conn, self._build(), self._held))
                continue
            except GONE as error:
                if not is_gone(error):
                    raise
            garbage.between()
            # Keeps the membership alive; a partition taken away meanwhile leaves self._held.
            for partition, early in (await subscription.poll(max_records=1, max_wait_s=_POLL_S)).items():
                await subscription.seek(partition, early[0].offset)
            if not self._held:
                raise Fenced("all partitions went to others while the database was away")
        for partition, held in found.items():
            self._held[partition] = held
            await subscription.seek(partition, held.next_offset)
        subscription.resume(self._held)
        log.info("projector.database_back")

    async def _note_stop(self) -> None:
        if self._link.up and self._build_id is not None:
            with contextlib.suppress(*GONE, psycopg.Error):
                await within(3, origin.note_stop(self._link.conn, self._build_id, self._stopped or ""))

    async def _give_back(self) -> None:
        if self._link.up and self._held:
            with contextlib.suppress(psycopg.Error, TimeoutError):
                await within(3, positions.release(self._link.conn, self._build(), self._held))

    def _build(self) -> int:
        assert self._build_id is not None, "a session begins with its build"
        return self._build_id


async def _sleep(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
