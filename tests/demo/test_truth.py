"""The history as real webhooks, read by the real adapters and folded, is what really happened."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from domain.rows import InquiryRow
from leadfold.demo.habits import NASTY, REAL, Rates, with_habits
from leadfold.demo.truth import Truth
from leadfold.demo.world import generate
from tests.demo.offline import Offline

UNTIL = datetime(2026, 6, 30, 12, tzinfo=UTC)
NONE = Rates(0, 0, 0, 0, 0, 0)


def _told(row: InquiryRow) -> dict[str, object]:
    return {
        "kind": row.kind,
        "direction": row.direction,
        "opened": row.opened_at,
        "office": row.office_id,
        "zone": row.office_zone,
        "category": row.category_id,
        "target": row.is_target,
        "booked": row.booked_at is not None,
        "slot": row.slot_at,
        "cancelled": row.booked_at is not None
        and row.arrived_at is None
        and row.booking_cancelled_at is not None,
        "no_show": row.no_show_at is not None,
        "arrived": row.arrived_at is not None,
        "refusal": row.refusal_reason_id,
        "receipts": row.receipts,
        "sales": row.sales,
        "margin": row.margin,
        "incomplete": row.margin_incomplete,
        "mark": row.excluded.removeprefix("mark:") if row.excluded else None,
        "employee": row.employee_id,
    }


def _happened(truth: Truth) -> dict[str, object]:
    one = truth.expected(UNTIL)
    return {
        "kind": truth.kind,
        "direction": truth.direction,
        "opened": truth.opened_at,
        "office": truth.office,
        "zone": truth.zone,
        "category": one.category,
        "target": one.target,
        "booked": one.booked,
        "slot": one.slot,
        "cancelled": one.cancelled,
        "no_show": one.no_show_told,
        "arrived": one.arrived,
        "refusal": one.refusal,
        "receipts": one.receipts,
        "sales": one.sales,
        "margin": one.margin,
        "incomplete": one.incomplete,
        "mark": one.mark,
        "employee": one.employee,
    }


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "rates"), [(1, NONE), (2, REAL), (3, NASTY), (4, NASTY)])
def test_every_inquiry_is_what_happened(seed: int, rates: Rates, tmp_path: Path) -> None:
    history = generate(seed, UNTIL, days=100, scale=0.4)
    said = [s for s in with_habits(history.sent, seed, until=UNTIL, rates=rates) if s.at <= UNTIL]
    rows = {row.inquiry_id: row for row in Offline(tmp_path, history.handover).inquiries(said)}
    born = [t for t in history.truths if t.opened_at < UNTIL]
    named = [t for t in born if t.id and not (t.direction == "out" and t.expected(UNTIL).category is None)]
    plain = [t for t in born if t.id is None]
    wrong = []
    for truth in named:
        assert truth.id is not None
        happened, told = _happened(truth), _told(rows.pop(truth.id))
        if happened["employee"] is None:
            told["employee"] = None  # nobody spoke: whoever is responsible for the client's lead
        if happened != told:
            wrong.append(
                {k: (happened[k], told[k]) for k in happened if happened[k] != told[k]} | {"id": truth.id}
            )
    assert not wrong, wrong[:3]
    # Forms without an id of their own are the only other inquiries, one for each; robots' forms aside.
    assert {row.source for row in rows.values()} <= {"form"}
    assert len([row for row in rows.values() if row.excluded is None]) == len(plain)
