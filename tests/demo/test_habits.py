"""Bad habits: what they may do to deliveries, and what not."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, datetime
from urllib.parse import parse_qs

import pytest

from leadfold.demo.habits import NASTY, REAL, Rates, with_habits
from leadfold.demo.sent import Sent
from leadfold.demo.world import History, generate

UNTIL = datetime(2026, 6, 30, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def history() -> History:
    return generate(11, UNTIL, days=60, scale=0.5)


def _content(sent: Sent) -> tuple[str, str, bytes]:
    """Everything but the time of sending."""
    return sent.kind, sent.query, sent.body


def test_repeatable(history: History) -> None:
    assert with_habits(history.sent, 5, until=UNTIL) == with_habits(history.sent, 5, until=UNTIL)
    assert with_habits(history.sent, 5, until=UNTIL) != with_habits(history.sent, 6, until=UNTIL)


def test_without_habits_nothing_changes(history: History) -> None:
    assert with_habits(history.sent, 5, until=UNTIL, rates=Rates(0, 0, 0, 0, 0, 0)) == list(history.sent)


@pytest.mark.parametrize("rates", [REAL, NASTY])
def test_only_ends_of_answered_calls_get_lost(history: History, rates: Rates) -> None:
    said = {_content(s) for s in with_habits(history.sent, 5, until=UNTIL, rates=rates)}
    answered = {s.group for s in history.sent if s.kind == "sipuni.3"}
    lost = [s for s in history.sent if _content(s) not in said]
    assert lost
    assert all(s.kind == "sipuni.2" and s.group in answered for s in lost)


@pytest.mark.parametrize("rates", [REAL, NASTY])
def test_nothing_crosses_the_end(history: History, rates: Rates) -> None:
    before = {_content(s) for s in history.sent if s.at <= UNTIL}
    after = {_content(s) for s in with_habits(history.sent, 5, until=UNTIL, rates=rates) if s.at > UNTIL}
    assert not before & after


def test_a_repeated_ring_is_a_second_later_by_its_own_clock(history: History) -> None:
    rates = Rates(repeated_ring=1, repeated=0, retried_form=0, shuffled_call=0, lost_end=0, late_card=0)
    rings: defaultdict[str, list[int]] = defaultdict(list)
    for sent in with_habits(history.sent, 5, until=UNTIL, rates=rates):
        if sent.kind == "sipuni.1":
            stamp = parse_qs(sent.query)["timestamp"][0]
            rings[f"{sent.group} {sent.query.replace(f'timestamp={stamp}', '')}"].append(int(stamp))
    assert rings
    assert all(len(stamps) % 2 == 0 and stamps[1] in (stamps[0], stamps[0] + 1) for stamps in rings.values())


def test_phases_are_shuffled_and_forms_are_retried(history: History) -> None:
    said = with_habits(history.sent, 5, until=UNTIL, rates=NASTY)
    assert said == sorted(said, key=lambda s: s.at)
    phases: defaultdict[str, list[str]] = defaultdict(list)
    for sent in said:
        if sent.kind in ("sipuni.1", "sipuni.3"):
            phases[sent.group].append(sent.kind)
    assert any("sipuni.3" in order and order[0] == "sipuni.3" for order in phases.values())
    forms = Counter(s.body for s in said if s.kind == "tilda.form")
    assert max(forms.values()) >= 2
