"""The report's page in a real browser: every figure is the Report's, and every change is in the address."""

import re
from datetime import timedelta

import pytest
from playwright.async_api import Page, expect

from reports.formats import signed
from tests.browser import sample
from tests.browser.conftest import Site
from tests.browser.reading import expected, table, text
from tests.support.browser import Pages

pytestmark = pytest.mark.browser


async def test_the_table_shows_every_figure_of_the_report(site: Site, browser_pages: Pages) -> None:
    page = await browser_pages.open(site.url(open="all"))
    assert await table(page) == expected(await site.report())


@pytest.mark.parametrize(
    "query",
    [
        {"basis": "activity"},
        {"counted": "client"},
        {"group": "week,kind"},
        {"filter": "kind:not:missed"},
        {"as_of": "2026-03-12"},
        {"lang": "en"},
        {"group": "channel"},
    ],
    ids=lambda q: "-".join(q.values()),
)
async def test_the_table_is_the_report_for_any_parameters(
    site: Site, browser_pages: Pages, query: dict[str, str]
) -> None:
    page = await browser_pages.open(site.url(open="all", **query))
    assert await table(page) == expected(await site.report(**query), query.get("lang", "ru"))


async def test_tiles_and_funnel_show_the_reports_total(site: Site, browser_pages: Pages) -> None:
    page = await browser_pages.open(site.url())
    report = await site.report()
    columns = {c.key: c for c in report.columns}
    shown = await page.locator(".tile .figure").all_inner_texts()
    keys = ("inquiries", "booked", "arrived", "refusals", "margin", "average_receipt")
    wanted = [
        text(report.total[k], columns[k]) + ("\u00a0₽" if columns[k].unit == "money" else "") for k in keys
    ]
    assert [s.replace("\n", "") for s in shown] == wanted
    bars = await page.locator(".funnel .value").all_inner_texts()
    assert [b.strip() for b in bars] == [text(report.total[k], columns[k]) for k in keys[:3]]


async def test_the_total_is_compared_with_another_period(site: Site, browser_pages: Pages) -> None:
    page = await browser_pages.open(site.url())
    for kind in ("previous", "year"):
        if kind == "year":
            await page.get_by_text("Сравнить с периодом до этого").click()
            await page.get_by_role("link", name="тем же периодом год назад").click()
            await expect(page.locator("summary", has_text="тем же периодом год назад")).to_be_visible()
        other = (await site.report(compare=kind)).comparison
        assert other is not None
        shown = page.locator("tfoot .changes td").first
        await expect(shown).to_have_text(
            re.compile("^" + re.escape(signed(other.changes["inquiries"].difference, "count")))
        )
        was = page.locator(".tile .change").first
        await expect(was).to_have_attribute(
            "title", re.compile(f"{other.first_day:%d.%m.%Y}.*: {other.total['inquiries']}$")
        )
    await page.locator("summary", has_text="тем же периодом год назад").click()
    await page.get_by_role("link", name="без сравнения").click()
    await expect(page.locator("tfoot .changes")).to_have_count(0)
    assert "compare=none" in page.url


async def test_money_is_written_alike_in_a_tile_and_below_it(site: Site, browser_pages: Pages) -> None:
    page = await browser_pages.open(site.url(lang="en"))
    tile = page.locator(".tile", has_text="Margin")
    for money in (tile.locator(".figure"), tile.locator(".note")):
        await expect(money).to_contain_text(re.compile(r"₽\d"))


async def test_groups_open_and_close_and_the_address_keeps_them(site: Site, browser_pages: Pages) -> None:
    page = await browser_pages.open(site.url())
    report = await site.report()
    shown = [row[0] for row in await table(page)]
    assert shown == [n for g in report.groups for n in (g.label.ru, *(c.label.ru for c in g.children))] + [
        "Итого"
    ]

    # the whole row is the target
    await page.locator("tr", has_text="Ирина Ковалёва").first.locator("th").click()
    opened = [row[0] for row in await table(page)]
    kinds = next(c for c in report.groups[0].children if c.key == "irina").children
    at = opened.index("Ирина Ковалёва")
    assert opened[at + 1 : at + 1 + len(kinds)] == [k.label.ru for k in kinds]
    await page.reload()
    assert [row[0] for row in await table(page)] == opened

    await page.get_by_role("link", name="Свернуть").click()
    assert [row[0] for row in await table(page)] == [*(g.label.ru for g in report.groups), "Итого"]
    await page.keyboard.press("a")
    assert await table(page) == expected(report)


