"""A source gone wild does not keep the others waiting, and is told when to come back."""

import json
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from tests.cli.service import Run, install

pytestmark = pytest.mark.slow

_SECONDS = 6.0
_CONNECTIONS = 64


def quiet(url: str, seconds: float) -> list[float]:
    """How long each of the deliveries of a quiet source took, seconds, sorted; fifty a second at most."""
    took = []
    ends = time.monotonic() + seconds
    number = 0
    while time.monotonic() < ends:
        number += 1
        began = time.monotonic()
        query = f"event=1&call_id={number}&src_num=79990000001&src_type=1&dst_num=74990000011&dst_type=1&timestamp=1710000000"
        with urllib.request.urlopen(f"{url}?{query}", timeout=10) as got:
            assert got.status == 200
        took.append(time.monotonic() - began)
        time.sleep(max(0.0, 0.02 - took[-1]))
    return sorted(took)


def p99(took: list[float]) -> float:
    return took[min(len(took) - 1, int(len(took) * 0.99))]


@pytest.mark.parametrize("rate", ["", "100"], ids=["as fast as it goes", "with a rate"])
def test_one_floods_and_another_is_served(
    tmp_path: Path, rate: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = install(tmp_path / "shop", ("pbx", "sipuni"), ("wild", "form"))
    if rate:
        shop.environment |= {"LEADFOLD_INGEST__RATE_PER_S": rate, "LEADFOLD_INGEST__RATE_BURST": rate}
    run = Run(shop)
    try:
        run.wait_ready()
        pbx, wild = shop.url("pbx"), shop.url("wild")
        alone = quiet(pbx, _SECONDS / 2)
        with subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.flooding", wild, str(_SECONDS), str(_CONNECTIONS)],
            stdout=subprocess.PIPE, text=True,
        ) as flood:  # fmt: skip
            time.sleep(1.5)  # it starts
            beside = quiet(pbx, _SECONDS - 2)
            told = json.loads(flood.communicate(timeout=30)[0])
    finally:
        run.end()
    with capsys.disabled():
        print(
            f"\nquiet alone: p50 {alone[len(alone) // 2] * 1e3:.1f} ms, p99 {p99(alone) * 1e3:.1f} ms; "
            f"beside a flood of {sum(told.values()) / _SECONDS:.0f}/s {told}: "
            f"p50 {beside[len(beside) // 2] * 1e3:.1f} ms, p99 {p99(beside) * 1e3:.1f} ms"
        )
    assert p99(beside) < 2.0  # that is what the least patient provider gives
    assert told.pop("without Retry-After", 0) == 0
    assert set(told) <= {"200", "429", "503"}
    if rate:
        assert told["200"] <= int(rate) * (_SECONDS + 4)
        assert told["429"] > told["200"]
