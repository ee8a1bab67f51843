"""``leadfold rebuild``: new read models from the log beside the live ones, then a switch."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

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

if TYPE_CHECKING:
    from rich.progress import Progress

    from projector.settings import ProjectorSettings

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
        bool,
        typer.Option(
            "--compare", help="Say what would change, table by table, and leave the switch to you (--switch)."
        ),
    ] = False,
    no_switch: Annotated[
        bool, typer.Option("--no-switch", help="Leave the live tables; the new ones stay beside them.")
    ] = False,
    switch: Annotated[
        str | None,
        typer.Option(
            "--switch",
            metavar="BUILD",
            help="No new tables: catch up with these, made by --no-switch or live before, and put them live.",
        ),
    ] = None,
    back: Annotated[
        bool, typer.Option("--back", help="No new tables: go back to those that were live before.")
    ] = False,
    drop_old: Annotated[
        bool,
        typer.Option(
            "--drop-old", help="Delete all tables that are not live: alone only that, else afterwards."
        ),
    ] = False,
    workers: Annotated[
        int | None, typer.Option(help="Processes that read and fold; default [projector] rebuild_workers.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Fill new tables from the log, catch up, and put them live in one transaction; readers keep reading.

    It takes room for a second set of tables. An error leaves the live ones as they are. Needed after a change of the fold's code only to compare or to be
    quick: the projector folds again by itself in the background. `leadfold status --json` names the builds there are.

    Example: `leadfold rebuild --compare && leadfold rebuild --switch build_0002`
    """
    import psycopg

    from projector.database import is_gone
    from projector.errors import ProjectorError

    wanted = _Wanted(compare, no_switch, None if switch is None else _number(switch), back, drop_old, workers)
    if wanted.contradicts:
        raise typer.BadParameter(wanted.contradicts)
    settings = config().settings
    try:
        found = run_async(_work(settings, wanted))
    except ProjectorError as error:
        fail(str(error), Exit.FAILED)
    except psycopg.errors.LockNotAvailable:
        fail(
            "somebody reads or changes the tables for too long: end his query (pg_stat_activity) and run it again",
            Exit.FAILED,
        )
    except psycopg.Error as error:
        if not is_gone(error):
            raise
        fail("Postgres went away; the live tables are whole: run the command again", Exit.FAILED)
    if as_json:
        print_json(found)
        return
    if "differences" in found:
        _show_differences(found["differences"])
    if found["switched"]:
        err.print(f"[green]Live now: {found['live']}[/]")
    elif found["build"] is not None:
        err.print(
            f"Ready beside the live ones: {found['build']} (leadfold rebuild --switch {found['build']})"
        )
    if "dropped" in found:
        err.print(f"Deleted: {', '.join(found['dropped']) or 'nothing, there were only the live tables'}")


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the options ask for. ``switch``: number of a build."""

    compare: bool
    no_switch: bool
    switch: int | None
    back: bool
    drop_old: bool
    workers: int | None

    @property
    def fills(self) -> bool:
        """Whether new tables are made."""
        if self.back or self.switch is not None:
            return False
        return not self.drop_old

    @property
    def contradicts(self) -> str:
        """Options that exclude each other, in words; empty when there are none."""
        if self.back and self.switch is not None:
            return "give either --back or --switch"
        if (self.back or self.switch is not None) and (self.compare or self.no_switch):
            return "--back and --switch make no new tables: without --compare and --no-switch"
        if (self.no_switch or self.compare) and self.drop_old:
            return (
                "--drop-old would delete at once what --compare and --no-switch leave beside the live tables"
            )
        return ""


def _number(name: str) -> int:
    """Of a build given as build_0002 or 2. Raises typer.BadParameter."""
    digits = name.removeprefix("build_")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 9):
        raise typer.BadParameter(f"{name!r} is no build: write it like build_0002", param_hint="--switch")
    return int(digits)


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


async def _work(settings: Settings, wanted: _Wanted) -> dict[str, Any]:
    from leadfold.wiring import projector_settings, running_database_url
    from projector import builds
    from projector.database import connect
    from projector.readmodel.tables import schema_name

    url = await asyncio.to_thread(running_database_url, settings)
    if url is None:
        fail("Postgres does not run: start `leadfold run` first", Exit.NOT_YET)
    projection = projector_settings(settings, url)
    found: dict[str, Any] = {"build": None, "switched": False, "live": None, "former": None}
    if wanted.fills:
        found = await _fill(settings, projection, wanted)
    elif wanted.back or wanted.switch is not None:
        found = await _switch(settings, projection, wanted.switch)
    if wanted.drop_old:
        async with await connect(url, name="leadfold-rebuild") as conn:
            found["dropped"] = [schema_name(number) for number in await builds.drop_old(conn)]
    return found


async def _fill(settings: Settings, projection: ProjectorSettings, wanted: _Wanted) -> dict[str, Any]:
    from leadfold.wiring import event_log, make_log
    from projector import builds

    async with event_log(settings) as log:
        with progress() as bar:
            made = await builds.rebuild(
                log,
                projection,
                progress=_told(bar),
                workers=wanted.workers or settings.projector.rebuild_workers,
                reopen=partial(make_log, settings, writable=False, client_id="leadfold-rebuild"),
                compared=wanted.compare,
                switched=not (wanted.no_switch or wanted.compare),
            )
    found = _found(made.build.build_id, switched=made.switched, former=made.former)
    if wanted.compare:
        found["differences"] = made.differences
    return found


async def _switch(settings: Settings, projection: ProjectorSettings, number: int | None) -> dict[str, Any]:
    """To a build (its number; caught up before), or back to the former one (None: at once, it catches up later)."""
    from leadfold.wiring import event_log
    from projector import builds, positions
    from projector.database import connect

    async with await connect(projection.database_url, name="leadfold-rebuild") as conn:
        live = await positions.live_build(conn)
        former = None if live is None else live.build_id
        if number is None:
            number = await builds.rollback(conn, projection)
        else:
            async with event_log(settings) as log:
                with progress() as bar:
                    await builds.catch_up(log, projection, number, progress=_told(bar))
            former = await builds.switch(conn, projection, number)
        return _found(number, switched=True, former=former)


def _found(number: int, *, switched: bool, former: int | None) -> dict[str, Any]:
    from projector.readmodel.tables import schema_name

    name = schema_name(number)
    return {
        "build": name,
        "switched": switched,
        "live": name if switched else None,
        "former": None if former is None else schema_name(former),
    }


def _told(bar: Progress) -> Callable[[str, int, int | None], None]:
    task = bar.add_task("starting", total=None)

    def told(phase: str, done: int, total: int | None) -> None:
        bar.update(task, description=_PHASES.get(phase, phase), completed=done, total=total)

    return told
