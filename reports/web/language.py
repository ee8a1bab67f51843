"""In which language a page is: the address says it. Whoever comes without one gets his browser's, once."""

from __future__ import annotations

from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

COOKIE: Final = "lf_lang"
"""What the reader last chose by the switch."""
_PAGES: Final = ("/reports/", "/inquiries/", "/events/", "/definitions", "/guide")
_FILES: Final = (".xlsx", ".csv")


def lang_of(request: web.Request) -> str:
    """``lang=en`` in the address, else Russian."""
    return "en" if request.query.get("lang") == "en" else "ru"


def wanted(request: web.Request) -> str:
    """The language that the reader chose before, else the first of his browser's that there is, else Russian."""
    chosen = request.cookies.get(COOKIE)
    if chosen in ("ru", "en"):
        return chosen
    return preferred(request.headers.get("Accept-Language", ""))


def preferred(header: str) -> str:
    """``ru`` or ``en``, whichever an Accept-Language header likes more; ``ru`` when it names neither."""
    best, weight = "ru", 0.0
    for part in header.split(","):
        tag, _, rest = part.strip().partition(";")
        name = tag.strip().lower().partition("-")[0]
        try:
            q = float(rest.partition("=")[2]) if "=" in rest else 1.0
        except ValueError:
            continue
        if name in ("ru", "en") and q > weight:
            best, weight = name, q
    return best


def first_language() -> Middleware:
    """Middleware: an address typed or followed from elsewhere that names no language leads to the reader's.

    Links between our pages keep their language: they are left alone, and so is everything that is no page.
    """

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if _from_elsewhere(request) and "lang" not in request.query and wanted(request) == "en":
            raise web.HTTPFound(request.rel_url.update_query(lang="en"))
        return await handler(request)

    return middleware


def _from_elsewhere(request: web.Request) -> bool:
    page = request.method == "GET" and request.path.startswith(_PAGES) and not request.path.endswith(_FILES)
    mode = request.headers.get("Sec-Fetch-Mode", "navigate")
    return page and mode == "navigate" and request.headers.get("Sec-Fetch-Site") != "same-origin"