async def test_sorting_by_a_header_goes_down_up_and_back(site: Site, browser_pages: Pages) -> None:
    page = await browser_pages.open(site.url(group="employee"))
    before = await table(page)
    header = page.locator("th", has_text="Маржа")
    for order in ("descending", "ascending"):
        await header.get_by_role("link").click()
        await expect(header).to_have_attribute("aria-sort", order)
        margins = [row[8] for row in (await table(page))[:-1]]
        numbers = [float(m.replace("\u00a0", "").replace(",", ".").replace("\u2212", "-")) for m in margins]
        assert numbers == sorted(numbers, reverse=order == "descending")
    await header.get_by_role("link").click()
    await expect(header).not_to_have_attribute("aria-sort", re.compile(".+"))
    assert await table(page) == before


async def test_levels_are_moved_by_arrows_and_by_dragging(site: Site, browser_pages: Pages) -> None:
    page = await browser_pages.open(site.url())
    await page.get_by_label("Поднять уровень: Вид обращения").click()
    await expect(page.locator(".level").nth(1)).to_have_attribute("data-dimension", "kind")
    assert "group=direction,kind,employee" in page.url
    await page.locator(".level", has_text="Сотрудник").drag_to(page.locator(".level", has_text="Направление"))
    await expect(page.locator(".level").first).to_have_attribute("data-dimension", "employee")
    assert [row[0] for row in await table(page)][:-1][0] in {e[1] for e in sample.EMPLOYEES}
    await page.go_back()
    await expect(page.locator(".level").first).to_have_attribute("data-dimension", "direction")
    assert await table(page) != []


async def test_a_filter_is_chosen_shown_as_a_chip_and_removed(site: Site, browser_pages: Pages) -> None:
    page = await browser_pages.open(site.url())
    everything = await table(page)
    await page.keyboard.press("/")
    await page.get_by_role("link", name="Вид обращения", exact=True).click()
    await page.get_by_role("checkbox", name="Чат").check()
    await page.get_by_role("button", name="Отобрать").click()
    await expect(page.locator(".chip")).to_have_text("Вид обращения: Чат")
    assert "filter=kind:in:chat" in page.url
    report = await site.report(filter="kind:in:chat")
    assert (await table(page))[-1] == expected(report)[-1]
    await page.get_by_label("Убрать отбор").click()
    await expect(page.locator(".chip")).to_have_count(0)
    assert await table(page) == everything
    await page.go_back()
    await expect(page.locator(".chip")).to_have_count(1)
    assert (await table(page))[-1] == expected(report)[-1]


async def test_period_presets_neighbours_and_own_dates(site: Site, browser_pages: Pages) -> None:
    page = await browser_pages.open(site.url())
    await page.get_by_label("Раньше").click()
    await page.wait_for_url("**from=2026-02-01&to=2026-02-28**")
    await expect(page.get_by_role("heading", name="Нет обращений за этот период")).to_be_visible()
    await page.get_by_role("link", name="Показать март 2026").click()
    await page.wait_for_url("**from=2026-03-01&to=2026-03-31**")
    assert await table(page) != []
    await page.locator(".presets").get_by_role("link", name="Вчера").click()
    await page.wait_for_url("**from=2026-03-23&to=2026-03-23**")
    await page.locator("summary", has_text="23.03.2026").click()
    await page.get_by_label("с", exact=True).fill("2026-03-02")
    await page.get_by_label("по", exact=True).fill("2026-03-08")
    await page.get_by_role("button", name="Сформировать").click()
    await page.wait_for_url("**from=2026-03-02&to=2026-03-08**")
    report = await site.report(**{"from": "2026-03-02", "to": "2026-03-08"})
    await expect(page.locator(".tile .figure").first).to_have_text(str(report.total["inquiries"]))


