"""The envelope (design §3): one immutable fact, who said it, when it happened, and the delivery it came from."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from domain.facts.base import Fact
from domain.value import value

TimeBasis = Literal["source", "received"]


@value
class Evidence:
    """The delivery a fact was translated from, verbatim but for redacted secrets.

    ``headers`` are those that matter (content type, user agent, signature metadata); secrets in path, query,
    headers and known body fields are replaced by ``***`` before the evidence is made.
    """

    delivery_id: UUID
    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    adapter: str  # "sipuni@3": name and revision of the adapter that translated it


@value
class EvidencePointer:
    """Second and later facts of one delivery point to the first one, which carries the evidence."""

    delivery_id: UUID
    event_id: UUID


@value
class Event:
    """One fact in its envelope.

    ``id`` is deterministic; ``time`` (UTC) is when it happened by the source's clock (``time_basis`` says
    "received" where the source gives no time); ``received`` (UTC) when we got it. The same ``id`` with a higher
    ``revision`` supersedes. ``refs`` are the identifiers of ``domain.refs`` that the fact carries.
    """

    id: UUID
    type: str
    version: int
    source: str  # "/sipuni/main"
    time: datetime
    received: datetime
    revision: int
    subject: str | None
    partitionkey: str
    data: Fact
    refs: tuple[str, ...]
    evidence: Evidence | EvidencePointer | None
    time_basis: TimeBasis = "source"

    @property
    def source_name(self) -> str:
        """The configured name of the source: the last part of its path."""
        return self.source.rpartition("/")[2]
