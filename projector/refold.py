"""Folding whole groups inside of a transaction: load their facts, fold, write what differs, stamp."""

# ruff: noqa: S608 - names of schemas pass check_schema, names of tables and columns come from domain.rows

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from uuid import UUID

from domain.event import Event
from domain.rows import Rows
from projector import rows
from projector.database import Connection
from projector.directory_watch import BuildState, Standing
from projector.errors import ProjectorStopped
from projector.facts import Arrival
from projector.groups import GroupState, stamp
from projector.letters import Letter, reason_of
from projector.readmodel.history import load_histories
from projector.settings import Fold


class FoldFailed(ProjectorStopped):
    """A group cannot be folded, and nothing may be skipped here (a rebuild)."""


@dataclass(slots=True)
class FoldOutcome:
    """What folding did. ``dead`` are the facts left out."""

    groups: int = 0
    facts: int = 0
    changed: int = 0
    letters: list[Letter] = field(default_factory=list)
    dead: dict[UUID, str] = field(default_factory=dict)  # with the reason

    def add(self, other: FoldOutcome) -> None:
        """Add up."""
        self.groups += other.groups
        self.facts += other.facts
        self.changed += other.changed
        self.letters += other.letters
        self.dead |= other.dead


async def fold_groups(
    conn: Connection,
    build: BuildState,
    standing: Standing,
    fold: Fold,
    states: dict[int, GroupState],
    arrived: Mapping[int, Sequence[Arrival]],
    *,
    strict: bool,
    excused: AbstractSet[UUID] = frozenset(),
) -> FoldOutcome:
    """Fold locked groups and write their rows.

    ``arrived`` are the facts this transaction added, by group: when a fold raises, those of them it cannot bear are
    left out as dead letters; when it cannot bear the older facts either, the group keeps its rows and becomes one.

    With ``strict`` only the facts in ``excused`` may be left out.

    Raises:
        FoldFailed: a fold raised and ``strict`` is set.
    """
    outcome = FoldOutcome()
    histories = await load_histories(conn, build.schema, states)
    folded: dict[int, Rows] = {}
    for group in states:
        events = histories.get(group, [])
        outcome.facts += len(events)
        try:
            folded[group] = fold(events, standing.directory) if events else {}
        except Exception as error:
            if strict:
                saved = _without_excused(events, excused, standing, fold, outcome, error)
            else:
                saved = _without_new(group, events, arrived.get(group, ()), standing, fold, outcome, error)
            if saved is not None:
                folded[group] = saved
            elif strict:
                raise FoldFailed(
                    f"a group of {len(events)} facts cannot be folded: {reason_of(error)}"
                ) from error
    if outcome.dead:
        await _bury(conn, build.schema, outcome)
    stored = await rows.load(conn, build.schema, [group for group in folded if states[group].folded])
    changes = rows.difference(folded, stored)
    await rows.apply(conn, build.schema, changes)
    await stamp(conn, build.schema, states, standing.fingerprint)
    outcome.groups = len(states)
    outcome.changed = changes.count
    return outcome


async def _bury(conn: Connection, schema: str, outcome: FoldOutcome) -> None:
    cursor = await conn.execute(
        f"update {schema}.fact set dead = true where id = any(%s)"
        ' returning id, type, "partition", "offset", group_id',
        (list(outcome.dead),),
    )
    for id_, type_, partition, offset, group in await cursor.fetchall():
        outcome.letters.append(Letter("fact", partition, offset, outcome.dead[id_], id_, type_, group))


def _without_excused(
    events: Sequence[Event],
    excused: AbstractSet[UUID],
    standing: Standing,
    fold: Fold,
    outcome: FoldOutcome,
    error: Exception,
) -> Rows | None:
    """Rows of a group without its facts that are known dead letters; None when there are none or it still fails."""
    kept = [event for event in events if event.id not in excused]
    if len(kept) == len(events):
        return None
    try:
        result = fold(kept, standing.directory) if kept else {}
    except Exception:  # noqa: BLE001 - the caller reports the first failure
        return None
    outcome.dead.update((event.id, reason_of(error)) for event in events if event.id in excused)
    return result


def _without_new(
    group: int,
    events: Sequence[Event],
    arrived: Sequence[Arrival],
    standing: Standing,
    fold: Fold,
    outcome: FoldOutcome,
    error: Exception,
) -> Rows | None:
    """Rows of a group without those new facts that the fold cannot bear; None when that does not help either."""
    new = {arrival.event.id for arrival in arrived}
    kept = [event for event in events if event.id not in new]
    try:
        result = fold(kept, standing.directory) if kept else {}
    except Exception as older:  # noqa: BLE001 - see fold_groups
        outcome.letters.append(Letter("group", -1, group, reason_of(older), group_id=group))
        return None
    for event in sorted((e for e in events if e.id in new), key=lambda e: (e.time, e.id)):
        try:
            result = fold([*kept, event], standing.directory)
        except Exception as one:  # noqa: BLE001 - see fold_groups
            outcome.dead[event.id] = reason_of(one)
        else:
            kept.append(event)
    if len(kept) == len(
        events
    ):  # all of them bear each other one by one: a fold that depends on order, never silently
        outcome.letters.append(Letter("group", -1, group, reason_of(error), group_id=group))
    return result


async def claim_dirty(
    conn: Connection, build: BuildState, standing: Standing, *, groups: int, facts: int
) -> dict[int, GroupState]:
    """Lock some groups that were folded with another fingerprint or not at all; those locked by others are passed by.

    Cheap when there are none, whatever the number of groups: three looks into an index.
    """
    for where in ("fingerprint is null", "fingerprint < %s", "fingerprint > %s"):
        values = (standing.fingerprint,) if "%s" in where else ()
        cursor = await conn.execute(
            f"select group_id, facts, folded from {build.schema}.grp where {where}"
            " order by fingerprint, group_id limit %s for no key update skip locked",
            (*values, groups),
        )
        states: dict[int, GroupState] = {}
        total = 0
        for group, count, was_folded in await cursor.fetchall():
            if states and total + count > facts:
                break
            states[group] = GroupState(count, was_folded)
            total += count
        if states:
            return states
    return {}
