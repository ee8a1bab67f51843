"""Sipuni: PBX events by GET query, and the call-tracking hook by POST JSON."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal
from urllib.parse import quote, urlencode

import orjson

from leadfold.demo.company import CABINET
from leadfold.demo.sent import JSON, SIPUNI, Sent

Status = Literal["ANSWER", "BUSY", "NOANSWER", "CANCEL", "CONGESTION", "CHANUNAVAIL"]


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the PBX. ``client``: what stands on the wire (digits, or empty/word for a hidden number)."""

    id: str
    inbound: bool
    client: str
    line: str
    started: datetime
    callback_id: str | None = None
    scheme: str = "Входящая"

    def _parties(self, ext: str | None) -> dict[str, str]:
        if not self.inbound:
            assert ext is not None
            return {
                "src_type": "2",
                "src_num": CABINET + ext,
                "short_src_num": ext,
                "dst_type": "1",
                "dst_num": self.client,
                "short_dst_num": self.client,
                "pbxdstnum": f"+{self.client}",
            }
        source = {"src_type": "1", "src_num": self.client, "short_src_num": self.client}
        if ext is None:
            tail = f"{self.line}_id100500"
            return {**source, "dst_type": "1", "dst_num": tail, "short_dst_num": tail, "pbxdstnum": self.line}
        return {
            **source,
            "dst_type": "2",
            "dst_num": CABINET + ext,
            "short_dst_num": ext,
            "pbxdstnum": f"100{ext[-2:]}0",
        }

    def _event(self, event: str, at: datetime, ext: str | None, more: dict[str, str], latency: float) -> Sent:
        fields = {
            "event": event,
            "call_id": self.id,
            **self._parties(ext),
            "timestamp": _unix(at),
            "treeName": self.scheme if self.inbound else "Исходящая",
            "treeNumber": "000-1000001",
            "user_id": CABINET,
            **more,
        }
        if self.callback_id:
            fields["callbackId"] = self.callback_id
        return Sent(
            at=at + timedelta(seconds=latency),
            source=SIPUNI,
            kind=f"sipuni.{event}",
            group=f"call:{self.id}",
            method="GET",
            query=urlencode(fields, quote_via=quote),
        )

    def rang(
        self, at: datetime, ext: str | None = None, *, transfer_from: str | None = None, latency: float = 0.4
    ) -> Sent:
        """Event 1: the call reached the PBX (no ext), or a leg started ringing; outbound always names its ext."""
        channel = f"SIP/{CABINET}100{ext}-{_unix(at)[-4:]}" if ext else f"SIP/{CABINET}trunk-0001"
        more = {"channel": channel}
        if ext and self.inbound:
            more["is_inner_call"] = "1"
        if transfer_from:
            more["transfer_from"] = transfer_from
        return self._event("1", at, ext, more, latency)

    def answered(
        self, at: datetime, ext: str, *, transfer_from: str | None = None, latency: float = 0.4
    ) -> Sent:
        """Event 3: somebody picked up."""
        return self._event("3", at, ext, {"transfer_from": transfer_from} if transfer_from else {}, latency)

    def leg_ended(
        self,
        at: datetime,
        ext: str,
        status: Status,
        *,
        answered_at: datetime | None = None,
        latency: float = 0.4,
    ) -> Sent:
        """Event 4: one leg is over, the call goes on."""
        return self._event("4", at, ext, self._outcome(status, answered_at, ext), latency)

    def ended(
        self,
        at: datetime,
        ext: str | None,
        status: Status,
        *,
        rung: tuple[str, ...] = (),
        answered_at: datetime | None = None,
        twice_encoded: bool = False,
        latency: float = 0.4,
    ) -> Sent:
        """Event 2: the end, with a recording link even when nobody talked."""
        more = self._outcome(status, answered_at, ",".join(rung))
        link = f"https://sipuni.com/api/crm/record?id={self.id}&hash={self.id[-6:].encode().hex()}&user={CABINET}"
        more["call_record_link"] = quote(link, safe="") if twice_encoded else link
        return self._event("2", at, ext, more, latency)

    def _outcome(self, status: Status, answered_at: datetime | None, last_called: str) -> dict[str, str]:
        return {
            "status": status,
            "call_start_timestamp": _unix(self.started),
            "call_answer_timestamp": _unix(answered_at) if answered_at else "0",
            "last_called": last_called,
        }


def tracked(call: Call, at: datetime, *, cookie: str, landing: str, referrer: str) -> Sent:
    """The call-tracking hook about an inbound call to a tracked number: no call id, no time."""
    body = {
        "ua_client_id": cookie,
        "number": call.line,
        "source_id": call.client,
        "visitor_source": referrer,
        "visitor_target": landing,
    }
    return Sent(
        at=at,
        source=SIPUNI,
        kind="sipuni.tracking",
        group=f"call:{call.id}",
        headers=JSON,
        body=orjson.dumps(body),
    )


def between_extensions(delivery: Sent) -> Sent:
    """The same event of a call whose caller is an extension of ours."""
    query = delivery.query.replace("src_type=1", "src_type=2")
    return replace(delivery, query=query.replace(f"short_src_num={CABINET}", "short_src_num="))


def probe(at: datetime) -> Sent:
    """The request without call fields that arrives when the settings are saved."""
    return Sent(
        at=at, source=SIPUNI, kind="sipuni.probe", group="probe", method="GET", query=f"user_id={CABINET}"
    )


def _unix(moment: datetime) -> str:
    return str(int(moment.timestamp()))
