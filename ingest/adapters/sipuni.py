"""Sipuni, cloud PBX: the hook «События на АТС» (GET query, POST form or JSON).

One ``call_id`` spans all legs; messages repeat (only ``timestamp`` differs), come in any order, and the end may be
lost. So every fact is identified by call, phase, status and leg, never by its time, and each repeats what it knows of
the call. Nothing is derived here: the answer stamp is passed on only where it can be one.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, ClassVar, Final, Literal, TypedDict
from urllib.parse import parse_qs, unquote, urlsplit

from domain.facts.calls import (
    CallAnswered,
    CallEnded,
    CallLegEnded,
    CallLegRang,
    CallStarted,
    CallTransferred,
    Cause,
    Direction,
    RecordingStored,
)
from domain.facts.company import DeliveryUnreadable
from domain.phones import Phone, normalise
from domain.said import Said
from domain.value import value
from ingest import reading
from ingest.adapters import sipuni_tracking
from ingest.adapters.contract import SUCCESS, Adapter, Answer, Translation
from ingest.delivery import Delivery

_SCHEME_TAIL: Final = re.compile(r"_id\d+$")
_STATUS: Final[dict[str, Cause]] = {
    "ANSWER": "answered",
    "BUSY": "busy",
    "NOANSWER": "no_answer",
    "CANCEL": "client_dropped",
    "CONGESTION": "failed",
    "CHANUNAVAIL": "failed",
}
#: Numbers of cabinets have six digits, the first of them a zero; extensions have two to four.
_CABINET: Final = 6
_FULL_EXTENSION: Final = re.compile(r"0\d{7,9}", re.ASCII)
_CALL_FIELDS: Final = ("event", "call_id", "src_num", "dst_num", "src_type", "dst_type", "status")

Fields = dict[str, Any]


class CallData(TypedDict):
    """What every fact of a call repeats."""

    call_id: str
    direction: Direction
    client_phone: str | None
    client_phone_raw: str | None
    hidden: bool
    line: str | None
    ext: str | None
    cabinet: str | None
    callback_id: str | None
    channel: str | None


@value
class Side:
    """One party of a message. ``ext`` for an extension, ``number`` for a phone (without Sipuni's ``_id`` tail)."""

    internal: bool
    ext: str | None
    number: str | None
    short: str  # identity of the leg


class Sipuni(Adapter):
    """Authentication: the secret in path or query; Sipuni signs nothing."""

    provider: ClassVar[str] = "sipuni"
    REVISION: ClassVar[int] = 2  # the cabinet is found before the extension where user_id is missing
    OK: ClassVar[Answer] = SUCCESS

    def translate(self, delivery: Delivery) -> Translation:
        """Facts of one message; anything that is not understood is kept, and answered with success."""
        fields = delivery.fields
        if list in map(type, fields.values()):
            fields = {
                name: value[-1] if isinstance(value, list) and value else value
                for name, value in fields.items()
            }
        if not any(reading.text(fields.get(name)) for name in _CALL_FIELDS):
            if sipuni_tracking.is_hit(fields):
                return Translation([sipuni_tracking.hit(fields, delivery)], SUCCESS)
            return sipuni_tracking.without_call(delivery, fields, "no fields of a call")
        message = _Message(fields, delivery)
        if not message.call_id:
            return Translation([], SUCCESS, kept="call_id is missing")
        match reading.text(fields.get("event")):
            case "1":
                said = message.rings()
            case "2":
                said = message.ends()
            case "3":
                said = message.answers()
            case "4":
                said = message.leg_ends()
            case None:
                return Translation([], SUCCESS, kept="event is missing")
            case _:
                return Translation(
                    [],
                    SUCCESS,
                    kept=f"{DeliveryUnreadable.UNUSED} this kind of event has no documented meaning",
                )
        return Translation(said, SUCCESS)


class _Message:
    """One message, read once."""

    def __init__(self, fields: Fields, delivery: Delivery) -> None:
        self.fields = fields
        self._call: CallData | None = None
        self.source = delivery.source
        self.received = delivery.received
        self.at = reading.unix_seconds(fields.get("timestamp"))
        self.cabinet = reading.text(fields.get("user_id")) or self._cabinet_before()
        self.status = (reading.text(fields.get("status")) or "").upper()
        self.call_id = reading.key(fields.get("call_id")) or ""
        self.src = self._side("src")
        self.dst = self._side("dst")
        self.transfer_from = self._short(reading.text(fields.get("transfer_from")))
        self.direction: Direction = (
            "in" if not self.src.internal else "internal" if self.dst.internal else "out"
        )
        #: The extension (or forwarded phone) of ours that this message is about.
        self.our = self.src if self.direction == "out" else self.dst
        #: Asterisk's channel: tells two ringings of one extension apart.
        self.channel = reading.text(fields.get("channel"))

    # --- what is said -----------------------------------------------------------------------------------------

    def rings(self) -> list[Said]:
        """Event 1: the call itself, or one leg of it starts ringing."""
        inner = reading.text(self.fields.get("is_inner_call")) == "1"
        leg = self.transfer_from is not None or (self.direction == "in" and (self.dst.internal or inner))
        said: list[Said] = []
        if not leg:
            started = CallStarted(
                **self.call(),
                scheme=reading.text(self.fields.get("treeName")),
                marks=reading.clipped([(k, v) for k, v in self.fields.items() if _is_mark(k)]),
            )
            said.append(self.say(started))
        if leg or self.direction == "internal":
            rang = CallLegRang(**self.call(), leg_id=self.leg_id, transferred_from=self.transfer_from)
            said.append(self.say(rang, self.dst.short, self.channel or ""))
        return said + self.transfer()

    def answers(self) -> list[Said]:
        """Event 3: somebody picked up, at the moment of its timestamp. Who gets the call back answers once more."""
        answered = CallAnswered(**self.call(), leg_id=self.leg_id, transferred_from=self.transfer_from)
        handed = (self.transfer_from,) if self.transfer_from else ()
        return [self.say(answered, self.dst.short, *handed), *self.transfer()]

    def leg_ends(self) -> list[Said]:
        """Event 4: one leg is over; nothing about the call as a whole."""
        ended = CallLegEnded(**self.call(), leg_id=self.leg_id, status=self.cause())
        return [self.say(ended, self.status, self.dst.short, self.channel or "")]

    def ends(self) -> list[Said]:
        """Event 2: the call is over. A recording is told only where somebody talked."""
        started = reading.unix_seconds(self.fields.get("call_start_timestamp"))
        answered = reading.unix_seconds(self.fields.get("call_answer_timestamp"))
        ended = self.at or self.received
        if answered and ((started and answered <= started) or answered > ended):
            answered = None  # API calls: the stamp is not the answer; event 3 tells the moment
        cause = self.cause()
        call = self.call()
        rung = tuple(
            short
            for part in re.split(r"[,&]", reading.text(self.fields.get("last_called")) or "")
            if (short := self._short(part.strip()))
        )
        if call["ext"] is None and len(rung) == 1:
            call["ext"] = rung[0]
        end = CallEnded(
            **call,
            started_at=started,
            answered_at=answered,
            ended_at=ended,
            cause=cause,
            answered_by="person" if cause == "answered" and call["ext"] else None,
            exts_rung=rung,
        )
        said = [self.say(end, self.status, self.dst.short)]
        url = self.record_link()
        talked = cause == "answered" and ended > (answered or started or ended)
        if url and talked:
            stored = RecordingStored(
                **call,
                recording_id=reading.key(_record_id(url)) or self.call_id,
                url=url,
                seconds=int((ended - answered).total_seconds()) if answered else None,
            )
            said.append(self.say(stored))
        return said

    def transfer(self) -> list[Said]:
        """The transfer that a ringing or answered leg mentions; both mentions are one fact."""
        to = self.dst.ext or self.dst.number
        if self.transfer_from is None or to is None:
            return []
        moved = CallTransferred(**self.call(), from_ext=self.transfer_from, to_ext=to)
        return [self.say(moved, self.transfer_from, to)]

    def say(
        self,
        fact: CallStarted
        | CallLegRang
        | CallAnswered
        | CallLegEnded
        | CallEnded
        | CallTransferred
        | RecordingStored,
        *native: str,
    ) -> Said:
        """A fact of this call, at the time of the message."""
        return Said(fact, (self.call_id, *native), self.at, self.call_id)

    # --- what is read -----------------------------------------------------------------------------------------

    def call(self) -> CallData:
        """The part that all facts of the call repeat; read once."""
        if self._call is None:
            self._call = self._read_call()
        return self._call.copy()

    def _read_call(self) -> CallData:
        outside = {"in": self.src, "out": self.dst}.get(self.direction)
        raw = outside.number if outside else None
        client = normalise(raw, self.source.region, self.source.area_code) if outside else None
        return {
            "call_id": self.call_id,
            "direction": self.direction,
            "client_phone": client.e164 if client else None,
            "client_phone_raw": raw,
            "hidden": self.direction == "in" and (client is None or _withheld(client)),
            "line": self.line(),
            "ext": self.our.ext,
            "cabinet": self.cabinet,
            "callback_id": reading.key(self.fields.get("callbackId")),
            "channel": self.channel,
        }

    def line(self) -> str | None:
        """Our number that was called. On operator legs ``pbxdstnum`` holds a SIP login and not a number."""
        if self.direction != "in":
            return None
        for given in (
            reading.text(self.fields.get("pbxdstnum"), 64),
            None if self.dst.internal else self.dst.number,
        ):
            if given and sum(map(str.isdecimal, given)) >= (10 if self.dst.internal else 5):
                found = normalise(given, self.source.region, self.source.area_code).e164
                return found or (None if self.dst.internal else given[:64])
        return None

    @property
    def leg_id(self) -> str:
        """A leg is one extension's (or forwarded phone's) part in the call."""
        return reading.key(self.our.ext or self.our.number or self.our.short) or "-"

    def cause(self) -> Cause:
        """The status in our words. A caller of ours who hangs up first leaves the client without an answer."""
        cause = _STATUS.get(self.status, "unknown")
        if self.direction == "out" and cause in ("no_answer", "client_dropped"):
            return "client_no_answer"
        return cause

    def record_link(self) -> str | None:
        """The link to the recording, decoded as often as it was encoded: twice is usual, more was seen."""
        url = reading.text(self.fields.get("call_record_link"), 4000)
        for _ in range(4):
            if url and (re.search("%3A", url, re.IGNORECASE) or not re.match(r"https?://", url)):
                url = unquote(url)
        return url if url and re.match(r"https?://", url) and len(url) <= 2000 else None

    def _side(self, which: Literal["src", "dst"]) -> Side:
        full = _number(self.fields.get(f"{which}_num"))
        short = _number(self.fields.get(f"short_{which}_num"))
        kind = reading.text(self.fields.get(f"{which}_type"))
        extension = self._short(short or full)
        internal = (
            kind == "2" if kind in ("1", "2") else bool(extension and re.fullmatch(r"\d{1,5}", extension))
        )
        identity = short or full or ""
        if internal:
            return Side(True, extension, None, identity)
        return Side(False, None, full or short, identity)

    def _cabinet_before(self) -> str | None:
        """The cabinet's number without ``user_id``: it stands before an extension's full form (Sipuni's own example)."""
        for which in ("src", "dst"):
            if reading.text(self.fields.get(f"{which}_type")) != "2":
                continue
            full = _number(self.fields.get(f"{which}_num")) or ""
            if _FULL_EXTENSION.fullmatch(full):
                return full[:_CABINET]
        return None

    def _short(self, number: str | None) -> str | None:
        """An extension without the cabinet's number before it."""
        if number and self.cabinet and number.startswith(self.cabinet) and len(number) > len(self.cabinet):
            return number[len(self.cabinet) :]
        return number or None


@lru_cache(maxsize=4096)
def _is_mark(name: str) -> bool:
    """A label of call tracking."""
    return name.lower().startswith("roistat")


def _number(value: Any) -> str | None:
    """A number without the tail of Sipuni's scheme."""
    said = reading.text(value)
    if said and "_id" in said:
        said = _SCHEME_TAIL.sub("", said)
    return said or None


def _withheld(client: Phone) -> bool:
    """Empty, or a word in place of a number."""
    return client.hidden or not re.search(r"\d", client.raw)


def _record_id(url: str) -> str | None:
    """The id in a link to a recording; None where there is none, or the link is no address."""
    try:
        return parse_qs(urlsplit(url).query, max_num_fields=200).get("id", [None])[0]
    except ValueError:
        return None


ADAPTER = Sipuni()