async def test_as_of_shows_the_report_of_that_moment(site: Site, browser_pages: Pages) -> None:
    page = await browser_pages.open(site.url())
    await page.locator("summary", has_text="Данные на").click()
    await page.locator("input[name=as_of]").fill("2026-03-10T12:00")
    await page.get_by_role("button", name="Показать на этот момент").click()
    await page.wait_for_url("**as_of=2026-03-10T12*")
    report = await site.report(as_of="2026-03-10T12:00")
    await expect(page.locator(".head .caption")).to_contain_text("данные на 10.03.2026 12:00")
    assert (await table(page))[-1] == expected(report)[-1]


async def test_english_mirrors_the_page_and_keeps_its_state(site: Site, browser_pages: Pages) -> None:
    page = await browser_pages.open(site.url(group="employee"))
    await page.get_by_role("link", name="EN").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Client inquiries")
    assert "group=employee" in page.url
    assert "lang=en" in page.url
    cyrillic = re.compile("[а-яё]", re.IGNORECASE)
    words = await page.locator(".controls, .tabs, .tiles, thead, .rail").all_inner_texts()
    assert not cyrillic.search(" ".join(words))


async def test_other_tabs_open_their_rows(site: Site, browser_pages: Pages) -> None:
    page = await browser_pages.open(site.url())
    report = await site.report()
    left_out = sum(n.count for n in report.notices)
    await page.get_by_role("link", name=f"Не вошли в отчёт {left_out}").click()
    for notice in report.notices:
        row = page.locator("tr", has_text=notice.label.ru)
        await row.get_by_role("link", name=str(notice.count), exact=True).click()
        await expect(page.locator("#panel table")).to_have_attribute("data-total", str(notice.count))
        await page.keyboard.press("Escape")
    await page.get_by_role("link", name="Причины отказов").click()
    declined = await site.report(group="refusal_reason", valid_reasons="")
    await expect(page.locator("tfoot")).to_contain_text(str(declined.total["declined"]))
    await expect(page.locator(".struck")).to_have_count(2)
    await page.get_by_role("link", name="учесть в отчёте").first.click()
    await expect(page.locator(".struck")).to_have_count(1)
    await page.get_by_role("link", name="Вернуть правило компании").click()
    await expect(page.locator(".struck")).to_have_count(2)
    await page.get_by_role("link", name="Мотивация").click()
    pay = next(c for c in report.columns if c.key == "pay")
    await expect(page.locator("tfoot")).to_contain_text(text(report.total["pay"], pay))


async def test_optional_columns_are_added_and_kept(site: Site, browser_pages: Pages) -> None:
    page = await browser_pages.open(site.url())
    await page.locator("summary", has_text="Столбцы").click()
    await page.get_by_role("link", name="Продажи на заезд").click()
    await expect(page.locator("thead")).to_contain_text("Продажи на заезд")
    assert "columns=sales_per_arrival" in page.url


async def test_a_late_or_unknown_stamp_is_amber(stale_site: Site, browser_pages: Pages) -> None:
    page = await browser_pages.open(stale_site.url())
    await expect(page.locator(".stamp.late")).to_contain_text("отставание неизвестно")


async def test_theme_and_density_are_remembered(site: Site, browser_pages: Pages) -> None:
    page = await browser_pages.open(site.url())
    light = await _background(page)
    await page.keyboard.press("t")
    await page.keyboard.press("d")
    dark = await _background(page)
    assert light != dark
    await page.reload()
    assert await _background(page) == dark
    assert await page.locator("html").get_attribute("data-density") == "compact"
    row = await page.locator(".table tbody tr").first.bounding_box()
    assert row is not None
    assert row["height"] <= 28


async def _background(page: Page) -> str:
    return str(await page.evaluate("getComputedStyle(document.body.parentElement).backgroundColor"))


async def test_an_error_says_what_happened_and_what_to_press(site: Site, browser_pages: Pages) -> None:
    page = await browser_pages.open(site.url(basis="other"))
    await expect(page.get_by_role("heading", level=1)).to_have_text("Адрес страницы не понят")
    await expect(page.locator(".state")).to_contain_text("basis: нужно одно из: cohort, activity")
    await page.get_by_role("link", name="Открыть отчёт").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Обращения клиентов в автосервис")
    browser_pages.problems[:] = [p for p in browser_pages.problems if "400" not in p]


