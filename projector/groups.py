"""Groups: facts that share a node (``domain.refs.bare`` of a ref) belong to one group.

A group is a superset of a client; it is what is locked, loaded and folded. Groups only ever grow together: a fact
that stops naming a ref leaves the group as it is, which is right, because the fold separates clients by itself.

Safe beside other projectors: the groups of a batch are locked in ascending order; nodes are inserted in ascending
order, so that two projectors that meet a new node wait for each other. A node changes its group only while its old
group is locked; so a group that is still there after locking proves that its nodes are still there too. When one is
gone, or a node was inserted in between, `place` gives up with BatchConflict and the batch is done again.
"""

# ruff: noqa: S608 - names of schemas pass check_schema, names of tables and columns come from domain.rows

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from domain.rows import TABLES
from projector.database import Connection
from projector.errors import BatchConflict
from projector.lines import numbers
from projector.readmodel.tables import check_schema


@dataclass(frozen=True, slots=True)
class Member:
    """A fact to be placed: its nodes, and the group it is in already when it supersedes itself."""

    event_id: UUID
    nodes: tuple[int, ...]
    group_id: int | None = None


@dataclass(slots=True)
class Placement:
    """Where the facts of a batch belong. All groups in ``touched`` are locked until the transaction ends."""

    group_of: dict[UUID, int] = field(default_factory=dict)
    touched: dict[int, GroupState] = field(default_factory=dict)
    merged: dict[int, int] = field(default_factory=dict)  # group that is gone -> group it went into


@dataclass(slots=True)
class GroupState:
    """What the table ``grp`` says about a locked group.

    ``folded``: it has rows in read-model tables. ``new``: its row in ``grp`` is still to be written (`stamp`).
    """

    facts: int = 0
    folded: bool = False
    new: bool = False


#: Groups and nodes share one union-find; groups are shifted out of the range of 64-bit nodes.
_GROUP: Final = 1 << 70


class _Union:
    """Union-find over integers."""

    def __init__(self) -> None:
        self._parent: dict[int, int] = {}

    def find(self, item: int) -> int:
        parent = self._parent
        root = item
        while (above := parent.setdefault(root, root)) != root:
            root = above
        while parent[item] != root:
            parent[item], item = root, parent[item]
        return root

    def join(self, one: int, other: int) -> None:
        self._parent[self.find(other)] = self.find(one)


async def place(conn: Connection, schema: str, members: Sequence[Member]) -> Placement:
    """Find, make and merge the groups of a batch's facts; a few statements whatever the size of the batch.

    Raises:
        BatchConflict: another projector was in between; roll back and do it again.
    """
    check_schema(schema)
    placement = Placement()
    if not members:
        return placement
    nodes = sorted({node for member in members for node in member.nodes})
    known = await _lookup(conn, schema, nodes)
    wanted = {*known.values(), *(m.group_id for m in members if m.group_id is not None)}
    states = await lock(conn, schema, wanted)
    if len(states) != len(wanted):
        raise BatchConflict("a group was merged away in between")
    union = _Union()
    for node, group in known.items():
        union.join(group + _GROUP, node)
    anchors = dict.fromkeys((member.nodes, member.group_id) for member in members)  # many carry the same refs
    for shared, group_id in anchors:
        anchor = group_id + _GROUP if group_id is not None else shared[0]
        for node in shared:
            union.join(anchor, node)
    home = await _homes(conn, schema, union, states, nodes, placement)
    missing = [(node, home[union.find(node)]) for node in nodes if node not in known]
    await _insert_nodes(conn, schema, missing)
    found = {
        (shared, group_id): home[union.find(group_id + _GROUP if group_id is not None else shared[0])]
        for shared, group_id in anchors
    }
    for member in members:
        group = found[member.nodes, member.group_id]
        placement.group_of[member.event_id] = group
        placement.touched[group] = states[group]
    for gone, target in placement.merged.items():
        states[target].facts += states[gone].facts
        states[target].folded |= states[gone].folded
    if placement.merged:
        await _merge(
            conn, schema, placement.merged, with_rows=any(states[g].folded for g in placement.merged)
        )
    return placement


