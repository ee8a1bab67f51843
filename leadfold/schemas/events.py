"""JSON Schema of the value of a record: ``{"fact": …, "refs": […], "evidence": …}``."""

from __future__ import annotations

from typing import Any, Final

from domain.codes import document_without_codes
from domain.facts.base import Fact
from domain.facts.registry import FACTS
from eventlog.sealing import dataschema

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

_UUID: Final = {"type": "string", "format": "uuid"}

EVIDENCE: Final[dict[str, Any]] = {
    "description": "The delivery a fact was translated from, verbatim but for redacted secrets; or where it lies.",
    "anyOf": [
        {
            "title": "Evidence",
            "type": "object",
            "properties": {
                "delivery_id": _UUID,
                "method": {"type": "string"},
                "path": {"type": "string"},
                "query": {"type": "string"},
                "headers": {
                    "type": "array",
                    "items": {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2},
                },
                "body": {"type": "string", "description": "the body, when it is UTF-8"},
                "body_base64": {
                    "type": "string",
                    "contentEncoding": "base64",
                    "description": "any other body",
                },
                "adapter": {"type": "string", "description": "name@revision of what translated it"},
            },
            "required": ["delivery_id", "method", "path", "query", "headers", "adapter"],
            "oneOf": [{"required": ["body"]}, {"required": ["body_base64"]}],
        },
        {
            "title": "EvidencePointer",
            "type": "object",
            "properties": {
                "delivery_id": _UUID,
                "event_id": {**_UUID, "description": "the event that carries it"},
            },
            "required": ["delivery_id", "event_id"],
        },
    ],
}


def file_name(type_: str, version: int) -> str:
    """Name of the schema file of an event version."""
    return f"{type_}.v{version}.json"


def value_schema(model: type[Fact]) -> dict[str, Any]:
    """Schema of a record's value for today's version of a fact. Unknown properties are allowed: readers are tolerant."""
    fact = model.model_json_schema(mode="validation", ref_template="#/$defs/{model}")
    definitions = fact.pop("$defs", {})
    schema: dict[str, Any] = {
        "$schema": DIALECT,
        "$id": dataschema(model.TYPE, model.VERSION),
        "title": f"{model.TYPE} v{model.VERSION}",
        "type": "object",
        "properties": {
            "fact": fact,
            "refs": {
                "description": "every identifier that the fact carries, kind:value or kind:value@scope",
                "type": "array",
                "items": {"type": "string"},
            },
            "evidence": EVIDENCE,
        },
        "required": ["fact", "refs"],
    }
    if definitions:
        schema["$defs"] = definitions
    told: dict[str, Any] = document_without_codes(schema)
    return told


def all_schemas() -> dict[str, dict[str, Any]]:
    """File name → schema, for today's version of every fact."""
    return {file_name(type_, model.VERSION): value_schema(model) for type_, model in sorted(FACTS.items())}