async def test_a_very_long_tree_is_sent_in_parts(
    site: Site, browser_pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reports.web.table.WHOLE_TREE", 5)
    page = await browser_pages.open(site.url())
    report = await site.report()
    assert await page.locator(".table tbody tr").count() == sum(1 + len(g.children) for g in report.groups)
    await page.locator("tr", has_text="Ирина Ковалёва").first.locator("th").click()
    kinds = next(c for c in report.groups[0].children if c.key == "irina").children
    await expect(page.locator("tr.level-2")).to_have_count(len(kinds))
    await page.keyboard.press("a")
    await expect(page.locator("tr.level-2")).to_have_count(
        sum(len(c.children) for g in report.groups for c in g.children)
    )
    monkeypatch.setattr("reports.web.table.MOST_LINES", 4)
    await page.reload()
    await expect(page.locator("p.notice")).to_have_text(
        "Показаны только первые строки: 4. Сузьте отбор или уберите уровень."
    )


async def test_paper_is_light_and_shows_figures_only(site: Site, browser_pages: Pages) -> None:
    page = await browser_pages.open(site.url(open="all", filter="kind:not:chat"), dark=True)
    await page.emulate_media(media="print")
    assert await _background(page) == "rgb(255, 255, 255)"
    for hidden in (".rail", ".controls", ".head-actions", ".levels", ".cell-share"):
        await expect(page.locator(hidden).first).to_be_hidden()
    await expect(page.locator(".print-foot")).to_contain_text("правила")
    await expect(page.get_by_text("Отбор: Вид обращения: кроме Чат")).to_be_visible()
    assert await page.pdf(prefer_css_page_size=True)


async def test_a_page_left_open_follows_the_data(
    site: Site, browser_pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = await browser_pages.open()
    await page.clock.install()
    await page.goto(site.url(open="none"))
    before = await page.locator(".head .caption").inner_text()
    monkeypatch.setattr(sample, "NOW", sample.NOW + timedelta(minutes=5))
    await page.clock.run_for(61_000)
    await expect(page.locator(".head .caption")).not_to_have_text(before)
    await expect(page.locator(".head .caption")).to_contain_text("14:37")
    assert "open=none" in page.url
    assert len(await table(page)) == 3

    await page.context.set_offline(True)
    await page.clock.run_for(61_000)
    await expect(page.locator(".stamp.late")).to_have_text("нет связи, показано последнее")
    await expect(page.locator(".tile .figure").first).to_be_visible()
    browser_pages.problems[:] = [p for p in browser_pages.problems if "ERR_INTERNET_DISCONNECTED" not in p]


async def test_nothing_of_the_controls_lies_beyond_the_edge(site: Site, browser_pages: Pages) -> None:
    phone = await browser_pages.open(site.url(), width=390, height=844)
    for name in ("Когорта", "Активность"):
        box = await phone.locator(".segment a", has_text=name).bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
    desk = await browser_pages.open(site.url(), width=1440)
    hint = await desk.locator(".bar .caption a").bounding_box()
    notice = await desk.locator(".bar a.notice").bounding_box()
    assert hint is not None
    assert notice is not None
    assert abs(hint["y"] + hint["height"] / 2 - notice["y"] - notice["height"] / 2) <= 2


async def test_an_empty_page_tells_of_the_category_once(site: Site, browser_pages: Pages) -> None:
    for width in (1440, 390):
        page = await browser_pages.open(site.url(kind="chat", category="~"), width=width)
        shown = await page.locator("a[href*='#categories']:visible").count()
        assert shown <= 1


async def test_a_past_moment_says_what_is_not_cut(site: Site, browser_pages: Pages) -> None:
    words = "карточки сотрудников, справочники и правила — нынешние"
    page = await browser_pages.open(site.url(as_of="2026-03-20"))
    assert words in await page.locator(".head .caption").inner_text()
    page = await browser_pages.open(site.url())
    assert words not in await page.locator(".head .caption").inner_text()
