"""The report: the data of its page for a year asked in every way, drills from figures, and the Excel file."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg

from reports.catalogue import INQUIRIES
from reports.drill import drill
from reports.export import write_xlsx
from reports.rollup.refresh import pack, refresh
from tests.bench.options import Options
from tests.bench.places import folder, postgres
from tests.bench.table import Row
from tests.bench.year import fill, world
from tests.reports.world import World
from tests.support.postgres import fresh_database, with_database

_YEAR = ("2026-01-01", "2026-12-31")
_ZONE = "Europe/Moscow"
_TIMES = 20

#: How a page is asked. The first ones are read from sums of days, the others from columns of days.
_PAGES: dict[str, dict[str, str]] = {
    "": {},
    "with the chart's weeks": {"group": "week,kind"},
    "as of a past moment": {"as_of": "2027-01-10T00:00:00+03:00"},
    "one channel": {"filter": "channel:in:yandex"},
    "by result and kind": {"group": "result,kind"},
    "by clients": {"counted": "client"},
    "by the day of each thing": {"basis": "activity"},
    "by clients and the day of each thing": {"basis": "activity", "counted": "client"},
    "by offices' time": {"office_time": "1"},
    "in another zone": {"zone": "Asia/Yekaterinburg"},
    "own valid reasons": {"valid_reasons": "price"},
}
_EMPLOYEE = (("direction", "in"), ("employee", "person 3"))
_DRILLS: dict[str, tuple[tuple[tuple[str, str], ...], str, dict[str, str]]] = {
    "the total": ((), "inquiries", {}),
    "an employee": (_EMPLOYEE, "inquiries", {}),
    "an employee's arrivals of a kind": ((*_EMPLOYEE, ("kind", "chat")), "arrived", {}),
    "the refusals of a week": ((("week", "2026-06-01"),), "refusals", {}),
    "a ratio of an employee": (_EMPLOYEE, "conv_arrived", {}),
    "an employee on one channel": (_EMPLOYEE, "arrived", {"filter": "channel:in:yandex"}),
    "an employee by clients": (_EMPLOYEE, "arrived", {"counted": "client"}),
    "an employee by the day of each thing": (_EMPLOYEE, "sales", {"basis": "activity"}),
}


def report(options: Options) -> list[Row]:
    """Percentiles of the report's parts over all inquiries of a year."""
    with folder() as place, _database(options, place) as url:
        return asyncio.run(_report(url, options.inquiries, place))


@contextmanager
def _database(options: Options, place: Path) -> Iterator[str]:
    """A database for the report; with ``kept`` the one of the last run, if there is any, and it stays."""
    if not options.kept:
        with postgres(place) as server, fresh_database(server.url) as url:
            yield url
        return
    kept = Path(options.kept)
    kept.mkdir(parents=True, exist_ok=True)
    kept.chmod(0o755)  # Postgres may run as another user
    with postgres(kept) as server:
        name = f"year_{options.inquiries}"
        with psycopg.connect(server.url, autocommit=True) as conn:
            if conn.execute("select from pg_database where datname = %s", [name]).fetchone() is None:
                conn.execute(f"create database {name} template template0 encoding 'UTF8'")
        yield with_database(server.url, name)


async def _report(url: str, count: int, place: Path) -> list[Row]:
    said = f"at {count:,} inquiries a year"
    rows = []
    async with await psycopg.AsyncConnection.connect(url, autocommit=True, options="-c jit=off") as conn:
        there = await (await conn.execute("select to_regclass('build_0001.inquiry')")).fetchone()
        made = world(conn) if there and there[0] else await fill(conn, count)
        for what, work in (("sums", _summed), ("columns", _packed)):
            rows.append(Row(f"report: {what} of all days {said}, once", await _once(work, made), "s"))
        await conn.execute("vacuum analyze")
        for how, asked in _PAGES.items():
            middle, late = await _times(lambda asked=asked: made.report(*_YEAR, **asked))  # type: ignore[misc]
            name = f"report: data of the page {said}" + (f", {how}" if how else "")
            rows += _two(name, middle, late, "< 100 ms at 1M")
        for what, (path, metric, asked) in _DRILLS.items():
            params = made.params(*_YEAR, **asked)
            middle, late = await _times(
                lambda params=params, path=path, metric=metric: drill(  # type: ignore[misc]
                    conn, params, made.context, path=path, metric=metric
                )
            )
            rows += _two(f"report: drill of {what} {said}", middle, late, "< 30 ms at 1M")
        file = place / "report.xlsx"
        excel_s = await _once(lambda _: write_xlsx(conn, made.params(*_YEAR), made.context, file), made)
    rows.append(Row(f"report: Excel {said}, {file.stat().st_size >> 20} MB", excel_s, "s"))
    return rows


def _two(name: str, middle: float, late: float, aim: str) -> list[Row]:
    return [
        Row(f"{name}, median", middle * 1000, "ms"),
        Row(f"{name}, p95", late * 1000, "ms", None, None, aim),
    ]


async def _summed(made: World) -> None:
    """As the report service does it after a rebuild; nothing to do where it is done."""
    while (await refresh(made.conn, made.context, INQUIRIES, _ZONE)).left:
        pass


async def _packed(made: World) -> None:
    while await pack(made.conn, made.context, INQUIRIES, _ZONE, rest=timedelta(0)):
        pass


async def _once(work: Callable[[World], Awaitable[Any]], made: World) -> float:
    began = time.perf_counter()
    await work(made)
    return time.perf_counter() - began


async def _times(work: Callable[[], Awaitable[Any]]) -> tuple[float, float]:
    """The median and the second longest of some runs."""
    found = []
    for _ in range(_TIMES):
        began = time.perf_counter()
        await work()
        found.append(time.perf_counter() - began)
    found.sort()
    return found[len(found) // 2], found[-2]
