"""The total beside another period's: which days, what has changed, and the same on every surface."""

import io
from datetime import date
from decimal import Decimal

import openpyxl
import pytest
from rich.console import Console

from reports import formats
from reports.as_json import report_json
from reports.as_terminal import show
from reports.catalogue import INQUIRIES
from reports.engine import change
from reports.export import write_xlsx
from reports.periods import comparable, neighbours, same_last_year
from reports.result import Change, Report
from reports.web.page import tiles
from reports.web.state import State
from reports.web.table import build_table
from tests.reports.world import World, inquiry, msk


def days(first: str, last: str) -> tuple[date, date]:
    return date.fromisoformat(first), date.fromisoformat(last)


@pytest.mark.parametrize(
    ("asked", "before", "year_ago"),
    [
        (("2026-03-01", "2026-03-31"), ("2026-02-01", "2026-02-28"), ("2025-03-01", "2025-03-31")),
        (("2026-01-01", "2026-12-31"), ("2025-01-01", "2025-12-31"), ("2025-01-01", "2025-12-31")),
        (("2026-03-09", "2026-03-15"), ("2026-03-02", "2026-03-08"), ("2025-03-09", "2025-03-15")),
        (("2024-02-01", "2024-02-29"), ("2024-01-01", "2024-01-31"), ("2023-02-01", "2023-02-28")),
        (("2025-02-01", "2025-02-28"), ("2025-01-01", "2025-01-31"), ("2024-02-01", "2024-02-29")),
        (("2024-02-29", "2024-02-29"), ("2024-02-28", "2024-02-28"), ("2023-02-28", "2023-02-28")),
    ],
)  # fmt: skip
def test_the_days_that_are_compared(
    asked: tuple[str, str], before: tuple[str, str], year_ago: tuple[str, str]
) -> None:
    assert neighbours(*days(*asked))[0] == days(*before)
    assert same_last_year(*days(*asked)) == days(*year_ago)


@pytest.mark.parametrize(
    ("today", "last"),
    [("2026-03-10", "2026-02-10"), ("2026-03-30", "2026-02-28"), ("2026-03-31", "2026-02-28"), ("2026-02-27", "2026-02-28")],
)  # fmt: skip
def test_a_month_that_goes_on_is_compared_with_as_many_days(today: str, last: str) -> None:
    march, february = days("2026-03-01", "2026-03-31"), days("2026-02-01", "2026-02-28")
    assert comparable(*march, february, date.fromisoformat(today)) == (february[0], date.fromisoformat(last))


def test_changes() -> None:
    assert change(3, 2) == Change(1, Decimal("0.5"))
    assert change(Decimal("0.5"), Decimal("0.75")) == Change(
        Decimal("-0.25"), Decimal("-0.25") / Decimal("0.75")
    )
    assert change(3, 0) == Change(3, None)
    assert change(None, 2) == change(2, None) == Change(None, None)
    assert formats.signed(Decimal("-0.0214"), "percent") == "\u22122,1\u00a0п.\u00a0п."
    assert formats.signed(12, "count") == "+12"
    assert formats.signed(0, "count") == "0"
    assert formats.signed(Decimal("0.0001"), "percent", "en") == "0.0\u00a0pp"
    assert formats.signed_percent(Decimal("0.123")) == "+12,3\u00a0%"
    assert formats.signed_percent(None) == "—"


@pytest.fixture
async def spring(world: World) -> World:
    world.now = msk("2026-04-20 12:00")
    await world.add(
        *(inquiry(f"2026-02-{n:02} 10:00") for n in range(1, 5)),
        inquiry("2026-02-05 10:00", booked_at="2026-02-05 10:05"),
        *(inquiry(f"2026-03-{n:02} 10:00", employee_id="anna") for n in range(1, 4)),
        inquiry("2026-03-05 10:00", booked_at="2026-03-05 10:05", employee_id="ivan"),
        inquiry("2025-03-31 23:59"),
    )
    return world


async def test_the_total_beside_the_period_before_and_a_year_ago(spring: World) -> None:
    report = await spring.report()
    other = report.comparison
    assert other is not None
    assert (other.kind, other.first_day, other.last_day) == ("previous", date(2026, 2, 1), date(2026, 2, 28))
    assert other.total == (await spring.report("2026-02-01", "2026-02-28", compare="none")).total
    assert other.changes["inquiries"] == Change(-1, Decimal("-0.2"))
    assert other.changes["booked"] == Change(0, Decimal(0))
    assert other.changes["conv_booked"].difference == Decimal("0.05")
    assert other.changes["average_receipt"] == Change(None, None)
    year = (await spring.report(compare="year")).comparison
    assert year is not None
    assert year.changes["inquiries"] == Change(3, Decimal(3))
    assert (await spring.report(compare="none")).comparison is None


async def test_filters_and_clocks_hold_for_both_periods(spring: World) -> None:
    anna = (await spring.report(filter="employee:in:anna")).comparison
    assert anna is not None
    assert anna.changes["inquiries"] == Change(3, None)
    early = (await spring.report(as_of="2026-03-02T12:00")).comparison
    assert early is not None
    assert early.last_day == date(2026, 2, 2)
    assert early.changes["inquiries"] == Change(2, Decimal(1))


async def test_a_day_as_the_clock_ends_with_that_day_in_both_periods(spring: World) -> None:
    """G3: only what happened before the moment counts, and the next day has only just not begun."""
    for clock in ("2026-03-04", "2026-03-05T00:00+03:00"):
        early = await spring.report(as_of=clock)
        assert early.comparison is not None
        assert (early.comparison.last_day, early.comparison.total["inquiries"]) == (date(2026, 2, 4), 4)


def page_state(report: Report) -> State:
    return State(params=report.params, spec=INQUIRIES, zone="Europe/Moscow")


async def test_every_surface_tells_the_same_change(
    spring: World, tmp_path_factory: pytest.TempPathFactory
) -> None:
    report = await spring.report()
    body = report_json(report)["comparison"]
    assert (body["from"], body["to"], body["kind"]) == ("2026-02-01", "2026-02-28", "previous")
    assert (body["total"]["inquiries"], body["difference"]["inquiries"], body["share"]["inquiries"]) == (
        5,
        -1,
        -0.2,
    )
    assert body["difference"]["conv_booked"] == 0.05

    file = tmp_path_factory.mktemp("excel") / "report.xlsx"
    await write_xlsx(spring.conn, report.params, spring.context, file)
    rows = {row[0].value: row for row in openpyxl.load_workbook(file)["Отчёт"].iter_rows(min_row=5)}
    was = rows["Было за период до этого, 01.02.2026–28.02.2026"]
    assert (was[1].value, rows["Изменение"][1].value, rows["Изменение, %"][1].value) == (5, -1, -0.2)

    out = io.StringIO()
    show(report, Console(file=out, width=300), spring.directory)
    assert "Было за период до этого, 01.02.2026–28.02.2026; изменение: обращения \u22121" in out.getvalue()

    by_label = {tile.label: tile for tile in tiles(report, page_state(report))}
    assert by_label["Обращения"].change == "↓ \u221220,0\u00a0%"
    assert by_label["Обращения"].was == "Было за период до этого, 01.02.2026–28.02.2026: 5"
    table = build_table(report, page_state(report))
    assert [f.text for f in table.changes[:2]] == ["\u22121", "—"]  # nobody sends bookings
    plain = await spring.report(compare="none")
    assert build_table(plain, page_state(plain)).changes == ()
    assert not any(tile.change for tile in tiles(plain, page_state(plain)))
