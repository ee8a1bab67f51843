"""From a figure to its rows, from a row to its card, from there to the event and the raw webhook, numbers compared."""

import json
import re
from dataclasses import replace
from decimal import Decimal

import pytest
from playwright.async_api import expect

from domain.event import Evidence
from domain.identity import event_id
from reports.formats import cell, phone
from tests.browser import sample
from tests.browser.conftest import Loaded, Site, serve
from tests.browser.loading import SCHEMA, Deliveries
from tests.browser.reading import whole
from tests.support.browser import Pages

pytestmark = pytest.mark.browser


async def test_every_count_of_the_total_opens_as_many_rows(site: Site, browser_pages: Pages) -> None:
    page = await browser_pages.open(site.url())
    links = page.locator("tfoot td a")
    for n in range(5):
        count = whole(await links.nth(n).inner_text())
        await links.nth(n).click()
        await expect(page.locator("#panel table")).to_have_attribute("data-total", str(count))
        if count <= 100:
            await expect(page.locator("#panel tr[data-row]")).to_have_count(count)
        await page.keyboard.press("Escape")
        await expect(page.locator("#panel")).to_be_hidden()


async def test_every_cell_of_a_leaf_opens_as_many_rows(site: Site, browser_pages: Pages) -> None:
    page = await browser_pages.open(site.url(group="employee,kind", open="all"))
    leaves = page.locator("tr.level-1")
    for n in range(0, await leaves.count(), 5):
        link = leaves.nth(n).locator("td a").first
        count = whole(await link.inner_text())
        await link.click()
        await expect(page.locator("#panel tr[data-row]")).to_have_count(count)
        await page.keyboard.press("Escape")


async def test_more_rows_than_a_page_are_paged(site: Site, browser_pages: Pages) -> None:
    page = await browser_pages.open(site.url())
    total = whole(await page.locator("tfoot td a").first.inner_text())
    assert total > 150
    await page.locator("tfoot td a").first.click()
    seen = 0
    while True:
        await expect(page.locator("#panel .pager")).to_contain_text(f"{seen + 1} –")
        seen += await page.locator("#panel tr[data-row]").count()
        following = page.locator("#panel .pager").get_by_role("link", name="Дальше")
        if not await following.count():
            break
        await following.click()
    assert seen == total


@pytest.mark.parametrize("basis", ["cohort", "activity"])
@pytest.mark.parametrize("metric", ["sales", "margin", "receipts"])
async def test_the_last_column_of_the_rows_adds_up_to_the_figure(
    site: Site, browser_pages: Pages, metric: str, basis: str
) -> None:
    report = await site.report(basis=basis)
    column = next(c for c in report.columns if c.key == metric)
    page = await browser_pages.open(site.url("/reports/inquiries/rows", metric=metric, basis=basis))
    added, rows = Decimal(0), 0
    while True:
        assert (await page.locator("thead th").last.inner_text()).startswith(column.label.ru)
        for shown in await page.locator("tr[data-row] td:last-child").all_inner_texts():
            plain = "".join(shown.split()).replace("\u2212", "-").replace(",", ".")
            added, rows = added + Decimal(plain), rows + 1
        following = page.get_by_role("link", name="Дальше")
        if not await following.count():
            break
        await following.click()
    total = Decimal(report.total[metric] or 0)
    assert total != 0
    assert abs(added - total) <= rows * Decimal(
        "0.005"
    )  # each is rounded where it is shown, and only there (G5)


async def test_a_receipt_is_legible_on_a_phone(site: Site, browser_pages: Pages) -> None:
    page = await browser_pages.open(
        site.url("/reports/inquiries/rows", metric="sales"), width=390, height=844
    )
    await page.locator("tr[data-row] a").first.click()
    names = page.locator(".lines td.text")
    await expect(names.first).to_be_visible()
    assert all(size >= 88 for size in await names.evaluate_all("cells => cells.map(c => c.clientWidth)"))
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_a_ratio_is_explained_as_a_sentence(site: Site, browser_pages: Pages) -> None:
    page = await browser_pages.open(site.url())
    report = await site.report()
    await page.locator("tfoot td a").nth(6).click()
    sentence = page.locator("#panel .sentence")
    await expect(sentence).to_contain_text(cell(report.total["conv_arrived"], "percent"))
    await expect(sentence).to_contain_text(f"{report.total['arrived']} заезд")
    await expect(sentence).to_contain_text(f"{report.total['inquiries']} обращени")
    await expect(page.locator("#panel .explain")).to_contain_text("Формула")
    assert not re.search(
        r"\b(?:[RGL]\d|D-\d)", await page.locator("#panel").inner_text()
    )  # no developers' numbers


