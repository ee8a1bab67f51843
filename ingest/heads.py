"""Heads of requests that came before: what aiohttp's parser made of one holds for every request with the same bytes.

The requests of a sender differ in their query, their body and its length; the rest of the head is the same for days.
So it is parsed once, by aiohttp, and afterwards known by sight. Only heads of deliveries with the right key are kept,
a few for each source: nobody fills the memory, and a sender whose every head is new disturbs himself only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from ingest import redaction
from ingest.sources import SourceConfig

#: Heads of one source; the oldest goes when another comes.
_MOST: Final = 64
#: Longer ones, bytes, are parsed every time.
_LONGEST: Final = 4096
#: What a request line is made of that needs no second thought; a ``#`` does, and so do raw letters.
_PLAIN: Final = (
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 /?%&=+.-_~:;,@!*'()$"  # no others
)
_END: Final = b"\r\n\r\n"


class Whole(NamedTuple):
    """The bytes of one request, taken apart. ``rest``: its method and its header lines but for the body's length."""

    method: str
    path: str
    query: str
    rest: tuple[str, bytes, bytes | None]
    body: bytes


class Heads:
    """The heads that one front door knows. Made and used on one event loop."""

    def __init__(self, max_line: int) -> None:
        self._max_line = max_line
        self._known: dict[str, tuple[SourceConfig, dict[tuple[str, bytes, bytes | None], Head]]] = {}

    def cut(self, data: bytes) -> Whole | None:
        """The one request that these bytes may be; None: aiohttp's parser has to look at it."""
        head, end, body = data.partition(_END)
        line, _, fields = head.partition(b"\r\n")
        if not end or len(line) > self._max_line or line.translate(None, _PLAIN):
            return None
        method, _, asked = line.decode("ascii").partition(" ")
        target, _, version = asked.partition(" ")
        if version != "HTTP/1.1" or method not in ("POST", "GET"):
            return None
        path, _, query = target.partition("?")
        before, length, after = fields.partition(b"ength: %d" % len(body))
        if length:
            return Whole(method, path, query, (method, before, after), body)
        return None if body else Whole(method, path, query, (method, fields, None), body)

    def find(self, source: SourceConfig, whole: Whole) -> Head | None:
        """What a head of this source with the same bytes said."""
        kept = self._known.get(source.name)
        return kept[1].get(whole.rest) if kept is not None and kept[0] is source else None

    def learn(self, source: SourceConfig, whole: Whole, headers: Mapping[str, str]) -> None:
        """aiohttp parsed this request of the source: these were its headers, with lower-case names."""
        _, before, after = whole.rest
        if len(before) + len(after or b"") > _LONGEST:
            return
        if after is not None and not (
            (b"\n" + before).lower().endswith(b"\ncontent-l") and after[:2] in (b"", b"\r\n")
        ):
            return  # another header ends like that
        kept = self._known.get(source.name)
        if kept is None or kept[0] is not source:
            kept = self._known[source.name] = (source, {})
        heads = kept[1]
        if len(heads) >= _MOST:
            del heads[next(iter(heads))]
        told = {name: value for name, value in headers.items() if name != "content-length"}
        heads[whole.rest] = Head(told, redaction.headers(told, source))


class Head(NamedTuple):
    """``headers`` with lower-case names, without the body's length; ``shown``: those of them that the evidence keeps."""

    headers: Mapping[str, str]
    shown: tuple[tuple[str, str], ...]
