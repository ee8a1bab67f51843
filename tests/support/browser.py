"""A real Chromium for the tests of the pages, and what a page must never do: fail quietly or reach out."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from playwright.async_api import Browser, ConsoleMessage, Page, Request, Route, async_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
_ARGUMENTS = ["--no-sandbox", "--disable-background-networking", "--disable-gpu", "--no-first-run"]
_OWN_HOSTS = {"127.0.0.1", "localhost", "::1"}


def find_chromium() -> str | None:
    """Path of a Chromium: ``CHROMIUM`` from the environment, the system's, or the one Playwright installed."""
    if given := os.environ.get("CHROMIUM"):
        return given
    for name in _NAMES:
        if found := shutil.which(name):
            return found
    own = asyncio.run(_playwrights_own())
    return own if Path(own).exists() else None


async def _playwrights_own() -> str:
    async with async_playwright() as playwright:
        return playwright.chromium.executable_path


@dataclass
class Pages:
    """Opens pages of one browser and remembers what went wrong on any of them.

    Pages have no way out: a request to any host but this machine is refused and counts as a problem, because the
    product's pages must work offline.
    """

    browser: Browser
    #: Uncaught JavaScript errors, console errors, refused requests: one line each. A test that provokes one on
    #: purpose takes it out; whatever is left at the end fails the test.
    problems: list[str] = field(default_factory=list)

    async def open(
        self,
        url: str | None = None,
        *,
        width: int = 1440,
        height: int = 900,
        dark: bool = False,
        locale: str = "ru-RU",
        timezone: str = "Europe/Moscow",
        scripts: bool = True,
    ) -> Page:
        """A page in a context of its own (no shared cookies), at ``url`` when one is given. Sizes in CSS pixels."""
        context = await self.browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            locale=locale,
            timezone_id=timezone,
            java_script_enabled=scripts,
            accept_downloads=True,
        )
        context.set_default_timeout(10_000)
        await context.route(lambda address: urlsplit(address).hostname not in _OWN_HOSTS, self._refuse)
        page = await context.new_page()
        page.on("pageerror", lambda error: self.problems.append(f"JavaScript: {error}"))
        page.on("console", self._on_console)
        page.on("requestfailed", self._on_request_failed)
        if url is not None:
            await page.goto(url)
        return page

    async def _refuse(self, route: Route) -> None:
        self.problems.append(f"asked for {route.request.url}")
        await route.abort()

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.problems.append(f"console: {message.text}")

    def _on_request_failed(self, request: Request) -> None:
        # a download or a click on the way cuts requests short: no fault of the page
        if request.failure != "net::ERR_ABORTED":
            self.problems.append(f"{request.failure}: {request.url}")


@asynccontextmanager
async def started(executable: str) -> AsyncIterator[Browser]:
    """A browser process for the time of the block; to be used on this event loop."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=_ARGUMENTS)
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def pages(browser: Browser) -> AsyncIterator[Pages]:
    """Pages of a running browser; at the end all of them are gone, with their cookies, caches and downloads."""
    try:
        yield Pages(browser)
    finally:
        for context in list(browser.contexts):
            await context.close()
