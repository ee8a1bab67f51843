"""The application without a browser: headers, files, exports, errors, and rules that the sources must keep."""

import asyncio
import io
import re
import string
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import openpyxl
import pytest
import pytest_asyncio
from aiohttp import ClientSession
from psycopg import AsyncConnection

import reports.web
from projector.readmodel.live import NoLiveBuild
from reports.as_excel import Workbook
from reports.context import Context
from reports.web.navigation import RAIL
from reports.web.security import HEADERS
from reports.web.texts import TEXTS
from tests.browser.conftest import Loaded, Site, serve

WEB = Path(reports.web.__file__).parent
TEMPLATES = sorted((WEB / "templates").glob("*.html"))


@pytest_asyncio.fixture(loop_scope="session")
async def client() -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session


@pytest.mark.parametrize(
    "path",
    ["/reports/inquiries", "/reports/inquiries/rows", "/definitions", "/nowhere", "/reports/inquiries?basis=x", "/healthz",
     "/api/v1/reports/inquiries", "/api/v1/nowhere", "/reports/inquiries.csv", "/reports/inquiries.xlsx", "/reports/inquiries?basis=cohort", "/static/x/css/tokens.css"],
)  # fmt: skip
async def test_every_answer_carries_the_security_headers(
    site: Site, client: ClientSession, path: str
) -> None:
    async with client.get(site.base + path) as answer:
        assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
        assert "unsafe" not in answer.headers["Content-Security-Policy"]


async def test_files_are_cached_for_ever_under_their_hash_only(site: Site, client: ClientSession) -> None:
    async with client.get(site.url()) as page:
        found = re.findall(r'(?:href|src)="(/static/[^"]+)"', await page.text())
    assert len(found) >= 8
    for address in found:
        async with client.get(site.base + address) as answer:
            assert answer.status == 200
            assert "immutable" in answer.headers["Cache-Control"]
    old = re.sub(r"/static/\w+/", "/static/000000000000/", found[0])
    async with client.get(site.base + old) as answer:
        assert answer.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize(
    "name", ["../app.py", "%2e%2e/app.py", "css/../../app.py", "css/none.css", "//etc/passwd"]
)
async def test_nothing_but_static_files_is_served(site: Site, client: ClientSession, name: str) -> None:
    async with client.get(f"{site.base}/static/x/{name}") as answer:
        assert answer.status == 404
        assert "aiohttp" not in await answer.text()


async def test_a_foreign_host_name_is_refused(site: Site, loaded: Loaded, client: ClientSession) -> None:
    """DNS rebinding: another site's name that points here must not read the reports."""
    foreign = {"Host": "evil.example"}
    async with client.get(site.url(), headers=foreign) as answer:
        assert answer.status == 403
        assert "Host: 127.0.0.1" in await answer.text()
        assert "Обращения" not in await answer.text()
    async with (
        serve(replace(loaded.deps(), loopback_only=False)) as base,
        client.get(base, headers=foreign) as answer,
    ):
        assert answer.status == 200


async def test_a_made_up_host_gets_into_no_file(loaded: Loaded, client: ClientSession) -> None:
    """Behind a proxy that passes any ``Host`` on, a made-up one must not be where the links of a file lead."""
    path = "/reports/inquiries.xlsx?from=2026-03-01&to=2026-03-31"
    deps = replace(loaded.deps(), loopback_only=False)
    known = replace(deps, public_url="https://reports.example")
    for used, host, linked in (
        (deps, "evil.example", None), (deps, "localhost.evil.example", None), (deps, "127.0.0.1:80", "http://127.0.0.1:80/"),
        (known, "evil.example", "https://reports.example/"),
    ):  # fmt: skip
        async with serve(used) as base, client.get(base + path, headers={"Host": host}) as answer:
            assert answer.status == 200
            with ZipFile(io.BytesIO(await answer.read())) as file:
                parts = {
                    name: file.read(name).decode()
                    for name in file.namelist()
                    if name.endswith((".xml", ".rels"))
                }
        assert not any("evil.example" in part for part in parts.values())
        links = [
            found for part in parts.values() for found in re.findall(r'Target="(http[^"]+)/inquiries/', part)
        ]
        assert {f"{link}/" for link in links} == ({linked} if linked else set())


