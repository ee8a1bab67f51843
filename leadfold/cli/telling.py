"""What ``leadfold run`` says on the terminal while the figures stand still: why, and what to do."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from leadfold.cli.common import err

if TYPE_CHECKING:
    from leadfold.readiness import Readiness
    from leadfold.settings import Settings

PROJECTOR: Final = "project"

#: Between two looks at the projector, seconds.
_LOOK_S: Final = 2.0


async def why_stopped(settings: Settings) -> str | None:
    """Why the projector has stopped by itself; None when it has not, or does not answer."""
    told = await _asked(settings)
    return None if told is None else _stopped(told)


async def watch(settings: Settings) -> None:
    """Say it when the projector stops by itself, and when it works again; until cancelled."""
    reason: str | None = None
    while True:
        told = await _asked(settings)
        if told is not None:
            now = _stopped(told)
            if now is not None and now != reason:
                err.print("Webhooks are taken, but the figures stand still:", style="bold red")
                err.print(f"  {now}", style="red", markup=False)
            elif reason is not None and told.ready:
                err.print("The figures move again.", style="green")
            if now is not None or told.ready:
                reason = now
        await asyncio.sleep(_LOOK_S)


async def _asked(settings: Settings) -> Readiness | None:
    from leadfold.readiness import address_of, ask

    address = address_of(settings, PROJECTOR)
    return None if address is None else await ask(address)


def _stopped(told: Readiness) -> str | None:
    check = told.checks.get("projector", {})
    return str(check.get("reason")) if check.get("stopped") else None
