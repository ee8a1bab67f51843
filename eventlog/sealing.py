"""The one place where events become stored bytes and stored bytes become events.

Today sealing is the identity: JSON in clear. Encrypting ``fact`` and ``evidence`` per client changes this module
only. The layout is the CloudEvents 1.0 Kafka binding in binary mode: ``ce_*`` headers, a JSON value with
``fact``, ``refs`` and ``evidence``; the same bytes in both engines.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple
from uuid import UUID

import orjson
from pydantic import ValidationError

from domain.event import Event, Evidence, EvidencePointer
from domain.facts.registry import UnknownFact, read_fact
from domain.identity import read_id
from eventlog.contract import Headers, Record

CONTENT_TYPE: Final = b"application/json"


@dataclass(frozen=True, slots=True)
class Undecodable:
    """A record that today's code cannot read: a value, not an exception, so that one of them stops nothing.

    ``reason`` holds no data of the record.
    """

    reason: str
    event_id: str | None


class Label(NamedTuple):
    """What stands outside of the sealed part: enough to choose records by. Empty where a record lacks it.

    ``time`` is ISO-8601 in UTC, as stored.
    """

    id: str
    type: str
    source: str
    time: str

    @property
    def source_name(self) -> str:
        """The configured name of the source: the last part of its path."""
        return self.source.rpartition("/")[2]


def label(record: Record) -> Label:
    """What a record is, without opening it. Never raises."""
    headers = dict(record.headers)
    return Label(*(headers.get(f"ce_{name}", b"").decode("utf-8", "replace") for name in Label._fields))


def dataschema(type_: str, version: int) -> str:
    """URI of the JSON Schema of an event's value."""
    return f"urn:leadfold:schema:{type_}:v{version}"


def seal(event: Event) -> Record:
    """Turn an event into the record that is stored."""
    key = event.partitionkey.encode()
    received = _stamp(event.received)
    type_, source, schema, revision, basis = _constant(
        event.type, event.version, event.source, event.revision, event.time_basis
    )
    headers: Headers = (
        ("content-type", CONTENT_TYPE),
        ("ce_specversion", b"1.0"),
        ("ce_id", orjson.dumps(event.id)[1:-1]),
        type_,
        source,
        ("ce_time", received if event.time is event.received else _stamp(event.time)),
        schema,
        ("ce_partitionkey", key),
        ("ce_received", received),
        revision,
        basis,
    )
    if event.subject:
        headers += (("ce_subject", event.subject.encode()),)
    value: dict[str, Any] = {
        # What `model_dump_json` gives, without its way over a text.
        "fact": orjson.Fragment(event.data.__pydantic_serializer__.to_json(event.data, exclude_none=True)),
        "refs": event.refs,
    }
    if isinstance(event.evidence, Evidence):
        value["evidence"] = _evidence_out(event.evidence)
    elif event.evidence is not None:
        value["evidence"] = {
            "delivery_id": event.evidence.delivery_id,
            "event_id": event.evidence.event_id,
        }
    return Record(key, orjson.dumps(value), headers)


def unseal(record: Record, *, with_evidence: bool = True, pointed: bool = False) -> Event | Undecodable:
    """Turn a stored record back into an event, lifted to today's version; Undecodable when it can't be read.

    With ``pointed`` an event that carries its evidence only points to it, which is to itself.
    """
    headers = dict(record.headers)
    ident = headers.get("ce_id", b"").decode("utf-8", "replace") or None
    try:
        type_, version = _schema_of(headers["ce_dataschema"])
        value = orjson.loads(record.value)
        evidence = value.get("evidence") if with_evidence else None
        event_id = read_id(ident or "")
        time, received = headers["ce_time"], headers["ce_received"]
        known = _moment(received)
        return Event(
            id=event_id,
            type=type_,
            version=version,
            source=_word(headers["ce_source"]),
            time=known if time == received else _moment(time),
            received=known,
            revision=int(headers.get("ce_revision", b"1")),
            subject=headers["ce_subject"].decode() if "ce_subject" in headers else None,
            partitionkey=headers.get("ce_partitionkey", record.key).decode(),
            data=read_fact(type_, version, value["fact"]),
            refs=tuple(map(str, value["refs"])),
            evidence=_evidence_in(evidence, event_id if pointed else None) if evidence else None,
            time_basis="received" if headers.get("ce_timebasis") == b"received" else "source",
        )
    except ValidationError as error:
        fields = sorted({".".join(str(p) for p in e["loc"]) + " " + e["type"] for e in error.errors()})
        return Undecodable(f"fact does not fit its schema: {', '.join(fields[:5])}", ident)
    except UnknownFact as error:
        return Undecodable(str(error), ident)
    except KeyError as error:
        return Undecodable(f"record lacks {error.args[0]!r}", ident)
    except (ValueError, TypeError, AttributeError, LookupError) as error:
        return Undecodable(f"record is malformed ({type(error).__name__})", ident)


@lru_cache(maxsize=1024)
def _constant(type_: str, version: int, source: str, revision: int, basis: str) -> Headers:
    """The headers that all events of a type and source have alike."""
    return (
        ("ce_type", type_.encode()),
        ("ce_source", source.encode()),
        ("ce_dataschema", dataschema(type_, version).encode()),
        ("ce_revision", b"%d" % revision),
        ("ce_timebasis", basis.encode()),
    )


@lru_cache(maxsize=1024)
def _schema_of(raw: bytes) -> tuple[str, int]:
    """Type and version of the URI of a schema. Raises ValueError."""
    _, _, type_, version = raw.decode().rsplit(":", 3)
    return type_, int(version[1:])


@lru_cache(maxsize=1024)
def _word(raw: bytes) -> str:
    """A word that many records share."""
    return raw.decode()


def _stamp(moment: datetime) -> bytes:
    if moment.tzinfo is UTC:
        told = orjson.dumps(moment, option=orjson.OPT_UTC_Z)[1:-1]
        return (
            told if moment.microsecond else told[:-1] + b".000000Z"
        )  # orjson leaves no fraction out but this
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat(timespec="microseconds")[:-6].encode() + b"Z"  # "+00:00" is its end


def _moment(raw: bytes) -> datetime:
    moment = datetime.fromisoformat(raw.decode())
    return moment if moment.tzinfo is UTC else moment.astimezone(UTC)


def _evidence_out(evidence: Evidence) -> dict[str, Any]:
    out: dict[str, Any] = {
        "delivery_id": evidence.delivery_id,
        "method": evidence.method,
        "path": evidence.path,
        "query": evidence.query,
        "headers": evidence.headers,
        "adapter": evidence.adapter,
    }
    try:
        out["body"] = evidence.body.decode("utf-8")
    except UnicodeDecodeError:
        out["body_base64"] = base64.b64encode(evidence.body).decode()
    return out


def _evidence_in(value: dict[str, Any], carrier: UUID | None) -> Evidence | EvidencePointer:
    pointed = read_id(value["event_id"]) if "event_id" in value else carrier
    if pointed is not None:
        return EvidencePointer(read_id(value["delivery_id"]), pointed)
    raw = base64.b64decode(value["body_base64"]) if "body_base64" in value else value["body"].encode()
    return Evidence(
        delivery_id=read_id(value["delivery_id"]),
        method=value["method"],
        path=value["path"],
        query=value["query"],
        headers=tuple((str(n), str(v)) for n, v in value["headers"]),
        body=raw,
        adapter=value["adapter"],
    )
