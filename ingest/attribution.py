"""Where a visitor came from: utm marks in their spellings, counters' cookies by a white list."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from ingest.reading import text

#: utm keys as the facts spell them.
UTM: Final = ("source", "medium", "campaign", "content", "term")

#: Cookies that are kept, by our names. Others may be sessions and are never stored in facts.
COOKIES: Final[dict[str, str]] = {
    "_ym_uid": "ym_uid",
    "_ga": "ga",
    "roistat_visit": "roistat_visit",
    "_ct_session_id": "ct_session_id",
    "_fbc": "fbc",
}

_HALF_ESCAPED: Final = re.compile(r"(\||%7C)amp;", re.IGNORECASE)
_BARS: Final = re.compile(r"\|+(?:amp;)?|&(?:amp;)?")


def utm_of(fields: Mapping[str, Any]) -> dict[str, str]:
    """utm marks of an object whose keys are spelled with the prefix, without it, or in another case."""
    found: dict[str, str] = {}
    for name, value in fields.items():
        short = name.strip().lower().removeprefix("utm_")
        said = text(value)
        if short in UTM and said:
            found.setdefault(short, said)
    return found


def explicit_utm(fields: Mapping[str, Any]) -> dict[str, str]:
    """utm marks among other fields: only those with the prefix, and the object ``utm``."""
    marks = utm_of({k: v for k, v in fields.items() if k.strip().lower().startswith("utm_")})
    inner = fields.get("utm")
    return {**(utm_of(inner) if isinstance(inner, dict) else {}), **marks}


def utm_pairs(joined: str | None) -> dict[str, str]:
    """utm marks of a text ``source=a|medium=b``: one, two or three bars, ampersands, HTML-escaped or not."""
    if not joined:
        return {}
    pairs = (pair.partition("=") for pair in _BARS.split(html.unescape(joined)))
    return utm_of({name: value for name, _, value in pairs if value})


def utm_in_url(url: str | None) -> dict[str, str]:
    """utm marks of an address, whatever else it is."""
    if not url or "utm_" not in url:
        return {}
    try:
        parts = urlsplit(url)
        pairs = parse_qsl(
            f"{parts.query}&{parts.fragment.partition('?')[2]}", errors="replace", max_num_fields=200
        )
    except ValueError:
        return {}
    return explicit_utm(dict(pairs))


def cookie_pairs(header: str | None) -> dict[str, str]:
    """A cookie string ``a=b; c=d`` as pairs."""
    out: dict[str, str] = {}
    # «&amp;» cut in half, as Tilda sends its bars: its semicolon parts no cookies.
    for pair in _HALF_ESCAPED.sub(r"\1", header or "").split(";"):
        name, _, value = pair.strip().partition("=")
        if name and value:
            out.setdefault(name, value)
    return out


def kept_cookies(cookies: Mapping[str, Any]) -> dict[str, str]:
    """The white-listed cookies by our names."""
    found = {ours: text(cookies.get(theirs)) for theirs, ours in COOKIES.items()}
    return {name: value for name, value in found.items() if value}


def tilda_utm(cookies: Mapping[str, Any]) -> dict[str, str]:
    """utm marks that Tilda keeps in its cookie TILDAUTM (encoded once or twice)."""
    said = text(cookies.get("TILDAUTM"), 4000)
    return utm_pairs(unquote(unquote(said))) if said else {}