async def test_from_a_total_down_to_the_raw_webhook(site: Site, browser_pages: Pages) -> None:
    page = await browser_pages.open(site.url(filter="kind:in:phone"))
    report = await site.report(filter="kind:in:phone")
    tile = page.locator(".tile", has_text="Заезды").locator(".figure a")
    assert whole(await tile.inner_text()) == report.total["arrived"]
    await tile.click()
    rows = page.locator("#panel tr[data-row]")
    await expect(rows).to_have_count(int(report.total["arrived"] or 0))

    # a row with a receipt: the sum in the list, on the card, and in the event must be the same
    sums = [(await r.locator("td").last.inner_text()).strip() for r in await rows.all()]
    at = next(n for n, sum_ in enumerate(sums) if sum_ != "0")
    row, sales = rows.nth(at), sums[at]
    number = (await row.locator(".caption").first.inner_text()).strip()
    await row.locator("td").nth(3).click()
    card = page.locator("#panel")
    await expect(card.locator(".facts")).to_contain_text(number)
    await expect(card.locator(".section", has_text="Чеки").locator(".amount").first).to_have_text(
        f"{sales}\u00a0₽"
    )
    await expect(card.locator(".legs span").first).to_contain_text("доб.")
    assert await card.get_by_role("link", name="Слушать").get_attribute("href")
    address = page.url
    assert "/inquiries/" in address

    await card.locator("[data-event]", has_text="call.ended").first.click()
    raw = page.locator("#panel [data-raw]")
    await expect(raw).to_contain_text("GET /in/sipuni/main/***")
    dialled = next(e for e in sample.LINES)[0][:5]
    await expect(raw).to_contain_text(dialled)
    digits = number.replace(" ", "").replace("-", "").replace("\u00a0", "")
    assert phone(digits) == number
    await expect(raw).to_contain_text(digits)
    assert "/events/" in page.url

    # the way back is the browser's own
    await page.go_back()
    await expect(page.locator("#panel .facts")).to_contain_text(number)
    await page.go_back()
    await expect(rows).to_have_count(int(report.total["arrived"] or 0))
    await page.go_back()
    await expect(page.locator("#panel")).to_be_hidden()


async def test_an_event_leads_back_to_its_inquiry(site: Site, browser_pages: Pages) -> None:
    page = await browser_pages.open(site.url(filter="kind:in:phone"))
    await page.locator(".tile", has_text="Заезды").locator(".figure a").click()
    await page.locator("#panel tr[data-row] a[data-row-link]").first.click()
    title = page.locator("#panel h1")
    await expect(title).to_contain_text("Телефонный звонок")
    card = await title.inner_text()
    links = page.locator("#panel .below [data-event]")  # of calls, bookings, visits, receipts
    events = {await link.inner_text(): await link.get_attribute("href") for link in await links.all()}
    assert {"call.ended", "booking.made", "client.arrived"} <= events.keys()
    for type_, address in events.items():
        alone = await browser_pages.open(f"{site.base}{address}")
        await expect(alone.get_by_role("heading", level=1)).to_have_text(type_)
        await alone.get_by_role("link", name="К обращению").click()
        await expect(alone.get_by_role("heading", level=1)).to_have_text(card)
    await links.first.click()
    await page.locator("#panel").get_by_role("link", name="К обращению").click()
    await expect(title).to_have_text(card)


async def test_panels_have_their_own_address(site: Site, browser_pages: Pages) -> None:
    page = await browser_pages.open(site.url())
    await page.locator("tfoot td a").nth(1).click()
    await expect(page.locator("#panel h1")).to_have_text("Записи")
    count = await page.locator("#panel tr[data-row]").count()
    address = page.url
    alone = await browser_pages.open(address)
    await expect(alone.get_by_role("heading", level=1)).to_have_text("Записи")
    assert await alone.locator("tr[data-row]").count() == count
    await alone.get_by_role("link", name="К отчёту").click()
    await expect(alone.get_by_role("heading", level=1)).to_have_text("Обращения клиентов в автосервис")


async def test_without_scripts_everything_is_still_reachable(site: Site, browser_pages: Pages) -> None:
    page = await browser_pages.open(site.url(), scripts=False)
    await page.get_by_role("button", name="Открыть или закрыть: Исходящие").click()
    assert "open=" in page.url
    await page.locator("tfoot td a").nth(2).click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Заезды")
    await page.locator("tr[data-row] a").first.click()
    await expect(page.locator(".facts")).to_contain_text("Клиент")
    await page.locator("[data-event]").first.click()
    await expect(page.locator("[data-raw]")).to_contain_text("sample/1.0")
    await page.goto(site.url())
    await page.locator("summary", has_text="Отбор").click()
    await page.get_by_role("link", name="Сотрудник", exact=True).click()
    await page.get_by_role("checkbox", name="Дина Ахметова").check()
    await page.get_by_role("button", name="Отобрать").click()
    await expect(page.locator(".chip")).to_have_text("Сотрудник: Дина Ахметова")


