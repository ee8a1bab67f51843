"""``leadfold demo``: the whole product on simulated providers, from nothing."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from leadfold.cli.common import Exit, err, fail, moment

_FOLDER = Path("build") / "demo"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo")(demo)


def demo(
    once: Annotated[
        bool, typer.Option("--once", help="End after the report; nothing is left running or lying around.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Another number, another town.")] = 1,
    scale: Annotated[
        float, typer.Option(min=0.01, max=100, help="How many clients, 1 being a usual service.")
    ] = 1.0,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--dir", metavar="DIR", help="Where to install; made anew at every start. Default: build/demo"
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="End of the history instead of now, e.g. 2026-06-30T12:00."),
    ] = None,
) -> None:
    """Half a year of an auto service in about a minute, and the report on it.

    Telephony, chats, forms, CRM and ERP are simulated: they post webhooks as they really do, repeated, shuffled, with
    lost ends. The report «Обращения клиентов в автосервис» of the last full month is printed. Then traffic goes on live while the pages are served, until Ctrl-C.

    Example: `leadfold demo --scale 0.3`
    """
    from leadfold import logs
    from leadfold.demo.company import COMPANY_ZONE
    from leadfold.demo.play import NotOurs, Plan, play
    from leadfold.demo.server import ServerFailed
    from leadfold.services.base import run, stop_on_signals

    logs.setup("demo", "error")
    end = moment(until, COMPANY_ZONE)
    chosen = folder or (_FOLDER.with_name(f"demo-once-{os.getpid()}") if once else _FOLDER)
    plan = Plan(
        folder=chosen.expanduser().absolute(),
        until=(end or datetime.now(UTC)).replace(microsecond=0),
        fixed=end is not None,
        once=once,
        keep=folder is not None or not once,
        seed=seed,
        scale=scale,
    )

    async def work() -> bool:
        stop = stop_on_signals()
        await play(plan, err, stop)
        return stop.is_set()

    try:
        stopped = run(work())
    except NotOurs as error:
        fail(str(error), Exit.REFUSED)
    except ServerFailed as error:
        fail(str(error))
    if stopped and once:
        raise typer.Exit(130)
