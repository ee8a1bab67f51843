"""From a fact's place on the log to the raw webhook it came from (G14)."""

from __future__ import annotations

from dataclasses import dataclass

from domain.event import Event, Evidence
from eventlog.contract import EventLog, LogError
from eventlog.sealing import Undecodable, unseal
from projector.readmodel.history import FactPlace


@dataclass(frozen=True, slots=True)
class LogEvidence:
    """Reads deliveries from a started log; what `reports.card.EvidenceReader` asks for."""

    log: EventLog

    async def read(self, place: FactPlace) -> Evidence | None:
        """The delivery of a fact; None when the log no longer has it or cannot say it now."""
        try:
            found = await self._evidence(place.partition, place.offset)
            if found is None and place.carrier_partition is not None and place.carrier_offset is not None:
                found = await self._evidence(place.carrier_partition, place.carrier_offset)
        except LogError:
            return None
        return found

    async def _evidence(self, partition: int, offset: int) -> Evidence | None:
        event = await event_at(self.log, partition, offset)
        return event.evidence if isinstance(event, Event) and isinstance(event.evidence, Evidence) else None


async def event_at(log: EventLog, partition: int, offset: int) -> Event | Undecodable | None:
    """The event at a place of the log, with its evidence; None when there is nothing. Raises LogError."""
    stored = await log.read_at(partition, offset)
    return None if stored is None else unseal(stored.record)
