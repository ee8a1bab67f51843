"""Where a visitor came from: utm marks in their spellings, counters' cookies by a white list."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from ingest.pairs import unescaped
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
_REMEMBERED: Final = 300
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
    marks = {k: v for k, v in fields.items() if is_mark(k)}
    inner = fields.get("utm")
    found = utm_of(inner) if isinstance(inner, dict) else {}
    return {**found, **utm_of(marks)} if marks else found


@lru_cache(maxsize=4096)
def is_mark(name: str) -> bool:
    """Whether a field of this name is a utm mark."""
    return name.strip().lower().startswith("utm_")


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
    if (
        header and "amp;" in header.lower()
    ):  # «&amp;» cut in half, as Tilda sends its bars: its semicolon parts no cookies
        header = _HALF_ESCAPED.sub(r"\1", header)
    for pair in (header or "").split(";"):
        name, _, value = pair.strip().partition("=")
        if name and value:
            out.setdefault(name, value)
    return out


def kept_cookies(cookies: Mapping[str, Any]) -> dict[str, str]:
    """The white-listed cookies by our names."""
    return {
        ours: value
        for theirs, ours in COOKIES.items()
        if theirs in cookies and (value := text(cookies[theirs]))
    }


def tilda_utm(cookies: Mapping[str, Any]) -> dict[str, str]:
    """utm marks that Tilda keeps in its cookie TILDAUTM (encoded once or twice)."""
    said = text(cookies.get("TILDAUTM"), 4000)
    if said is None:
        return {}
    return dict(_campaign(said)) if len(said) <= _REMEMBERED else _twice_encoded(said)


def _twice_encoded(said: str) -> dict[str, str]:
    return utm_pairs(unescaped(unescaped(said)))


#: Many visitors come by the same advertisement.
_campaign = lru_cache(maxsize=2048)(_twice_encoded)
