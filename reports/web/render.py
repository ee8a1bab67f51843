"""Templates with what every page shares: texts in its language, asset addresses, the reader's theme and density."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined

from reports.web.assets import Assets
from reports.web.navigation import RAIL
from reports.web.texts import say

FRAGMENT_HEADER: Final = "Leadfold-Fragment"
_LOOKS: Final = {
    "theme": ("auto", "light", "dark"),
    "density": ("normal", "compact"),
    "rail": ("full", "folded"),
}


@dataclass(frozen=True, slots=True)
class Look:
    """What the reader prefers on this machine (cookies set by the switches)."""

    theme: str
    density: str
    rail: str

    @classmethod
    def of(cls, request: web.Request) -> Look:
        """From the request's cookies; anything unknown is the default."""
        given = {name: request.cookies.get(f"lf_{name}", "") for name in _LOOKS}
        return cls(
            **{
                name: given[name] if given[name] in allowed else allowed[0]
                for name, allowed in _LOOKS.items()
            }
        )


class Renderer:
    """Draws pages; with the header ``Leadfold-Fragment`` only the part that goes into the panel."""

    def __init__(self, assets: Assets) -> None:
        self._env = Environment(
            loader=PackageLoader("reports.web"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._env.globals.update(asset=assets.url, rail=RAIL)

    def page(
        self,
        request: web.Request,
        template: str,
        *,
        lang: str,
        current: str = "",
        status: int = 200,
        **context: Any,
    ) -> web.Response:
        """One page. ``current`` is the rail's item that it belongs to."""

        def t(key: str, /, **values: object) -> str:
            return say(key, lang, **values)

        def local(path: str) -> str:
            return path if lang == "ru" else f"{path}?lang={lang}"

        def in_language(wanted: str) -> str:
            query = {k: v for k, v in request.query.items() if k != "lang"}
            pairs = [(k, v) for k, v in request.query.items() if k in query]
            if wanted != "ru":
                pairs.append(("lang", wanted))
            return str(request.rel_url.with_query(pairs)) if pairs else request.rel_url.path

        layout = "fragment.html" if request.headers.get(FRAGMENT_HEADER) else "frame.html"
        text = self._env.get_template(template).render(
            layout=layout,
            lang=lang,
            look=Look.of(request),
            current=current,
            t=t,
            local=local,
            in_language=in_language,
            **context,
        )
        headers = {"Vary": f"{FRAGMENT_HEADER}, Cookie"}
        answer = web.Response(
            text=text, status=status, content_type="text/html", charset="utf-8", headers=headers
        )
        answer.enable_compression()
        return answer
