"""Metrics of the pages: names, meanings, and the middleware that counts."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Middleware
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

REQUESTS = (
    "leadfold_report_requests_total",
    "counter",
    "Requests to the pages and the API by status.",
    ("status",),
)
SECONDS = (
    "leadfold_report_request_seconds",
    "histogram",
    "From the request to the answer, static files left out.",
    (),
)
DATABASE_UP = ("leadfold_report_database_up", "gauge", "1 while Postgres answers and has read models.", ())

METRICS = (REQUESTS, SECONDS, DATABASE_UP)


class ReportMetrics:
    """Counts for one process."""

    def __init__(self, database_up: Callable[[], bool]) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(REQUESTS[0], REQUESTS[2], REQUESTS[3], registry=self.registry)
        self._seconds = Histogram(SECONDS[0], SECONDS[2], registry=self.registry)
        up = Gauge(DATABASE_UP[0], DATABASE_UP[2], registry=self.registry)
        up.set_function(lambda: float(database_up()))

    def text(self) -> bytes:
        """Prometheus text."""
        return generate_latest(self.registry)

    def middleware(self) -> Middleware:
        """Counts every request; put it first."""

        @web.middleware
        async def count(request: web.Request, handler: Handler) -> web.StreamResponse:
            began = time.perf_counter()
            status = 500
            try:
                response = await handler(request)
                status = response.status
                return response
            except web.HTTPException as error:
                status = error.status
                raise
            finally:
                self._requests.labels(str(status)).inc()
                if not request.path.startswith("/static/"):
                    self._seconds.observe(time.perf_counter() - began)

        return count
