"""``leadfold status``: is everything well, and how far behind are we?"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from domain.printable import counted
from leadfold.cli.common import Exit, Json, config, out, print_json, print_table, run_async
from leadfold.config_file import Config
from leadfold.settings import Settings

if TYPE_CHECKING:
    from projector.status import SourceStatus


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("status")(status)


def status(
    check: Annotated[
        bool, typer.Option("--check", help="Exit code 3 unless every part is ready: for monitoring.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Engines, parts, last event of each source, lag, spool, dead letters, the live build and its rules.

    What is not known is absent (JSON: null), not zero. A part on another machine is asked at its `status_url`.

    Example: `leadfold status --json | jq .projection.lag_seconds`
    """
    found = run_async(collect(config()))
    if as_json:
        print_json(found)
    else:
        _show(found)
    if check and not found["ready"]:
        raise typer.Exit(Exit.NOT_YET)


async def collect(current: Config) -> dict[str, Any]:
    """Everything that `leadfold status --json` prints. What cannot be found out is None, with the reason beside it."""
    from leadfold.readiness import parts as names_of

    settings = current.settings
    names = names_of(settings)
    parts = dict(zip(names, await asyncio.gather(*(_part(settings, name) for name in names)), strict=True))
    log, projection = await _log_and_projection(settings)
    return {
        "ready": all(part["ready"] for part in parts.values()),
        "config": str(current.file),
        "data_dir": str(settings.data_dir),
        "parts": parts,
        "log": log,
        "database": {
            "engine": "embedded" if settings.embedded_postgres else "postgres",
            **projection.pop("database"),
        },
        "spool": await _spool(settings),
        "projection": projection or None,
    }


async def _part(settings: Settings, name: str) -> dict[str, Any]:
    """What a part says. ``running`` is None when that cannot be known from here."""
    from leadfold.announce import announced
    from leadfold.readiness import address_of, ask

    address = address_of(settings, name)
    if address is None:
        return {"running": False, "ready": False, "url": None, "pid": None, "checks": None}
    told = await ask(address)
    here = announced(settings, name) is not None
    return {
        "running": True if told is not None or here else None,
        "ready": told is not None and told.ready,
        "url": address.url,
        "pid": address.pid,
        "checks": None if told is None else told.checks,
    }


async def _spool(settings: Settings) -> dict[str, Any]:
    from eventlog.contract import LogUnavailable
    from leadfold.cli.wait import spool_depth

    try:
        return {"records": await spool_depth(settings)}
    except LogUnavailable as error:
        return {"records": None, "error": str(error)}


async def _log_and_projection(settings: Settings) -> tuple[dict[str, Any], dict[str, Any]]:
    from eventlog.contract import LogError
    from leadfold.wiring import event_log, log_settings

    shown: dict[str, Any] = {"engine": settings.log.engine, "available": False, "records": None}
    if settings.embedded_log and not log_settings(settings).path.exists():
        return shown, await _projection(settings, None)
    try:
        async with event_log(settings) as log:
            bounds = await log.bounds()
            shown |= {
                "available": True,
                "partitions": len(bounds),
                "records": sum(following - first for first, following in bounds.values()),
            }
            return shown, await _projection(settings, log)
    except LogError as error:
        shown["error"] = str(error)
        return shown, await _projection(settings, None)


async def _projection(settings: Settings, log: Any) -> dict[str, Any]:
    import psycopg

    from leadfold.wiring import running_database_url
    from projector.database import connect, why_away
    from projector.status import projection_status

    url = await asyncio.to_thread(running_database_url, settings)
    if url is None:
        return {"database": {"available": False, "error": "does not run"}}
    try:
        conn = await connect(url, name="leadfold-status")
        async with conn:
            found = await projection_status(conn, log)
            rules = await _rules(conn, settings)
    except (psycopg.Error, OSError) as error:
        return {"database": {"available": False, "error": why_away(error)}}
    return {
        "database": {"available": True},
        "live": found.live,
        "rules": rules,
        "facts": found.facts,
        "lag_records": found.lag_records,
        "lag_seconds": found.lag_seconds,
        "stopped_at": found.stopped_at,
        "stopped": found.stopped,
        "other_log": found.other_log,
        "owned": found.owned,
        "dirty_groups": found.dirty_groups,
        "dead_letters": found.dead_letters,
        "partitions": found.partitions,
        "sources": found.sources,
        "builds": found.builds,
    }


