"""What the simulated world says: one delivery of one provider, as bytes on the wire."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

SIPUNI: Final = "sipuni"
JIVO: Final = "jivo"
JIVO_EKB: Final = "jivo-ekb"
TILDA: Final = "tilda"
FORM: Final = "form"
CRM: Final = "crm"
ERP: Final = "erp"

PROVIDERS: Final[dict[str, str]] = {
    SIPUNI: "sipuni",
    JIVO: "jivo",
    JIVO_EKB: "jivo",
    TILDA: "tilda",
    FORM: "form",
    CRM: "native",
    ERP: "native",
}
"""Name of the source in the demo's configuration → provider (adapter) it speaks as."""

OFFICE: Final[dict[str, str]] = {JIVO: "msk", JIVO_EKB: "ekb", TILDA: "msk", FORM: "ekb"}
"""Sources that speak for one office only."""

JSON: Final = (("Content-Type", "application/json; charset=utf-8"),)
URLENCODED: Final = (("Content-Type", "application/x-www-form-urlencoded"),)


@dataclass(frozen=True, slots=True)
class Sent:
    """One HTTP request of a provider.

    ``at`` (UTC) is when it was sent; ``source`` a key of PROVIDERS; ``query`` is percent-encoded, without ``?``,
    and comes on top of what the source's own address holds. ``kind`` names the message for tests and habits
    (``sipuni.1``, ``jivo.chat_finished``, ``crm``); ``group`` is shared by all messages about one call, dialogue,
    form or card.
    """

    at: datetime
    source: str
    kind: str
    group: str
    method: str = "POST"
    query: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


@dataclass(slots=True)
class Script:
    """Deliveries collected in any order; ``Script.sent`` is sorted at the end by ``in_order``."""

    sent: list[Sent] = field(default_factory=list)

    def say(self, *deliveries: Sent) -> None:
        """Add deliveries."""
        self.sent.extend(deliveries)

    def in_order(self) -> list[Sent]:
        """All deliveries by time of sending; equal moments keep the order in which they were said."""
        return sorted(self.sent, key=lambda s: s.at)
