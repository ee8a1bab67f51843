"""``leadfold report``: the pages, or one report in the terminal, as JSON, CSV or Excel."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leadfold.cli.common import EXIT_CODES, Exit, Json, config, err, fail, out
from leadfold.settings import Settings

if TYPE_CHECKING:
    from domain.directory import Directory
    from reports.result import Params, Report

app = typer.Typer(
    help="Serve the pages (also without a command), or print one report.",
    epilog=EXIT_CODES,
    invoke_without_command=True,
    rich_markup_mode="markdown",
)


@app.callback()
def _bare(context: typer.Context) -> None:
    """Serve the pages (`leadfold report serve`), or print one report (`leadfold report inquiries`)."""
    if context.invoked_subcommand is None:
        serve()


@app.command("serve")
def serve() -> None:
    """Serve the pages and the API on `[reports] host` and `port`. Needs Postgres, and the log for raw webhooks.

    Example: `leadfold report serve --config /etc/leadfold/leadfold.toml`
    """
    from leadfold.cli.listening import served
    from leadfold.cli.parts import prepare
    from leadfold.services import base
    from leadfold.services.report import report

    current = prepare("report")
    address = current.settings.reports
    served(lambda: base.run(report(current)), "reports", address.host, address.port)


@app.command("inquiries")
def inquiries(
    first: Annotated[
        str | None, typer.Option("--from", metavar="DAY", help="First day, e.g. 2026-03-01.")
    ] = None,
    last: Annotated[str | None, typer.Option("--to", metavar="DAY", help="Last day, included.")] = None,
    period: Annotated[
        str | None,
        typer.Option(
            help="Instead of days: today, yesterday, week, month (default), last_month, quarter, year."
        ),
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option(
            "--as-of", metavar="TIME", help="Only what had happened before this moment («данные на»)."
        ),
    ] = None,
    known_at: Annotated[
        str | None,
        typer.Option("--known-at", metavar="TIME", help="Only what had been received before this moment."),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option("--group", metavar="A,B,C", help="Up to three levels: direction,employee,kind …"),
    ] = None,
    filters: Annotated[
        list[str] | None,
        typer.Option(
            "--filter", metavar="K:in:V,V", help="employee:in:anna,ivan or kind:not:missed; repeatable."
        ),
    ] = None,
    basis: Annotated[
        str | None,
        typer.Option(help="cohort (by the inquiry's date, default) or activity (by each thing's date)."),
    ] = None,
    counted: Annotated[str | None, typer.Option(help="inquiry (default) or client.")] = None,
    compare: Annotated[
        str | None, typer.Option(help="previous (the period before, default), year (a year ago) or none.")
    ] = None,
    zone: Annotated[
        str | None,
        typer.Option(metavar="ZONE", help="Days by this clock, e.g. Asia/Omsk; default that of the company."),
    ] = None,
    office_time: Annotated[
        bool, typer.Option("--office-time", help="Days by each office's own clock.")
    ] = False,
    valid_reasons: Annotated[
        str | None,
        typer.Option(
            "--valid-reasons",
            metavar="A,B",
            help="Reasons of refusal that count as valid, instead of the rules'; '' for none.",
        ),
    ] = None,
    lang: Annotated[str | None, typer.Option(help="ru (default) or en.")] = None,
    xlsx: Annotated[
        Path | None, typer.Option("--xlsx", metavar="FILE", help="Write an Excel workbook.")
    ] = None,
    as_csv: Annotated[
        bool,
        typer.Option(
            "--csv", help="Print CSV (; and decimal comma, UTF-8 with BOM); compared only with --compare."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """«Обращения клиентов в автосервис». Both days are included. A table by default.

    The same result object as the page and `GET /api/v1/reports/inquiries`; parameters have the same names there.

    Example: `leadfold report inquiries --from 2026-03-01 --to 2026-03-31 --group direction,employee,kind --json`
    """
    from reports.params import ParamError, parse

    settings = config().settings
    given = {
        "from": first, "to": last, "period": period, "as_of": as_of, "known_at": known_at, "group": group,
        "basis": basis, "counted": counted, "lang": lang, "office_time": "1" if office_time else None,
        "zone": zone, "compare": compare, "valid_reasons": valid_reasons,
    }  # fmt: skip
    pairs = [(name, value) for name, value in given.items() if value is not None]
    pairs += [("filter", value) for value in filters or ()]
    try:
        params = parse(pairs, now=datetime.now(UTC), zone=settings.company.timezone)
    except ParamError as error:
        for wrong in error.errors:
            err.print(f"--{wrong.field.replace('_', '-')}: {wrong.reason.en}", style="red", markup=False)
        raise typer.Exit(Exit.USAGE) from error
    try:
        made = _made(settings, params, xlsx.expanduser() if xlsx else None)
    except OSError as error:
        fail(f"cannot write {xlsx}: {error.strerror}")
    if made is None:
        fail("there are no read models yet: start `leadfold run` once", Exit.NOT_YET)
    _print(made, settings, xlsx=xlsx, as_csv=as_csv, compared=compare is not None, as_json=as_json)


def _print(
    made: tuple[Report, Directory],
    settings: Settings,
    *,
    xlsx: Path | None,
    as_csv: bool,
    compared: bool,
    as_json: bool,
) -> None:
    import sys

    report, directory = made
    if xlsx is not None:
        err.print(f"[green]Wrote {xlsx}[/]")
    if as_json:
        from reports.as_json import dumps, report_json

        sys.stdout.buffer.write(dumps(report_json(report), indent=sys.stdout.isatty()))
    elif as_csv:
        from reports.as_csv import report_csv

        sys.stdout.buffer.write(report_csv(report, compared=compared))
    elif xlsx is None:
        from reports.as_terminal import show

        show(report, out, directory)
        err.print(f"Page: {page_url(settings, report.params)}", style="dim", markup=False, soft_wrap=True)


def page_url(settings: Settings, params: Params) -> str:
    """Address of the page with the same parameters."""
    from reports.params import to_query

    return f"{_site(settings)}/reports/inquiries?{to_query(params, zone=settings.company.timezone)}"


def _site(settings: Settings) -> str:
    """Where the pages are: ``public_url``, else where they announced themselves (their port may be any free one)."""
    from leadfold.announce import announced

    pages = None if settings.reports.public_url else announced(settings, "report")
    return settings.reports_url if pages is None else pages.url


def _made(settings: Settings, params: Params, xlsx: Path | None) -> tuple[Report, Directory] | None:
    from leadfold.wiring import database

    with database(settings) as url:
        return asyncio.run(_make(settings, url, params, xlsx))


async def _make(
    settings: Settings, url: str, params: Params, xlsx: Path | None
) -> tuple[Report, Directory] | None:
    import psycopg

    from leadfold.source_settings import source_infos
    from projector.database import address
    from projector.readmodel.live import NoLiveBuild
    from reports.context import load_context
    from reports.engine import run
    from reports.export import write_xlsx

    async with await psycopg.AsyncConnection.connect(**address(url), autocommit=True) as conn:
        try:
            context = await load_context(
                conn,
                now=datetime.now(UTC),
                timezone=settings.company.timezone,
                sources=source_infos(settings),
                lag_s=await lag(settings, url),
            )
        except NoLiveBuild:
            return None
        if xlsx is None:
            return await run(conn, params, context), context.directory
        report = await write_xlsx(conn, params, context, xlsx, site=_site(settings))
        return report, context.directory


async def lag(settings: Settings, url: str) -> float | None:
    """How far the read models are behind the log, seconds; None when it is unknown. Bounded to about a second."""
    import psycopg

    from eventlog.contract import LogError
    from leadfold.wiring import event_log
    from projector.database import connect, within
    from projector.status import projection_status

    async def asked() -> float | None:
        async with event_log(settings) as log, await connect(url, name="leadfold-lag") as conn:
            return (await projection_status(conn, log)).lag_seconds

    try:
        return await within(1.5, asked())
    except (LogError, psycopg.Error, OSError):
        return None
