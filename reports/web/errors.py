"""What is answered when something is wrong: a page that says what happened, what is safe and what to press, or JSON."""

from __future__ import annotations

from uuid import uuid4

import psycopg
import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from projector.readmodel.live import NoLiveBuild
from reports.params import ParamError
from reports.web.api import json_response
from reports.web.controls import Choice
from reports.web.language import lang_of
from reports.web.render import Renderer
from reports.web.texts import say

log = structlog.get_logger(__name__)


def catch(renderer: Renderer) -> Middleware:
    """Middleware: parameters → 400, unknown → 404, no database or no build → 503, too long → 504, anything else → 500 with a number."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except ParamError as error:
            return _bad(renderer, request, error)
        except web.HTTPException as error:
            if error.status < 400:
                raise
            answer = _answer(renderer, request, error.status, [])
            if allowed := error.headers.get("Allow"):
                answer.headers["Allow"] = allowed
            return answer
        except (TimeoutError, psycopg.errors.QueryCanceled):
            log.warning("report took too long", path=request.path)
            return _answer(renderer, request, 504, [], retry=True)
        except (NoLiveBuild, psycopg.OperationalError) as error:
            log.warning("reports unavailable", path=request.path, reason=type(error).__name__)
            return _answer(renderer, request, 503, [], retry=True)
        except Exception:
            number = uuid4().hex[:8]
            log.exception("page failed", path=request.path, error_id=number)
            return _answer(renderer, request, 500, [], retry=True, id=number)

    return middleware


def _is_api(request: web.Request) -> bool:
    return request.path.startswith("/api/")


def _bad(renderer: Renderer, request: web.Request, error: ParamError) -> web.Response:
    lang = lang_of(request)
    wrong = [{"field": e.field, "reason": e.reason[lang]} for e in error.errors]
    if _is_api(request):
        return json_response({"error": wrong[0], "errors": wrong}, 400)
    return _answer(renderer, request, 400, [f"{w['field']}: {w['reason']}" for w in wrong])


def _without_clocks(request: web.Request) -> str | None:
    """The address of the same page as things are now; None when that is what was asked for."""
    pairs = [(name, value) for name, value in request.query.items() if name not in ("as_of", "known_at")]
    return None if len(pairs) == len(request.query) else str(request.rel_url.with_query(pairs))


def _answer(
    renderer: Renderer,
    request: web.Request,
    status: int,
    details: list[str],
    *,
    retry: bool = False,
    **values: str,
) -> web.Response:
    lang = lang_of(request)
    known = 404 if status == 405 else status if status in (400, 404, 500, 503, 504) else 400
    title, safe = say(f"error.{known}", lang), say(f"error.{known}.safe", lang, **values)
    if _is_api(request):
        field = "path" if known == 404 else "service"
        reason = f"{title}. {safe}" if known == 504 else title  # what to do is for the caller
        answer = json_response({"error": {"field": field, "reason": reason, **values}}, status)
    else:
        home = "/reports/inquiries" + ("?lang=en" if lang == "en" else "")
        actions = [Choice(say("error.open", lang), home)]
        if known == 504 and (now := _without_clocks(request)) is not None:
            actions.insert(0, Choice(say("error.now", lang), now))
        if retry:
            actions.insert(0, Choice(say("error.again", lang), str(request.rel_url)))
        answer = renderer.page(
            request,
            "error.html",
            lang=lang,
            status=status,
            title=title,
            details=details,
            safe=safe,
            waits=status == 503,
            actions=actions,
        )
    if status == 503:
        answer.headers["Retry-After"] = "5"
    return answer
