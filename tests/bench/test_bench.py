"""The bench itself: ratios are taken within a round, the result file keeps what was not measured again, a row runs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.history import FACTS_A_CLIENT, events
from tests.bench.rounds import Series
from tests.bench.table import Row, write


def test_a_slow_round_slows_all_contenders() -> None:
    floor, ours = iter([100.0, 10.0, 50.0]), iter([50.0, 5.0, 30.0])
    series = Series([("floor", lambda: next(floor)), ("ours", lambda: next(ours))])
    assert series.rows("x/s", {"ours": "≥ 0.4"}) == [
        Row("floor", 50.0, "x/s"),
        Row("ours", 30.0, "x/s", "floor", 0.5, "≥ 0.4"),
    ]


def test_the_result_keeps_rows_of_earlier_runs(tmp_path: Path) -> None:
    file = tmp_path / "build" / "bench.json"
    write([Row("a", 1, "s"), Row("b", 2, "s")], file)
    write([Row("b", 3, "s", "a", 0.5, "≥ 0.6")], file)
    assert json.loads(file.read_text()) == [
        {"row": "a", "value": 1, "unit": "s", "of": None, "ratio": None, "aim": None},
        {"row": "b", "value": 3, "unit": "s", "of": "a", "ratio": 0.5, "aim": "≥ 0.6"},
    ]


def test_the_history_is_in_order_of_time_and_twelve_facts_a_client() -> None:
    found = list(events(40))
    assert len(found) == len({event.id for event in found}) == 40 * FACTS_A_CLIENT
    assert [event.time for event in found] == sorted(event.time for event in found)


@pytest.mark.slow
def test_a_row_is_measured_and_every_2xx_is_on_the_log(tmp_path: Path) -> None:
    result = tmp_path / "bench.json"
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench", "ingest-embedded", "--seconds", "0.3", "--result", result],
        check=False,
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "ingest embedded, Tilda form" in {row["row"] for row in json.loads(result.read_text())}
