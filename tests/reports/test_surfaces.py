"""Page, JSON, Excel, SQL, CSV and terminal show the same figure in every cell; every figure opens to its own rows."""

import csv
import io
import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

import openpyxl
import pytest
from rich.console import Console

from domain.directory import Directory
from domain.facts.company import DictionaryChanged, RulePublished
from projector.migrate import migrations
from projector.readmodel.analytics import MASK_FUNCTION
from reports import formats
from reports.as_csv import report_csv, safe
from reports.as_json import dumps, report_json, value_json
from reports.as_terminal import show
from reports.drill import drill
from reports.explain import explain
from reports.export import write_xlsx
from reports.lines import STATES
from reports.params import parse, to_query
from reports.result import Report, Value
from reports.sql_views import analytics_ddl
from tests.reports.facts import said, store
from tests.reports.month import month
from tests.reports.world import MOSCOW, SCHEMA, World, inquiry, msk, nodes


@pytest.fixture
async def march(world: World) -> World:
    world.now = datetime.now(UTC)
    await world.add(*month())
    return world


async def with_analytics(world: World) -> None:
    """What the views stand on beside the build."""
    await world.conn.execute("create schema leadfold")
    await world.conn.execute(next(m.text for m in migrations() if "mask_salt" in m.name))
    await world.conn.execute("create schema analytics")
    await world.conn.execute(MASK_FUNCTION)


def every_node(report: Report) -> list[tuple[tuple[str | None, ...], dict[str, Value]]]:
    return [((), report.total), *((tuple(k for _, k in path), g.values) for path, g in nodes(report))]


async def test_sql_function_equals_the_report_in_every_cell(march: World) -> None:
    await with_analytics(march)
    await march.conn.execute(analytics_ddl(SCHEMA))
    report = await march.report()
    cursor = await march.conn.execute("select * from analytics.inquiries_report('2026-03-01', '2026-03-31')")
    names = [c.name for c in cursor.description or ()]
    found = {}
    for row in await cursor.fetchall():
        said = dict(zip(names, row, strict=True))
        path = (said["direction"], said["employee"], said["kind"])[: said["level"]]
        found[path] = said
    expected = every_node(report)
    assert found.keys() == {path for path, _ in expected}
    assert len(expected) > 20
    for path, values in expected:
        for column in report.columns:
            got, wanted = found[path][column.key], values[column.key]
            assert value_json(got, column.unit) == value_json(wanted, column.unit), (path, column.key)


async def test_sql_view_tells_each_inquirys_rule(march: World) -> None:
    await with_analytics(march)
    for _ in range(2):  # made anew without complaint
        await march.conn.execute(analytics_ddl(SCHEMA))
    report = await march.report()
    cursor = await march.conn.execute(
        "select coalesce(excluded_by, 'in'), count(*) from analytics.report_inquiries"
        " where opened_at >= '2026-03-01 00:00+03' and opened_at < '2026-04-01 00:00+03' group by 1"
    )
    found = dict(await cursor.fetchall())
    assert found == {"in": report.total["inquiries"], **{n.key: n.count for n in report.notices}}
    comments = await march.conn.execute(
        "select count(*) from pg_attribute where attrelid = 'analytics.report_inquiries'::regclass and attnum > 0"
        " and col_description(attrelid, attnum) is null"
    )
    assert (await comments.fetchone() or (None,))[0] == 0


async def test_sql_view_knows_the_categories_of_the_dictionary(march: World) -> None:
    """Built-in ones, one that a fact adds, one that a later fact removes, and a slip of the pen."""
    await march.add(*(inquiry(category_id=c, is_target=False) for c in ("ремнт", "tyres", "other", "parts")))
    told = [
        said(DictionaryChanged(dictionary="category", item="tyres", label="Шины"), "2026-01-01 10:00"),
        said(DictionaryChanged(dictionary="category", item="parts", label="x"), "2026-01-01 10:00"),
        said(DictionaryChanged(dictionary="category", item="parts", label="x", removed=True), "2026-01-02 10:00"),
    ]  # fmt: skip
    for number, event in enumerate(told):
        await store(march, event, None, number)
    march.directory = replace(march.directory, entries=Directory.build(told).entries)
    await with_analytics(march)
    await march.conn.execute(analytics_ddl(SCHEMA))
    cursor = await march.conn.execute(
        "select excluded_by, count(*) from analytics.report_inquiries where not is_included"
        " and opened_at >= '2026-03-01 00:00+03' and opened_at < '2026-04-01 00:00+03' group by 1"
    )
    found = dict(await cursor.fetchall())
    assert found == {n.key: n.count for n in (await march.report()).notices}
    assert {key for key in found if "unknown" in key} == {
        "excluded:unknown_category:ремнт", "excluded:unknown_category:parts",
    }  # fmt: skip


