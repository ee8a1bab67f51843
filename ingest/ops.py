"""What the operator may know of a front door and the world may not: sources, counts, the spool. An address of its own."""

from __future__ import annotations

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from ingest import metrics as m
from ingest import wire
from ingest.adapters.contract import json_answer
from ingest.connections import Connections
from ingest.door import FrontDoor


def ops_app(door: FrontDoor, connections: Connections) -> web.Application:
    """``/healthz``, ``/readyz`` with its checks, ``/metrics`` of a front door. It has no key: for inside only."""
    ops = _Ops(door, connections)
    app = web.Application()
    app.router.add_get("/healthz", wire.alive)
    app.router.add_get("/readyz", ops.ready)
    app.router.add_get("/metrics", ops.show_metrics)
    return app


class _Ops:
    def __init__(self, door: FrontDoor, connections: Connections) -> None:
        self._door = door
        self._connections = connections
        door.deps.metrics.watch(self._readings)

    async def ready(self, _: web.Request) -> web.StreamResponse:
        """Whether a delivery now would be made durable, by the log or the spool: 200, or 503."""
        store, deps = self._door.store, self._door.deps
        checks: dict[str, dict[str, object]] = {
            "log": {
                "ok": store.log_up,
                "reason": None if store.log_up else "it does not answer",
                "engine": deps.log.engine,
            }
        }
        if (spool := deps.spool) is not None:
            room = max(0, spool.max_bytes - spool.bytes)
            checks["spool"] = {
                "ok": spool.available,
                "reason": None if spool.available else "it cannot be written" if room else "it is full",
                "depth": spool.depth,
                "left": deps.left(),
                "bytes": spool.bytes,
                "room_bytes": room,
                "oldest_age_s": spool.oldest_age_s(),
            }
        state = {"ready": store.ready, "checks": checks}
        return wire.respond(json_answer(state, 200 if store.ready else 503))

    async def show_metrics(self, _: web.Request) -> web.StreamResponse:
        """Prometheus."""
        body = generate_latest(self._door.deps.metrics.registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    def _readings(self) -> dict[m.Meaning, float]:
        """Values that belong to the log, the spool and the connections."""
        door = self._door
        log, connections = door.deps.log.counters, self._connections
        values: dict[m.Meaning, float] = {
            m.LOG_UP: float(door.store.log_up),
            m.IN_FLIGHT: door.in_flight,
            m.LOG_BATCHES: log.get("batches", log.get("commits", 0)),
            m.LOG_UNKNOWN: log.get("append_unknown", 0),
            m.REPLACEMENTS: log.get("replacements", 0),
            m.CONNECTIONS: connections.open,
            m.CLOSED_SLOW: connections.closed("slow"),
            m.CLOSED_CROWDED: connections.closed("crowded"),
            m.SPOOL_LEFT: door.deps.left(),
        }
        if (spool := door.deps.spool) is not None:
            values |= {
                m.SPOOL_RECORDS: spool.depth,
                m.SPOOL_BYTES: spool.bytes,
                m.SPOOL_ROOM: max(0, spool.max_bytes - spool.bytes),
                m.SPOOL_AGE: spool.oldest_age_s() or 0.0,
            }
        if (drainer := door.drainer) is not None:
            values |= {
                m.SPOOL_SHIPPED: drainer.counters["shipped"],
                m.SPOOL_FAILURES: drainer.counters["ship_failures"],
                m.SPOOL_ASIDE: drainer.counters["set_aside"],
            }
        return values
