"""What happened to one client, told as its providers tell it: each event carries a delivery that looks like theirs."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from domain.event import Event, Evidence
from domain.facts.base import Fact
from domain.said import Said, make_events

_SECRET = b"sample"


@dataclass
class Told:
    """The events of one client, from the moment ``at`` on. ``key`` tells him from others."""

    r: random.Random
    at: datetime
    events: list[Event] = field(default_factory=list)
    key: str = ""
    phone: str = ""
    name: str = ""

    def _sipuni(self, after: timedelta, fact: Fact, event: str) -> None:
        query = urlencode({
            "event": event, "call_id": getattr(fact, "call_id", ""), "src_num": self.phone, "src_type": "1",
            "dst_num": getattr(fact, "line", ""), "timestamp": int((self.at + after).timestamp()), "token": "***",
        })  # fmt: skip
        self._deliver("/sipuni/main", after, fact, "GET", b"", "", query)

    def _jivo(self, after: timedelta, name: str, fact: Fact) -> None:
        body = {
            "event_name": name,
            "chat_id": self.key[:8],
            "visitor": {"name": self.name, "phone": self.phone},
        }
        self._post("/jivo/chat", after, fact, body)

    def _crm(self, after: timedelta, fact: Fact) -> None:
        at = self.at + after
        body = {
            "type": fact.TYPE,
            "time": at.isoformat(),
            "data": json.loads(fact.model_dump_json(exclude_none=True)),
        }
        self._post("/native/crm", after, fact, body)

    def _post(self, source: str, after: timedelta, fact: Fact, body: dict[str, Any]) -> None:
        raw = json.dumps(body, ensure_ascii=False).encode()
        self._deliver(source, after, fact, "POST", raw, "application/json", "")

    def _deliver(
        self, source: str, after: timedelta, fact: Fact, method: str, body: bytes, kind: str, query: str
    ) -> None:
        at = self.at + after
        path = f"/in{source}/***" if method == "GET" or kind != "application/json" else "/v1/events"
        headers = (
            (("content-type", kind), ("user-agent", "sample/1.0"))
            if kind
            else (("user-agent", "sample/1.0"),)
        )
        evidence = Evidence(
            UUID(int=self.r.getrandbits(128)), method, path, query, headers, body, f"{source.split('/')[1]}@1"
        )
        native = (fact.TYPE, self.key, str(len(self.events)))
        self.events += make_events(
            [Said(fact, native, at)],
            source=source,
            received=at + timedelta(seconds=2),
            revision=1,
            evidence=evidence,
            key_secret=_SECRET,
        )
