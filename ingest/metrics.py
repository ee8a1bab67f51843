"""Names and meanings of ingest's metrics, in one list, and the object that counts."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate
from typing import Final, Literal, NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.utils import floatToGoString


class Meaning(NamedTuple):
    """One metric. Times are seconds, sizes are bytes."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()


DELIVERIES = Meaning(
    "leadfold_ingest_deliveries_total",
    "counter",
    "Deliveries by outcome: logged, spooled, probe, unused (kept: nothing in it was wanted), unreadable (kept), refused "
    "(bad key), too_large (nothing kept: the sender is not known before the body), too_slow, broken (cut off), limited (rate), busy, unavailable (503).",
    ("source", "outcome"),
)
FACTS = Meaning("leadfold_ingest_facts_total", "counter", "Facts made durable.", ("source", "type"))
REQUEST = Meaning("leadfold_ingest_request_seconds", "histogram", "From the request's headers to the answer.")
APPEND = Meaning(
    "leadfold_ingest_append_seconds", "histogram", "Until durable, in the log or the spool.", ("to",)
)
IN_FLIGHT = Meaning("leadfold_ingest_in_flight", "gauge", "Deliveries being made durable.")
CONNECTIONS = Meaning("leadfold_ingest_connections", "gauge", "Open connections.")
CLOSED_SLOW = Meaning(
    "leadfold_ingest_closed_slow_total",
    "counter",
    "Connections closed because a request or the reading of an answer took too long.",
)
CLOSED_CROWDED = Meaning(
    "leadfold_ingest_closed_crowded_total",
    "counter",
    "Connections closed, idle ones first, because there were more than max_connections.",
)
LAST = Meaning(
    "leadfold_ingest_last_delivery_timestamp_seconds",
    "gauge",
    "Unix time of a source's last delivery.",
    ("source",),
)
LOG_UP = Meaning("leadfold_ingest_log_up", "gauge", "1 while the log takes appends.")
LOG_BATCHES = Meaning("leadfold_ingest_log_commits_total", "counter", "Group commits confirmed by the log.")
LOG_UNKNOWN = Meaning(
    "leadfold_ingest_log_unknown_total",
    "counter",
    "Appends that may be stored or not: sent again by the same ids.",
)
REPLACEMENTS = Meaning(
    "leadfold_ingest_producer_replacements_total",
    "counter",
    "Kafka producers given up because they hung or failed.",
)
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
SPOOL_LEFT = Meaning(
    "leadfold_ingest_spool_left_records",
    "gauge",
    "Records in the spool of a front door that no longer runs (processes was lowered), on their way to the log.",
)

METRICS: Final = (
    DELIVERIES,
    FACTS,
    REQUEST,
    APPEND,
    IN_FLIGHT,
    CONNECTIONS,
    CLOSED_SLOW,
    CLOSED_CROWDED,
    LAST,
    LOG_UP,
    LOG_BATCHES,
    LOG_UNKNOWN,
    REPLACEMENTS,
    SPOOL_RECORDS,
    SPOOL_BYTES,
    SPOOL_ROOM,
    SPOOL_AGE,
    SPOOL_SHIPPED,
    SPOOL_FAILURES,
    SPOOL_ASIDE,
    SPOOL_LEFT,
)

_FAST: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10)

Readings = Callable[[], Mapping[Meaning, float]]


class Timing:
    """A histogram: how often something took how long."""

    __slots__ = ("_counts", "_sum")

    def __init__(self) -> None:
        self._counts = [0] * (len(_FAST) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        """It took so long."""
        self._counts[bisect_left(_FAST, seconds)] += 1
        self._sum += seconds

    def add_to(self, family: HistogramMetricFamily, labels: tuple[str, ...]) -> None:
        """As prometheus_client shows it."""
        bounds = [*map(floatToGoString, _FAST), "+Inf"]
        family.add_metric(labels, list(zip(bounds, accumulate(self._counts), strict=True)), self._sum)


class IngestMetrics:
    """Counts for one process and event loop. ``registry``: of the caller, or a new one.

    Plain numbers, brought into prometheus_client's form when somebody looks: its own objects take a lock and a lookup
    for every count, and there are six for each delivery.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry if registry is not None else CollectorRegistry()
        self._deliveries: dict[tuple[str, str], int] = defaultdict(int)
        self._facts: dict[tuple[str, str], int] = defaultdict(int)
        self._last: dict[str, float] = {}
        self._append: dict[str, Timing] = defaultdict(Timing)
        self.request = Timing()
        self.registry.register(_Collected(self.families))

    def delivered(self, source: str, outcome: str) -> None:
        """One delivery of a configured source (or of "unknown")."""
        self._deliveries[source, outcome] += 1

    def fact(self, source: str, type_: str) -> None:
        """One fact was made durable."""
        self._facts[source, type_] += 1

    def seen(self, source: str, unix_s: float) -> None:
        """A source delivered something."""
        self._last[source] = unix_s

    def appended(self, to: str, seconds: float) -> None:
        """Something became durable."""
        self._append[to].observe(seconds)

    def watch(self, readings: Readings) -> None:
        """Ask these values when somebody looks."""
        self.registry.register(_Collected(lambda: _watched(readings)))

    def families(self) -> Iterator[Metric]:
        """What was counted."""
        for meaning, counts in ((DELIVERIES, self._deliveries), (FACTS, self._facts)):
            counter = CounterMetricFamily(meaning.name, meaning.help, labels=meaning.labels)
            for labels, count in counts.items():
                counter.add_metric(labels, count)
            yield counter
        request = HistogramMetricFamily(REQUEST.name, REQUEST.help)
        self.request.add_to(request, ())
        yield request
        append = HistogramMetricFamily(APPEND.name, APPEND.help, labels=APPEND.labels)
        for to, timing in self._append.items():
            timing.add_to(append, (to,))
        yield append
        last = GaugeMetricFamily(LAST.name, LAST.help, labels=LAST.labels)
        for source, unix_s in self._last.items():
            last.add_metric((source,), unix_s)
        yield last


def _watched(readings: Readings) -> Iterator[Metric]:
    """Values that belong to the log and the spool."""
    for meaning, value in readings().items():
        if meaning.kind == "counter":
            yield CounterMetricFamily(meaning.name, meaning.help, value=value)
        else:
            yield GaugeMetricFamily(meaning.name, meaning.help, value=value)


class _Collected:
    """A collector of prometheus_client around a function."""

    def __init__(self, families: Callable[[], Iterator[Metric]]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        """As prometheus_client asks for it."""
        return self._families()

    def describe(self) -> Iterator[Metric]:
        """Nothing is known before somebody looks."""
        return iter(())
