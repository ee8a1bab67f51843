"""Writes the tables of the documentation about reports and facts from the catalogue and the models."""

import types
import typing
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from deploy.checks.docs_tables import table
from domain.codes import without_codes
from domain.facts.base import Subject
from domain.facts.registry import FACTS
from ingest.adapters.native import TYPES
from reports.catalogue import INQUIRIES


def columns_table() -> str:
    """The columns of «Обращения клиентов в автосервис» from the catalogue."""
    rows = []
    for metric in INQUIRIES.metrics:
        column = metric.column
        key = f"`{column.key}`" + (" (on request)" if column.optional else "")
        rows.append(
            (
                column.label.ru,
                column.label.en,
                key,
                column.definition.ru,
                column.formula.ru,
                column.dated_by.ru if column.dated_by else "",
                column.refers,
            )
        )
    return table(("колонка", "column", "key", "что это", "формула", "к какому дню относится", "source"), rows)


def dimensions_table() -> str:
    """What the report can be grouped and filtered by."""
    return table(
        ("key", "по-русски", "English", "values"),
        (
            (f"`{d.key}`", d.label.ru, d.label.en, ", ".join(f"`{v}`" for v in d.values or ()))
            for d in INQUIRIES.dimensions
        ),
    )


def facts_tables() -> str:
    """Every type that may be sent to ``POST /v1/events`` with its own fields."""
    parts = ["### Fields that say whom it is about\n", _fields(Subject, ())]
    for type_ in sorted(TYPES):
        model = FACTS[type_]
        about = issubclass(model, Subject)
        inherited = (
            {n for n in Subject.model_fields if not model.model_fields[n].is_required()} if about else set()
        )
        first = (model.__doc__ or "").strip().splitlines()[0].replace("``", "`")
        more = " Besides, any field of the table above." if about else ""
        parts.append(f"### `{type_}`\n\n{without_codes(first)}{more}\n")
        own = [name for name in model.model_fields if name not in inherited]
        if own:
            parts.append(_fields(model, inherited))
    return "\n".join(parts)


def _fields(model: type[BaseModel], without: Iterable[str]) -> str:
    schema = model.model_json_schema()
    rows = []
    for name, field in model.model_fields.items():
        if name in without:
            continue
        need = "yes" if field.is_required() else ""
        rows.append((f"`{name}`", kind_of(field.annotation), need, _about(schema, name)))
    return table(("field", "kind", "required", "meaning"), rows)


def _about(schema: dict[str, Any], name: str) -> str:
    found = schema["properties"][name]
    text = found.get("description") or next(
        (a["description"] for a in found.get("anyOf", ()) if "description" in a), ""
    )
    return without_codes(str(text))


def kind_of(annotation: Any) -> str:
    """What a value looks like in JSON."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return kind_of(inner[0])
    if origin in (typing.Union, types.UnionType):
        return kind_of(next(a for a in inner if a is not type(None)))
    if origin is typing.Literal:
        return " · ".join(f"`{a}`" for a in inner)
    if origin is tuple:
        return f"list of {kind_of(inner[0])}"
    if origin is dict:
        return "object"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"object: {', '.join(f'`{name}`' for name in annotation.model_fields)}"
    words = {bool: "yes or no", int: "whole number", Decimal: "number", date: "day", str: "text"}
    return words.get(annotation, "UUID" if getattr(annotation, "__name__", "") == "UUID" else "moment")
