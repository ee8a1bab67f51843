"""The simulated providers: repeatable, complete in kinds, and true to their own ground truth."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from urllib.parse import parse_qs

import orjson
import pytest

from domain.facts.registry import FACTS
from leadfold.demo.company import CABINET, OPERATORS
from leadfold.demo.sent import CRM, ERP, PROVIDERS, SIPUNI
from leadfold.demo.world import History, generate, go_on, handover_day

UNTIL = datetime(2026, 6, 30, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def history() -> History:
    return generate(7, UNTIL, days=90, scale=0.5)


def test_the_same_seed_tells_the_same_story() -> None:
    one, two = (generate(3, UNTIL, days=20, scale=0.4) for _ in range(2))
    assert one.sent == two.sent
    assert [t.expected(UNTIL) for t in one.truths] == [t.expected(UNTIL) for t in two.truths]
    assert generate(4, UNTIL, days=20, scale=0.4).sent != one.sent


def test_deliveries_come_in_order_of_time_and_reach_beyond_the_end(history: History) -> None:
    times = [s.at for s in history.sent]
    assert times == sorted(times)
    assert times[0] >= history.start
    assert times[-1] > UNTIL, "bookings made before the end are kept after it"
    assert all(s.at <= UNTIL for s in history.past())


def test_every_kind_of_delivery_is_there(history: History) -> None:
    kinds = Counter(s.kind for s in history.sent)
    assert set(kinds) == {
        "sipuni.1",
        "sipuni.2",
        "sipuni.3",
        "sipuni.4",
        "sipuni.tracking",
        "sipuni.probe",
        "jivo.chat_accepted",
        "jivo.chat_updated",
        "jivo.chat_finished",
        "jivo.offline_message",
        "jivo.call_event",
        "tilda.form",
        "tilda.probe",
        "form.plain",
        CRM,
        ERP,
    }
    assert {s.source for s in history.sent} == set(PROVIDERS)


def test_native_facts_are_ones_that_exist(history: History) -> None:
    seen: Counter[str] = Counter()
    for sent in history.sent:
        if sent.source in (CRM, ERP):
            for item in orjson.loads(sent.body):
                model = FACTS[item["type"]]
                model.model_validate(item["data"])
                unknown = set(item["data"]) - set(model.model_fields)
                assert not unknown, (item["type"], unknown)
                seen[item["type"]] += 1
    assert seen.keys() >= {
        "inquiry.categorised",
        "inquiry.result_set",
        "refusal.recorded",
        "booking.made",
        "booking.moved",
        "booking.cancelled",
        "client.arrived",
        "client.no_show",
        "order.opened",
        "order.handed_over",
        "sale.recorded",
        "sale.refunded",
        "lead.opened",
        "lead.stage_entered",
        "lead.won",
        "lead.lost",
        "task.created",
        "task.completed",
        "contact.marked",
        "walkin.registered",
    }


def test_the_ids_of_native_facts_never_repeat(history: History) -> None:
    ids = [
        (s.source, item["id"])
        for s in history.sent
        if s.source in (CRM, ERP)
        for item in orjson.loads(s.body)
    ]
    assert len(ids) == len(set(ids))


def test_a_call_is_told_as_sipuni_tells_it(history: History) -> None:
    calls: defaultdict[str, list[dict[str, str]]] = defaultdict(list)
    for sent in history.sent:
        if sent.source == SIPUNI and sent.method == "GET" and sent.kind != "sipuni.probe":
            fields = {k: v[0] for k, v in parse_qs(sent.query, keep_blank_values=True).items()}
            assert fields["user_id"] == CABINET
            calls[fields["call_id"]].append(fields)
    statuses = set()
    for events in calls.values():
        kinds = [e["event"] for e in sorted(events, key=lambda e: int(e["timestamp"]))]
        assert kinds.count("2") == 1
        assert kinds[0] == "1"
        end = next(e for e in events if e["event"] == "2")
        statuses.add(end["status"])
        assert (end["status"] == "ANSWER") == ("3" in kinds)
        assert "call_record_link" in end
        if "3" in kinds:
            assert (
                int(end["call_start_timestamp"]) < int(end["call_answer_timestamp"]) <= int(end["timestamp"])
            )
        else:
            assert end["call_answer_timestamp"] == "0"
    assert statuses >= {"ANSWER", "NOANSWER", "BUSY", "CANCEL"}
    assert any(e.get("transfer_from") for events in calls.values() for e in events)
    assert any(e["src_num"] in ("", "anonymous") for events in calls.values() for e in events)


def test_an_extension_changes_hands(history: History) -> None:
    anna = next(o for o in OPERATORS if o.id == "e3")
    assert anna.ext_on(history.handover - timedelta(days=1), history.handover) == "203"
    assert anna.ext_on(history.handover, history.handover) == "205"


def test_the_truth_is_plausible(history: History) -> None:
    expected = [(t, t.expected(UNTIL)) for t in history.truths]
    kinds = Counter(t.kind for t in history.truths)
    assert set(kinds) == {"phone", "missed", "site", "visit", "chat"}
    assert {t.direction for t in history.truths} == {"in", "out"}
    target = [e for _, e in expected if e.target]
    assert 0.4 < len(target) / len(expected) < 0.9
    assert 0.2 < sum(e.booked for e in target) / len(target) < 0.7
    assert any(e.cancelled for e in target)
    assert any(e.no_show_told for e in target)
    assert any(e.hidden for e in target)
    assert any(e.booked and not e.arrived and e.slot and e.slot > UNTIL for e in target), (
        "somebody is awaited"
    )
    assert any(e.incomplete for e in target)
    assert any(e.arrived and not e.booked for e in target), "walk-ins arrive without a booking"
    for truth, one in expected:
        assert one.receipts == 0 or one.arrived, truth
        assert one.sales >= 0
        assert one.margin <= one.sales
        assert one.target or not (one.booked or one.arrived or one.sales), truth
    assert {e.mark for _, e in expected} >= {None, "spam", "supplier", "employee"}
    assert sum((e.sales for e in target), Decimal(0)) > 100_000


def test_ids_of_inquiries_never_repeat(history: History) -> None:
    ids = [t.id for t in history.truths if t.id]
    assert len(ids) == len(set(ids))
    assert len(ids) > 0.8 * len(history.truths)


def test_knowledge_grows(history: History) -> None:
    early = UNTIL - timedelta(days=30)
    born = [t for t in history.truths if t.opened_at < early]
    assert sum(t.expected(early).arrived for t in born) < sum(t.expected(UNTIL).arrived for t in born)


def test_scale_changes_the_number_and_not_the_length() -> None:
    small, large = (generate(1, UNTIL, days=30, scale=scale) for scale in (0.3, 1.2))
    assert small.start == large.start
    assert 3 < len(large.truths) / len(small.truths) < 5


def test_life_goes_on_after_the_end_without_repeating_itself() -> None:
    history = generate(7, UNTIL, days=40, scale=0.5)
    assert history.handover == handover_day(UNTIL, 40)
    before = {(s.kind, s.query, s.body) for s in history.sent}
    at, told = UNTIL + timedelta(hours=1), []
    for n in range(80):
        told += go_on(history, at + timedelta(minutes=n))
    assert min(s.at for s in told) >= at
    assert len({s.source for s in told}) >= 4
    assert not before & {(s.kind, s.query, s.body) for s in told}
    ids = [
        (s.source, i["id"])
        for s in (*history.sent, *told)
        if s.source in (CRM, ERP)
        for i in orjson.loads(s.body)
    ]
    assert len(ids) == len(set(ids))
