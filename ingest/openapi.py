"""The native contract as an OpenAPI 3.1 document, made from the fact models themselves."""

from __future__ import annotations

from typing import Any, Final

from pydantic.json_schema import models_json_schema

from domain.codes import document_without_codes
from domain.facts.company import DeliveryUnreadable
from domain.facts.registry import FACTS, NAMES
from ingest.limits import DEFAULT_LIMITS

#: Version of the contract, not of the program.
VERSION: Final = "1.0"
_REF: Final = "#/components/schemas/{model}"


def build() -> dict[str, Any]:
    """The document, the same on every call."""
    models = [m for t, m in sorted(FACTS.items()) if t != DeliveryUnreadable.TYPE]
    refs, definitions = models_json_schema([(m, "validation") for m in models], ref_template=_REF)
    names = {type_: name for name, type_ in NAMES.items()}
    schemas: dict[str, Any] = dict(definitions.get("$defs", {}))
    variants: dict[str, str] = {}
    for model in models:
        name = f"Event{model.__name__}"
        variants[model.TYPE] = _REF.format(model=name)
        schemas[name] = _event(model.TYPE, names[model.TYPE], refs[model, "validation"], model.__doc__ or "")
    schemas["Event"] = {
        "oneOf": [{"$ref": ref} for ref in variants.values()],
        "discriminator": {"propertyName": "type", "mapping": variants},
    }
    schemas |= _answers()
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "Leadfold: native events",
            "version": VERSION,
            "description": (
                "Facts in Leadfold's own words, from CRMs, ERPs, scripts and operators. Repeat a delivery with the same "
                "ids as often as you like: every fact counts once. Values are read leniently: phones in any form, "
                "«12 500,00», «Да»/«Нет», dates without offset (the source's time zone), 0001-01-01 for no date."
            ),
        },
        "security": [{"bearer": []}, {"apiKey": []}, {"basic": []}, {"standardWebhooks": []}],
        "paths": {"/v1/events": {"post": _operation()}},
        "components": {"schemas": dict(sorted(schemas.items())), "securitySchemes": _security()},
    }
    told: dict[str, Any] = document_without_codes(document)
    return told


def _event(type_: str, name: str, data: dict[str, Any], words: str) -> dict[str, Any]:
    return {
        "type": "object",
        "title": type_,
        "description": " ".join(words.split()),
        "required": ["type", "data"],
        "properties": {
            "id": {
                "type": "string",
                "description": "the sender's own id of this event; repeats with the same id count once. Without it: "
                "webhook-id and place in the batch, else what is said (best effort)",
            },
            "type": {"type": "string", "enum": [type_, name]},
            "time": {
                "type": "string",
                "description": "when it happened, ISO-8601; without offset in the source's time zone; without it the "
                "time of receipt. `occurred_at` means the same",
            },
            "data": data,
        },
    }


def _operation() -> dict[str, Any]:
    event = {"$ref": _REF.format(model="Event")}
    batch = {"type": "array", "items": event, "maxItems": DEFAULT_LIMITS.max_batch}
    wrapped = {"type": "object", "required": ["events"], "properties": {"events": batch}}
    error = {"application/json": {"schema": {"$ref": _REF.format(model="Error")}}}
    return {
        "operationId": "sendEvents",
        "summary": "Send one event or a batch",
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"anyOf": [event, batch, wrapped]}}},
        },
        "responses": {
            "200": {
                "description": "Stored. Each event has its own result; one that does not fit is kept and named.",
                "content": {"application/json": {"schema": {"$ref": _REF.format(model="Results")}}},
            },
            "400": {"description": "The body is not JSON.", "content": error},
            "401": {"description": "No source has this key or signature.", "content": error},
            "413": {"description": "The body or the batch is too large.", "content": error},
            "429": {"description": "Too many deliveries of this source; see Retry-After.", "content": error},
            "503": {
                "description": "Nothing could be stored now; repeat after Retry-After.",
                "content": error,
            },
        },
    }


def _answers() -> dict[str, Any]:
    text = {"type": "string"}
    count = {"type": "integer", "minimum": 0}
    problem = {"type": "object", "required": ["field", "what"], "properties": {"field": text, "what": text}}
    result = {
        "type": "object",
        "required": ["id", "event_id", "status"],
        "properties": {
            "id": text,
            "event_id": {"type": "string", "format": "uuid"},
            "status": {"type": "string", "enum": ["accepted", "unreadable"]},
            "errors": {"type": "array", "items": problem},
            "warnings": {
                "type": "array",
                "items": problem,
                "description": "accepted all the same: words that the company's dictionary does not know",
            },
            "inquiry_id": {
                "type": "string",
                "format": "uuid",
                "description": "the inquiry that this fact opens or belongs to; use it in later facts",
            },
        },
    }
    return {
        "Result": result,
        "Results": {
            "type": "object",
            "required": ["result", "accepted", "duplicates", "unreadable", "results"],
            "properties": {
                "result": {"const": "ok"},
                "accepted": count,
                "duplicates": {**count, "description": "repeats of an id within the batch"},
                "unreadable": count,
                "results": {"type": "array", "items": {"$ref": _REF.format(model="Result")}},
            },
        },
        "Error": {
            "type": "object",
            "required": ["result", "error"],
            "properties": {"result": {"const": "error"}, "error": text},
        },
    }


def _security() -> dict[str, Any]:
    return {
        "bearer": {"type": "http", "scheme": "bearer", "description": "The secret of the source."},
        "apiKey": {
            "type": "apiKey",
            "in": "header",
            "name": "X-Api-Key",
            "description": "The secret of the source.",
        },
        "basic": {
            "type": "http",
            "scheme": "basic",
            "description": "Any user, the secret as password (native in 1C).",
        },
        "standardWebhooks": {
            "type": "apiKey",
            "in": "header",
            "name": "webhook-signature",
            "description": "Standard Webhooks: webhook-id, webhook-timestamp (±5 minutes), webhook-signature (v1).",
        },
    }
