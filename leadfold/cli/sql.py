"""``leadfold sql``: a query as the analyst role, read-only, over the documented views."""

from __future__ import annotations

import asyncio
import csv
import sys
from typing import Annotated, Any

import typer

from domain.printable import printable
from leadfold.cli.common import Exit, Json, config, err, fail, plain, print_json, print_table
from leadfold.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("sql")(sql)


def sql(
    query: Annotated[
        str, typer.Argument(metavar="QUERY", help="One statement; - reads it from standard input.")
    ],
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV with a header line.")] = False,
    as_json: Json = False,
) -> None:
    """Run a query over the analytics views: phones are masked, nothing can be changed.

    The views: client, inquiry, call, call_leg, touch, lead, stage, booking, visit, sale, sale_line and those of the
    reports. `leadfold sql "select * from information_schema.columns where table_schema = 'analytics'"` lists columns.

    Example: `leadfold sql "select kind, count(*) from inquiry group by kind order by 2 desc" --csv`
    """
    import psycopg

    if as_csv and as_json:
        fail("--csv or --json, not both", Exit.USAGE)
    text = sys.stdin.read() if query == "-" else query
    try:
        text.encode()
    except UnicodeEncodeError:
        fail("the query is not UTF-8", Exit.USAGE)
    settings = config().settings
    try:
        columns, rows = _run(settings, text)
    except psycopg.errors.QueryCanceled:
        fail(
            f"the query took longer than {settings.database.statement_timeout_s:g} s: [database] statement_timeout_s"
        )
    except psycopg.errors.InsufficientPrivilege as error:
        fail(f"not allowed: {error.diag.message_primary}", Exit.REFUSED)
    except psycopg.errors.ReadOnlySqlTransaction as error:
        fail(f"not allowed: {error.diag.message_primary}", Exit.REFUSED)
    except psycopg.OperationalError:
        raise
    except psycopg.Error as error:
        _show_error(error)
        raise typer.Exit(Exit.USAGE) from error
    if as_json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
    elif as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        shown = printable if sys.stdout.isatty() else str  # a file gets the bytes as they are
        writer.writerows(["" if cell is None else shown(str(plain(cell))) for cell in row] for row in rows)
    else:
        print_table(columns, rows)
        err.print(f"{len(rows)} row(s)", style="dim")


def _run(settings: Settings, query: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    import psycopg

    from leadfold.wiring import database
    from projector.database import address

    with database(settings) as url:
        info = asyncio.run(_analyst(url))
        limit_ms = int(settings.database.statement_timeout_s * 1000)
        options = (
            f"-c search_path=analytics -c default_transaction_read_only=on -c statement_timeout={limit_ms}"
            " -c idle_in_transaction_session_timeout=60s"
        )
        with psycopg.connect(**(address(info) | {"options": options})) as conn:
            conn.read_only = True
            # prepare: the extended protocol takes one statement only
            cursor = conn.execute(query.encode(), prepare=True)
            if cursor.description is None:
                return ["result"], [(cursor.statusmessage,)]
            return [c.name for c in cursor.description], cursor.fetchall()


async def _analyst(url: str) -> str:
    import psycopg

    from leadfold.cli.common import Exit, fail
    from projector.database import connect
    from projector.errors import DatabaseRefused
    from projector.migrate import analyst_conninfo

    conn = await connect(url, name="leadfold-cli")
    try:
        return await analyst_conninfo(conn, url)
    except psycopg.errors.UndefinedTable:
        fail("there are no read models yet: start `leadfold run` once", Exit.NOT_YET)
    except DatabaseRefused as error:
        fail(str(error), Exit.REFUSED)
    finally:
        await conn.close()


def _show_error(error: Any) -> None:
    # It quotes data: what a stranger wrote into a name acts on no terminal.
    err.print(printable(str(error).strip(), keep="\n"), style="red", markup=False)
