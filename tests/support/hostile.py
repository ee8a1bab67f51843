"""Native events as a careless or hostile sender writes them: right in form, few ids for many things, odd values."""

import types
import typing
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from hypothesis import strategies as st
from pydantic import BaseModel

from domain.facts.registry import FACTS
from ingest.adapters.native import TYPES

#: Few of each, so that facts which have nothing to do with each other share ids, phones and moments.
IDS = ("1", "2")
PHONES = ("+79031234567", "+79031234568")
MOMENTS = (
    "2026-03-01T10:00:00+03:00",
    "2026-03-01T10:05:00+03:00",
    "2026-03-09T10:00:00+03:00",
    "2020-01-01T00:00:00Z",
    "2099-01-01T00:00:00Z",
)
NAMES = (
    "Иван",
    "=cmd|' /C calc'!A0",
    "<script>alert(1)</script>",
    "\x1b[31mred\u202e",
    "' or 1=1 --",
    "\x9b31m",
)


def value_of(annotation: Any, name: str) -> st.SearchStrategy[Any]:
    """Values of a field of a fact, as JSON; None leaves the field out."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return value_of(inner[0], name)
    if origin in (typing.Union, types.UnionType):
        return st.none() | value_of(next(a for a in inner if a is not type(None)), name)
    if origin is typing.Literal:
        return st.sampled_from(inner)
    if origin in (tuple, list):
        return st.lists(value_of(inner[0], name), max_size=2)
    if origin is dict:
        return st.dictionaries(
            st.sampled_from(("timezone", "name")), st.sampled_from(("Asia/Omsk", "")), max_size=2
        )
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return fields_of(annotation)
    plain: dict[Any, st.SearchStrategy[Any]] = {
        bool: st.booleans(),
        int: st.sampled_from((0, 1, -1, 60, 10**9)),
        Decimal: st.sampled_from(("0", "1", "-5", "100.50", "1e10")),
        UUID: st.sampled_from([f"00000000-0000-4000-8000-00000000000{n}" for n in IDS]),
        datetime: st.sampled_from(MOMENTS),
        date: st.sampled_from(("2026-03-01", "2026-04-01")),
    }
    if annotation in plain:
        return plain[annotation]
    if "phone" in name:
        return st.sampled_from(PHONES)
    return st.sampled_from(NAMES if "name" in name or "text" in name else IDS)


def fields_of(model: type[BaseModel]) -> st.SearchStrategy[dict[str, Any]]:
    """The fields of a model: the required ones and some of the others."""
    given = {name: value_of(field.annotation, name) for name, field in model.model_fields.items()}
    required = {n: s for n, s in given.items() if model.model_fields[n].is_required()}
    optional = {n: s for n, s in given.items() if n not in required}
    return st.fixed_dictionaries(required, optional=optional).map(
        lambda found: {n: v for n, v in found.items() if v is not None}
    )


def _event(type_: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {
            "type": st.just(type_),
            "id": st.integers(1, 30).map(str),
            "time": st.sampled_from(MOMENTS),
            "data": fields_of(FACTS[type_]),
        }
    )


#: One event of any type that may be sent.
EVENTS = st.sampled_from(sorted(TYPES)).flatmap(_event)