async def test_the_start_page_leads_to_the_report(site: Site, client: ClientSession) -> None:
    async with client.get(site.base, allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (302, "/reports/inquiries")


async def test_every_link_of_the_rail_works(site: Site, client: ClientSession) -> None:
    for item in (item for section in RAIL for item in section.items):
        async with client.get(site.base + item.href) as answer:
            assert answer.status == 200


@pytest.mark.parametrize("value", ["//evil.example", "https://evil.example", "\r\nLocation: x", "a,b%2C"])
async def test_the_filter_form_redirects_only_to_the_report(
    site: Site, client: ClientSession, value: str
) -> None:
    query = {"dimension": "channel", "value": value, "from": "2026-03-01", "to": "2026-03-31"}
    async with client.get(
        f"{site.base}/reports/inquiries/filter", params=query, allow_redirects=False
    ) as answer:
        if answer.status != 400:
            assert answer.status == 303
            assert answer.headers["Location"].startswith(
                "/reports/inquiries?from=2026-03-01&to=2026-03-31&filter=channel:in:"
            )


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/api/v1/reports/inquiries?from=2026-13-01&to=2026-03-31", "from"),
        ("/api/v1/reports/inquiries?group=nonsense", "group"),
        ("/api/v1/reports/inquiries?sort=nonsense", "sort"),
        ("/api/v1/reports/inquiries?columns=nonsense", "columns"),
        ("/api/v1/reports/inquiries?tab=nonsense", "tab"),
        ("/api/v1/reports/inquiries?who=me", "who"),
        ("/api/v1/reports/inquiries/rows?metric=nonsense", "metric"),
        ("/api/v1/reports/inquiries/rows?at=nonsense", "at"),
        ("/api/v1/reports/inquiries/rows?offset=-1", "offset"),
        ("/api/v1/reports/inquiries/rows?limit=99999", "limit"),
        ("/api/v1/inquiries/nonsense", "path"),
        ("/api/v1/inquiries/00000000-0000-4000-8000-000000000000", "path"),
        ("/api/v1/events/00000000-0000-4000-8000-000000000000", "path"),
    ],
)
async def test_api_errors_name_the_field(site: Site, client: ClientSession, path: str, field: str) -> None:
    async with client.get(site.base + path) as answer:
        assert answer.status in (400, 404)
        error = (await answer.json())["error"]
        assert error["field"] == field
        assert error["reason"]


@pytest.mark.parametrize(
    "text",
    [
        "'",
        '"',
        "<b>",
        "\x00",
        "%",
        "{{7*7}}",
        "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"),
        "~",
        "a" * 5000,
        "employee:\x00",
    ],
)
async def test_odd_characters_never_break_a_page(site: Site, client: ClientSession, text: str) -> None:
    for name in (
        "filter",
        "employee",
        "sort",
        "open",
        "columns",
        "tab",
        "metric",
        "notice",
        "at",
        "offset",
        "lang",
        "period",
    ):
        for path in ("/reports/inquiries", "/reports/inquiries/rows", "/api/v1/reports/inquiries/rows"):
            async with client.get(site.base + path, params={name: text}) as answer:
                assert answer.status < 500
                assert "<b>" not in await answer.text()


