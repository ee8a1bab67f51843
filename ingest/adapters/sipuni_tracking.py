"""Sipuni's call-tracking hook: one JSON message for each tracked call, without call id and without time.

The fold matches it with the PBX call by caller, number and time. Provider key ``sipuni-tracking``; the same body sent to
a ``sipuni`` source is understood there too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from domain.facts.calls import CallTracked
from domain.said import Said
from ingest import foreign, reading
from ingest.adapters.contract import SUCCESS, Adapter, Answer, Translation
from ingest.attribution import utm_in_url
from ingest.delivery import Delivery

_FIELDS = ("source_id", "number", "ua_client_id", "visitor_source", "visitor_target")


class SipuniTracking(Adapter):
    """Authentication: the secret path; Sipuni signs nothing."""

    provider: ClassVar[str] = "sipuni-tracking"
    OK: ClassVar[Answer] = SUCCESS

    def translate(self, delivery: Delivery) -> Translation:
        """One ``call.tracked``; a message without fields is a test of the settings."""
        fields = delivery.fields
        if not is_hit(fields):
            return without_call(delivery, fields, "no fields of a tracked call")
        return Translation([hit(fields, delivery)], SUCCESS)


def is_hit(fields: Mapping[str, Any]) -> bool:
    """Whether these are the fields of a tracked call: the caller, and the number or something about the visitor."""
    said = [name for name in _FIELDS if reading.text(fields.get(name))]
    return len(said) >= 2


def without_call(delivery: Delivery, fields: Mapping[str, Any], why: str) -> Translation:
    """A delivery that tells of no call: a test of the address where surely nothing is said, else kept because of ``why``."""
    probe = not delivery.body.strip() and not foreign.may_tell(fields)
    return Translation([], SUCCESS, probe=probe, kept=foreign.reason(fields) or why)


def hit(fields: Mapping[str, Any], delivery: Delivery) -> Said:
    """The fact of a tracked call; its identity is what it says and the ten minutes in which it came."""
    caller = reading.phone(fields.get("source_id"), delivery.source)
    line = reading.phone(fields.get("number"), delivery.source)
    landing = reading.text(fields.get("visitor_target"), 4000)
    counter = reading.text(fields.get("ua_client_id"))
    referrer = reading.text(fields.get("visitor_source"))
    return Said(
        CallTracked(
            client_phone=caller.e164,
            client_phone_raw=reading.text(fields.get("source_id")),
            line=line.e164 or reading.text(fields.get("number"), 64),
            counter_client_id=counter,
            referrer=referrer,
            landing=landing[: reading.NAME] if landing else None,
            utm=utm_in_url(landing),
        ),
        native=(
            reading.windowed(
                delivery.received, caller.e164 or caller.raw, line.e164, counter, referrer, landing
            ),
        ),
        time=None,
    )


ADAPTER = SipuniTracking()