async def _lookup(conn: Connection, schema: str, nodes: list[int]) -> dict[int, int]:
    async with conn.cursor(binary=True) as cursor:
        await cursor.execute(
            f"select node, group_id from {schema}.ref where node = any(%s::text::bigint[])", (numbers(nodes),)
        )
        return dict(await cursor.fetchall())


async def lock(conn: Connection, schema: str, groups: set[int]) -> dict[int, GroupState]:
    """Lock groups until the transaction ends; those that are gone (merged away) are absent from the answer."""
    if not groups:
        return {}
    async with conn.cursor(binary=True) as cursor:
        await cursor.execute(
            f"select group_id, facts, folded from {schema}.grp where group_id = any(%s::text::bigint[])"
            " order by group_id for no key update",
            (numbers(sorted(groups)),),
        )
        return {row[0]: GroupState(row[1], row[2]) for row in await cursor.fetchall()}


async def _homes(
    conn: Connection,
    schema: str,
    union: _Union,
    states: dict[int, GroupState],
    nodes: list[int],
    placement: Placement,
) -> dict[int, int]:
    """The group of each component: its largest known one (the others merge into it), or a new one."""
    candidates: dict[int, list[int]] = {}
    for group in states:
        candidates.setdefault(union.find(group + _GROUP), []).append(group)
    home: dict[int, int] = {}
    for root, groups in candidates.items():
        target = max(groups, key=lambda g: (states[g].facts, -g))
        home[root] = target
        for group in groups:
            if group != target:
                placement.merged[group] = target
    fresh = list(dict.fromkeys(root for node in nodes if (root := union.find(node)) not in home))
    if fresh:
        async with conn.cursor(binary=True) as cursor:
            await cursor.execute(
                f"select nextval('{schema}.grp_id') from generate_series(1, %s)", (len(fresh),)
            )
            made = [row[0] for row in await cursor.fetchall()]
        home.update(zip(fresh, made, strict=True))
        states.update((group, GroupState(new=True)) for group in made)
    return home


async def _insert_nodes(conn: Connection, schema: str, missing: list[tuple[int, int]]) -> None:
    if not missing:
        return
    cursor = await conn.execute(
        f"insert into {schema}.ref (node, group_id)"
        " select * from unnest(%s::text::bigint[], %s::text::bigint[]) as n(node, group_id) order by node"
        " on conflict (node) do nothing",
        (numbers([node for node, _ in missing]), numbers([group for _, group in missing])),
    )
    if cursor.rowcount != len(missing):
        raise BatchConflict("a node was inserted in between")


async def _merge(conn: Connection, schema: str, merged: dict[int, int], *, with_rows: bool) -> None:
    tables = ["fact", "ref", *(TABLES if with_rows else ())]
    moves = ", ".join(
        f'm{i} as (update {schema}."{table}" t set group_id = moved.target from moved where t.group_id = moved.gone)'
        for i, table in enumerate(tables)
    )
    await conn.execute(
        f"with moved as (select * from unnest(%s::bigint[], %s::bigint[]) as m(gone, target)), {moves}"
        f" delete from {schema}.grp g using moved where g.group_id = moved.gone",
        (list(merged), list(merged.values())),
    )


async def stamp(
    conn: Connection, schema: str, states: dict[int, GroupState], fingerprint: int | None
) -> None:
    """Write the state of groups: folded with ``fingerprint``, or waiting to be folded (None)."""
    for new in (True, False):
        chosen = [(group, state) for group, state in sorted(states.items()) if state.new is new]
        if not chosen:
            continue
        columns = (
            [group for group, _ in chosen],
            [state.facts for _, state in chosen],
            [state.folded or fingerprint is not None for _, state in chosen],
        )
        values = "unnest(%s::bigint[], %s::bigint[], %s::boolean[]) as s(group_id, facts, folded)"
        if new:
            await conn.execute(
                f"insert into {check_schema(schema)}.grp (group_id, fingerprint, facts, folded)"
                f" select group_id, %s, facts, folded from {values}",
                (fingerprint, *columns),
            )
        else:
            await conn.execute(
                f"update {check_schema(schema)}.grp g set fingerprint = %s, facts = s.facts, folded = s.folded"
                f" from {values} where g.group_id = s.group_id",
                (fingerprint, *columns),
            )
