"""Facts of telephony (spec 2.2, emitter Т). Source of the fields: providers/sipuni.md, providers/jivo.md."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from domain.facts.base import Fact, Key, Moment, Name, Phone, phone_ref
from domain.identity import inquiry_ref
from domain.refs import ref, scope_of

Direction = Literal["in", "out", "internal"]
AnsweredBy = Literal["person", "ivr", "autoresponder", "client_machine"]
Cause = Literal["answered", "no_answer", "busy", "failed", "client_dropped", "client_no_answer", "unknown"]


class CallFact(Fact):
    """What every fact about one call repeats, because any of its messages may be the only one that arrives.

    ``direction`` is physical. ``client_phone`` is the outside party. ``line`` is our number that was called or
    that shows to the client. ``cabinet`` scopes extensions. ``inquiry`` scope: the source that said it.
    """

    call_id: Key
    direction: Direction
    client_phone: Phone | None = None
    client_phone_raw: Name | None = None
    hidden: bool = Field(False, description="the caller's number is withheld")
    line: Phone | None = None
    ext: Name | None = Field(None, description="our extension in this phase, if any")
    ext_names: tuple[Name, ...] | None = Field(
        None,
        description="e-mail and name of who holds the extension, where the provider tells them (Jivo's agents)",
    )
    cabinet: Name | None = Field(
        None, description="the provider's account: extensions are unique only inside it"
    )
    callback_id: Key | None = Field(None, description="the widget or API request that this call serves")
    channel: Name | None = None

    def refs(self, source: str) -> Iterator[str]:
        """The call, the inquiry it may open, its callback request and the client's phone."""
        yield ref("call", self.call_id, scope_of(source))
        yield inquiry_ref(source, "call", self.call_id)
        if self.callback_id:
            yield ref("callback", self.callback_id)
        if self.direction != "internal":
            yield from phone_ref(self.client_phone)


class CallStarted(CallFact):
    """A call reached the PBX, or we dialled."""

    TYPE: ClassVar[str] = "call.started"
    queue: Name | None = None
    scheme: Name | None = None
    campaign: Name | None = None
    marks: dict[str, str] = Field(default_factory=dict, description="labels of call tracking (roistat …)")


class CallLegRang(CallFact):
    """One extension (or forwarded phone) started ringing."""

    TYPE: ClassVar[str] = "call.leg_rang"
    leg_id: Key
    transferred_from: Name | None = None


class CallAnswered(CallFact):
    """A person or a machine picked up. The event's ``time`` is the moment."""

    TYPE: ClassVar[str] = "call.answered"
    leg_id: Key
    by: AnsweredBy = "person"
    transferred_from: Name | None = None


class CallTransferred(CallFact):
    """The conversation moved from one extension to another."""

    TYPE: ClassVar[str] = "call.transferred"
    from_ext: Name
    to_ext: Name
    kind: Name | None = None


class CallLegEnded(CallFact):
    """One leg ended while the call went on. Never says anything about the result of the call."""

    TYPE: ClassVar[str] = "call.leg_ended"
    leg_id: Key
    status: Cause = "unknown"


class CallEnded(CallFact):
    """The call is over. ``time`` is the end; waits and talks (seconds) are derived from the three moments."""

    TYPE: ClassVar[str] = "call.ended"
    started_at: Moment | None = None
    answered_at: Moment | None = Field(
        None, description="absent when nobody answered or the provider's is unusable"
    )
    ended_at: Moment
    cause: Cause
    answered_by: AnsweredBy | None = None
    exts_rung: tuple[Name, ...] = ()
    who_hung_up: Literal["client", "operator"] | None = None


class CallTracked(Fact):
    """Call tracking saw a call to a tracked number: no call id, matched by phone, number and time."""

    TYPE: ClassVar[str] = "call.tracked"
    client_phone: Phone | None = None
    client_phone_raw: Name | None = None
    line: Phone | None = None
    counter_client_id: Name | None = None
    referrer: Name | None = None
    landing: Name | None = None
    utm: dict[str, str] = Field(default_factory=dict)

    def refs(self, source: str) -> Iterator[str]:
        """The caller, and the counter's cookie as a weak hint."""
        yield from phone_ref(self.client_phone)
        if self.counter_client_id:
            yield ref("cookie", self.counter_client_id)


class RecordingStored(CallFact):
    """A recording of a call is available. Not a proof of talk: Sipuni sends a link for missed calls too."""

    TYPE: ClassVar[str] = "recording.stored"
    recording_id: Key
    url: str = Field(max_length=2000)
    seconds: int | None = None


class VoicemailLeft(CallFact):
    """The client left a message to the autoresponder (seconds long)."""

    TYPE: ClassVar[str] = "call.voicemail_left"
    seconds: int | None = None


__all__ = [
    "AnsweredBy",
    "CallAnswered",
    "CallEnded",
    "CallFact",
    "CallLegEnded",
    "CallLegRang",
    "CallStarted",
    "CallTracked",
    "CallTransferred",
    "Cause",
    "Direction",
    "Moment",
    "RecordingStored",
    "VoicemailLeft",
]
