"""Names and meanings of ingest's metrics, in one list, and the object that counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, Literal, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric


class Meaning(NamedTuple):
    """One metric. Times are seconds, sizes are bytes."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()


DELIVERIES = Meaning(
    "leadfold_ingest_deliveries_total",
    "counter",
    "Deliveries by outcome: logged, spooled, probe, unreadable (kept), refused (bad key), too_large, too_slow, broken "
    "(cut off), limited (rate), busy, unavailable (503).",
    ("source", "outcome"),
)
FACTS = Meaning("leadfold_ingest_facts_total", "counter", "Facts made durable.", ("source", "type"))
REQUEST = Meaning("leadfold_ingest_request_seconds", "histogram", "From the request's headers to the answer.")
APPEND = Meaning(
    "leadfold_ingest_append_seconds", "histogram", "Until durable, in the log or the spool.", ("to",)
)
IN_FLIGHT = Meaning("leadfold_ingest_in_flight", "gauge", "Deliveries being handled.")
LAST = Meaning(
    "leadfold_ingest_last_delivery_timestamp_seconds",
    "gauge",
    "Unix time of a source's last delivery.",
    ("source",),
)
LOG_UP = Meaning("leadfold_ingest_log_up", "gauge", "1 while the log takes appends.")
SPOOL_RECORDS = Meaning("leadfold_ingest_spool_records", "gauge", "Records that wait in the spool.")
SPOOL_BYTES = Meaning("leadfold_ingest_spool_bytes", "gauge", "Bytes that wait in the spool.")
SPOOL_ROOM = Meaning("leadfold_ingest_spool_room_bytes", "gauge", "Bytes that the spool may still take.")
SPOOL_AGE = Meaning(
    "leadfold_ingest_spool_oldest_seconds", "gauge", "For how long the oldest spooled record has waited."
)
SPOOL_SHIPPED = Meaning(
    "leadfold_ingest_spool_shipped_total", "counter", "Records shipped from the spool to the log."
)
SPOOL_FAILURES = Meaning(
    "leadfold_ingest_spool_ship_failures_total", "counter", "Attempts to ship that failed."
)
SPOOL_ASIDE = Meaning(
    "leadfold_ingest_spool_set_aside_total", "counter", "Spooled records that nothing could be done with."
)

METRICS: Final = (
    DELIVERIES,
    FACTS,
    REQUEST,
    APPEND,
    IN_FLIGHT,
    LAST,
    LOG_UP,
    SPOOL_RECORDS,
    SPOOL_BYTES,
    SPOOL_ROOM,
    SPOOL_AGE,
    SPOOL_SHIPPED,
    SPOOL_FAILURES,
    SPOOL_ASIDE,
)

_FAST: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10)

Readings = Callable[[], Mapping[Meaning, float]]


class IngestMetrics:
    """Counts for one process. ``registry``: of the caller, or a new one."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry if registry is not None else CollectorRegistry()
        self._deliveries = Counter(
            DELIVERIES.name, DELIVERIES.help, DELIVERIES.labels, registry=self.registry
        )
        self._facts = Counter(FACTS.name, FACTS.help, FACTS.labels, registry=self.registry)
        self._append = Histogram(
            APPEND.name, APPEND.help, APPEND.labels, registry=self.registry, buckets=_FAST
        )
        self._last = Gauge(LAST.name, LAST.help, LAST.labels, registry=self.registry)
        self.request = Histogram(REQUEST.name, REQUEST.help, registry=self.registry, buckets=_FAST)
        # Children are looked up once: `labels` takes a lock each time.
        self._known: dict[tuple[str, str], Counter] = {}
        self._known_facts: dict[tuple[str, str], Counter] = {}
        self._known_last: dict[str, Gauge] = {}
        self._known_append: dict[str, Histogram] = {}

    def delivered(self, source: str, outcome: str) -> None:
        """One delivery of a configured source (or of "unknown")."""
        child = self._known.get((source, outcome))
        if child is None:
            child = self._known[source, outcome] = self._deliveries.labels(source, outcome)
        child.inc()

    def fact(self, source: str, type_: str) -> None:
        """One fact was made durable."""
        child = self._known_facts.get((source, type_))
        if child is None:
            child = self._known_facts[source, type_] = self._facts.labels(source, type_)
        child.inc()

    def seen(self, source: str, unix_s: float) -> None:
        """A source delivered something."""
        child = self._known_last.get(source)
        if child is None:
            child = self._known_last[source] = self._last.labels(source)
        child.set(unix_s)

    def appended(self, to: str, seconds: float) -> None:
        """Something became durable."""
        child = self._known_append.get(to)
        if child is None:
            child = self._known_append[to] = self._append.labels(to)
        child.observe(seconds)

    def watch(self, readings: Readings) -> None:
        """Ask these values when somebody looks."""
        self.registry.register(_Watched(readings))


class _Watched:
    """Values that belong to the log and the spool."""

    def __init__(self, readings: Readings) -> None:
        self._readings = readings

    def collect(self) -> Iterator[Metric]:
        """As prometheus_client asks for it."""
        for meaning, value in self._readings().items():
            if meaning.kind == "counter":
                yield CounterMetricFamily(meaning.name, meaning.help, value=value)
            else:
                yield GaugeMetricFamily(meaning.name, meaning.help, value=value)

    def describe(self) -> Iterator[Metric]:
        """Nothing is known before somebody looks."""
        return iter(())