async def test_keys(site: Site, browser_pages: Pages) -> None:
    page = await browser_pages.open(site.url())
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog", name="Клавиши")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog", name="Клавиши")).to_be_hidden()

    # in the table: down to the first employee, open him, down to a kind, Enter opens its rows
    await page.locator("[data-row-focus]").first.focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowDown"):
        await page.keyboard.press(key)
    kind = await page.evaluate("document.activeElement.textContent.trim()")
    count = await page.evaluate(
        "Number(document.activeElement.closest('tr').querySelector('td a').textContent)"
    )
    await page.keyboard.press("Enter")
    await expect(page.locator("#panel tr[data-row]")).to_have_count(count)
    assert kind in {"Телефонный звонок", "Пропущенный звонок", "Чат", "Визит", "Заявка с сайта"}
    await page.keyboard.press("Escape")
    await expect(page.locator("#panel")).to_be_hidden()
    assert await page.evaluate("document.activeElement.textContent.trim()") == kind

    # in a list: arrows walk, Enter opens; in a card: arrows show the neighbours
    await page.locator("tfoot td a").nth(2).click()
    await expect(page.locator("#panel tr[data-row]").nth(1)).to_be_visible()
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    await expect(page.locator("#panel .facts")).to_be_visible()
    first = page.url
    await page.keyboard.press("ArrowDown")
    await page.wait_for_function("before => location.href !== before", arg=first)
    await page.keyboard.press("ArrowUp")
    await page.wait_for_function("before => location.href === before", arg=first)
    await page.locator("#panel").get_by_role("link", name="К списку").click()
    await expect(page.locator("#panel tr[data-row]").first).to_be_visible()

    await page.keyboard.press("Escape")
    await page.keyboard.press("[")
    await page.wait_for_url("**from=2026-02-01**")
    async with page.expect_download() as download:
        await page.keyboard.press("e")
    assert (await download.value).suggested_filename == "inquiries-2026-02-01-2026-02-28.xlsx"


async def test_hostile_names_are_only_text(site: Site, browser_pages: Pages) -> None:
    page = await browser_pages.open(site.url(group="employee,channel", open="all"))
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    names = await page.locator(".table th .text").all_inner_texts()
    assert sample.HOSTILE_NAME in names
    assert sample.HOSTILE_CHANNEL in names
    assert await page.locator("img").count() == 0
    await page.locator("tr", has_text=sample.HOSTILE_NAME).first.locator("td a").first.click()
    await expect(page.locator("#panel tr[data-row]").first).to_contain_text("<script>")
    await page.goto(site.url(filter="employee:in:mallory"))
    await expect(page.locator(".chip")).to_contain_text(sample.HOSTILE_NAME)
    assert dialogs == []
    # scripts in names would also be refused by the policy and show up among the page's problems
    assert browser_pages.problems == []


async def test_in_a_batch_the_events_own_item_is_marked_and_in_view(
    loaded: Loaded, browser_pages: Pages
) -> None:
    """The delivery of an event replaced by a batch of forty in which it is the thirtieth."""
    event = next(e for groups in sample.groups() for e in groups if e.type == "booking.made")
    assert isinstance(event.evidence, Evidence)
    others = [{"id": f"x-{n}", "type": "booking.made", "data": {"phone": "+79990000001"}} for n in range(39)]
    own = {"id": "own", "type": "booking.made", "data": {"booking_id": "77"}}
    batch = [*others[:29], own, *others[29:]]
    mine = event_id(event.source, event.type, "own")
    async with loaded.connection() as conn:
        await conn.execute(
            f"update {SCHEMA}.fact set id = %s, carrier = %s where id = %s".encode(), (mine, mine, event.id)
        )
    evidence = replace(event.evidence, body=json.dumps(batch).encode())
    try:
        deliveries = Deliveries([replace(event, id=mine, evidence=evidence)])
        async with serve(replace(loaded.deps(), evidence=deliveries)) as base:
            page = await browser_pages.open(f"{base}/events/{mine}")
            await expect(page.locator("[data-raw] h3 .count")).to_have_text("событие 30 из 40 в пачке")
            mark = page.locator("#raw-body mark")
            assert json.loads((await mark.text_content() or "").rstrip(",\n")) == own
            assert json.loads(await page.locator("#raw-body").text_content() or "") == batch
            inside = await mark.evaluate(
                "(m) => { const box = m.parentElement.getBoundingClientRect(), r = m.getBoundingClientRect();"
                " return r.top >= box.top && r.top < box.bottom; }"
            )
            assert inside
    finally:
        async with loaded.connection() as conn:
            await conn.execute(
                f"update {SCHEMA}.fact set id = %s, carrier = %s where id = %s".encode(),
                (event.id, event.id, mine),
            )
