"""A history through the real adapters and the real fold, without HTTP, log and database: what the rows must be."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime
from pathlib import Path

from domain.directory import Directory
from domain.event import Event
from domain.fold import fold_group
from domain.identity import event_id
from domain.refs import bare
from domain.rows import InquiryRow, Row
from ingest.adapters.registry import adapters
from ingest.delivery import Delivery
from ingest.translate import translate
from leadfold.config_file import load
from leadfold.config_sync import items
from leadfold.demo.installation import write
from leadfold.demo.sent import Sent
from leadfold.settings import Settings
from leadfold.source_settings import source_config, source_infos

KEY = b"k" * 32
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


class Offline:
    """Leadfold without its servers, for deliveries of the demo's sources."""

    def __init__(self, folder: Path, handover: date) -> None:
        self.settings: Settings = load(write(folder, handover)).settings
        self._sources = {s.name: source_config(s, self.settings) for s in self.settings.sources}
        facts = [
            Event(
                id=event_id("/config/test", *key),
                type=fact.TYPE,
                version=fact.VERSION,
                source="/config/test",
                time=LONG_AGO,
                received=LONG_AGO,
                revision=1,
                subject=None,
                partitionkey="",
                data=fact,
                refs=(),
                evidence=None,
            )
            for key, fact in items(self.settings).items()
        ]
        self.directory = Directory.build(
            facts, timezone=self.settings.company.timezone, sources=source_infos(self.settings)
        )

    def events(self, sent: Sent) -> list[Event]:
        """The events of one delivery; it must be readable."""
        source = self._sources[sent.source]
        native = source.provider == "native"
        headers = {name.lower(): value for name, value in sent.headers}
        if native:
            headers["authorization"] = f"Bearer {source.secret}"
        delivery = Delivery(
            method=sent.method,
            path="/v1/events" if native else source.url_path,
            query=sent.query,
            headers=headers,
            body=sent.body,
            received=sent.at,
            source=source,
        )
        adapter = adapters()[source.provider]
        assert adapter.authenticate(delivery)
        translated = translate(delivery, adapter, KEY)
        assert translated.unreadable is None, (sent, translated.unreadable)
        assert translated.answer.status == 200
        assert translated.probe == sent.kind.endswith("probe")
        return translated.events

    def rows(self, deliveries: Iterable[Sent]) -> dict[str, list[Row]]:
        """The read models of all deliveries, each group of clients folded once."""
        tables: defaultdict[str, list[Row]] = defaultdict(list)
        for group in groups(e for sent in deliveries for e in self.events(sent)):
            for table, rows in fold_group(group, self.directory).items():
                tables[table].extend(rows)
        return tables

    def inquiries(self, deliveries: Iterable[Sent]) -> list[InquiryRow]:
        """Rows of the table ``inquiry``."""
        return [row for row in self.rows(deliveries)["inquiry"] if isinstance(row, InquiryRow)]


def groups(events: Iterable[Event]) -> list[list[Event]]:
    """Connected components over bare refs; facts without refs belong to none."""
    above: dict[str, str] = {}

    def top(node: str) -> str:
        while above.setdefault(node, node) != node:
            above[node] = above[above[node]]
            node = above[node]
        return node

    facts = [e for e in events if e.refs]
    for event in facts:
        for ref in event.refs:
            above[top(bare(ref))] = top(bare(event.refs[0]))
    found: defaultdict[str, list[Event]] = defaultdict(list)
    for event in facts:
        found[top(bare(event.refs[0]))].append(event)
    return list(found.values())
