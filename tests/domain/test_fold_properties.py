"""The fold over generated histories: a function of the set of events, whole, and equal to a slow oracle."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TypeVar
from uuid import UUID

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from domain.event import Event
from domain.facts.inquiries import ContactMarked, IdentityLinked, IdentityUnlinked
from domain.fold import fold_group
from domain.rows import TABLES, CallRow, ClientRow, InquiryRow, LeadRow, Rows, SaleLineRow, SaleRow
from tests.oracle.company import MIDNIGHT
from tests.oracle.draws import History
from tests.oracle.histories import by_seed, histories
from tests.oracle.oracle import tell
from tests.oracle.teller import Teller

QUICK = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
Check = Callable[[History, random.Random], None]
R = TypeVar("R")


def as_tables(rows: Rows) -> dict[str, list[tuple[object, ...]]]:
    """Rows as plain sorted tuples, table by table."""
    return {table: sorted((tuple(r) for r in found), key=repr) for table, found in rows.items()}


def of_table(rows: Rows, model: type[R]) -> list[R]:
    """The rows of one model."""
    return [r for found in rows.values() for r in found if isinstance(r, model)]


# --- (a) a function of the set -----------------------------------------------------------------------------------


def any_arrival(history: History, chance: random.Random) -> None:
    """Order, repetition, and tellings of the same ids that lose (later, or by an older adapter) do not matter."""
    wanted = as_tables(fold_group(history.events, history.directory))
    shuffled = list(history.events)
    for event in history.events:
        later = event.time + timedelta(seconds=chance.choice((1, 3600)))
        shuffled += chance.choice(
            (
                (),
                (event,),
                (replace(event, time=later),),
                (replace(event, time=later, revision=event.revision - 1),),
            )
        )
    chance.shuffle(shuffled)
    assert as_tables(fold_group(shuffled, history.directory)) == wanted
    assert as_tables(fold_group(shuffled[::-1], history.directory)) == wanted


# --- (b) whole ---------------------------------------------------------------------------------------------------

FOREIGN = {
    "client_id": ("client",),
    "inquiry_id": ("inquiry",),
    "lead_id": ("lead",),
    "previous_lead_id": ("lead",),
    "touch_id": ("touch",),
    "call_id": ("call",),
    "same_as": ("call",),
    "booking_id": ("booking",),
    "visit_id": ("visit",),
    "sale_id": ("sale",),
}


def whole(history: History, _: random.Random) -> None:
    """Keys are unique, references lead somewhere, every row knows its events, every event has one client."""
    rows = fold_group(history.events, history.directory)
    given_ids = {e.id for e in history.events}
    keys: dict[str, set[object]] = {}
    for table, found in rows.items():
        counts = Counter(r[0] for r in found)
        assert max(counts.values(), default=1) == 1, f"{table}: one key twice"
        keys[table] = set(counts)
    for table, found in rows.items():
        names = TABLES[table]._fields
        for row in found:
            for name, value in zip(names, row, strict=True):
                if name in FOREIGN and value is not None:
                    assert any(value in keys[t] for t in FOREIGN[name]), f"{table}.{name} leads nowhere"
                if name == "events":
                    assert value, f"{table}: a row of no events"
                    assert isinstance(value, tuple)
                    assert set(value) <= given_ids
                    assert len(set(value)) == len(value), f"{table}: an event twice"
    for table, living in (("client_alias", "client"), ("lead_alias", "lead")):
        assert not keys[table] & keys[living], f"{table}: the id of a living {living}"
    told = {e.id for e in history.events if e.refs and not e.data.DIRECTORY}
    assert Counter(i for r in of_table(rows, ClientRow) for i in r.events) == Counter(told)


# --- (c) equal to the oracle -------------------------------------------------------------------------------------


def like_the_oracle(history: History, _: random.Random) -> None:
    """Clients, calls, inquiries and leads as the oracle tells them."""
    rows = fold_group(history.events, history.directory)
    answer = tell(history.events, history.directory)
    assert sorted(sorted(r.events) for r in of_table(rows, ClientRow)) == sorted(map(sorted, answer.clients))
    assert {call_figures(r) for r in of_table(rows, CallRow)} == {
        (
            c.row, c.direction, c.started_at, c.answered_at, c.ended_at, c.talk_s, c.wait_s, c.outcome,
            c.second.row if c.second else None,
        )
        for c in answer.calls
    }  # fmt: skip
    assert {r[0]: inquiry_figures(r) for r in of_table(rows, InquiryRow)} == {
        i.ident: i.figures() for i in answer.inquiries
    }
    homes: dict[object, list[object]] = {}
    for inquiry in of_table(rows, InquiryRow):
        homes.setdefault(inquiry.lead_id, []).append(inquiry.inquiry_id)
    told = of_table(rows, LeadRow)
    assert sorted(
        (r.crm_id or "", r.state, sorted(map(str, homes.get(r.lead_id, [])))) for r in told
    ) == sorted((x.crm_id or "", x.state, sorted(str(i.ident) for i in x.inquiries)) for x in answer.leads)


def call_figures(row: CallRow) -> tuple[object, ...]:
    """What the oracle knows about a call."""
    return (
        row.call_id, row.direction, row.started_at, row.answered_at, row.ended_at, row.talk_s, row.wait_s,
        row.outcome, row.same_as,
    )  # fmt: skip


def inquiry_figures(row: InquiryRow) -> tuple[object, ...]:
    """What the oracle knows about an inquiry; see ``Inquiry.figures``."""
    return (
        row.inquiry_id, row.kind, row.direction, row.opened_at, row.category_id, row.is_target, row.result,
        row.refusal_reason_id, row.employee_id, row.booked_at, row.slot_at, row.booking_cancelled_at,
        row.no_show_at, row.arrived_at, row.receipts, row.sales, row.margin, row.margin_incomplete, row.calls,
        row.missed_fate, row.excluded,
    )  # fmt: skip


# --- (e) un-linked = never linked --------------------------------------------------------------------------------


def figures(rows: Rows) -> list[object]:
    """Figures without the ids of clients, which remember by which ref a client was first known."""
    calls = sorted((call_figures(r) for r in of_table(rows, CallRow)), key=repr)
    inquiries = sorted((inquiry_figures(r) for r in of_table(rows, InquiryRow)), key=repr)
    leads = sorted(
        ((r.lead_id, r.state, r.inquiries) for r in of_table(rows, LeadRow)),
        key=repr,
    )
    sales = sorted(
        ((r.sale_id, r.inquiry_id, r.sales) for r in of_table(rows, SaleRow)),
        key=repr,
    )
    return [calls, inquiries, leads, sales]


def unlinked_is_never_linked(history: History, chance: random.Random) -> None:
    """A link taken back leaves no trace in the figures of two people."""
    events = [e for e in history.events if not isinstance(e.data, IdentityLinked | ContactMarked)]
    before = fold_group(events, history.directory)
    known = [r.phones for r in of_table(before, ClientRow) if r.phones]
    if len(known) < 2:
        return
    a, b = (chance.choice(phones) for phones in chance.sample(known, 2))
    teller = Teller(lambda _: 0, shift="link")
    linked = MIDNIGHT + timedelta(hours=chance.choice((-9999, -1, 0, 1, 9999)))
    teller.say(IdentityLinked(a=a, b=b), linked)
    teller.say(IdentityUnlinked(a=b, b=a), linked + timedelta(seconds=chance.choice((1, 99999))))
    assert figures(fold_group([*events, *teller.events], history.directory)) == figures(before)


# --- (f) money ---------------------------------------------------------------------------------------------------


def money_adds_up(history: History, _: random.Random) -> None:
    """Nothing is lost or counted twice on the way from receipts to inquiries."""
    rows = fold_group(history.events, history.directory)
    inquiries = of_table(rows, InquiryRow)
    sales = of_table(rows, SaleRow)
    loose = [r for r in sales if r.inquiry_id is None]
    for figure in ("sales", "margin"):
        parts = sum(getattr(r, figure) for r in [*inquiries, *loose])
        assert parts == sum(getattr(r, figure) for r in sales), figure
    sold = sum(r.sold_at is not None for r in sales)
    assert sum(i.receipts for i in inquiries) + sum(r.sold_at is not None for r in loose) == sold
    lines: dict[UUID, Decimal] = {}
    for line in of_table(rows, SaleLineRow):
        lines[line.sale_id] = lines.get(line.sale_id, Decimal(0)) + line.amount
    assert all(lines.get(r.sale_id, Decimal(0)) == r.sales for r in sales)


# --- all together ------------------------------------------------------------------------------------------------

CHECKS = (any_arrival, whole, like_the_oracle, money_adds_up, unlinked_is_never_linked)


@pytest.mark.parametrize("check", CHECKS, ids=lambda c: c.__name__)
def test_property(check: Check) -> None:
    """Each property on a few histories, shrunk to the smallest when it does not hold."""

    @QUICK
    @given(histories(), st.randoms(use_true_random=False))
    def run(history: History, chance: random.Random) -> None:
        check(history, chance)

    run()


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("check", CHECKS, ids=lambda c: c.__name__)
def test_property_on_many_histories(check: Check) -> None:
    """The same on many, of plain chance: ``by_seed`` of the seed that is told gives the history again."""
    for seed in range(3000):
        try:
            check(by_seed(seed), random.Random(seed))
        except AssertionError as error:
            error.add_note(f"seed {seed}: {by_seed(seed)}")
            raise


def strangers(events: Iterable[Event], others: Sequence[Event]) -> bool:
    """No ref is common to two histories."""
    return not {r for e in events for r in e.refs} & {r for e in others for r in e.refs}


@settings(QUICK, max_examples=60)
@given(histories(scenes=6), histories(scenes=6, shift="x"))
def test_other_people_change_nothing(mine: History, theirs: History) -> None:
    """(d) People who share no identifier do not see each other."""
    assume(strangers(mine.events, theirs.events))
    ours = as_tables(fold_group(mine.events, mine.directory))
    added = as_tables(fold_group(theirs.events, mine.directory))
    both = as_tables(fold_group([*theirs.events, *mine.events], mine.directory))
    assert both == {table: sorted([*ours[table], *added[table]], key=repr) for table in TABLES}
