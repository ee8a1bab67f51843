"""``leadfold rebuild``: new read models from the log beside the live ones, then a switch."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import typer

from leadfold.cli.common import (
    Exit,
    Json,
    config,
    err,
    fail,
    out,
    print_json,
    print_table,
    progress,
    run_async,
)
from leadfold.settings import Settings

_PHASES = {
    "store": "storing events",
    "fold": "folding",
    "index": "indexing",
    "catch up": "catching up",
    "compare": "comparing",
    "switch": "switching",
}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("rebuild")(rebuild)


def rebuild(
    compare: Annotated[
        bool, typer.Option("--compare", help="Say what would change, table by table.")
    ] = False,
    no_switch: Annotated[
        bool, typer.Option("--no-switch", help="Leave the live tables; the new ones stay beside them.")
    ] = False,
    back: Annotated[
        bool, typer.Option("--back", help="No new tables: go back to those that were live before.")
    ] = False,
    drop_old: Annotated[
        bool, typer.Option("--drop-old", help="Afterwards delete tables that are not live.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(help="Processes that fold; default [projector] rebuild_workers.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Fill new tables from the log, catch up, and put them live in one transaction; readers keep reading.

    An error leaves the live tables as they are. Needed after a change of the fold's code only to compare or to be
    quick: the projector folds again by itself in the background.

    Example: `leadfold rebuild --compare --no-switch`
    """
    from projector.errors import ProjectorError

    settings = config().settings
    try:
        found = run_async(_work(settings, compare, no_switch, back, drop_old, workers))
    except ProjectorError as error:
        fail(str(error), Exit.FAILED)
    if as_json:
        print_json(found)
        return
    if "differences" in found:
        _show_differences(found["differences"])
    if found["switched"]:
        err.print(f"[green]Live now: {found['live']}[/]")
    else:
        err.print(f"Ready beside the live ones: {found['build']}")


def _show_differences(differences: list[Any]) -> None:
    changed = [d for d in differences if not d.same]
    if not changed:
        out.print("Nothing would change: all tables are equal, row by row.", style="green")
        return
    print_table(
        ("table", "only new", "only live", "different"),
        ((d.table, d.only_here, d.only_there, d.different) for d in changed),
    )
    for difference in changed:
        for sample in difference.samples:
            out.print(
                f"{difference.table} {sample.key}: new {sample.here}, live {sample.there}", markup=False
            )


async def _work(
    settings: Settings, compare: bool, no_switch: bool, back: bool, drop_old: bool, workers: int | None
) -> dict[str, Any]:
    from leadfold.wiring import event_log, projector_settings, running_database_url
    from projector import builds
    from projector.database import connect

    url = await asyncio.to_thread(running_database_url, settings)
    if url is None:
        fail("Postgres does not run: start `leadfold run` first", Exit.NOT_YET)
    wanted = projector_settings(settings, url)
    found: dict[str, Any]
    if back:
        conn = await connect(url, name="leadfold-rebuild")
        async with conn:
            number = await builds.rollback(conn, wanted)
        found = {"switched": True, "live": f"build {number}", "build": number}
    else:
        async with event_log(settings) as log:
            with progress() as bar:
                task = bar.add_task("starting", total=None)

                def told(phase: str, done: int, total: int | None) -> None:
                    bar.update(task, description=_PHASES.get(phase, phase), completed=done, total=total)

                made = await builds.rebuild(
                    log,
                    wanted,
                    progress=told,
                    workers=workers or settings.projector.rebuild_workers,
                    compared=compare,
                    switched=not no_switch,
                )
        found = {
            "build": made.build.schema,
            "switched": made.switched,
            "live": made.build.schema if made.switched else None,
            "former": made.former,
        }
        if compare:
            found["differences"] = made.differences
    if drop_old:
        conn = await connect(url, name="leadfold-rebuild")
        async with conn:
            found["dropped"] = await builds.drop_old(conn)
    return found
