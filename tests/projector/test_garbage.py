"""A process that only projects looks for cycles between batches: they do not gather, and nobody else is concerned."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from projector import garbage


class Knot:
    """Refers to itself: only the collector finds it."""

    def __init__(self) -> None:
        self.me = self


@pytest.fixture
def collector() -> Iterator[None]:
    yield
    gc.enable()
    gc.unfreeze()


def knots(number: int) -> "weakref.ref[Knot]":
    many = [Knot() for _ in range(number)]
    return weakref.ref(many[0])


@pytest.mark.usefixtures("collector")
def test_cycles_go_between_batches_once_there_are_many() -> None:
    garbage.begin()
    first = knots(10)
    garbage.between()
    assert first() is not None
    knots(250_000)
    assert first() is not None  # nothing is looked for while a batch is at work
    garbage.between()
    assert first() is None


def test_a_process_that_does_other_things_keeps_its_collector() -> None:
    assert gc.isenabled()
    garbage.between()
    assert gc.isenabled()
