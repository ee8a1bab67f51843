"""Asking the parts of Leadfold how they are, wherever they run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp

from leadfold import doors
from leadfold.announce import OPS, announced
from leadfold.settings import Projector, Reports, Settings, local_host

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


def parts(settings: Settings) -> tuple[str, ...]:
    """The names of all parts: each front door, the projector, the pages."""
    return (*doors.names(settings), "project", "report")


def address_of(settings: Settings, part: str) -> Address | None:
    """Where to ask one of `parts`: its ``status_url``, else where it announced itself on this machine, else its port.

    None: there is nobody to ask. With the embedded log a part that did not announce itself does not run, and whoever
    answers on its port is not ours.
    """
    if part in ("project", "report"):
        section: Projector | Reports = settings.projector if part == "project" else settings.reports
        found, given, host, port = announced(settings, part), section.status_url, section.host, section.port
    else:
        number = doors.number_of(part)
        found = announced(settings, doors.numbered(OPS, number))
        given = doors.port_after(settings.ingest.status_url, number - 1)
        host, port = settings.ingest.ops_host, settings.ops_port_of(number)[0]
    if given:
        return Address(given.rstrip("/"), found.pid if found else None, given=True)
    if found is not None:
        return Address(found.url, found.pid)
    return None if port == 0 or settings.embedded_log else Address(f"http://{local_host(host)}:{port}")


async def answers(session: aiohttp.ClientSession, url: str) -> bool:
    """Whether the part at this address says that it is ready; also to those whom it tells nothing more."""
    try:
        async with session.get(f"{url}/readyz") as response:
            return response.status == 200
    except (aiohttp.ClientError, OSError, TimeoutError):
        return False


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
