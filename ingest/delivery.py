"""One delivery as it came over the wire, and what its query and body say. Decoding is lazy and done once."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from ingest.decoding import (
    UTF16,
    Fields,
    TooLarge,
    charset_of,
    decoded,
    decompress,
    form_of,
    media_type_of,
    parse_json,
)
from ingest.lazy import once
from ingest.limits import DEFAULT_LIMITS, Limits, Unreadable
from ingest.multipart import parse_multipart
from ingest.pairs import Apart, Pairs, apart, nest, parse_pairs
from ingest.sources import SourceConfig

BodyKind = Literal["empty", "json", "form", "text"]


@dataclass  # not frozen: that makes it three times as slow to make, and one is made for every request
class Delivery:
    """A request of a provider. Nobody changes it.

    ``path`` and ``query`` are as sent (percent-encoded, the query without ``?``). ``headers`` have lower-case names.
    ``body`` has no content encoding any more but one that ``headers`` still name, since it could not be undone. ``received`` is UTC. Properties that decode raise `Unreadable` when the
    delivery is beyond the limits.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    received: datetime
    source: SourceConfig
    limits: Limits = field(default=DEFAULT_LIMITS, repr=False)
    #: What the evidence keeps of the headers (`redaction.headers`), where that is known beforehand.
    shown: tuple[tuple[str, str], ...] | None = field(default=None, repr=False, compare=False)

    def header(self, name: str) -> str:
        """A header by its lower-case name, empty when absent."""
        return self.headers.get(name, "")

    @once
    def content_type(self) -> str:
        """Media type in lower case without parameters."""
        return media_type_of(self.header("content-type"))

    @once
    def charset(self) -> str | None:
        """Charset named by the header, by Python's name."""
        return charset_of(self.header("content-type"))

    @once
    def query_pairs(self) -> Pairs:
        """Query parameters in order, decoded."""
        return parse_pairs(self.query, None, self.limits) if self.query else []

    @once
    def query_fields(self) -> Fields:
        """Query parameters as nested values."""
        taken = self.apart_query
        return taken.fields(None, self.limits) if taken is not None else nest(self.query_pairs, self.limits)

    @once
    def apart_query(self) -> Apart | None:
        """The query, where it is plain."""
        return apart(self.query, self.limits)

    @once
    def apart_body(self) -> Apart | None:
        """The body, where it is a form in plain ASCII and surely nothing else."""
        body, may_be = self.body, form_of(self.headers.get("content-type", ""))
        if (
            may_be == "no"
            or not body.isascii()
            or b'"' in body
            or b"\n" in body
            or b"\r" in body
            or "content-encoding" in self.headers
        ):
            return None
        text = body.decode("ascii")
        if text[:1] in ("{", "[") or text != text.strip() or (may_be == "maybe" and "=" not in text):
            return None
        return apart(text, self.limits)

    @once
    def _decoded(self) -> tuple[BodyKind, Any]:
        if not self.body:
            return "empty", {}
        if (taken := self.apart_body) is not None:
            return "form", taken.fields(self.charset, self.limits)
        if "content-encoding" not in self.headers:
            return self._read(self.body)
        try:
            return self._read(self.body)  # some name an encoding and send it plain
        except Unreadable:
            with suppress(TooLarge):
                return self._read(decompress(self.body, self.headers["content-encoding"], self.limits))
            raise

    def _read(self, body: bytes) -> tuple[BodyKind, Any]:
        start = body.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
        if not start:
            return "empty", {}
        if (
            start in (b"{", b"[")
            or "json" in self.content_type
            or body[:2] in UTF16
            or self.charset == "utf-16"
        ):
            try:
                return "json", parse_json(body, self.charset, self.limits)
            except Unreadable:
                if "form" not in self.content_type:
                    raise
        if self.content_type == "multipart/form-data":
            pairs = parse_multipart(body, self.header("content-type"), self.charset, self.limits)
            return "form", nest(pairs, self.limits)
        try:
            text = body.decode(self.charset or "utf-8")
        except UnicodeDecodeError:
            if "form" not in self.content_type:
                raise Unreadable("the body is neither JSON nor a form") from None
            text = decoded(body, self.charset)
        if "=" not in text and "form" not in self.content_type:
            return "text", text
        return "form", nest(parse_pairs(text.strip("\ufeff\r\n "), self.charset, self.limits), self.limits)

    @property
    def body_kind(self) -> BodyKind:
        """What the body turned out to be, chosen by trying and not by the header alone."""
        return self._decoded[0]

    @property
    def value(self) -> Any:
        """The body: a nested value (JSON, form), a text, or an empty dict."""
        return self._decoded[1]

    @once
    def fields(self) -> Fields:
        """Query and body as one set of fields; the body goes before the query.

        Raises:
            Unreadable: the body is neither an object nor a form.
        """
        value = self.value
        if not isinstance(value, dict):
            raise Unreadable("the body is not an object or form")
        if not self.query:
            return value
        if not value:
            return self.query_fields
        return {**self.query_fields, **value}
