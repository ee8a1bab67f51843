"""What one delivery and one source may cost. All of it can be configured."""

from __future__ import annotations

from dataclasses import dataclass


class Unreadable(ValueError):
    """A delivery that no adapter can read; the text says why, without any data of the delivery.

    Raised by decoders and adapters; the delivery is kept as ``delivery.unreadable``, never refused.
    """


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the front door.

    Sizes are bytes, times are seconds. ``max_body`` holds before and after decompression.
    ``read_timeout_s`` is for a head, for a body and for the reader of an answer, each; ``idle_timeout_s`` for a connection
    between two requests; with more than ``max_connections`` those that were idle longest are closed.
    ``max_in_flight`` deliveries are made durable at the same time, at most half of them of one source.
    ``rate_per_s`` is per source (None: no limit), with bursts of ``rate_burst`` deliveries.
    """

    max_body: int = 1024 * 1024
    max_line: int = 16 * 1024  # request line: Sipuni sends its fields in the query
    max_header: int = 8 * 1024
    max_headers: int = 100
    max_fields: int = 2000
    max_depth: int = 12
    max_key: int = 300
    max_batch: int = 500
    max_encodings: int = 2  # gzip of gzip: some proxies do that, nobody does more
    read_timeout_s: float = 10.0
    idle_timeout_s: float = 75.0  # longer than a proxy before us keeps one (nginx: 60)
    max_connections: int = 10_000
    max_in_flight: int = 2000
    rate_per_s: float | None = None
    rate_burst: int = 200


DEFAULT_LIMITS = Limits()
