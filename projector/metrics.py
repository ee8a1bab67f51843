"""Names of the projector's metrics: the only place where one may exist."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric: its name without the prefix ``leadfold_``, its kind, and what it tells."""

    name: str
    kind: Literal["counter", "gauge"]
    meaning: str
    labels: tuple[str, ...] = ()


@dataclass(slots=True)
class Counters:
    """Totals since the process started; names are those of `METRICS` without ``projector_`` and ``_total``."""

    records: int = 0
    facts: int = 0
    superseded: int = 0
    batches: int = 0
    batch_seconds: float = 0.0
    groups_folded: int = 0
    facts_folded: int = 0
    rows_changed: int = 0
    dead_letters: int = 0
    retries: int = 0
    fenced: int = 0
    database_lost: int = 0
    log_lost: int = 0
    assignments: int = 0
    gaps: int = 0

    def as_dict(self) -> dict[str, float]:
        """Values by name of the metric."""
        return {f"projector_{f.name}_total": getattr(self, f.name) for f in fields(self)}


_MEANINGS = {
    "records": "records read from the log and applied, duplicates and dead ones included",
    "facts": "new facts stored",
    "superseded": "facts replaced by a higher revision of themselves",
    "batches": "transactions committed",
    "batch_seconds": "seconds spent on committed batches",
    "groups_folded": "groups folded",
    "facts_folded": "facts given to the fold (whole histories)",
    "rows_changed": "rows of read-model tables inserted, changed or deleted",
    "dead_letters": "records and facts put aside",
    "retries": "batches done again after a conflict with another projector",
    "fenced": "times a partition turned out to have another owner",
    "database_lost": "times Postgres was lost",
    "log_lost": "times the log was lost",
    "assignments": "times partitions were taken",
    "gaps": "offsets missing in the log between two records (Kafka's own control records make some)",
}

METRICS: tuple[Metric, ...] = (
    *(Metric(f"projector_{name}_total", "counter", meaning) for name, meaning in _MEANINGS.items()),
    Metric(
        "projector_lag_records", "gauge", "records on the log that are not applied yet; absent when unknown"
    ),
    Metric("projector_lag_seconds", "gauge", "age of the oldest record not applied yet; absent when unknown"),
    Metric("projector_lag_known", "gauge", "1 when both lags are known, else 0"),
    Metric("projector_dirty_groups", "gauge", "groups waiting to be folded (counted up to 10000)"),
    Metric("projector_dead_letters_open", "gauge", "dead letters not resolved"),
    Metric("projector_partitions", "gauge", "partitions this projector holds"),
    Metric("projector_stopped", "gauge", "1 while it stopped by itself and needs a person, else 0"),
    Metric("projector_database_up", "gauge", "1 while Postgres answers this projector"),
    Metric("projector_epoch", "gauge", "epoch of the partition", ("partition",)),
    Metric("projector_position", "gauge", "next offset to be applied", ("partition",)),
)
