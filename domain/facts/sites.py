"""Facts of sites, chats and messengers (spec 2.2, emitters Ф and Ч)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from domain.facts.base import Fact, Key, Moment, Name, Phone, Subject, Text, email_ref, phone_ref
from domain.identity import inquiry_ref
from domain.refs import ref, scope_of


class Attribution(Fact):
    """Where a site visitor came from, as the form or chat tells it; utm keys lack their prefix (``source``)."""

    page: Name | None = None
    referrer: Name | None = None
    utm: dict[str, str] = Field(default_factory=dict, description="source, medium, campaign, content, term")
    cookies: dict[str, str] = Field(
        default_factory=dict, description="white-listed counters: ym_uid, ga, roistat_visit"
    )


class FormSubmitted(Attribution):
    """A form was sent (providers/tilda.md, providers/site-forms.md)."""

    TYPE: ClassVar[str] = "form.submitted"
    submission_id: Key
    form_id: Name | None = None
    form_name: Name | None = None
    name: Name | None = None
    phone: Phone | None = None
    phone_raw: Name | None = None
    email: Name | None = None
    text: Text | None = None
    fields: dict[str, str] = Field(default_factory=dict, description="all other fields, as sent")
    spam: bool = Field(False, description="the honeypot field was filled")

    def refs(self, source: str) -> Iterator[str]:
        """The submission, the inquiry it opens, phone, e-mail and counters' cookies."""
        yield ref("form", self.submission_id, scope_of(source))
        yield inquiry_ref(source, "form", self.submission_id)
        yield from phone_ref(self.phone)
        yield from email_ref(self.email)
        for name, value in self.cookies.items():
            yield ref("cookie", f"{name}/{value}")


class CallbackRequested(Attribution):
    """A widget's «перезвоните мне»."""

    TYPE: ClassVar[str] = "callback.requested"
    callback_id: Key
    phone: Phone | None = None
    phone_raw: Name | None = None
    name: Name | None = None
    wanted_at: Moment | None = None
    visitor_id: Name | None = None

    def refs(self, source: str) -> Iterator[str]:
        """The request, the inquiry it opens, the phone and the visitor."""
        yield ref("callback", self.callback_id, scope_of(source))
        yield inquiry_ref(source, "callback", self.callback_id)
        yield from phone_ref(self.phone)
        if self.visitor_id:
            yield ref("visitor", self.visitor_id, scope_of(source))


class ChatFact(Attribution):
    """What every fact about one dialogue repeats. ``visitor_id`` is the provider's number of the client."""

    chat_id: Key
    visitor_id: Name | None = None
    name: Name | None = None
    phone: Phone | None = None
    phone_raw: Name | None = None
    email: Name | None = None
    widget: Name | None = None

    def refs(self, source: str) -> Iterator[str]:
        """The dialogue, the inquiry it opens, visitor, phone, e-mail."""
        yield ref("chat", self.chat_id, scope_of(source))
        yield inquiry_ref(source, "chat", self.chat_id)
        if self.visitor_id:
            yield ref("visitor", self.visitor_id, scope_of(source))
        yield from phone_ref(self.phone)
        yield from email_ref(self.email)


class ChatMessage(BaseModel):
    """One line of a dialogue; texts are kept in the evidence only."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)
    at: Moment | None = None
    by: Literal["visitor", "agent"]
    agent_id: Name | None = None


class ChatStarted(ChatFact):
    """The client's first message, or the dialogue as first told to us."""

    TYPE: ClassVar[str] = "chat.started"


class ChatAnswered(ChatFact):
    """An operator accepted the dialogue or replied first."""

    TYPE: ClassVar[str] = "chat.answered"
    agent_id: Name | None = None
    agent_name: Name | None = None
    agent_email: Name | None = None


class ChatFinished(ChatFact):
    """The dialogue is over; ``messages`` carry the provider's own times (UTC)."""

    TYPE: ClassVar[str] = "chat.finished"
    messages: tuple[ChatMessage, ...] = ()
    agents: tuple[Name, ...] = Field((), description="ids of the agents that took part")
    agent_names: dict[str, tuple[Name, ...]] = Field(
        default_factory=dict, description="e-mail and name of an agent by his id, as far as told"
    )
    rating: Name | None = None
    blacklisted: bool = False


class OfflineMessageLeft(ChatFact):
    """A message was left when nobody was online; opens a chat inquiry of its own."""

    TYPE: ClassVar[str] = "chat.message_left"
    message_id: Key
    text: Text | None = None


class ContactCaptured(Fact):
    """A visitor gave phone, e-mail or name: links the visitor with the client (spec 2.3, rule 2)."""

    TYPE: ClassVar[str] = "contact.captured"
    visitor_id: Name | None = None
    chat_id: Key | None = None
    phone: Phone | None = None
    phone_raw: Name | None = None
    email: Name | None = None
    name: Name | None = None
    where: Name | None = None

    def refs(self, source: str) -> Iterator[str]:
        """Visitor and dialogue (scoped by the source), phone, e-mail."""
        if self.chat_id:
            yield ref("chat", self.chat_id, scope_of(source))
        if self.visitor_id:
            yield ref("visitor", self.visitor_id, scope_of(source))
        yield from phone_ref(self.phone)
        yield from email_ref(self.email)


class MessageFact(Subject):
    """An SMS, messenger message or e-mail; its own id is the event's id."""

    channel: Literal["sms", "messenger", "email"] = "messenger"
    by: Name | None = Field(None, description="employee id, login or extension")
    text: Text | None = None


class MessageSent(MessageFact):
    """We wrote to the client."""

    TYPE: ClassVar[str] = "message.sent"
    delivered: bool | None = None


class MessageReceived(MessageFact):
    """The client wrote to us."""

    TYPE: ClassVar[str] = "message.received"
