"""A small world for the projector's tests: a trivial fold, a generated history, and the whole read model as data."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg

from domain.directory import Directory
from domain.event import Event
from domain.facts.base import Fact
from domain.facts.calls import CallEnded, CallStarted
from domain.facts.company import EmployeeChanged
from domain.facts.inquiries import ContactMarked, IdentityLinked, IdentityUnlinked
from domain.facts.sites import FormSubmitted
from domain.identity import client_id, event_id, row_id
from domain.refs import Strength, bare, strength
from domain.rows import TABLES, ClientAliasRow, ClientRow, Rows, TouchRow
from domain.said import partition_key
from eventlog.contract import EventLog, Position, StoredRecord
from eventlog.embedded import EmbeddedLog
from eventlog.sealing import seal
from projector.batch import Batch, batch_of, open_record
from projector.positions import Held
from projector.run import Projector
from projector.settings import Folding, Limits, ProjectorSettings
from projector.wait import wait_visible

START = datetime(2026, 3, 1, 8, tzinfo=UTC)
SECRET = b"test"

Row = tuple[Any, ...]


def fold(events: Sequence[Event], directory: Directory) -> Rows:
    """Clients by shared strong refs (an unlink takes the second ref out), a touch per fact; pure and order-free.

    A call whose id begins with ``poison`` raises. The name of a client is the number of employees, to see refolds.
    """
    unique = {e.id: e for e in events}
    ordered = sorted(unique.values(), key=lambda e: (e.time, e.id))
    cut = {e.data.b for e in ordered if isinstance(e.data, IdentityUnlinked)}
    parent: dict[str, str] = {}

    def find(node: str) -> str:
        while parent.setdefault(node, node) != node:
            node = parent[node]
        return node

    own: dict[UUID, str] = {}
    for event in ordered:
        if isinstance(event.data, CallStarted | CallEnded) and event.data.call_id.startswith("poison"):
            raise ValueError("cannot be folded: " + event.data.call_id)
        nodes = [bare(r) for r in event.refs if strength(r) in (Strength.STRONG, Strength.MEDIUM)]
        nodes = nodes or [bare(event.refs[0])]
        joined = [n for n in nodes if n not in cut] or nodes
        for one in joined[1:]:
            parent[max(find(joined[0]), find(one))] = min(find(joined[0]), find(one))
        find(joined[0])
        own[event.id] = joined[0]
    clients: dict[str, list[Event]] = {}
    for event in ordered:
        clients.setdefault(find(own[event.id]), []).append(event)
    rows: Rows = {"client": [], "client_alias": [], "touch": []}
    for root, theirs in clients.items():
        id_ = client_id(root)
        phones = tuple(sorted({r[6:] for e in theirs for r in e.refs if r.startswith("phone:")}))
        rows["client"].append(
            ClientRow(
                id_, "known", None, f"сотрудников: {len(directory.employees)}", phones, (),
                theirs[0].time, theirs[-1].time, tuple(e.id for e in theirs),
            )
        )  # fmt: skip
        rows["client_alias"].append(ClientAliasRow(row_id("alias", root), id_))
        for e in theirs:
            rows["touch"].append(
                TouchRow(
                    row_id("touch", str(e.id)),
                    id_,
                    None,
                    None,
                    e.type,
                    "in",
                    e.time,
                    None,
                    False,
                    None,
                    None,
                    (e.id,),
                )
            )
    return rows


def make(
    fact: Fact,
    *native: str,
    at: float = 0,
    source: str = "/sipuni/main",
    revision: int = 1,
    received: float | None = None,
) -> Event:
    """An event ``at`` minutes after START."""
    refs = tuple(dict.fromkeys(fact.refs(source)))
    time = START + timedelta(minutes=at)
    return Event(
        id=event_id(source, fact.TYPE, *native), type=fact.TYPE, version=fact.VERSION, source=source, time=time,
        received=START + timedelta(minutes=at if received is None else received), revision=revision, subject=None,
        partitionkey=partition_key(refs, source, SECRET), data=fact, refs=refs, evidence=None,
    )  # fmt: skip


def phone(number: int) -> str:
    return f"+7903{number:07d}"


def call(
    number: int, call_id: str, at: float, *, end: bool = False, revision: int = 1, line: str = "main"
) -> Event:
    if end:
        fact: Fact = CallEnded(
            call_id=call_id, direction="in", client_phone=phone(number), ended_at=START, cause="answered"
        )
    else:
        fact = CallStarted(call_id=call_id, direction="in", client_phone=phone(number))
    return make(fact, call_id, at=at, source=f"/sipuni/{line}", revision=revision)


def form(number: int, submission: str, at: float, *, email: str | None = None) -> Event:
    fact = FormSubmitted(submission_id=submission, phone=phone(number), email=email, name="Мария")
    return make(fact, submission, at=at, source="/tilda/site")


def link(one: int, other: int, at: float) -> Event:
    return make(
        IdentityLinked(a=phone(one), b=phone(other)),
        "link",
        str(one),
        str(other),
        at=at,
        source="/native/crm",
    )


def unlink(one: int, other: int, at: float) -> Event:
    a, b = f"phone:{phone(one)}", f"phone:{phone(other)}"
    return make(IdentityUnlinked(a=a, b=b), "unlink", str(one), str(other), at=at, source="/native/crm")


def employee(number: int, at: float = 0) -> Event:
    fact = EmployeeChanged(employee_id=str(number), name=f"Оператор {number}")
    return make(fact, str(number), str(at), at=at, source="/native/crm")


def poison(number: int, call_id: str, at: float) -> Event:
    return call(number, f"poison-{call_id}", at)


def history(clients: int, *, seed: int = 1) -> list[Event]:
    """Calls, forms, links and unlinks of some clients, and two employees; deterministic."""
    chance = random.Random(seed)
    events = [employee(1), employee(2, 3)]
    for n in range(clients):
        at = chance.uniform(0, 1000)
        events += [
            call(n, f"c{n}", at),
            call(n, f"c{n}", at + 2, end=True),
            form(n, f"f{n}", at + 5, email=f"{n // 2}@x.ru"),
        ]
        if chance.random() < 0.3:
            events.append(call(n, f"c{n}", at + 3, revision=2))
        if chance.random() < 0.3:
            events.append(link(n, chance.randrange(clients), at + 7))
        if chance.random() < 0.15:
            events.append(unlink(n, chance.randrange(clients), at + 9))
        if chance.random() < 0.2:
            events.append(make(ContactMarked(phone=phone(n), mark="spam"), "mark", str(n), at=at + 8))
    return events


FOLDING = Folding(fold, "test-1")


def rewritten(rows: Rows, table: str, **values: Any) -> Rows:
    """The same rows with other values in one table."""
    return {**rows, table: [row._replace(**values) for row in rows[table]]}


def settings(url: str, *, owner: str = "one", folding: Folding = FOLDING, **limits: Any) -> ProjectorSettings:
    return ProjectorSettings(
        database_url=url, folding=folding, owner=owner, limits=replace(Limits(stale_owner_s=3.0), **limits)
    )


def decode(records: Mapping[int, Sequence[StoredRecord]], held: Mapping[int, Held]) -> Batch:
    """Records of a poll as a batch."""
    return batch_of(records, {p: [open_record(one) for one in found] for p, found in records.items()}, held)


async def put(log: EventLog, events: Iterable[Event]) -> list[Position]:
    return await log.append([seal(event) for event in events], deadline_s=10)


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[EmbeddedLog]:
    async with EmbeddedLog(path / "events.db") as log:
        yield log


@asynccontextmanager
async def running(log: EventLog, given: ProjectorSettings) -> AsyncIterator[Projector]:
    """A projector at work; ends within a few seconds, and raises what it raised."""
    projector, stop = Projector(log, given), asyncio.Event()
    task = asyncio.create_task(projector.run(stop))
    try:
        yield projector
    finally:
        stop.set()
        await asyncio.wait_for(task, 10)


async def visible(log: EventLog, given: ProjectorSettings, seconds: float = 20) -> None:
    waited = await wait_visible(log, given.database_url, seconds)
    assert waited.visible, waited.missing


async def project(log: EventLog, given: ProjectorSettings) -> None:
    """Everything on the log into the read model, then stop."""
    async with running(log, given):
        await visible(log, given)


def live(url: str) -> str:
    with psycopg.connect(url) as conn:
        row = conn.execute("select schema_name from leadfold.build where state = 'live'").fetchone()
    assert row is not None
    return str(row[0])


def tables(url: str, schema: str | None = None) -> dict[str, list[Row]]:
    """All rows of all read-model tables by key, and the facts, without groups, offsets and receive times."""
    schema = schema or live(url)
    found = {}
    with psycopg.connect(url) as conn:
        for table, row in TABLES.items():
            columns = ", ".join(f'"{name}"' for name in row._fields)
            found[table] = conn.execute(f'select {columns} from {schema}."{table}" order by 1').fetchall()
        found["fact"] = conn.execute(
            f'select id, type, source, "time", revision, refs, data::text, dead from {schema}.fact order by id'
        ).fetchall()
    return found


def query(url: str, text: str, *values: object) -> list[Row]:
    with psycopg.connect(url, autocommit=True) as conn:
        cursor = conn.execute(text.replace("LIVE", live(url)) if "LIVE" in text else text, values)
        return cursor.fetchall() if cursor.description else []
