"""The browser that tests get is a real one, and pages that misbehave are seen."""

from playwright.async_api import Page, expect

from tests.support.browser import Pages


async def test_page_is_rendered_and_runs_scripts(browser_page: Page) -> None:
    await browser_page.set_content("<h1>Обращения</h1><script>document.title = 6 * 7</script>")
    await expect(browser_page.get_by_role("heading")).to_have_text("Обращения")
    assert await browser_page.title() == "42"
    assert browser_page.viewport_size == {"width": 1440, "height": 900}


async def test_size_theme_language_and_zone_are_what_was_asked(browser_pages: Pages) -> None:
    page = await browser_pages.open(width=390, height=844, dark=True, timezone="Asia/Yekaterinburg")
    seen = await page.evaluate(
        "[innerWidth, matchMedia('(prefers-color-scheme: dark)').matches, navigator.language,"
        " Intl.DateTimeFormat().resolvedOptions().timeZone]"
    )
    assert seen == [390, True, "ru-RU", "Asia/Yekaterinburg"]


async def test_requests_to_the_network_are_refused_and_reported(browser_pages: Pages) -> None:
    page = await browser_pages.open()
    await page.set_content("<img src='http://cdn.example/logo.png'>")
    await page.wait_for_load_state("networkidle")
    assert "asked for http://cdn.example/logo.png" in browser_pages.problems
    browser_pages.problems.clear()


async def test_script_errors_are_reported(browser_pages: Pages) -> None:
    page = await browser_pages.open()
    await page.set_content("<script>nobody.home()</script>")
    await page.evaluate("1")
    assert [problem.split(":")[0] for problem in browser_pages.problems] == ["JavaScript"]
    browser_pages.problems.clear()