async def test_a_workbook_in_the_making_holds_nobody_up(
    site: Site, client: ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, written = threading.Event(), threading.Event()

    def long_work(*_: object) -> None:
        begun.set()
        assert written.wait(30)

    monkeypatch.setattr(Workbook, "add", long_work)
    export = asyncio.create_task(client.get(f"{site.base}/reports/inquiries.xlsx"))
    assert await asyncio.to_thread(begun.wait, 30)
    async with client.get(f"{site.base}/healthz") as answer:
        assert answer.status == 200
    assert not export.done()
    written.set()
    assert (await export).status == 200


async def test_json_csv_and_excel_have_the_reports_figures(site: Site, client: ClientSession) -> None:
    report = await site.report()
    async with client.get(site.url("/api/v1/reports/inquiries")) as answer:
        body = await answer.json()
    query = "from=2026-03-01&to=2026-03-31"
    async with client.get(f"{site.base}/reports/inquiries.csv?{query}") as answer:
        total = (await answer.read()).decode("utf-8-sig").splitlines()[-1].split(";")
    async with client.get(f"{site.base}/reports/inquiries.csv?{query}&compare=year") as answer:
        words = [line.split(";")[0] for line in (await answer.read()).decode("utf-8-sig").splitlines()]
    assert words[-4:] == ["0", "before", "change", "change_share"]
    async with client.get(f"{site.base}/reports/inquiries.xlsx?{query}") as answer:
        assert (
            answer.headers["Content-Disposition"]
            == 'attachment; filename="inquiries-2026-03-01-2026-03-31.xlsx"'
        )
        book = openpyxl.load_workbook(io.BytesIO(await answer.read()))
    numbers = [
        float(c.value) for row in book["Отчёт"].iter_rows() for c in row if isinstance(c.value, int | float)
    ]
    for n, column in enumerate(report.columns):
        value = report.total[column.key]
        assert value is not None
        assert float(body["total"][column.key]) == pytest.approx(float(value), abs=1e-4)
        assert float(total[1 + len(report.params.levels) + n].replace(",", ".")) == pytest.approx(
            float(value), abs=0.006
        )
        assert any(number == pytest.approx(float(value)) for number in numbers)


async def test_rows_cards_and_events_are_there_as_json(site: Site, client: ClientSession) -> None:
    report = await site.report()
    async with client.get(
        site.url("/api/v1/reports/inquiries/rows", metric="arrived", at="employee:irina")
    ) as answer:
        rows = await answer.json()
    irina = sum(int(c.values["arrived"] or 0) for g in report.groups for c in g.children if c.key == "irina")
    assert (rows["total"], rows["value"], len(rows["inquiries"])) == (irina, irina, irina)
    async with client.get(f"{site.base}/api/v1/inquiries/{rows['inquiries'][0]['inquiry_id']}") as answer:
        card = await answer.json()
    assert card["line"]["inquiry"]["inquiry_id"] == rows["inquiries"][0]["inquiry_id"]
    async with client.get(f"{site.base}/api/v1/events/{card['events'][0]}") as answer:
        event = await answer.json()
    assert event["id"] == card["events"][0]
    assert event["evidence"]["method"] in ("GET", "POST")


@pytest.mark.slow
@pytest.mark.parametrize("lang", ["ru", "en"])
async def test_every_card_and_event_can_be_shown(site: Site, client: ClientSession, lang: str) -> None:
    rows: list[dict[str, Any]] = []
    for name in ({"metric": "inquiries"}, {"notice": "excluded"}):
        async with client.get(site.url("/api/v1/reports/inquiries/rows", limit="1000", **name)) as answer:
            rows += (await answer.json())["inquiries"]
    events: set[str] = set()
    for row in rows:
        events.update(row["events"])
        async with client.get(f"{site.base}/inquiries/{row['inquiry_id']}?lang={lang}") as answer:
            assert answer.status == 200
            text = await answer.text()
            assert row["phone_text"] in text
        async with client.get(f"{site.base}/api/v1/inquiries/{row['inquiry_id']}") as answer:
            assert answer.status == 200
    assert len(rows) > 150
    kinds: dict[str, str] = {}
    for ident in sorted(events):
        kinds.setdefault(site.loaded.deliveries.types[ident], ident)
    assert len(kinds) > 12
    for ident in kinds.values():
        async with client.get(f"{site.base}/events/{ident}?lang={lang}") as answer:
            assert answer.status == 200
            assert "sample/1.0" in await answer.text()


async def test_health_readiness_and_metrics(site: Site, loaded: Loaded, client: ClientSession) -> None:
    async with client.get(f"{site.base}/healthz") as answer:
        assert (answer.status, await answer.json()) == (200, {"alive": True})
    async with client.get(f"{site.base}/readyz") as answer:
        assert answer.status == 200
    async with client.get(f"{site.base}/metrics") as answer:
        assert "leadfold_up" in await answer.text()

    async def ready() -> dict[str, str | None]:
        return {"database": "away", "log": None}

    async with serve(replace(loaded.deps(), ready=ready)) as base, client.get(f"{base}/readyz") as answer:
        assert answer.status == 503
        assert await answer.json() == {
            "ready": False,
            "checks": {"database": {"ok": False, "reason": "away"}, "log": {"ok": True, "reason": None}},
        }


async def test_before_the_first_build_the_page_says_so(loaded: Loaded, client: ClientSession) -> None:
    async def context(_conn: AsyncConnection[Any]) -> Context:
        raise NoLiveBuild("none")

    async with serve(replace(loaded.deps(), context=context)) as base:
        async with client.get(f"{base}/reports/inquiries") as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
            assert "Вебхуки принимаются, ничего не потеряно" in await answer.text()
        async with client.get(f"{base}/api/v1/reports/inquiries") as answer:
            assert answer.status == 503


async def test_a_lost_database_is_a_503(loaded: Loaded, client: ClientSession) -> None:
    @asynccontextmanager
    async def connection() -> AsyncIterator[AsyncConnection[Any]]:
        async with await AsyncConnection.connect("host=/nowhere dbname=x") as conn:
            yield conn

    async with (
        serve(replace(loaded.deps(), connection=connection)) as base,
        client.get(f"{base}/reports/inquiries") as answer,
    ):
        assert answer.status == 503


async def test_a_bug_gives_a_number_and_nothing_else(loaded: Loaded, client: ClientSession) -> None:
    async def context(_conn: AsyncConnection[Any]) -> Context:
        raise RuntimeError("password=hunter2")

    async with (
        serve(replace(loaded.deps(), context=context)) as base,
        client.get(f"{base}/reports/inquiries") as answer,
    ):
        text = await answer.text()
    assert answer.status == 500
    assert "ничего не потеряно" in text
    assert "hunter2" not in text
    assert "Traceback" not in text


def test_every_text_exists_in_both_languages_and_is_used() -> None:
    sources = "\n".join(p.read_text(encoding="utf-8") for p in [*TEMPLATES, *WEB.glob("*.py")])
    literal = set(re.findall(r"""\b(?:t|say)\(\s*["']([a-z0-9_.]+)["'](?!\s*~)""", sources))
    literal |= set(re.findall(r'joint = "([a-z.]+)" if \w+ else "[a-z.]+"', sources)) | {
        "chip.in",
        "chip.not",
    }
    built = set(re.findall(r"""\bt\(\s*["']([a-z.]+[._])["']\s*~""", sources)) | set(
        re.findall(r'\bsay\(f"([a-z.]+\.)\{', sources)
    )
    passed = set(re.findall(r'_note\("([a-z.]+)"', sources))
    used = literal | passed
    assert used - TEXTS.keys() == set()
    unused = {key for key in TEXTS if key not in used and not any(key.startswith(p) for p in built)}
    assert unused == set()
    for key, text in TEXTS.items():
        names = [{f for _, f, _, _ in string.Formatter().parse(text[lang]) if f} for lang in ("ru", "en")]
        assert names[0] == names[1], key


def test_colours_live_in_one_file() -> None:
    colour = re.compile(r"#[0-9a-f]{3,8}\b|\b(?:rgb|hsl|oklch)a?\(", re.IGNORECASE)
    for path in [*(WEB / "static" / "css").glob("*.css"), *(WEB / "static" / "js").glob("*.js"), *TEMPLATES]:
        if path.name != "tokens.css":
            found = [m for m in colour.findall(path.read_text(encoding="utf-8")) if m != "#hatch"]
            assert found == [], path.name


def test_no_template_holds_scripts_or_styles_of_its_own() -> None:
    for path in TEMPLATES:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:|\|safe", text), path.name
        assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", text)), path.name


def test_light_and_dark_tokens_name_the_same_things() -> None:
    text = (WEB / "static" / "css" / "tokens.css").read_text(encoding="utf-8")
    media, switch = re.findall(r"data-theme=\"(?:light\"\]\)|dark\"\]) \{(.*?)\}", text, re.DOTALL)
    assert set(re.findall(r"(--[\w-]+: [^;]+);", media)) == set(re.findall(r"(--[\w-]+: [^;]+);", switch))
