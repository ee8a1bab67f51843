"""``leadfold report inquiries``: what can be asked of the API can be asked here, under the same names."""

import asyncio
from pathlib import Path

import openpyxl
import pytest
import typer

from leadfold.cli import app as assembled
from leadfold.schemas.openapi import build
from projector import builds_store
from projector.database import connect
from projector.settings import ProjectorSettings
from tests.cli.service import Installation, install


@pytest.fixture
def shop(tmp_path: Path, database_url: str) -> Installation:
    """With empty read models."""

    async def prepare() -> None:
        async with await connect(database_url) as conn:
            await builds_store.prepare(conn, ProjectorSettings(database_url))

    asyncio.run(prepare())
    made = install(tmp_path / "shop")
    made.environment["LEADFOLD_DATABASE_URL"] = database_url
    return made


def test_every_parameter_of_the_api_is_an_option() -> None:
    operation = build()["paths"]["/api/v1/reports/inquiries"]["get"]
    asked = {"--" + p["name"].replace("_", "-") for p in operation["parameters"]}
    assembled.register()
    command = typer.main.get_command(assembled.app).commands["report"].commands["inquiries"]  # type: ignore[attr-defined]
    assert asked - {"--format"} <= {flag for option in command.params for flag in option.opts}


@pytest.mark.slow
def test_clock_and_valid_reasons_arrive(shop: Installation) -> None:
    march = ("report", "inquiries", "--from", "2026-03-01", "--to", "2026-03-31")
    asked = shop.json(*march, "--zone", "Asia/Omsk", "--valid-reasons", "price,far")["params"]
    assert (asked["zone"], asked["valid_reasons"]) == ("Asia/Omsk", ["far", "price"])
    asked = shop.json(*march, "--valid-reasons", "")["params"]
    assert (asked["zone"], asked["valid_reasons"]) == ("Europe/Moscow", [])
    wrong = shop.call(*march, "--zone", "Omsk")
    assert (wrong.returncode, "--zone" in wrong.stderr) == (2, True)


@pytest.mark.slow
def test_links_lead_to_the_public_address_of_the_pages(shop: Installation, tmp_path: Path) -> None:
    march = ("report", "inquiries", "--from", "2026-03-01", "--to", "2026-03-31")
    site = {"LEADFOLD_REPORTS__PUBLIC_URL": "https://reports.example.ru/"}
    page = "https://reports.example.ru/reports/inquiries?from=2026-03-01&to=2026-03-31"
    told = shop.call(*march, env=site)
    assert told.stderr.splitlines()[-1] == f"Page: {page}"
    file = tmp_path / "march.xlsx"
    shop.ok(*march, "--xlsx", str(file), env=site)
    title = openpyxl.load_workbook(file)["Отчёт"]["A1"]
    assert title.hyperlink is not None
    assert str(title.hyperlink.target).startswith(page)
    wrong = shop.call(*march, env={"LEADFOLD_REPORTS__PUBLIC_URL": "reports.example.ru"})
    assert (wrong.returncode, "LEADFOLD_REPORTS__PUBLIC_URL" in wrong.stderr) == (2, True)
