"""The topic as an AsyncAPI 3.0 document: who reads the events directly finds everything here."""

from __future__ import annotations

from typing import Any

from domain.codes import without_codes
from domain.facts.base import Fact
from domain.facts.registry import FACTS
from eventlog.sealing import dataschema
from leadfold.schemas.events import file_name
from leadfold.settings import Log

_STAMP = {"type": "string", "format": "date-time"}

HEADERS: dict[str, Any] = {
    "type": "object",
    "description": "CloudEvents 1.0, Kafka binding, binary mode.",
    "properties": {
        "content-type": {"const": "application/json"},
        "ce_specversion": {"const": "1.0"},
        "ce_id": {
            "type": "string",
            "format": "uuid",
            "description": "deterministic; records with one id are one event",
        },
        "ce_type": {"type": "string"},
        "ce_source": {"type": "string", "description": "/provider/name"},
        "ce_time": {**_STAMP, "description": "when it happened, by the source's clock"},
        "ce_received": {**_STAMP, "description": "when Leadfold got it"},
        "ce_timebasis": {"enum": ["source", "received"], "description": "received: the source gave no time"},
        "ce_dataschema": {"type": "string", "description": "schema of the value, with its version"},
        "ce_partitionkey": {"type": "string", "description": "keyed hash, no personal data"},
        "ce_revision": {
            "type": "string",
            "pattern": "^[0-9]+$",
            "description": "of one id the highest one counts",
        },
        "ce_subject": {"type": "string"},
    },
    "required": [
        "ce_specversion",
        "ce_id",
        "ce_type",
        "ce_source",
        "ce_time",
        "ce_received",
        "ce_dataschema",
        "ce_partitionkey",
        "ce_revision",
    ],
}


def build() -> dict[str, Any]:
    """The document."""
    defaults = Log()
    names = {type_: _message_name(type_, model) for type_, model in sorted(FACTS.items())}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Leadfold events",
            "version": "1.0.0",
            "description": "Immutable facts from webhooks. Order across keys is never relied on; readers drop doubles by "
            "ce_id (the highest ce_revision counts) and ignore unknown fields.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "kafka": {
                "host": defaults.bootstrap,
                "protocol": "kafka",
                "description": "[log] bootstrap of leadfold.toml",
            }
        },
        "channels": {
            "events": {
                "address": defaults.topic,
                "title": "All events",
                "servers": [{"$ref": "#/servers/kafka"}],
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names.values()},
                "bindings": {
                    "kafka": {
                        "bindingVersion": "0.5.0",
                        "topic": defaults.topic,
                        "partitions": defaults.partitions,
                        "replicas": defaults.replication,
                        "topicConfiguration": {
                            "cleanup.policy": ["delete"],
                            "retention.ms": -1,
                            "retention.bytes": -1,
                        },
                    }
                },
            }
        },
        "operations": {
            "readEvents": {
                "action": "send",
                "summary": "Leadfold writes every fact here; read it with a consumer group of your own.",
                "channel": {"$ref": "#/channels/events"},
            }
        },
        "components": {
            "messages": {name: _message(type_, FACTS[type_]) for type_, name in names.items()},
            "schemas": {"headers": HEADERS},
        },
    }


def _message_name(type_: str, model: type[Fact]) -> str:
    return f"{type_.replace('.', '_')}_v{model.VERSION}"


def _message(type_: str, model: type[Fact]) -> dict[str, Any]:
    return {
        "name": type_,
        "title": model.__name__,
        "summary": without_codes(" ".join((model.__doc__ or "").split("\n\n", 1)[0].split())),
        "contentType": "application/json",
        "headers": {"$ref": "#/components/schemas/headers"},
        "payload": {
            "schemaFormat": "application/schema+json;version=draft-2020-12",
            "schema": {"$ref": f"./events/{file_name(type_, model.VERSION)}"},
        },
        "bindings": {
            "kafka": {
                "bindingVersion": "0.5.0",
                "key": {
                    "type": "string",
                    "pattern": "^[0-9a-f]{32}$",
                    "description": "the same as ce_partitionkey",
                },
            }
        },
        "x-dataschema": dataschema(type_, model.VERSION),
    }
