"""What an adapter is: the one place that knows a provider's wire format (docs/adding-a-provider.md)."""

from __future__ import annotations

import hmac
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import field
from typing import Any, ClassVar, Final
from urllib.parse import unquote

import orjson

from domain.said import Said
from domain.value import value
from ingest.delivery import Delivery
from ingest.limits import Unreadable


@value
class Answer:
    """What the provider wants to hear."""

    status: int = 200
    body: bytes = b""
    content_type: str = "text/plain"
    headers: Mapping[str, str] = field(default_factory=dict)


def json_answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """An answer in JSON."""
    return Answer(status, orjson.dumps(value), "application/json", headers or {})


@value
class Translation:
    """What one delivery means.

    ``said``: the facts. ``answer``: for the provider. ``probe``: a test of the settings, nothing to be kept.
    A translation without facts that is no probe is kept as ``delivery.unreadable`` with the reason ``kept`` (no data of
    the delivery in it; it begins with ``DeliveryUnreadable.UNUSED`` where nothing was expected to be read). With facts it has no effect.
    """

    said: list[Said]
    answer: Answer
    probe: bool = False
    kept: str | None = None


class Adapter(ABC):
    """A provider's wire format. Stateless: one object serves all sources of the provider, in any thread.

    `translate` is a pure function of the delivery: no clock (``delivery.received`` is the time), no I/O, no memory.
    Increase ``REVISION`` with every change that makes another fact of the same delivery: facts of a higher revision
    supersede those with the same id.
    """

    #: Name in the configuration and in the events' source: ``/sipuni/main``.
    provider: ClassVar[str]
    REVISION: ClassVar[int] = 1
    #: Success as the provider wants it; also the answer to what could not be read.
    OK: ClassVar[Answer] = Answer(200, b"ok")
    #: Browsers may post from a page of another host.
    BROWSERS: ClassVar[bool] = False

    def authenticate(self, delivery: Delivery) -> bool:
        """Whether the delivery is the source's own; in constant time.

        By default: the secret stands in the path, or where the source's options say (see `SourceConfig`).
        """
        return has_secret(delivery)

    @abstractmethod
    def translate(self, delivery: Delivery) -> Translation:
        """The facts of an authenticated delivery. May raise anything: the delivery is then kept as unreadable."""


def same(given: str, wanted: str) -> bool:
    """Compare two secrets in a time that tells nothing but their length. Nothing never equals nothing."""
    return bool(wanted) and hmac.compare_digest(
        given.encode("utf-8", "replace"), wanted.encode("utf-8", "replace")
    )


def has_secret(delivery: Delivery) -> bool:
    """Whether the source's secret is where its options say: path, header, query parameter or body field."""
    options = delivery.source.options
    wanted = options.get("key_value") or delivery.source.secret
    name = options.get("key_name", "")
    match options.get("key_in", "path"):
        case "path":
            return same(path_secret(delivery.path), delivery.source.secret)
        case "header":
            given = delivery.header(name.lower())
            scheme, _, token = given.partition(" ")
            return same(token.strip() if scheme.lower() == "bearer" else given, wanted)
        case "query":
            return _field_is(delivery, "query", name, wanted)
        case "body":
            return _field_is(delivery, "body", name, wanted)
    return False


def fault(delivery: Delivery) -> str:
    """Why a delivery is not let in, for the log: the key is not where the options want it, or is another one."""
    options = delivery.source.options
    where, name = options.get("key_in", "path"), options.get("key_name", "")
    if where == "path":
        return "another key in the address" if path_secret(delivery.path) else "no key in the address"
    if where == "header":
        there = bool(delivery.header(name.lower()))
    else:
        there = _field(delivery, where, name) is not None
    place = {"header": "header", "query": "parameter", "body": "field of the body"}.get(where, where)
    return f"{'another' if there else 'no'} key in the {place} {name}"


def path_secret(path: str) -> str:
    """The last part of ``/in/{name}/{secret}``, with a slash behind it or none, decoded; empty when there is none."""
    parts = path.split("/")
    return unquote(parts[3]) if len(parts) == 4 or (len(parts) == 5 and not parts[4]) else ""


def _field_is(delivery: Delivery, where: str, name: str, wanted: str) -> bool:
    given = _field(delivery, where, name)
    return isinstance(given, str) and same(given, wanted)


def _field(delivery: Delivery, where: str, name: str) -> Any:
    try:
        fields = delivery.query_fields if where == "query" else delivery.value
    except Unreadable:
        return None
    return fields.get(name) if isinstance(fields, dict) else None


SUCCESS: Final = json_answer({"success": True})
RESULT_OK: Final = json_answer({"result": "ok"})

__all__ = [
    "RESULT_OK",
    "SUCCESS",
    "Adapter",
    "Answer",
    "Said",
    "Translation",
    "Unreadable",
    "fault",
    "has_secret",
    "json_answer",
    "path_secret",
    "same",
]
