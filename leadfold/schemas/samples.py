"""One event of every type with every field filled, the same on every machine: material for the golden records."""

from __future__ import annotations

import types
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Literal, Union, get_args, get_origin
from uuid import UUID

from pydantic import AwareDatetime, BaseModel
from pydantic.fields import FieldInfo

from domain.event import Event, Evidence
from domain.facts.base import Fact
from domain.identity import event_id
from domain.said import partition_key

_AT = datetime(2026, 3, 2, 9, 30, 15, tzinfo=UTC)
_SOURCE = "/sample/golden"
_PHONE = "+79031234567"


def sample(model: type[Fact]) -> Event:
    """An event with a full fact of this model."""
    fact = _model(model)
    assert isinstance(fact, Fact)
    refs = tuple(dict.fromkeys(fact.refs(_SOURCE)))
    return Event(
        id=event_id(_SOURCE, model.TYPE, "golden"),
        type=model.TYPE,
        version=model.VERSION,
        source=_SOURCE,
        time=_AT,
        received=_AT.replace(second=16),
        revision=1,
        subject="golden",
        partitionkey=partition_key(refs, model.TYPE, b"golden"),
        data=fact,
        refs=refs,
        evidence=Evidence(
            delivery_id=UUID("00000000-0000-4000-8000-000000000001"),
            method="POST",
            path="/in/golden/***",
            query="",
            headers=(("content-type", "application/json"),),
            body='{"пример": 1}'.encode(),
            adapter="sample@1",
        ),
    )


def _model(model: type[BaseModel]) -> BaseModel:
    values = {name: _value(name, field.annotation, field) for name, field in model.model_fields.items()}
    return model.model_validate(values)


def _value(name: str, annotation: Any, field: FieldInfo | None = None) -> Any:
    if get_origin(annotation) is Union or get_origin(annotation) is types.UnionType:
        annotation = next(a for a in get_args(annotation) if a is not type(None))
    origin, arguments = get_origin(annotation), get_args(annotation)
    if hasattr(annotation, "__metadata__"):
        return _value(name, arguments[0], field)
    if origin is Literal:
        return arguments[0]
    if origin is tuple:
        return (_value(name, arguments[0]),)
    if origin is dict:
        return {"key": _value(name, arguments[1])}
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _model(annotation)
    return _scalar(name, annotation)


def _scalar(name: str, annotation: Any) -> Any:
    known: dict[Any, Any] = {
        bool: True,
        int: 7,
        float: 1.5,
        Decimal: Decimal("1234.50"),
        datetime: _AT,
        date: date(2026, 3, 2),
        AwareDatetime: _AT,
        UUID: UUID("00000000-0000-4000-8000-0000000000aa"),
    }
    if annotation in known:
        return known[annotation]
    if name in {"client_phone", "phone", "number", "line", "phones"}:
        return _PHONE
    if name == "email":
        return "client@example.ru"
    if name == "url":
        return "https://example.ru/record.mp3"
    return f"пример {name}"
