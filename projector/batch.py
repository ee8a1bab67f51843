"""One batch of records, one transaction: facts, groups, rows, dead letters and positions change together or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from domain.event import Event
from eventlog.contract import StoredRecord
from eventlog.identity import Mark, digest
from eventlog.sealing import Undecodable, unseal
from projector import facts, groups, letters
from projector.database import ISOLATED, Connection
from projector.directory_watch import BuildState, DirectoryWatch, Standing, config_hash
from projector.facts import Arrival, Place, Sifted
from projector.letters import Letter
from projector.positions import Advance, Held, advance, read_build
from projector.refold import FoldOutcome, claim_dirty, fold_groups
from projector.settings import ProjectorSettings

#: Records that are opened at once while others wait.
_SLICE: Final = 64


@dataclass(frozen=True, slots=True)
class Item:
    """A record of the log: an arrival, or the reason why it cannot be read."""

    place: Place
    content: Arrival | Undecodable


@dataclass(frozen=True, slots=True)
class Batch:
    """Records in the order of the log by partition, and the steps that acknowledge them (none in a redrive)."""

    items: tuple[Item, ...]
    steps: tuple[Advance, ...]

    def halves(self) -> tuple[Batch, Batch]:
        """The same in two batches; needs at least two items."""
        middle = len(self.items) // 2
        left, right = self.items[:middle], self.items[middle:]
        left_steps, right_steps = [], []
        for step in self.steps:
            before = [item.place.offset for item in left if item.place.partition == step.partition]
            if not any(item.place.partition == step.partition for item in right):
                left_steps.append(step)
            elif not before:
                right_steps.append(step)
            else:
                left_steps.append(replace(step, next_offset=before[-1] + 1, mark=None))
                right_steps.append(replace(step, floor=before[-1] + 1))
        return Batch(left, tuple(left_steps)), Batch(right, tuple(right_steps))


@dataclass(slots=True)
class Outcome:
    """What a committed batch did."""

    records: int = 0
    new: int = 0
    superseded: int = 0
    dead: list[bool] = field(default_factory=list)  # per record, in order
    folded: FoldOutcome = field(default_factory=FoldOutcome)
    directory_changed: bool = False


Items = dict[int, list[Item]]
"""Opened records by partition, in the order of the log."""


async def open_softly(records: Mapping[int, Sequence[StoredRecord]]) -> Items:
    """Open records in the pauses of other work: every millisecond or so it gets its turn."""
    items: Items = {}
    for partition, found in records.items():
        opened = items[partition] = []
        for at in range(0, len(found), _SLICE):
            opened += [open_record(one) for one in found[at : at + _SLICE]]
            await asyncio.sleep(0)
    return items


def batch_of(records: Mapping[int, Sequence[StoredRecord]], opened: Items, held: Mapping[int, Held]) -> Batch:
    """Opened records with their steps; each partition of ``records`` must be in ``held``."""
    items: list[Item] = []
    steps: list[Advance] = []
    for partition, stored in sorted(records.items()):
        last_time: datetime | None = None
        last_received: datetime | None = None
        for item in opened[partition]:
            items.append(item)
            if isinstance(item.content, Arrival):
                event = item.content.event
                last_time = max(last_time or event.time, event.time)
                last_received = max(last_received or event.received, event.received)
        mine = held[partition]
        steps.append(
            Advance(
                partition,
                mine.next_offset,
                stored[-1].offset + 1,
                mine.epoch,
                last_time,
                last_received,
                Mark(stored[-1].offset, digest(stored[-1].record)),
            )
        )
    return Batch(tuple(items), tuple(steps))


def open_record(stored: StoredRecord) -> Item:
    """One record of the log as an item."""
    place = Place(stored.partition, stored.offset)
    event = unseal(stored.record, pointed=True)  # where the evidence lies is enough
    return Item(place, event if isinstance(event, Undecodable) else Arrival.of(event, place))


class Applier:
    """Applies batches to one build at a time, and folds its dirty groups.

    ``strict``: nothing is skipped, the first failure raises (rebuilds).
    """

    def __init__(self, settings: ProjectorSettings, *, strict: bool = False) -> None:
        self._settings = settings
        self._strict = strict
        self._watch = DirectoryWatch(settings)
        self._config = config_hash(settings)
        self._claimed: list[int] = []
        self._excused_places: set[Place] = set()
        self._excused_facts: set[UUID] = set()

    async def excuse(self, conn: Connection) -> None:
        """What is a dead letter of the live build may fail here too, although nothing else may (``strict``)."""
        cursor = await conn.execute(
            'select "partition", "offset", event_id from leadfold.deadletter d join leadfold.build b using (build_id)'
            " where b.state = 'live' and d.resolved_at is null"
        )
        for partition, offset, event_id in await cursor.fetchall():
            self._excused_places.add(Place(partition, offset))
            if event_id is not None:
                self._excused_facts.add(event_id)

    def excused(self, item: Item) -> bool:
        """Whether a record that cannot be read is a known dead letter: by its place, on a copied log by its event."""
        return item.place in self._excused_places or (
            isinstance(item.content, Undecodable)
            and (event_id := _uuid(item.content.event_id)) is not None
            and event_id in self._excused_facts
        )

    async def apply(
        self,
        conn: Connection,
        build_id: int,
        batch: Batch,
        *,
        fold: bool = True,
        check: Callable[[Sequence[bool]], None] | None = None,
    ) -> Outcome:
        """Apply a batch in one transaction. Without ``fold`` the touched groups are left dirty.

        ``check`` sees which records are dead before the commit and may raise.

        Raises:
            Fenced: a partition is not ours any more. BatchConflict, psycopg errors: nothing was written.
            FoldFailed: with ``strict``, a fold raised or a record could not be read.
        """
        try:
            async with conn.transaction():
                return await self._apply(conn, build_id, batch, fold=fold, check=check)
        except BaseException:
            self._watch.forget()
            raise

    async def _apply(
        self,
        conn: Connection,
        build_id: int,
        batch: Batch,
        *,
        fold: bool,
        check: Callable[[Sequence[bool]], None] | None,
    ) -> Outcome:
        if batch.steps:
            await advance(conn, build_id, batch.steps)
        build = await read_build(conn, build_id)
        written = [
            _letter(item, item.content) for item in batch.items if isinstance(item.content, Undecodable)
        ]
        arrivals = [item.content for item in batch.items if isinstance(item.content, Arrival)]
        sifted = await facts.sift(conn, build.schema, arrivals)
        outcome = Outcome(len(batch.items), len(sifted.new), len(sifted.superseding))
        if any(arrival.event.data.DIRECTORY for arrival in sifted.all):
            outcome.directory_changed = True
            build = await _new_directory(conn, build)
        placement = await groups.place(conn, build.schema, sifted.members())
        await facts.write(conn, build.schema, sifted, placement.group_of)
        for arrival in sifted.new:
            if (group := placement.group_of.get(arrival.event.id)) is not None:
                placement.touched[group].facts += 1
        standing = await self._standing(conn, build)
        if fold and placement.touched:
            outcome.folded = await fold_groups(
                conn, build, standing, self._settings.folding.fold, placement.touched,
                _by_group(sifted, placement.group_of), strict=self._strict, excused=self._excused_facts,
            )  # fmt: skip
            written += outcome.folded.letters
        elif placement.touched:
            await groups.stamp(conn, build.schema, placement.touched, None)
        await letters.record(conn, build_id, written)
        await _see_sources(conn, build_id, [arrival.event for arrival in arrivals])
        outcome.dead = _dead(batch, outcome.folded.dead)
        if check is not None:
            check(outcome.dead)
        return outcome

    async def bury(
        self,
        conn: Connection,
        build_id: int,
        batch: Batch,
        reason: str,
        *,
        check: Callable[[Sequence[bool]], None] | None = None,
    ) -> Outcome:
        """Acknowledge a batch of one record that cannot be stored at all: it becomes a dead letter.

        Raises what `apply` raises.
        """
        (item,) = batch.items
        faulty = Item(item.place, Undecodable(reason, _event_id(item)))
        return await self.apply(conn, build_id, replace(batch, items=(faulty,)), check=check)

    async def refold_dirty(self, conn: Connection, build_id: int) -> FoldOutcome:
        """Fold some groups that wait for it, in one transaction; `FoldOutcome.groups` is 0 when none do.

        Does nothing while the build belongs to projectors with other settings or code.
        """
        try:
            return await self._refold_some(conn, build_id, self._settings.limits.refold_groups)
        except ISOLATED:
            if self._strict:
                raise
            return await self._refold_singly(conn, build_id)

    async def _refold_some(self, conn: Connection, build_id: int, most: int) -> FoldOutcome:
        self._claimed = []
        try:
            async with conn.transaction():
                build = await read_build(conn, build_id)
                if build.config != self._config:
                    return FoldOutcome()
                standing = await self._standing(conn, build)
                limit = self._settings.limits.refold_facts
                states = await claim_dirty(conn, build, standing, groups=most, facts=limit)
                self._claimed = list(states)
                return await self._refold(conn, build, standing, states) if states else FoldOutcome()
        except BaseException:
            self._watch.forget()
            raise

    async def _refold_singly(self, conn: Connection, build_id: int) -> FoldOutcome:
        """Some groups one by one; what cannot be read or written is put aside as it is, the others go on."""
        total = FoldOutcome()
        for _ in range(self._settings.limits.refold_groups):
            try:
                one = await self._refold_some(conn, build_id, 1)
            except ISOLATED as error:
                if not self._claimed:
                    raise
                one = await self._set_aside(conn, build_id, self._claimed[0], letters.reason_of(error))
            if not one.groups:
                break
            total.add(one)
        return total

    async def _set_aside(self, conn: Connection, build_id: int, group: int, reason: str) -> FoldOutcome:
        async with conn.transaction():
            build = await read_build(conn, build_id)
            standing = await self._standing(conn, build)
            states = await groups.lock(conn, build.schema, {group})
            await groups.stamp(conn, build.schema, states, standing.fingerprint)
            letter = Letter("group", -1, group, reason, group_id=group)
            await letters.record(conn, build_id, [letter])
            return FoldOutcome(groups=1, letters=[letter])

    async def refold(self, conn: Connection, build_id: int, group_ids: Iterable[int]) -> FoldOutcome:
        """Fold these groups anew, dirty or not, in one transaction."""
        async with conn.transaction():
            build = await read_build(conn, build_id)
            standing = await self._standing(conn, build)
            states = await groups.lock(conn, build.schema, set(group_ids))
            return await self._refold(conn, build, standing, states) if states else FoldOutcome()

    async def _refold(
        self, conn: Connection, build: BuildState, standing: Standing, states: dict[int, groups.GroupState]
    ) -> FoldOutcome:
        outcome = await fold_groups(
            conn, build, standing, self._settings.folding.fold, states, {},
            strict=self._strict, excused=self._excused_facts,
        )  # fmt: skip
        await letters.record(conn, build.build_id, outcome.letters)
        return outcome

    async def adopt(self, conn: Connection, build_id: int) -> None:
        """From now on this projector's settings and code are the build's: groups folded with others are dirty."""
        async with conn.transaction():
            await conn.execute(
                "update leadfold.build set config = %s where build_id = %s and config is distinct from %s",
                (self._config, build_id, self._config),
            )
            await self._standing(conn, await read_build(conn, build_id))

    async def _standing(self, conn: Connection, build: BuildState) -> Standing:
        standing = await self._watch.standing(conn, build)
        if build.config == self._config and build.fingerprint != standing.fingerprint:
            await conn.execute(
                "update leadfold.build set fingerprint = %s, fold_version = %s where build_id = %s and directory_version = %s",
                (standing.fingerprint, self._settings.folding.version, build.build_id, standing.version),
            )
        return standing


async def _new_directory(conn: Connection, build: BuildState) -> BuildState:
    cursor = await conn.execute(
        "update leadfold.build set directory_version = directory_version + 1 where build_id = %s"
        " returning directory_version",
        (build.build_id,),
    )
    row = await cursor.fetchone()
    assert row is not None  # read in this transaction
    return replace(build, directory_version=row[0])


async def _see_sources(conn: Connection, build_id: int, events: Sequence[Event]) -> None:
    seen: dict[str, tuple[datetime, datetime, int]] = {}
    for event in events:
        time, received, count = seen.get(event.source, (event.time, event.received, 0))
        seen[event.source] = (max(time, event.time), max(received, event.received), count + 1)
    if not seen:
        return
    names = sorted(seen)
    await conn.execute(
        "insert into leadfold.source_seen as s (build_id, source, last_time, last_received, facts)"
        " select %s, * from unnest(%s::text[], %s::timestamptz[], %s::timestamptz[], %s::bigint[])"
        " on conflict (build_id, source) do update set last_time = greatest(s.last_time, excluded.last_time),"
        " last_received = greatest(s.last_received, excluded.last_received), facts = s.facts + excluded.facts",
        (build_id, names, *([seen[name][i] for name in names] for i in range(3))),
    )


def _by_group(sifted: Sifted, group_of: Mapping[UUID, int]) -> dict[int, list[Arrival]]:
    found: dict[int, list[Arrival]] = {}
    for arrival in sifted.all:
        if (group := group_of.get(arrival.event.id)) is not None:
            found.setdefault(group, []).append(arrival)
    return found


def _dead(batch: Batch, dead: Container[UUID]) -> list[bool]:
    return [isinstance(item.content, Undecodable) or item.content.event.id in dead for item in batch.items]


def _event_id(item: Item) -> str | None:
    return item.content.event_id if isinstance(item.content, Undecodable) else str(item.content.event.id)


def _letter(item: Item, fault: Undecodable) -> Letter:
    return Letter("record", *item.place, fault.reason, _uuid(fault.event_id))


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None
