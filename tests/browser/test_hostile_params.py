"""Whatever stands in the address of a page, an export or the API: an answer in words, never an error of ours."""

from urllib.parse import quote, urlencode

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.browser.conftest import Site

PATHS = (
    "/reports/inquiries", "/reports/inquiries/rows", "/reports/inquiries/values", "/reports/inquiries/filter",
    "/reports/inquiries.xlsx", "/reports/inquiries.csv", "/api/v1/reports/inquiries", "/api/v1/reports/inquiries/rows",
)  # fmt: skip
NAMES = (
    "from", "to", "period", "as_of", "known_at", "group", "filter", "basis", "counted", "zone", "office_time",
    "valid_reasons", "lang", "metric", "at", "notice", "limit", "offset", "dimension", "mode", "value", "tab", "sort",
    "employee", "page", "cursor", "next", "open",
)  # fmt: skip
HOSTILE = (
    "' or '1'='1", "1; drop table build_0001.inquiry; --", "') union select version() --", "$1", "%s", "%(x)s",
    "{0.__class__}", "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "javascript:alert(1)",
    "//evil.example/", "https://evil.example/", "\\\\evil.example", "../../etc/passwd", "=cmd|' /C calc'!A0",
    "\x00", "\u202e", "\ud800", "-1", "0", "1e9", "99999999999999999999", "NaN", "", "~", "a,b", "2026-02-30",
    "2026-03-01", "2026-03-31T10:00:00+03:00", "9999-12-31T23:59:59-23:59", "0001-01-01", "inquiries", "employee",
    "employee:in:ivan", "employee:not:' or 1=1", "direction", "Europe/Moscow", "../../../etc/localtime", "booked",
    "x" * 3000,
)  # fmt: skip
PAIRS = st.tuples(st.sampled_from(NAMES), st.sampled_from(HOSTILE) | st.text(max_size=12))


def address(path: str, pairs: list[tuple[str, str]]) -> str:
    return f"{path}?{urlencode(pairs, errors='surrogatepass')}"


async def answered(client: aiohttp.ClientSession, url: str) -> None:
    from yarl import URL

    async with client.get(URL(url, encoded=True), allow_redirects=False) as got:
        body = await got.read()
        assert got.status in (200, 302, 303, 400, 404), (url, got.status, body[:500])
        if got.status in (302, 303):
            assert got.headers["Location"].startswith("/reports/inquiries"), url
        raw = (
            (b"<script>alert", b"<img src=x", b'href="javascript:') if got.content_type == "text/html" else ()
        )
        for one in (*raw, b"syntax error", b"psycopg"):
            assert one not in body, (url, one)
        assert "evil.example" not in got.headers.get("Location", "").partition("?")[0]
        assert got.headers["X-Content-Type-Options"] == "nosniff"
        assert "frame-ancestors 'none'" in got.headers["Content-Security-Policy"]


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(path=st.sampled_from(PATHS), pairs=st.lists(PAIRS, max_size=5))
async def test_any_parameters(site: Site, path: str, pairs: list[tuple[str, str]]) -> None:
    async with aiohttp.ClientSession() as client:
        await answered(client, site.base + address(path, pairs))


async def test_every_parameter_with_every_hostile_value(site: Site) -> None:
    async with aiohttp.ClientSession() as client:
        for name in NAMES:
            for number, text in enumerate(HOSTILE):
                path = PATHS[(number + len(name)) % len(PATHS)]
                await answered(client, site.base + address(path, [(name, text)]))


@pytest.mark.parametrize(
    "path", ["/inquiries/", "/events/", "/api/v1/inquiries/", "/api/v1/events/", "/static/x/", "/"]
)
async def test_places_that_do_not_exist(site: Site, path: str) -> None:
    from yarl import URL

    async with aiohttp.ClientSession() as client:
        for text in HOSTILE:
            name = quote(text, safe="", errors="surrogatepass")
            async with client.get(
                URL(f"{site.base}{path}{name}", encoded=True), allow_redirects=False
            ) as got:
                assert got.status in (302, 400, 404), (path, text, got.status)
                assert b"root:" not in await got.read()
        for climbing in (
            "../../app.py",
            "%2e%2e/%2e%2e/app.py",
            "..%2f..%2fapp.py",
            "....//app.py",
            "/etc/passwd",
        ):
            async with client.get(URL(f"{site.base}/static/x/{climbing}", encoded=True)) as got:
                assert got.status in (400, 404), climbing


async def test_methods_that_are_not_allowed_are_said(site: Site) -> None:
    async with aiohttp.ClientSession() as client, client.post(f"{site.base}/api/v1/reports/inquiries") as got:
        assert (got.status, "GET" in got.headers["Allow"]) == (405, True)
