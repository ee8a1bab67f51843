"""The HTTP application of ingest: addresses, limits, connections, and the front door behind them."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import orjson
from aiohttp import web

from ingest import openapi, wire
from ingest.connections import Connections
from ingest.door import FrontDoor, IngestDeps
from ingest.journal import server_logger
from ingest.lane import Lane

#: For so long the rest of a body that nobody wants is read, so that its sender sees the answer.
_LINGER_S: Final = 5.0
#: The front door of an application made by `build_app`, and its connections.
DOOR: Final = web.AppKey("door", FrontDoor)
CONNECTIONS: Final = web.AppKey("connections", Connections)


def build_app(deps: IngestDeps) -> web.Application:
    """The application: ``/in/{name}/{secret}``, ``/v1/events``, ``/openapi.json``, ``/healthz``, ``/readyz``.

    The world may ask all of it: sources and counts are shown by `ingest.ops.ops_app` only. It writes no access log: request lines hold secrets.
    """
    limits = deps.limits
    app = web.Application(
        client_max_size=limits.max_body,
        handler_args={
            "max_line_size": limits.max_line,
            "max_field_size": limits.max_header,
            "max_headers": limits.max_headers,
            "keepalive_timeout": limits.idle_timeout_s,
            "lingering_time": min(limits.read_timeout_s, _LINGER_S),
            "auto_decompress": False,  # done here, with a limit on what comes out
            "access_log": None,
            "logger": server_logger(),
        },
    )
    door = app[DOOR] = FrontDoor(deps)
    app[CONNECTIONS] = Connections(app, limits, Lane(door))
    # Cabinets of providers show their example with a slash at the end, and people write theirs alike.
    for path in ("/in/{name}", "/in/{name}/", "/in/{name}/{secret}", "/in/{name}/{secret}/"):
        app.router.add_route("*", path, door.provider)
    app.router.add_post("/v1/events", door.native)
    app.router.add_get("/openapi.json", _document)
    app.router.add_get("/healthz", wire.alive)
    app.router.add_get("/readyz", door.ready)
    app.cleanup_ctx.append(door.running)
    return app


async def _document(_: web.Request) -> web.StreamResponse:
    return web.Response(body=_document_bytes(), content_type="application/json")


@lru_cache(maxsize=1)
def _document_bytes() -> bytes:
    return orjson.dumps(openapi.build())
