"""The upcasting ladder: one small step from each version of an event's data to the next.

Events are never rewritten; they are lifted to today's version when they are read, at this one place.
A new value that can be derived gets a step here; one that cannot gets a new event type.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

Data = dict[str, Any]
Step = Callable[[Data], Data]

LADDER: Final[dict[tuple[str, int], Step]] = {}
"""(type, version n) → step that turns data of version n into version n + 1. Empty while all facts are version 1."""


class MissingStep(LookupError):
    """No way up from an old version: a step was forgotten. Found by the check at start and in CI."""


def upcast(
    type_: str, version: int, target: int, data: Data, ladder: Mapping[tuple[str, int], Step] = LADDER
) -> Data:
    """Lift ``data`` from ``version`` to ``target``; raises MissingStep if a step is absent."""
    while version < target:
        step = ladder.get((type_, version))
        if step is None:
            raise MissingStep(f"no step from {type_} version {version} to {version + 1}")
        data, version = step(dict(data)), version + 1
    return data


def check_ladder(current: Mapping[str, int], ladder: Mapping[tuple[str, int], Step] = LADDER) -> list[str]:
    """Problems of the whole chain: gaps below a current version, and steps that lead past it or nowhere."""
    problems = [
        f"{type_}: no step from version {version}"
        for type_, latest in current.items()
        for version in range(1, latest)
        if (type_, version) not in ladder
    ]
    problems += [
        f"{type_}: step from version {version} leads nowhere"
        for type_, version in ladder
        if version >= current.get(type_, 0)
    ]
    return problems