async def test_sql_view_follows_published_rules(march: World) -> None:
    """Two versions by date; the second names something else and so changes nothing; one is said twice."""
    rules = [
        said(RulePublished(version="1", valid_from=msk("2026-03-10 00:00"), body={"valid_reasons": []}), "2026-01-01 10:00"),
        said(RulePublished(version="1", valid_from=msk("2026-03-12 00:00"), body={"valid_reasons": ["price"]}), "2026-01-02 10:00"),
        said(RulePublished(version="2", valid_from=msk("2026-03-20 00:00"), body={"reopen_days": 3}), "2026-01-02 10:00"),
    ]  # fmt: skip
    for number, event in enumerate(rules):
        await store(march, event, None, number)
    march.directory = replace(march.directory, rule_versions=Directory.build(rules).rule_versions)
    await with_analytics(march)
    await march.conn.execute(analytics_ddl(SCHEMA))
    report = await march.report(group="refusal_reason")
    cursor = await march.conn.execute(
        "select refusal_reason, count(*) from analytics.report_inquiries where is_included"
        " and opened_at >= '2026-03-01 00:00+03' and opened_at < '2026-04-01 00:00+03' group by 1"
    )
    assert dict(await cursor.fetchall()) == {g.key: g.values["inquiries"] for g in report.groups}
    assert len(march.directory.rule_versions) == 2
    assert report.total["inquiries"] != (await march.report(valid_reasons="")).total["inquiries"]


