"""What every answer carries and what no request may do: headers, hosts, loopback only while nobody logs in."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

CSP: Final = (
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'; "
    "media-src 'self' https: http:"
)
"""No inline scripts or styles anywhere. Recordings are played from the telephony provider's own address."""

HEADERS: Final = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
_LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def _host_name(request: web.Request) -> str:
    host = request.host
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()


def _is_loopback(address: str | None) -> bool:
    try:
        return address is None or ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False


def own_address(request: web.Request) -> str | None:
    """Where this request reached us, if that is this machine by name; what else a ``Host`` says anybody may have made up."""
    return f"{request.scheme}://{request.host}" if _host_name(request) in _LOOPBACK_NAMES else None


def guard(*, loopback_only: bool) -> Middleware:
    """Middleware: with ``loopback_only`` a caller from elsewhere gets 403.

    A foreign ``Host`` is refused too: a page of another site that re-points its own name at 127.0.0.1 must not read
    the reports (DNS rebinding).
    """

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if loopback_only and not (_is_loopback(request.remote) and _host_name(request) in _LOOPBACK_NAMES):
            return web.json_response(
                {
                    "error": {
                        "field": "host",
                        "reason": "reports answer this machine only while there is no login: open them as 127.0.0.1 "
                        "or localhost; a proxy with a password must send Host: 127.0.0.1",
                    }
                },
                status=403,
            )
        return await handler(request)

    return middleware


async def harden(_request: web.Request, response: web.StreamResponse) -> None:
    """Signal ``on_response_prepare``: every answer carries `HEADERS`, also one that is sent in pieces."""
    response.headers.update(HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")
