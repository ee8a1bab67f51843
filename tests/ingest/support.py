"""Deliveries for tests: made by hand, or from the tables in ``data/<provider>/*.json``."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from ingest.adapters.contract import Translation
from ingest.adapters.registry import adapters
from ingest.delivery import Delivery
from ingest.limits import DEFAULT_LIMITS, Limits
from ingest.sources import SourceConfig
from ingest.translate import translate

DATA = Path(__file__).parent / "data"
RECEIVED = datetime(2026, 3, 2, 9, 0, 0, tzinfo=UTC)
KEY = b"k" * 32
SECRET = "s3cret-of-the-source"


def source(provider: str, **settings: Any) -> SourceConfig:
    return SourceConfig(**{"name": "main", "provider": provider, "secret": SECRET, **settings})


def delivery(
    provider: str,
    *,
    method: str | None = None,
    query: str | dict[str, str] = "",
    form: Any = None,
    value: Any = None,
    body: bytes = b"",
    headers: dict[str, str] | None = None,
    received: datetime = RECEIVED,
    path: str | None = None,
    config: SourceConfig | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Delivery:
    """``form``: dict or pairs, sent url-encoded; ``value``: sent as JSON; ``query``: text or dict."""
    sent = dict(headers or {})
    if form is not None:
        body = urlencode(form).encode()
        sent.setdefault("content-type", "application/x-www-form-urlencoded")
    elif value is not None:
        body = json.dumps(value, ensure_ascii=False).encode()
        sent.setdefault("content-type", "application/json")
    config = config or source(provider)
    return Delivery(
        method=method or ("POST" if body else "GET"),
        path=path or f"/in/{config.name}/{config.secret}",
        query=query if isinstance(query, str) else urlencode(query),
        headers={k.lower(): v for k, v in sent.items()},
        body=body,
        received=received,
        source=config,
        limits=limits,
    )


def told(one: Delivery) -> Translation:
    """The translation of a delivery by the adapter of its source."""
    return adapters()[one.source.provider].translate(one)


def events(one: Delivery) -> list[Any]:
    """The events of a delivery."""
    return translate(one, adapters()[one.source.provider], KEY).events


def later(one: Delivery, seconds: int) -> Delivery:
    """The same delivery again, a little later."""
    return replace(one, received=datetime.fromtimestamp(one.received.timestamp() + seconds, UTC))


def cases() -> Iterator[tuple[str, dict[str, Any]]]:
    """All tables: (provider, case). A case is a dict, see test_deliveries."""
    for file in sorted(DATA.glob("*/*.json")):
        for case in json.loads(file.read_text(encoding="utf-8")):
            yield file.parent.name, case


def delivery_of(provider: str, case: dict[str, Any]) -> Delivery:
    """The delivery of a case of a table."""
    d = case["delivery"]
    body = d.get("body", "")
    return delivery(
        provider,
        method=d.get("method"),
        query=d.get("query", ""),
        form=d.get("form"),
        value=d.get("json"),
        body=body.encode(d.get("charset", "utf-8")),
        headers=d.get("headers"),
        received=datetime.fromisoformat(case["received"]) if "received" in case else RECEIVED,
        config=source(provider, **case.get("source", {})),
    )
