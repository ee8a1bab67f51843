"""From a delivery to records: adapter, envelope, evidence, seal. Whatever goes wrong, the delivery becomes a record."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

import orjson
import structlog
from pydantic import ValidationError

from domain.event import Event, Evidence
from domain.facts.company import DeliveryUnreadable
from domain.identity import name_id
from domain.said import Said, make_events
from domain.value import value
from eventlog.contract import MAX_RECORD_BYTES, Record, record_bytes
from eventlog.sealing import seal, unseal
from ingest import redaction
from ingest.adapters.contract import Adapter, Answer, Translation
from ingest.adapters.registry import adapters
from ingest.decoding import clean_text
from ingest.delivery import Delivery
from ingest.journal import trace_of
from ingest.limits import DEFAULT_LIMITS, Limits, Unreadable
from ingest.reading import REPEAT_WINDOW
from ingest.sources import SourceBook, SourceConfig

log = structlog.get_logger(__name__)

#: Longest part of a body that goes into the evidence of a record that would otherwise be too large for the log.
_CUT: Final = 128 * 1024
#: With a value of so many bytes no record is too large: ids, types and names of sources are short.
_SURELY: Final = MAX_RECORD_BYTES // 2


@value
class Translated:
    """What became of a delivery. ``unreadable`` is the reason when no fact could be read; a probe has no events."""

    events: list[Event]
    answer: Answer
    probe: bool = False
    unreadable: str | None = None

    @property
    def outcome(self) -> str | None:
        """``unused`` where nothing was expected to be read, ``unreadable`` where something was; None with facts."""
        if self.unreadable is None:
            return None
        return "unused" if self.unreadable.startswith(DeliveryUnreadable.UNUSED) else "unreadable"


def translate(delivery: Delivery, adapter: Adapter, key_secret: bytes) -> Translated:
    """Translate an authenticated delivery. Never raises, depends on nothing but its arguments."""
    evidence = evidence_of(delivery, adapter)
    try:
        told = adapter.translate(_without_secrets(delivery, evidence))
        if told.probe:
            return Translated([], told.answer, probe=True)
        if told.said:
            return Translated(_events(told.said, delivery, adapter, evidence, key_secret), told.answer)
        reason = told.kept or "nothing was read"
    except Exception as error:  # noqa: BLE001 - adapters meet what nobody foresaw; nothing received may be lost
        if not isinstance(error, Unreadable | ValidationError):
            log.error(
                "ingest.adapter_failed",
                source=delivery.source.name,
                error=type(error).__name__,
                trace=trace_of(error),
            )
        told = Translation([], adapter.OK)
        reason = why(error)
    return Translated(
        [_unreadable(delivery, adapter, evidence, reason, key_secret)], told.answer, unreadable=reason
    )


def records_of(
    translated: Translated, delivery: Delivery, adapter: Adapter, key_secret: bytes
) -> tuple[list[Record], Translated]:
    """Seal the events. What cannot be sealed, or is too large for the log, becomes an unreadable delivery."""
    try:
        records = [seal(event) for event in translated.events]
        if any(redaction.stands_in(record.value, delivery.source) for record in records):
            records, translated = _without_odd_spellings(translated, delivery.source)
    except Exception as error:  # noqa: BLE001 - as above
        log.error(
            "ingest.not_sealed",
            source=delivery.source.name,
            error=type(error).__name__,
            trace=trace_of(error),
        )
        return cut_records(translated, delivery, adapter, key_secret, why(error))
    if all(len(r.value) <= _SURELY or record_bytes(r) <= MAX_RECORD_BYTES for r in records):
        return records, translated
    return cut_records(translated, delivery, adapter, key_secret)


def _without_odd_spellings(translated: Translated, source: SourceConfig) -> tuple[list[Record], Translated]:
    """A key in a spelling that redaction does not seek, because only decoding shows it: out of facts and evidence."""
    records = []
    for event in translated.events:
        evidence = event.evidence
        if isinstance(evidence, Evidence):
            query = redaction.odd_spellings(evidence.query.encode(), source).decode()
            body = redaction.odd_spellings(evidence.body, source)
            event = replace(event, evidence=replace(evidence, query=query, body=body))  # noqa: PLW2901
        record = seal(event)
        records.append(record._replace(value=redaction.from_sealed(record.value, source)))
    events = [event for event in map(unseal, records) if isinstance(event, Event)]
    return records, replace(translated, events=events)


def head_only(delivery: Delivery, adapter: Adapter, key_secret: bytes, answer: Answer) -> Translated:
    """An authenticated delivery that is too large to be taken, answered so all the same; its body is only the head of it."""
    reason = (
        f"the body is larger than [ingest] max_body_bytes: only its first {len(delivery.body)} bytes are kept"
    )
    event = _unreadable(delivery, adapter, evidence_of(delivery, adapter), reason, key_secret)
    return Translated([event], answer, unreadable=reason)


def cut_records(
    translated: Translated,
    delivery: Delivery,
    adapter: Adapter,
    key_secret: bytes,
    reason: str = "too large for the log: the evidence is cut",
) -> tuple[list[Record], Translated]:
    """The last resort: the delivery as unreadable, with as much of its body as every log takes."""
    whole = evidence_of(delivery, adapter)
    event = _unreadable(delivery, adapter, replace(whole, body=whole.body[:_CUT]), reason, key_secret)
    return [seal(event)], Translated([event], translated.answer, unreadable=reason)


def retranslate(
    event: Event,
    *,
    book: SourceBook,
    key_secret: bytes,
    evidence: Evidence | None = None,
    limits: Limits = DEFAULT_LIMITS,
    known: Mapping[str, Adapter] | None = None,
    read_as: SourceConfig | None = None,
) -> list[Event]:
    """Translate the delivery of an unreadable event once more, after a fix of its adapter or of the configuration.

    Args:
        event: a ``delivery.unreadable``, or any fact whose delivery is to be read again.
        book: the sources as configured today.
        key_secret: as in `translate`.
        evidence: the delivery; needed when ``event`` only points to it (`EvidencePointer`).
        limits: today's limits.
        known: adapters by provider, today's by default.
        read_as: an unreadable delivery came to the wrong address: it is this source's. By default it is that of the
            source with its name, whose provider may be another one by now.

    Returns:
        The facts, with the ids they would have had; then the unreadable event once more, with a higher revision and a
        reason that begins with ``DeliveryUnreadable.MENDED``, so that it no longer counts. Empty when
        the delivery still says nothing.

    Raises:
        LookupError: the source or its provider is no longer configured, or the evidence is missing.
    """
    delivered = evidence or (event.evidence if isinstance(event.evidence, Evidence) else None)
    if delivered is None:
        raise LookupError(
            f"event {event.id} only points to its delivery: give the evidence of the event it points to"
        )
    source = book.by_path(event.source)
    if isinstance(event.data, DeliveryUnreadable):
        source = read_as or book.get(event.source.rpartition("/")[2])
    if source is None:
        raise LookupError(f"there is no source {event.source} in the configuration any more")
    adapter = (known or adapters()).get(source.provider)
    if adapter is None:
        raise LookupError(f"there is no adapter for the provider {source.provider!r}")
    delivery = Delivery(
        method=delivered.method,
        path=delivered.path,
        query=delivered.query,
        headers=dict(delivered.headers),
        body=delivered.body,
        received=event.received,
        source=source,
        limits=limits,
    )
    again = translate(delivery, adapter, key_secret)
    if not isinstance(event.data, DeliveryUnreadable):
        return again.events
    facts = [e for e in again.events if not isinstance(e.data, DeliveryUnreadable)]
    if not facts or any(e.id == event.id for e in again.events):
        return []
    reason = f"{DeliveryUnreadable.MENDED} {len(facts)} facts by {adapter.provider}@{adapter.REVISION}"
    mended = replace(
        event,
        revision=max(adapter.REVISION, event.revision + 1),
        data=event.data.model_copy(update={"reason": reason}),
        evidence=None,
    )
    return [*again.events, mended]


def evidence_of(delivery: Delivery, adapter: Adapter) -> Evidence:
    """The delivery without its secrets. Its id tells one delivery from another, also from its own repeats."""
    source = delivery.source
    path = redaction.path(delivery.path, source)
    query = redaction.query(delivery)
    body = redaction.body(delivery)
    stamp = f"{source.path} {_iso(delivery.received)} {delivery.method} {query} "
    digest = hashlib.sha256(stamp.encode("utf-8", "replace") + body).hexdigest()
    return Evidence(
        name_id(f"delivery {digest}"),
        delivery.method,
        path,
        clean_text(query),
        redaction.headers(delivery.headers, source) if delivery.shown is None else delivery.shown,
        body,
        _by(adapter.provider, adapter.REVISION),
    )


def _iso(moment: datetime) -> str:
    """``moment.isoformat()``, four times as fast for UTC."""
    return orjson.dumps(moment)[1:-1].decode() if moment.tzinfo is UTC else moment.isoformat()


@lru_cache(maxsize=256)
def _by(provider: str, revision: int) -> str:
    return f"{provider}@{revision}"


def _without_secrets(delivery: Delivery, evidence: Evidence) -> Delivery:
    """The delivery as its evidence tells it: a key in an odd place must not get into a fact either."""
    page = delivery.header("referer")
    if (
        evidence.body == delivery.body
        and evidence.query == delivery.query
        and (not page or page in (value for _, value in evidence.headers))
    ):
        return delivery
    headers = {**delivery.headers, **dict(evidence.headers)}
    return replace(delivery, query=evidence.query, body=evidence.body, headers=headers)


def why(error: Exception) -> str:
    """A reason for people, without any data of the delivery."""
    if isinstance(error, Unreadable):
        return str(error)[:300]
    if isinstance(error, ValidationError):
        fields = sorted({str(e["loc"][0]) if e["loc"] else "fact" for e in error.errors(include_input=False)})
        return f"{error.title}: {', '.join(fields)[:200]} does not fit"
    return f"the adapter failed: {type(error).__name__}"


def event_ids(translated: Translated) -> list[str]:
    """Ids of the events, for logs."""
    return [str(event.id) for event in translated.events]


def _events(
    said: list[Said], delivery: Delivery, adapter: Adapter, evidence: Evidence, key_secret: bytes
) -> list[Event]:
    return make_events(
        said,
        source=delivery.source.path,
        received=delivery.received,
        revision=adapter.REVISION,
        evidence=evidence,
        key_secret=key_secret,
    )


def _unreadable(
    delivery: Delivery, adapter: Adapter, evidence: Evidence, reason: str, key_secret: bytes
) -> Event:
    """The delivery as a fact; the same delivery repeated within ten minutes is the same fact."""
    said = unreadable_said(delivery.source, reason, len(delivery.body), delivery_identity(delivery, evidence))
    return _events([said], delivery, adapter, evidence, key_secret)[0]


def unreadable_said(source: SourceConfig, reason: str, size: int, *native: str) -> Said:
    """``delivery.unreadable``: for a delivery, or for one item of a batch."""
    return Said(
        DeliveryUnreadable(provider=source.provider, reason=clean_text(reason)[:500], size=size), native, None
    )


def delivery_identity(delivery: Delivery, evidence: Evidence) -> str:
    """What was sent (without secrets), and in which ten minutes."""
    head = f"{delivery.method} {evidence.path} {evidence.query} ".encode("utf-8", "replace")
    window = int(delivery.received.timestamp() // REPEAT_WINDOW.total_seconds())
    return f"{hashlib.sha256(head + evidence.body).hexdigest()}-{window}"


__all__ = [
    "SourceConfig",
    "Translated",
    "event_ids",
    "evidence_of",
    "head_only",
    "records_of",
    "retranslate",
    "translate",
    "unreadable_said",
    "why",
]
