"""Asking the parts of Leadfold how they are, wherever they run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp

from leadfold.announce import OPS, announced
from leadfold.settings import Ingest, Projector, Reports, Settings, local_host

PARTS: Final = ("ingest", "project", "report")
_PATIENCE_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Address:
    """Where a part is asked. ``given``: by a setting ``status_url``, so it must answer there.

    ``pid``: of the process on this machine that announced itself, else None.
    """

    url: str
    pid: int | None = None
    given: bool = False


@dataclass(frozen=True, slots=True)
class Readiness:
    """What ``/readyz`` of a part said: ``checks`` are name → ``ok``, ``reason`` and more of its own."""

    ready: bool
    checks: dict[str, dict[str, Any]] = field(default_factory=dict)


def address_of(settings: Settings, part: str) -> Address | None:
    """Where to ask a part of `PARTS`: its ``status_url``, else where it announced itself on this machine, else its port.

    None: there is nobody to ask. With the embedded log a part that did not announce itself does not run, and whoever
    answers on its port is not ours.
    """
    sections: dict[str, Ingest | Projector | Reports] = {
        "ingest": settings.ingest,
        "project": settings.projector,
        "report": settings.reports,
    }
    section = sections[part]
    found = announced(settings, OPS if part == "ingest" else part)
    if section.status_url:
        return Address(section.status_url.rstrip("/"), found.pid if found else None, given=True)
    if found is not None:
        return Address(found.url, found.pid)
    host, port = section.host, section.port
    if isinstance(section, Ingest):
        host, port = section.ops_host, section.ops_port
    return None if port == 0 or settings.embedded_log else Address(f"http://{local_host(host)}:{port}")


async def ask(address: Address) -> Readiness | None:
    """What the part says; None when nobody answers there, or somebody else does."""
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_PATIENCE_S)) as session,
            session.get(f"{address.url}/readyz") as response,
        ):
            told = await response.json()
            return Readiness(response.status == 200, {str(k): dict(v) for k, v in told["checks"].items()})
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError, KeyError, TypeError, AttributeError):
        return None
