"""A report with all of its rows as an Excel file, out of one snapshot of the database."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path
from typing import Any

from psycopg import AsyncConnection

from reports.as_excel import Workbook
from reports.catalogue import INQUIRIES
from reports.context import Context
from reports.drill import drill, lines_of
from reports.engine import run
from reports.model import ReportSpec
from reports.overlay import repeatable
from reports.result import Params, Report


async def write_xlsx(
    conn: AsyncConnection[Any],
    params: Params,
    context: Context,
    out: Path,
    *,
    author: str | None = None,
    site: str | None = None,
    spec: ReportSpec = INQUIRIES,
) -> Report:
    """Write the workbook to ``out`` and return the report on its first sheet. See `reports.as_excel.Workbook`.

    Cells are made in a thread, so that nobody else's page waits for them. Raises psycopg errors and OSError.
    """
    async with repeatable(conn):
        report = await run(conn, params, context, spec)
        total = (await drill(conn, params, context, limit=1, spec=spec)).total
        book = await asyncio.to_thread(
            Workbook, out, report, context.directory, total=total, author=author, site=site
        )
        async with aclosing(lines_of(conn, params, context, spec=spec)) as chunks:
            async for lines in chunks:
                await asyncio.to_thread(book.add, lines)
    await asyncio.to_thread(book.close)
    return report
