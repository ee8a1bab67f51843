"""What the pages are given by whoever starts them: a database, the company's settings, the log's evidence, the clock."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection

from reports.card import EvidenceReader
from reports.context import Context

Conn = AsyncConnection[Any]


@dataclass(frozen=True, slots=True)
class Setup:
    """What the pages tell about connecting things. Never a secret.

    ``config``: path of leadfold.toml for ``--config``, empty where it is not needed. ``ingest_url``: how providers
    reach us, no slash at the end. ``sources``: (name, provider) of each. ``providers``: all that may be added.
    """

    config: str = ""
    ingest_url: str = "http://127.0.0.1:8080"
    sources: tuple[tuple[str, str], ...] = ()
    providers: tuple[str, ...] = ("sipuni", "jivo", "tilda", "form", "native")


@dataclass(frozen=True, slots=True)
class Deps:
    """Everything the application needs. All callables are called per request, from the event loop.

    ``connection``: lends a psycopg connection for one request (a pool's ``connection``).
    ``context``: the live build with its directory, ``now`` and freshness; may raise
    ``projector.readmodel.live.NoLiveBuild``, answered as «отчётов пока нет» (503).
    ``evidence``: reads raw webhooks from the log.
    ``now``: the clock (aware UTC). ``zone``: the company's time zone.
    ``ready``: names of checks → None when well, else what is wrong; ``/readyz`` is 503 when any is wrong.
    ``metrics``: the Prometheus text; None = no ``/metrics`` here.
    ``loopback_only``: refuse callers from other machines while there is no login.
    ``setup``: the installation, for the guide.
    ``public_url``: how readers reach the pages, for links in files; empty: as the request did
    from this machine, no links for others.
    """

    connection: Callable[[], AbstractAsyncContextManager[Conn]]
    context: Callable[[Conn], Awaitable[Context]]
    evidence: EvidenceReader
    now: Callable[[], datetime]
    zone: str = "Europe/Moscow"
    ready: Callable[[], Awaitable[Mapping[str, str | None]]] | None = None
    metrics: Callable[[], bytes] | None = None
    loopback_only: bool = True
    setup: Callable[[], Setup] = Setup
    public_url: str = ""