async def _rules(conn: Any, settings: Settings) -> str | None:
    from leadfold.source_settings import source_infos
    from projector.readmodel.live import NoLiveBuild
    from reports.context import load_context

    try:
        context = await load_context(
            conn, now=datetime.now(UTC), timezone=settings.company.timezone, sources=source_infos(settings)
        )
    except NoLiveBuild:
        return None
    return context.rules


def _state(part: dict[str, Any]) -> str:
    if part["ready"]:
        return f"[green]ready[/]  {part['url']}"
    if part["checks"] is not None:
        return f"[yellow]not ready[/]  {part['url']}"
    if part["running"]:
        return f"[yellow]does not answer[/]  {part['url']}"
    if part["running"] is None:
        return f"[red]not reachable from here[/]  {part['url']}"
    return "[red]not running[/]"


def _show(found: dict[str, Any]) -> None:
    for name, part in found["parts"].items():
        out.print(f"{name:<8} {_state(part)}")
        for check, told in (part["checks"] or {}).items():
            if not told.get("ok"):
                out.print(f"         [yellow]{check}: {escape(str(told.get('reason')))}[/]")
    log = found["log"]
    records = "unknown" if log["records"] is None else counted(log["records"], "event")
    out.print(
        f"log      {log['engine']}, {records}" + ("" if log["available"] else "  [red]does not answer[/]")
    )
    waiting = found["spool"]["records"]
    out.print(f"spool    {'[red]unknown[/]' if waiting is None else f'{waiting} waiting'}")
    out.print(
        f"postgres {found['database']['engine']}"
        + ("" if found["database"]["available"] else f"  [red]{found['database']['error']}[/]")
    )
    projection = found["projection"]
    if projection is None:
        out.print("reports  [yellow]unknown[/], Postgres " + found["database"]["error"])
        return
    if projection["live"] is None:
        out.print("reports  no read models yet")
        return
    if projection["stopped_at"] is not None:
        since = projection["stopped_at"].astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        out.print(f"reports  [red]figures stand still since {since}[/], webhooks are taken")
        out.print(f"         [red]{escape(projection['stopped'])}[/]")
    if projection["other_log"] is not None and projection["stopped_at"] is None:
        out.print(f"reports  [red]{escape(projection['other_log'])}[/]")
    out.print(f"lag      {_lag(projection)}; {counted(projection['dirty_groups'], 'group')} to fold")
    dead = projection["dead_letters"]
    out.print(f"dead     {dead}" + ("  [red]leadfold deadletters list[/]" if dead else ""))
    unreadable = sum(s.unreadable for s in projection["sources"])
    if unreadable:
        out.print(
            f"unread   {counted(unreadable, 'delivery is', 'deliveries are')} kept that no adapter could read  [red]leadfold"
            " log tail --type delivery.unreadable[/] says why; once mended: [red]leadfold replay --retranslate[/]"
        )
    live = projection["live"]
    purpose = "" if live.purpose == "live" else f" ({live.purpose})"
    out.print(f"live     {live.schema}{purpose}, rules {projection['rules']}")
    senders, own = by_origin(projection["sources"])
    if own:
        events = counted(sum(s.records for s in own), "event")
        out.print(f"company  {events} of leadfold.toml and imported files")
    if senders:
        print_table(
            ("source", "last event happened", "received", "records", "unreadable"),
            ((s.source, s.last_time, s.last_received, s.records, s.unreadable) for s in senders),
        )


def _lag(projection: Mapping[str, Any]) -> str:
    if projection["other_log"] is not None:
        return "unknown, of another log"
    if projection["lag_records"] is None:
        return "unknown"
    return f"{counted(projection['lag_records'], 'event')}, {projection['lag_seconds']:.0f} s"


def by_origin(sources: Sequence[SourceStatus]) -> tuple[list[SourceStatus], list[SourceStatus]]:
    """Sources that send deliveries, and what comes from the settings and from files: that has no «last event»."""
    own = [s for s in sources if s.source.startswith(("/config/", "/import/"))]
    return [s for s in sources if s not in own], own
