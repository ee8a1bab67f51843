"""Events as JSON for people and scripts: decoded, with their evidence."""

from __future__ import annotations

import base64
import json
from typing import Any

from domain.event import Event, Evidence
from eventlog.contract import StoredRecord
from eventlog.sealing import Undecodable, unseal


def as_json(stored: StoredRecord, *, evidence: bool = True) -> dict[str, Any]:
    """A stored record, decoded. What cannot be decoded says why."""
    shown: dict[str, Any] = {
        "partition": stored.partition,
        "offset": stored.offset,
        "stored_at": stored.stored_at,
    }
    event = unseal(stored.record, with_evidence=evidence)
    if isinstance(event, Undecodable):
        return shown | {"id": event.event_id, "undecodable": event.reason}
    return shown | event_json(event, evidence=evidence)


def event_json(event: Event, *, evidence: bool = True) -> dict[str, Any]:
    """An event."""
    shown: dict[str, Any] = {
        "id": event.id,
        "type": event.type,
        "version": event.version,
        "source": event.source,
        "time": event.time,
        "time_basis": event.time_basis,
        "received": event.received,
        "revision": event.revision,
        "subject": event.subject,
        "refs": list(event.refs),
        "data": event.data.model_dump(mode="json", exclude_none=True),
    }
    if evidence and event.evidence is not None:
        shown["evidence"] = (
            evidence_json(event.evidence)
            if isinstance(event.evidence, Evidence)
            else {"delivery_id": event.evidence.delivery_id, "carried_by": event.evidence.event_id}
        )
    return shown


def evidence_json(evidence: Evidence) -> dict[str, Any]:
    """A delivery; a JSON body is shown as such beside its text."""
    shown: dict[str, Any] = {
        "delivery_id": evidence.delivery_id,
        "adapter": evidence.adapter,
        "method": evidence.method,
        "path": evidence.path,
        "query": evidence.query,
        "headers": [list(h) for h in evidence.headers],
    }
    try:
        shown["body"] = evidence.body.decode("utf-8")
    except UnicodeDecodeError:
        return shown | {"body_base64": base64.b64encode(evidence.body).decode()}
    try:
        shown["body_json"] = json.loads(shown["body"])
    except ValueError:
        return shown
    return shown
