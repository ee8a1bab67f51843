"""Jivo: one JSON object by POST; the kind is ``event_name``. No event time in the envelope."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

import orjson

from leadfold.demo.company import Operator
from leadfold.demo.sent import JIVO, JIVO_EKB, JSON, Sent

OFFLINE_MS: Final = 123
_WIDGET: Final = {JIVO: "111", JIVO_EKB: "112"}
_CITY: Final = {"msk": "Москва", "ekb": "Екатеринбург"}


@dataclass(slots=True)
class Chat:
    """One dialogue of a visitor. ``phone`` is what the visitor typed, once he did."""

    id: int
    visitor: int
    office: str
    page: str
    utm: dict[str, str] = field(default_factory=dict)
    chats_count: int = 1
    name: str | None = None
    phone: str | None = None
    email: str | None = None

    @property
    def source(self) -> str:
        """Each office's site has a channel of its own."""
        return JIVO if self.office == "msk" else JIVO_EKB

    def _send(self, at: datetime, name: str, more: dict[str, Any]) -> Sent:
        visitor: dict[str, Any] = {"number": str(self.visitor), "chats_count": self.chats_count}
        for key in ("name", "phone", "email"):
            if getattr(self, key):
                visitor[key] = getattr(self, key)
        body = {
            "event_name": name,
            "widget_id": _WIDGET[self.source],
            "chat_id": self.id,
            "visitor": visitor,
            "session": {
                "geoip": {"city": _CITY[self.office]},
                "utm": "|".join(f"{k}={v}" for k, v in self.utm.items()) or None,
                **({"utm_json": self.utm} if self.utm else {}),
            },
            "page": {"url": self.page},
            **more,
        }
        return Sent(
            at=at,
            source=self.source,
            kind=f"jivo.{name}",
            group=f"chat:{self.id}",
            headers=JSON,
            body=orjson.dumps(body),
        )

    def accepted(self, at: datetime, agent: Operator) -> Sent:
        """An agent took the dialogue."""
        return self._send(at, "chat_accepted", {"agent": _agent(agent)})

    def updated(self, at: datetime, agent: Operator) -> Sent:
        """The visitor gave his contacts (set them before)."""
        return self._send(at, "chat_updated", {"agent": _agent(agent)})

    def finished(
        self, at: datetime, agents: list[Operator], lines: list[tuple[datetime, str, Operator | None]]
    ) -> Sent:
        """The dialogue is over; ``lines`` are (moment, text, agent or None for the visitor)."""
        messages = [
            {
                "message": text,
                "timestamp": int(moment.timestamp()),
                "type": "agent" if who else "visitor",
                **({"agent_id": int(who.jivo)} if who else {}),
            }
            for moment, text, who in lines
        ]
        return self._send(
            at,
            "chat_finished",
            {
                "agents": [_agent(a) for a in agents],
                "chat": {"messages": messages, "blacklisted": False, "rate": None},
                "plain_messages": "",
                "html_messages": "",
            },
        )

    def offline(self, at: datetime, text: str) -> Sent:
        """A message left when nobody was online."""
        return self._send(
            at,
            "offline_message",
            {"message": text, "offline_message_id": int(at.timestamp()) * 1000 + OFFLINE_MS},
        )

    def call(
        self,
        at: datetime,
        status: Literal["start", "agent_connected", "client_connected", "end", "error"],
        phone: str,
        agent: Operator | None = None,
        *,
        record: str | None = None,
        reason: str | None = None,
    ) -> Sent:
        """A status of a callback through the widget."""
        call = {"type": "callback", "phone": phone, "status": status}
        if record:
            call["record_url"] = record
        if reason:
            call["reason"] = reason
        return self._send(at, "call_event", {"call": call, **({"agent": _agent(agent)} if agent else {})})


def _agent(agent: Operator) -> dict[str, str]:
    return {"id": agent.jivo, "name": agent.name, "email": agent.login}