async def workbook(world: World, report: Report, **more: str) -> openpyxl.Workbook:
    """The Excel file of a report as a spreadsheet reads it."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "report.xlsx"
        assert await write_xlsx(world.conn, report.params, world.context, file, **more) == report  # type: ignore[arg-type]
        return openpyxl.load_workbook(file)


async def test_excel_equals_the_report_in_every_cell(march: World) -> None:
    report = await march.report()
    book = await workbook(march, report, author="Ирина", site="http://x")
    lines = (await drill(march.conn, report.params, march.context, limit=None)).lines
    assert book.sheetnames == ["Отчёт", "Строки", "Параметры", "Определения"]
    sheet = book["Отчёт"]
    flat = [*((path, g.values, g.label.ru) for path, g in nodes(report)), ((), report.total, "Итого")]
    for n, (path, values, label) in enumerate(flat, 5):
        assert sheet.cell(n, 1).value == label
        assert (sheet.row_dimensions[n].outlineLevel or 0) == max(len(path) - 1, 0)
        for c, column in enumerate(report.columns, 2):
            cell, value = sheet.cell(n, c), values[column.key]
            if value is None:
                assert cell.value is None
            else:
                assert cell.data_type == "n"
                assert Decimal(str(cell.value)) == pytest.approx(value, abs=Decimal("0.00001"))
            assert (
                cell.number_format == {"count": "#,##0", "money": "#,##0.00", "percent": "0.0%"}[column.unit]
            )
    assert sheet.freeze_panes == "B5"
    assert sheet.auto_filter.ref
    assert sheet.page_setup.orientation == "landscape"
    assert sheet.print_title_rows == "$4:$4"
    rows = book["Строки"]
    assert rows.max_row - 1 == report.total["inquiries"] == len(lines)
    assert rows["A2"].is_date
    assert rows["A2"].value == lines[0].inquiry.opened_at.astimezone(MOSCOW).replace(tzinfo=None)
    assert rows["C2"].data_type == "s"
    headers = [c.value for c in rows[1]]
    sales = headers.index("Продажи, ₽")
    assert Decimal(str(sum(float(str(r[sales].value)) for r in rows.iter_rows(min_row=2)))) == pytest.approx(
        report.total["sales"]
    )
    told = [[cell.value for cell in line] for line in book["Определения"].iter_rows()]
    assert len(told) == len(report.columns) + 1
    assert told[0] == ["Показатель", "Определение", "Формула", "Что считается", "По какой дате", "Ключ"]
    assert not [text for line in told for text in line if re.search(r"\b(R0\.\d|D-\d|G\d\b)", str(text))]


def _link(cell: Any) -> str:
    assert cell.hyperlink is not None
    return str(cell.hyperlink.target)


async def test_excel_leads_back_to_the_pages_where_their_address_is_known(march: World) -> None:
    report = await march.report(group="kind", filter="kind:not:chat")
    site = "https://reports.example.ru"
    book = await workbook(march, report, site=site)
    lines = (await drill(march.conn, report.params, march.context, limit=None)).lines
    assert book["Отчёт"]["A1"].value == report.title.ru
    page = _link(book["Отчёт"]["A1"])
    assert page == f"{site}/reports/inquiries?{to_query(report.params)}"
    assert parse(parse_qsl(urlsplit(page).query), now=march.now) == report.params
    last = book["Строки"].max_column
    for row, line in enumerate(lines, 2):
        cell = book["Строки"].cell(row, last)
        assert cell.value == str(line.inquiry.inquiry_id)
        assert _link(cell) == f"{site}/inquiries/{line.inquiry.inquiry_id}"
    told = {r[0].value: r[1] for r in book["Параметры"].iter_rows(min_row=2)}
    assert _link(told["Ссылка"]) == page
    without = await workbook(march, report)
    assert not any(c.hyperlink for sheet in without for row in sheet.iter_rows() for c in row)


async def test_excel_takes_no_text_for_a_formula(world: World) -> None:
    await world.add(inquiry(channel="=1+1", source="+7", employee_id='=HYPERLINK("http://evil")'))
    report = await world.report(group="channel,employee")
    book = await workbook(world, report)
    texts = [c for sheet in book for row in sheet.iter_rows() for c in row]
    assert "=1+1" in {c.value for c in texts}
    assert all(c.data_type != "f" for c in texts)


async def test_csv_equals_the_report_and_is_safe(march: World) -> None:
    await march.add(inquiry(channel="=cmd()", direction="in"))
    report = await march.report(group="channel")
    text = report_csv(report, compared=True).decode("utf-8-sig")
    header, *rows = csv.reader(io.StringIO(text), delimiter=";")
    rows, compared = rows[:-3], rows[-3:]
    assert header[:3] == ["level", "Рекламный канал", "Обращения"]
    other = report.comparison
    assert other is not None
    assert [row[0] for row in compared] == ["before", "change", "change_share"]
    assert compared[0][1].startswith("Было за период до этого")
    change = other.changes["inquiries"]
    assert [row[2] for row in compared] == [str(other.total["inquiries"]), str(change.difference), "2,000000"]
    assert change.share == 2
    whole = text.splitlines()
    assert report_csv(report).decode("utf-8-sig").splitlines() == whole[:-3]  # the total is the last
    assert report_csv(replace(report, comparison=None), compared=True) == report_csv(report)
    assert [r[1] for r in rows] == ["2gis", "'=cmd()", "yandex", "Не указано", "Итого"]
    flat = [*(g.values for _, g in nodes(report)), report.total]
    for row, values in zip(rows, flat, strict=True):
        for text_cell, column in zip(row[2:], report.columns, strict=True):
            value = values[column.key]
            if value is None:
                assert text_cell == ""
            else:
                places = {"count": 0, "money": 2, "percent": 6}[column.unit]
                assert Decimal(text_cell.replace(",", ".")) == formats.half_up(Decimal(value), places)


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n", "|", "＝", "＋", "－", "＠"])
def test_no_cell_of_csv_begins_as_a_formula(first: str) -> None:
    assert safe(f"{first}cmd|' /C calc'!A0").startswith("'")


async def test_terminal_shows_every_figure_of_the_report(march: World) -> None:
    report = await march.report(group="employee,kind")
    out = io.StringIO()
    show(report, Console(file=out, width=60, color_system=None), march.directory, optional=True)
    lines = out.getvalue().splitlines()
    start = 0
    for label, values in [*((g.label.ru, g.values) for _, g in nodes(report)), ("Итого", report.total)]:
        start, line = next(
            (n, x) for n, x in enumerate(lines[start:], start + 1) if x.strip().startswith(label)
        )
        texts = [formats.cell(values[c.key], c.unit, "ru", bare=True) for c in report.columns]
        assert line.strip().removeprefix(label).replace("\u00a0", "").split() == [
            t.replace("\u00a0", "") for t in texts
        ]
    assert "Не вошли в отчёт: не классифицировано" in out.getvalue()


async def test_json_is_for_scripts(march: World) -> None:
    report = await march.report()
    said = json.loads(dumps(report_json(report)))
    assert said["name"] == "inquiries"
    assert said["params"]["from"] == "2026-03-01"
    assert said["params"]["group"] == ["direction", "employee", "kind"]
    assert isinstance(said["total"]["inquiries"], int)
    assert isinstance(said["total"]["conv_booked"], float)
    assert said["total"]["sales"] == f"{report.total['sales']:.2f}"
    assert [c["key"] for c in said["columns"]] == list(said["total"])

    def leaves(groups: list[Any]) -> int:
        return sum(leaves(g["groups"]) if g["groups"] else g["values"]["inquiries"] for g in groups)

    assert leaves(said["groups"]) == said["total"]["inquiries"]
    empty = json.loads(dumps(report_json(await march.report("2020-01-01", "2020-01-02"))))
    assert empty["groups"] == []
    assert empty["total"]["conv_booked"] is None


@pytest.mark.parametrize(
    "asked",
    [{}, {"basis": "activity"}, {"counted": "client"}, {"group": "week,channel"}, {"office_time": "1", "group": "day"},
     {"filter": "employee:not:ivan,~", "lang": "en"}, {"basis": "activity", "group": "month,direction"}],
)  # fmt: skip
async def test_every_cell_opens_to_exactly_its_rows(march: World, asked: dict[str, str]) -> None:
    report = await march.report(**asked)
    cells = [((), report.total), *((path, g.values) for path, g in nodes(report))]
    assert len(cells) > 3
    for path, values in cells:
        metrics = report.columns if len(path) < 2 else report.columns[:5]
        for column in metrics:
            page = await drill(
                march.conn, report.params, march.context, path=path, metric=column.key, limit=3
            )
            assert page.value == values[column.key], (path, column.key)
            if column.unit == "count" and asked.get("counted") != "client" and column.key != "receipts":
                assert page.total == values[column.key]
            assert len(page.lines) == min(page.total, 3)
    for notice in report.notices:
        page = await drill(march.conn, report.params, march.context, notice=notice.key)
        assert page.total == notice.count
        assert {line.excluded_by for line in page.lines} == {notice.key}
    everything = await drill(march.conn, report.params, march.context, notice="excluded")
    assert everything.total == sum(n.count for n in report.notices)


async def test_pages_of_a_drill_are_disjoint_and_complete(march: World) -> None:
    report = await march.report()
    seen = []
    for offset in range(0, 1000, 20):
        page = await drill(
            march.conn, report.params, march.context, metric="inquiries", limit=20, offset=offset
        )
        seen += [line.inquiry.inquiry_id for line in page.lines]
        if not page.lines:
            break
    assert len(seen) == len(set(seen)) == report.total["inquiries"]


async def test_a_lines_state_is_what_the_sums_count_it_as(march: World) -> None:
    """How far an inquiry has come is told twice: in Python for its line, in SQL for the sums."""
    states = {
        "arrived": {"arrived"}, "refusals": {"cancelled", "no_show"}, "pending": {"pending"}, "declined": {"declined"}
    }  # fmt: skip
    seen: set[str] = set()
    for now in ("2026-03-05 12:00", "2026-03-20 21:30", "2026-05-01 00:00"):
        march.now = msk(now)
        params = march.params("2026-02-01", "2026-04-30")
        every = (await drill(march.conn, params, march.context, limit=None)).lines
        for metric, wanted in states.items():
            page = await drill(march.conn, params, march.context, metric=metric, limit=None)
            ids = {line.inquiry.inquiry_id for line in page.lines}
            assert ids == {line.inquiry.inquiry_id for line in every if line.state in wanted}, (now, metric)
        seen |= {line.state for line in every}
    assert seen == set(STATES)


async def test_a_figure_is_explained_with_its_numbers(world: World) -> None:
    await world.add(
        *[inquiry(arrived_at="2026-03-12 10:00", sales=Decimal("100.5"), receipts=1)] * 1,
        inquiry(),
        inquiry(employee_id="anna"),
    )
    report = await world.report()
    total = explain(report, [], "conv_arrived")
    assert total.sentence == "33,3\u00a0% = 1 заезд / 3 обращения"
    assert total.where == "Итого"
    ivan = explain(report, ["in", "ivan"], "conv_arrived")
    assert ivan.sentence == "50,0\u00a0% = 1 заезд / 2 обращения"
    assert ivan.where == "Входящие · Иван Ёлкин"
    assert (
        explain(report, [], "average_receipt").sentence == "100,50\u00a0₽ = 100,50\u00a0₽ (продажи) / 1 чек"
    )
    assert explain(report, [], "arrived").sentence == "1 заезд — число обращений с заездом"
    assert explain(report, ["in", "anna"], "average_receipt").value == "—"
    english = explain(await world.report(lang="en"), [], "conv_arrived")
    assert english.sentence == "33.3% = 1 arrival / 3 inquiries"
    with pytest.raises(KeyError):
        explain(report, ["out"], "arrived")


async def test_a_figure_by_clients_is_explained_as_clients(world: World) -> None:
    """D-0.12: two inquiries of one client are «1 клиент», never «1 обращение»."""
    client = uuid4()
    await world.add(inquiry(client_id=client), inquiry("2026-03-20 10:00", client_id=client))
    report = await world.report(counted="client")
    count = explain(report, [], "inquiries")
    assert count.sentence == "1 клиент (обращения) — число целевых обращений"
    assert count.counted == "клиенты"
    assert (
        explain(report, [], "conv_arrived").sentence
        == "0,0\u00a0% = 0 клиентов (заезды) / 1 клиент (обращения)"
    )
    assert explain(report, [], "receipts").sentence.startswith("0 чеков")
    english = explain(await world.report(counted="client", lang="en"), [], "inquiries")
    assert english.sentence.startswith("1 client (inquiries)")
