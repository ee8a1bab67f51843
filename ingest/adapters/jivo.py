"""Jivo: chats, offline messages, client cards and calls of one channel (widget).

The envelope has neither time nor delivery id: moments come from the messages' own timestamps and from 13-digit offline
ids, else the time of receipt stands in. Any object may be null or missing. The answer never carries ``contact_info``:
Jivo would save it as if the visitor had typed it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, ClassVar, Final, Literal, TypedDict

from domain.facts.calls import CallAnswered, CallEnded, CallLegRang, CallStarted, Direction, RecordingStored
from domain.facts.company import DeliveryUnreadable
from domain.facts.sites import (
    CallbackRequested,
    ChatAnswered,
    ChatFinished,
    ChatMessage,
    ChatStarted,
    ContactCaptured,
    OfflineMessageLeft,
)
from domain.said import Said
from ingest import foreign, reading
from ingest.adapters.contract import RESULT_OK, Adapter, Answer, Translation
from ingest.attribution import utm_in_url, utm_of, utm_pairs
from ingest.delivery import Delivery
from ingest.limits import Unreadable
from ingest.reading import items, key, mapping, text

_DIRECTION: Final[dict[str, Direction]] = {"callback": "out", "outgoing": "out", "incoming": "in"}
_CYRILLIC_ES: Final = str.maketrans(
    "сСеЕоО", "cCeEoO"
)  # some names in Jivo's documents hold a Cyrillic letter


class Visit(TypedDict):
    """Where the visitor is and came from."""

    page: str | None
    utm: dict[str, str]


class Person(TypedDict):
    """Who writes, as far as he said."""

    visitor_id: str | None
    name: str | None
    phone: str | None
    phone_raw: str | None
    email: str | None


class Jivo(Adapter):
    """Authentication: the secret path; Jivo signs nothing."""

    provider: ClassVar[str] = "jivo"
    REVISION: ClassVar[int] = 3  # a bot is neither visitor nor agent; calls name their agents
    OK: ClassVar[Answer] = RESULT_OK

    def translate(self, delivery: Delivery) -> Translation:
        """Facts of one message. Kinds that are not used (attributes, cards of Jivo's CRM …) are kept."""
        body = delivery.value
        if not isinstance(body, dict):
            return Translation([], RESULT_OK, kept="the body is not an object")
        if not body:
            said = delivery.query_fields if delivery.query else {}
            other = foreign.reason(said) or ("there is no body" if foreign.may_tell(said) else None)
            return Translation([], RESULT_OK, probe=other is None, kept=other)
        name = (text(body.get("event_name")) or "").translate(_CYRILLIC_ES)
        if not name:
            return Translation([], RESULT_OK, kept=foreign.reason(body, "Jivo") or "event_name is missing")
        message = _Message(body, delivery)
        kinds: dict[str, Callable[[], list[Said]]] = {
            "chat_accepted": message.accepted,
            "chat_updated": message.contact,
            "chat_assigned": message.contact,
            "chat_finished": message.finished,
            "offline_message": message.offline,
            "client_updated": message.contact,
            "call_event": message.call,
        }
        if name not in kinds:
            return Translation(
                [],
                RESULT_OK,
                kept=f"{DeliveryUnreadable.UNUSED} a kind of event that says nothing about inquiries",
            )
        return Translation(
            kinds[name](), RESULT_OK, kept=f"{DeliveryUnreadable.UNUSED} nothing is said that is used"
        )


class _Message:
    """One message, read once."""

    def __init__(self, body: dict[str, Any], delivery: Delivery) -> None:
        self.body = body
        self.received = delivery.received
        self.source = delivery.source
        self.visitor = mapping(body.get("visitor"))
        self.chat_id = key(body.get("chat_id"))
        self.widget = text(body.get("widget_id"))
        self.agent = mapping(body.get("agent"))
        phone, raw = reading.known_phone(self.visitor.get("phone"), self.source)
        self.person: Person = {
            "visitor_id": text(self.visitor.get("number")) or text(body.get("client_id")),
            "name": text(self.visitor.get("name")),
            "phone": phone,
            "phone_raw": raw,
            "email": reading.email(self.visitor.get("email")),
        }

    # --- dialogues --------------------------------------------------------------------------------------------

    def accepted(self) -> list[Said]:
        """An agent took the dialogue: it began, and it was answered."""
        chat = self.need_chat()
        started = self.first_message()
        agent = text(self.agent.get("id"))
        begun = ChatStarted(chat_id=chat, widget=self.widget, **self.person, **self.visit())
        answered = ChatAnswered(
            chat_id=chat,
            widget=self.widget,
            **self.person,
            **self.visit(),
            agent_id=agent,
            agent_name=text(self.agent.get("name")),
            agent_email=reading.email(self.agent.get("email")),
        )
        return [
            Said(begun, (chat,), started, chat),
            Said(answered, (chat, agent or ""), None, chat),
            *self.captured(None),
        ]

    def finished(self) -> list[Said]:
        """The dialogue is over; a dialogue that came back is finished again, by another last message."""
        chat = self.need_chat()
        log = mapping(self.body.get("chat"))
        lines = [line for line in map(mapping, items(log.get("messages"))) if line]
        stamps = [reading.unix_seconds(line.get("timestamp")) for line in lines]
        messages = tuple(
            ChatMessage(at=at, by=by, agent_id=text(line.get("agent_id")))
            for line, at in zip(lines, stamps, strict=True)
            if (by := _who(line))
        )
        last = max((at for at in stamps if at), default=None)
        told = [mapping(a) for a in items(self.body.get("agents"))]
        agents = [text(a.get("id")) for a in told]
        done = ChatFinished(
            chat_id=chat,
            widget=self.widget,
            **self.person,
            **self.visit(),
            messages=messages,
            agents=tuple(dict.fromkeys(a for a in [*agents, text(self.agent.get("id"))] if a)),
            agent_names=_names(told),
            rating=text(log.get("rate")),
            blacklisted=log.get("blacklisted") is True,
        )
        identity = str(int(last.timestamp())) if last else f"{len(lines)}"
        return [Said(done, (chat, identity), last, chat), *self.captured(last)]

    def offline(self) -> list[Said]:
        """A message left while nobody was online: a dialogue of its own."""
        given = key(self.body.get("offline_message_id"))
        words = text(self.body.get("message"), reading.TEXT)
        ident = given or reading.windowed(self.received, self.chat_id, *self.person.values(), words)
        at = reading.unix_seconds(given) if given and given.isdigit() and len(given) == 13 else None
        left = OfflineMessageLeft(
            chat_id=self.chat_id or f"offline-{ident}"[: reading.KEY],
            widget=self.widget,
            **self.person,
            **self.visit(),
            message_id=ident,
            text=words,
        )
        return [Said(left, (ident,), at, left.chat_id), *self.captured(at)]

    def contact(self) -> list[Said]:
        """The card changed, in a dialogue or outside."""
        return self.captured(None, name_is_enough=True)

    def captured(self, at: datetime | None, *, name_is_enough: bool = False) -> list[Said]:
        """The visitor's phone or e-mail as a fact of its own; told again and again, it is one fact."""
        p = self.person
        if not (p["phone_raw"] or p["email"] or (name_is_enough and p["name"])):
            return []
        if not (p["visitor_id"] or self.chat_id or p["phone"] or p["email"]):
            return []
        fact = ContactCaptured(chat_id=self.chat_id, where="jivo", **p)
        said = reading.fingerprint(
            p["phone"] or p["phone_raw"], p["email"], p["name"] if name_is_enough else None
        )
        return [Said(fact, (p["visitor_id"] or "", self.chat_id or "", said[:32]), at, self.chat_id)]

    # --- calls ------------------------------------------------------------------------------------------------

    def call(self) -> list[Said]:
        """A call appeared or changed its status. In a callback our agent is connected first, then the client."""
        call = mapping(self.body.get("call"))
        kind, status = text(call.get("type")) or "", text(call.get("status")) or ""
        direction = _DIRECTION.get(kind)
        if direction is None:
            return []
        phone, raw = reading.known_phone(call.get("phone"), self.source)
        phone, raw = (phone, raw) if raw else (self.person["phone"], self.person["phone_raw"])
        ident = self.chat_id or reading.windowed(self.received, phone or raw, self.person["visitor_id"])
        call_id = f"{ident}-{kind}"
        agent = text(self.agent.get("id")) or text(call.get("agent_id"))
        facts = _CallFacts(
            data={
                "call_id": call_id,
                "direction": direction,
                "client_phone": phone,
                "client_phone_raw": raw,
                "hidden": direction == "in" and raw is None,
                "ext": agent,
                "ext_names": _names_of(self.agent) or None,
                "cabinet": self.widget,
                "callback_id": call_id if kind == "callback" else None,
            },
            received=self.received,
            record_url=text(call.get("record_url"), 2000),
        )
        said = facts.of(status)
        if kind == "callback":
            asked = CallbackRequested(
                callback_id=call_id,
                phone=phone,
                phone_raw=raw,
                name=self.person["name"],
                visitor_id=self.person["visitor_id"],
                **self.visit(),
            )
            said.insert(0, Said(asked, (call_id,), None, call_id))
        return said

    # --- what is read -----------------------------------------------------------------------------------------

    def need_chat(self) -> str:
        """The id of the dialogue.

        Raises:
            Unreadable: there is none.
        """
        if self.chat_id is None:
            raise Unreadable("chat_id is missing")
        return self.chat_id

    def visit(self) -> Visit:
        """Page and utm marks: ``utm_json``, then the text with bars, then the page's own address."""
        session, page = mapping(self.body.get("session")), mapping(self.body.get("page"))
        url = text(page.get("url"), 4000)
        marks: Mapping[str, str] = {
            **utm_in_url(url),
            **utm_pairs(text(session.get("utm"), 4000)),
            **utm_of(mapping(session.get("utm_json"))),
        }
        return {"page": url[: reading.NAME] if url else None, "utm": dict(marks)}

    def first_message(self) -> datetime | None:
        """The moment of the visitor's first message, where the log is told with the acceptance."""
        lines = map(mapping, items(mapping(self.body.get("chat")).get("messages")))
        stamps = [at for line in lines if (at := reading.unix_seconds(line.get("timestamp")))]
        return min(stamps, default=None)


def _who(line: Mapping[str, Any]) -> Literal["visitor", "agent"] | None:
    """Who wrote a line. A bot's greeting is neither the visitor's question nor an operator's reply."""
    kind = (text(line.get("type")) or "").lower()
    if kind == "agent" or (kind != "visitor" and text(line.get("agent_id"))):
        return "agent"
    return "visitor" if kind in ("", "visitor", "client") else None


def _names_of(agent: Mapping[str, Any]) -> tuple[str, ...]:
    """E-mail and name of an agent, as far as told."""
    return tuple(n for n in (reading.email(agent.get("email")), text(agent.get("name"))) if n)


def _names(agents: list[Mapping[str, Any]]) -> dict[str, tuple[str, ...]]:
    """E-mail and name of each agent by his id: who takes a dialogue over is told by its end alone."""
    found: dict[str, tuple[str, ...]] = {}
    for agent in agents:
        ident = text(agent.get("id"))
        names = _names_of(agent)
        if ident and names:
            found.setdefault(ident, names)
    return found


class _CallFacts:
    """The facts of one call message, by its status."""

    def __init__(self, data: dict[str, Any], received: datetime, record_url: str | None) -> None:
        self.data = data
        self.received = received
        self.record_url = (
            record_url if record_url and record_url.startswith(("http://", "https://")) else None
        )
        self.call_id: str = data["call_id"]

    def of(self, status: str) -> list[Said]:
        """An unknown status still says that the call exists."""
        leg = self.data["ext"] or "agent"
        said: list[Said] = []
        talking = "agent_connected" if self.data["direction"] == "in" else "client_connected"
        if status == talking:
            said = [self.say(CallAnswered(**self.data, leg_id=leg), leg)]
        elif status == "agent_connected":
            said = [self.say(CallLegRang(**self.data, leg_id=leg), leg)]
        elif status in ("end", "error"):
            return self.end(failed=status == "error")
        return [self.say(CallStarted(**self.data)), *said]

    def end(self, *, failed: bool) -> list[Said]:
        """The end; only a recording tells that somebody talked, else the phases before it do."""
        ended = CallEnded(
            **self.data,
            ended_at=self.received,
            cause="failed" if failed else "answered" if self.record_url else "unknown",
        )
        said = [self.say(ended, "error" if failed else "end", "recorded" if self.record_url else "")]
        if self.record_url and not failed:
            stored = RecordingStored(**self.data, recording_id=self.call_id, url=self.record_url)
            said.append(self.say(stored, reading.fingerprint(self.record_url)[:32]))
        return said

    def say(
        self, fact: CallStarted | CallLegRang | CallAnswered | CallEnded | RecordingStored, *native: str
    ) -> Said:
        """Jivo gives no time: that of receipt."""
        return Said(fact, (self.call_id, *native), None, self.call_id)


ADAPTER = Jivo()
