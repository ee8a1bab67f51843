"""The catalogue of facts: every type and version that exists, and the one place where stored data becomes a model."""

from __future__ import annotations

from typing import Any, Final

from domain.facts import calls, company, inquiries, leads, sales, sites
from domain.facts.base import Fact
from domain.upcasting import upcast

FACTS: Final[dict[str, type[Fact]]] = {
    model.TYPE: model
    for module in (calls, sites, inquiries, leads, sales, company)
    for model in vars(module).values()
    if isinstance(model, type) and issubclass(model, Fact) and model.TYPE
}

NAMES: Final[dict[str, str]] = {model.__name__: model.TYPE for model in FACTS.values()}
"""Catalogue name (``InquiryCategorised``) → type (``inquiry.categorised``)."""


class UnknownFact(ValueError):
    """The type of a stored event, or its version, is not known to this code."""


def read_fact(type_: str, version: int, data: dict[str, Any]) -> Fact:
    """Turn stored data of any version into today's model.

    Raises UnknownFact for a type or version from a newer program, ValidationError for data that do not fit.
    """
    model = FACTS.get(type_)
    if model is None:
        raise UnknownFact(f"unknown event type {type_!r}")
    if version > model.VERSION:
        raise UnknownFact(
            f"{type_} version {version} was written by a newer program (known: {model.VERSION})"
        )
    if version < model.VERSION:
        data = upcast(type_, version, model.VERSION, data)
    return model.model_validate(data)
