"""Measuring in turn: A B C, A B C, A B C; ratios are taken within a round, so that a slow moment slows all of them."""

from collections.abc import Callable, Sequence
from statistics import median

from tests.bench.table import Row

ROUNDS = 3


class Series:
    """What the contenders reached, round by round. The first one is the floor that ratios refer to."""

    def __init__(self, measure: Sequence[tuple[str, Callable[[], float]]], *, rounds: int = ROUNDS) -> None:
        self._floor = measure[0][0]
        self._found: dict[str, list[float]] = {name: [] for name, _ in measure}
        for _ in range(rounds):
            for name, run in measure:
                self._found[name].append(run())

    def value(self, name: str) -> float:
        """The median of a contender."""
        return median(self._found[name])

    def ratio(self, name: str, to: str | None = None) -> float:
        """The median of the ratios of the rounds."""
        floor = self._found[to or self._floor]
        return median(mine / other for mine, other in zip(self._found[name], floor, strict=True))

    def rows(self, unit: str, aims: dict[str, str | None]) -> list[Row]:
        """A row for each; ``aims`` of those that have one."""
        return [
            Row(name, self.value(name), unit)
            if name == self._floor
            else Row(name, self.value(name), unit, self._floor, self.ratio(name), aims.get(name))
            for name in self._found
        ]
