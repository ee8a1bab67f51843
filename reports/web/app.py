"""The aiohttp application of the pages and the JSON API."""

from __future__ import annotations

from aiohttp import web

from reports.web.api import Api, json_response
from reports.web.assets import Assets
from reports.web.deps import Deps
from reports.web.errors import catch
from reports.web.language import first_language
from reports.web.pages import Pages
from reports.web.render import Renderer
from reports.web.security import guard, harden
from reports.web.service import Service

SERVICE: web.AppKey[Service] = web.AppKey("service", Service)


def build_app(deps: Deps) -> web.Application:
    """An application to be served by ``leadfold run``: pages, files, JSON, health. It starts no tasks of its own."""
    assets = Assets()
    renderer = Renderer(assets)
    service = Service(deps, assets, renderer)
    pages, api = Pages(service), Api(service)
    app = web.Application(
        middlewares=[guard(loopback_only=deps.loopback_only), catch(renderer), first_language()],
        client_max_size=64 * 1024,
    )
    app.on_response_prepare.append(harden)
    app[SERVICE] = service
    add = app.router.add_get
    add("/", pages.home)
    add("/reports/inquiries", pages.report)
    add("/reports/inquiries/rows", pages.rows)
    add("/reports/inquiries/values", pages.values)
    add("/reports/inquiries/filter", pages.filtered)
    add("/reports/inquiries.xlsx", api.xlsx)
    add("/reports/inquiries.csv", api.csv)
    add("/inquiries/{id}", pages.card)
    add("/events/{id}", pages.event)
    add("/definitions", pages.definitions)
    add("/guide", pages.guide)
    add("/api/v1/reports/inquiries", api.report)
    add("/api/v1/reports/inquiries/rows", api.rows)
    add("/api/v1/inquiries/{id}", api.card)
    add("/api/v1/events/{id}", api.event)
    add("/static/{version}/{name:.+}", assets.serve)
    add("/healthz", _health)
    add("/readyz", _ready)
    if deps.metrics is not None:
        add("/metrics", _metrics)
    return app


async def _health(_request: web.Request) -> web.Response:
    """The process answers."""
    return json_response({"alive": True})


async def _ready(request: web.Request) -> web.Response:
    """Each thing that pages need, with what is wrong with it (null = well); 503 when any is not well."""
    ready = request.app[SERVICE].deps.ready
    found = await ready() if ready is not None else {}
    checks = {name: {"ok": reason is None, "reason": reason} for name, reason in found.items()}
    well = all(check["ok"] for check in checks.values())
    return json_response({"ready": well, "checks": checks}, 200 if well else 503)


async def _metrics(request: web.Request) -> web.Response:
    """Prometheus text."""
    metrics = request.app[SERVICE].deps.metrics
    assert metrics is not None
    return web.Response(body=metrics(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})
