"""Handlers that answer with HTML."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

import orjson
import psycopg
from aiohttp import web

from projector.readmodel.live import NoLiveBuild
from reports.card import InquiryCard, events_of, evidence_of, inquiry_card, inquiry_of_event
from reports.catalogue import REPORTS
from reports.context import Context
from reports.dimensions import KINDS
from reports.engine import notice as notice_of
from reports.engine import run
from reports.extent import newest_inquiry
from reports.formats import moment, month_name
from reports.lines import STATES
from reports.params import FieldError, ParamError
from reports.result import Label, Report
from reports.web import charts, page, tabs
from reports.web.controls import Choice, controls
from reports.web.deps import Conn
from reports.web.guide import Guide, guide_of
from reports.web.language import lang_of, wanted
from reports.web.reader_formats import ReaderFormats
from reports.web.service import Service, id_of, weeks_params
from reports.web.sheets import ROWS_NAMES, build_rows, read_asked
from reports.web.state import State
from reports.web.table import build_table
from reports.web.texts import say
from reports.web.webhook import webhook

_FILTER_NAMES: Final = frozenset({"dimension", "mode", "value"})


@dataclass(frozen=True, slots=True)
class Empty:
    """Why there is nothing, and what to press; ``title``: if it is no matter of dates."""

    why: str
    action: Choice | None
    guide: Guide | None = None
    uncategorised: bool = False
    title: str | None = None


@dataclass(frozen=True, slots=True)
class Pages:
    """All pages."""

    service: Service

    async def home(self, request: web.Request) -> web.Response:
        """``/``: the report."""
        english = "en" in (lang_of(request), wanted(request))
        raise web.HTTPFound("/reports/inquiries" + ("?lang=en" if english else ""))

    async def report(self, request: web.Request) -> web.Response:
        """The report's page."""
        state = self.service.state(request)
        async with self.service.database() as (conn, context):
            report = await run(conn, state.params, context, state.spec)
            by_week = weeks_params(state)
            weekly = await run(conn, by_week, context, state.spec) if by_week and report.groups else None
            empty = await self._empty(conn, context, report, state)
            refusals = await tabs.refusals(conn, context, state) if state.tab == "refusals" else None
            payroll = await tabs.pay(conn, context, state) if state.tab == "pay" else None
        choices = controls(state, context)
        as_of = report.as_of.astimezone(ZoneInfo(state.params.zone))
        return self.service.renderer.page(
            request,
            "report.html",
            lang=state.lang,
            current="inquiries",
            state=state,
            report=report,
            controls=choices,
            subtitle=page.subtitle(report, state),
            stamp=page.stamp(report, state.lang),
            tiles=page.tiles(report, state),
            funnel=charts.funnel(report, state),
            weeks=charts.weeks(weekly, state) if weekly else None,
            table=build_table(report, state),
            f=ReaderFormats(state.lang, state.params.zone),
            notices=page.warned(report, state),
            excluded_count=sum(n.count for n in report.notices),
            refusals=refusals,
            payroll=payroll,
            empty=empty,
            as_of_local=f"{as_of:%Y-%m-%dT%H:%M}",
        )

    async def _empty(self, conn: Conn, context: Context, report: Report, state: State) -> Empty | None:
        """Why the report has no rows, and the one thing to press; before the first inquiry, the first steps."""
        if report.groups or any(
            report.total.get(key) for key in ("inquiries", "sales", "receipts", "arrived", "booked")
        ):
            return None
        lang = state.lang
        if state.params.filters:
            return Empty(say("empty.filtered", lang), Choice(say("empty.clear", lang), state.to(filters=())))
        if report.notices:
            return Empty(
                say("empty.unclassified", lang),
                None
                if state.tab == "excluded"
                else Choice(say("empty.excluded", lang), state.url(tab="excluded")),
                uncategorised=any(n.key == "uncategorised" for n in report.notices),
                title=say("empty.left_out", lang),
            )
        last = await newest_inquiry(conn, context)
        if last is None:
            guide = guide_of(self.service.deps.setup(), context.directory, context.now, lang)
            return Empty(say("start.about", lang), None, guide)
        day = last.astimezone(ZoneInfo(state.params.zone)).date()
        first = day.replace(day=1)
        there = state.to(
            first_day=first, last_day=(first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
        )
        why = say("empty.period", lang, at=moment(last, state.params.zone))
        return Empty(why, Choice(say("empty.there", lang, month=month_name(first, lang)), there))

    async def rows(self, request: web.Request) -> web.Response:
        """The rows behind a figure."""
        state = self.service.state(request, ROWS_NAMES)
        asked = read_asked(request.query.items(), state)
        async with self.service.database() as (conn, context):
            rows = await build_rows(conn, context, state, asked)
        chips = controls(state, context).chips
        return self.service.renderer.page(
            request, "rows.html", lang=state.lang, current="inquiries", state=state, rows=rows, asked=asked, chips=chips,
            f=ReaderFormats(state.lang, state.params.zone), states=STATES,
        )  # fmt: skip

    async def card(self, request: web.Request) -> web.Response:
        """The card of an inquiry."""
        state = self.service.clocks(request)
        async with self.service.database() as (conn, context):
            card = await inquiry_card(conn, state.params, context, id_of(request))
            if card is None:
                raise web.HTTPNotFound
            told = await events_of(conn, context, _events_of_card(card))
        rule = card.line.excluded_by
        return self.service.renderer.page(
            request, "card.html", lang=state.lang, current="inquiries", state=state, card=card, row=card.line.inquiry,
            events=tuple(e for e in told if e.event.id in card.events), types={e.event.id: e.event.type for e in told}, f=ReaderFormats(state.lang, state.params.zone), states=STATES,
            excluded=notice_of(state.spec, rule, 1) if rule else None, kinds=KINDS,
        )  # fmt: skip

    async def event(self, request: web.Request) -> web.Response:
        """One event with its raw webhook."""
        state = self.service.clocks(request)
        ident = id_of(request)
        async with self.service.database() as (conn, context):
            found = await events_of(conn, context, [ident])
            if not found:
                raise web.HTTPNotFound
            evidence = await evidence_of(conn, context, ident, self.service.deps.evidence)
            inquiry = await inquiry_of_event(conn, context, ident)
        data = found[0].event.data.model_dump(mode="json", exclude_none=True)
        return self.service.renderer.page(
            request, "event.html", lang=state.lang, current="inquiries", state=state, line=found[0], event=found[0].event,
            data=orjson.dumps(data, option=orjson.OPT_INDENT_2).decode(), hook=webhook(evidence, found[0].event) if evidence else None,
            inquiry=inquiry,
            f=ReaderFormats(state.lang, state.params.zone),
        )  # fmt: skip

    async def values(self, request: web.Request) -> web.Response:
        """The values of a dimension to filter by, each with its number of inquiries."""
        state = self.service.state(request, _FILTER_NAMES)
        dimension = self._dimension(request)
        others = tuple(f for f in state.params.filters if f[0] != dimension)
        chosen = {
            v: included for d, included, values in state.params.filters if d == dimension for v in values
        }
        async with self.service.database() as (conn, context):
            params = replace(state.params, filters=others, levels=(dimension,), compare="none")
            report = await run(conn, params, context, state.spec)
        return self.service.renderer.page(
            request, "values.html", lang=state.lang, current="inquiries", state=state, groups=report.groups, chosen=chosen,
            without=bool(chosen) and not any(chosen.values()), dimension=state.spec.dimension(dimension),
            f=ReaderFormats(state.lang, state.params.zone),
        )  # fmt: skip

    async def filtered(self, request: web.Request) -> web.Response:
        """Takes the form of values and goes to the report's own address with that filter."""
        state = self.service.state(request, _FILTER_NAMES)
        dimension = self._dimension(request)
        values = tuple(dict.fromkeys(request.query.getall("value", [])))
        others = tuple(f for f in state.params.filters if f[0] != dimension)
        added = ((dimension, request.query.get("mode") != "not", tuple(sorted(values))),) if values else ()
        raise web.HTTPSeeOther(state.to(filters=tuple(sorted((*others, *added)))))

    def _dimension(self, request: web.Request) -> str:
        asked = request.query.get("dimension", "")
        if asked not in {d.key for d in self.service.spec.dimensions}:
            raise ParamError([FieldError("dimension", Label("такого разреза нет", "no such dimension"))])
        return asked

    async def definitions(self, request: web.Request) -> web.Response:
        """The catalogue in words."""
        lang = lang_of(request)
        return self.service.renderer.page(
            request, "definitions.html", lang=lang, current="definitions", specs=tuple(REPORTS.values())
        )

    async def guide(self, request: web.Request) -> web.Response:
        """How sources, categories and employees get in. It also stands when the database is away."""
        lang, now = lang_of(request), self.service.deps.now()
        directory = None
        with suppress(NoLiveBuild, psycopg.OperationalError):
            async with self.service.database() as (_, context):
                directory = context.directory
        return self.service.renderer.page(
            request, "guide.html", lang=lang, current="guide",
            guide=guide_of(self.service.deps.setup(), directory, now, lang),
        )  # fmt: skip


def _events_of_card(card: InquiryCard) -> set[UUID]:
    """Every event that something on the card was made of."""
    lists: list[tuple[UUID, ...]] = [card.events]
    lists += [c.call.events for c in card.calls]
    lists += [touch.events for touch in card.touches]
    lists += [booking.events for booking in card.bookings]
    lists += [visit.events for visit in card.visits]
    lists += [one.sale.events for one in card.sales]
    return {ident for ids in lists for ident in ids}
