"""Values: dataclasses whose objects nobody changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def value(cls: type[T]) -> type[T]:
    """A dataclass with slots, equality and hash, immutable for the type checker.

    ``dataclass(frozen=True)`` also refuses changes while the program runs, and makes an object ten times as slowly for
    it: that is felt where several are made for each delivery and fact.
    """
    return dataclass(slots=True, unsafe_hash=True)(cls)
