"""Token buckets."""

from ingest.journal import Seldom
from ingest.rates import Rates


def test_no_limit() -> None:
    assert all(Rates(None, 1).wait_s("a", 0.0) == 0 for _ in range(1000))


def test_bursts_then_the_rate_each_source_alone() -> None:
    rates = Rates(2.0, 3)
    assert [rates.wait_s("a", 10.0) for _ in range(4)] == [0, 0, 0, 1]
    assert rates.wait_s("b", 10.0) == 0
    assert rates.wait_s("a", 10.5) == 0
    assert rates.wait_s("a", 10.5) == 1
    assert [rates.wait_s("a", 100.0) for _ in range(4)] == [0, 0, 0, 1]


def test_slow_rates_tell_how_long() -> None:
    rates = Rates(0.1, 1)
    assert (rates.wait_s("a", 0.0), rates.wait_s("a", 1.0)) == (0, 9)


def test_a_clock_that_stands_still_or_goes_back() -> None:
    rates = Rates(1.0, 1)
    assert (rates.wait_s("a", 5.0), rates.wait_s("a", 4.0), rates.wait_s("a", 4.0)) == (0, 1, 1)


def test_strangers_do_not_fill_the_log() -> None:
    seldom = Seldom(1.0)
    assert [seldom.times("pbx", 10.0 + n / 100) for n in range(99)] == [1] + [0] * 98
    assert (seldom.times("other", 10.5), seldom.times("pbx", 11.5), seldom.times("pbx", 12.5)) == (1, 99, 1)
