"""Handlers that answer with JSON and files: the same Report object as the page."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

import orjson
from aiohttp import web

from domain.event import Evidence
from reports.as_csv import report_csv
from reports.as_json import moment_json, money_json, page_json, report_json
from reports.card import events_of, evidence_of, inquiry_card
from reports.drill import drill
from reports.engine import run
from reports.export import write_xlsx
from reports.result import Label
from reports.web.security import own_address
from reports.web.service import Service, id_of
from reports.web.sheets import ROWS_NAMES, read_asked

_PART = 256 * 1024
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def json_response(value: object, status: int = 200) -> web.Response:
    """UTF-8 JSON."""
    return web.Response(
        body=orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE),
        status=status,
        content_type="application/json",
        charset="utf-8",
    )


@dataclass(frozen=True, slots=True)
class Api:
    """The JSON API and the exports."""

    service: Service

    async def report(self, request: web.Request) -> web.Response:
        """``/api/v1/reports/inquiries``."""
        state = self.service.state(request)
        async with self.service.database() as (conn, context):
            report = await run(conn, state.params, context, state.spec)
        return json_response(report_json(report))

    async def rows(self, request: web.Request) -> web.Response:
        """``/api/v1/reports/inquiries/rows``: the inquiries behind a figure, named as in the page's address."""
        state = self.service.state(request, ROWS_NAMES)
        asked = read_asked(request.query.items(), state)
        async with self.service.database() as (conn, context):
            page = await drill(
                conn, state.params, context, path=asked.path, metric=asked.metric, notice=asked.notice,
                limit=asked.limit, offset=asked.offset, spec=state.spec,
            )  # fmt: skip
        unit = "count" if asked.notice else state.spec.metric(asked.metric).column.unit
        return json_response(page_json(page, unit, state.lang))

    async def card(self, request: web.Request) -> web.Response:
        """``/api/v1/inquiries/{id}``."""
        state = self.service.clocks(request)
        async with self.service.database() as (conn, context):
            card = await inquiry_card(conn, state.params, context, id_of(request))
        if card is None:
            raise web.HTTPNotFound
        return json_response(plain(card, state.lang))

    async def event(self, request: web.Request) -> web.Response:
        """``/api/v1/events/{id}``: the fact and its raw webhook, or null where the log no longer has it."""
        state = self.service.clocks(request)
        ident = id_of(request)
        async with self.service.database() as (conn, context):
            found = await events_of(conn, context, [ident])
            evidence = await evidence_of(conn, context, ident, self.service.deps.evidence) if found else None
        if not found:
            raise web.HTTPNotFound
        event = found[0].event
        body = {
            **{
                name: plain(getattr(event, name), state.lang)
                for name in ("id", "type", "version", "source", "time", "received")
            },
            **{
                name: plain(getattr(event, name), state.lang)
                for name in ("time_basis", "revision", "subject", "refs")
            },
            "data": event.data.model_dump(mode="json", exclude_none=True),
            "evidence": _evidence(evidence, state.lang) if evidence else None,
        }
        return json_response(body)

    async def xlsx(self, request: web.Request) -> web.StreamResponse:
        """``/reports/inquiries.xlsx``."""
        state = self.service.state(request)
        site = self.service.deps.public_url or own_address(request)
        with TemporaryDirectory(prefix="leadfold-") as folder:
            file = Path(folder) / "report.xlsx"
            # a million rows take minutes, and the reader sees that something is being made
            async with self.service.database(limit_s=None) as (conn, context):
                await write_xlsx(
                    conn,
                    state.params,
                    context,
                    file,
                    site=site,
                    spec=state.spec,
                )
            return await _sent(request, file, _XLSX, self._name(request, "xlsx"))

    async def csv(self, request: web.Request) -> web.Response:
        """``/reports/inquiries.csv``; compared where ``compare`` is given."""
        state = self.service.state(request)
        async with self.service.database() as (conn, context):
            report = await run(conn, state.params, context, state.spec)
        body = report_csv(report, compared="compare" in request.query)
        return _file(body, "text/csv; charset=utf-8", self._name(request, "csv"))

    def _name(self, request: web.Request, suffix: str) -> str:
        params = self.service.state(request).params
        return f"{self.service.spec.name}-{params.first_day}-{params.last_day}.{suffix}"


def _file(body: bytes, type_: str, name: str) -> web.Response:
    return web.Response(
        body=body, headers={"Content-Type": type_, "Content-Disposition": f'attachment; filename="{name}"'}
    )


async def _sent(request: web.Request, file: Path, type_: str, name: str) -> web.StreamResponse:
    """The file, some at a time: it may go when this returns."""
    headers = {"Content-Type": type_, "Content-Disposition": f'attachment; filename="{name}"'}
    answer = web.StreamResponse(headers=headers)
    with file.open("rb") as content:
        answer.content_length = os.fstat(content.fileno()).st_size
        await answer.prepare(request)
        while part := await asyncio.to_thread(content.read, _PART):
            await answer.write(part)
    await answer.write_eof()
    return answer


def _evidence(evidence: Evidence, lang: str) -> dict[str, Any]:
    body = evidence.body.decode("utf-8", "replace")
    return {
        **{
            name: plain(getattr(evidence, name), lang)
            for name in ("delivery_id", "method", "path", "query", "adapter")
        },
        "headers": dict(evidence.headers),
        "body": body,
    }


def plain(value: Any, lang: str) -> Any:
    """Rows, dataclasses and their values as JSON: moments UTC with Z, money as text, labels in one language."""
    if isinstance(value, Label):
        return value[lang]
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        return moment_json(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return money_json(value)
    if isinstance(value, Mapping):
        return {str(k): plain(v, lang) for k, v in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {k: plain(v, lang) for k, v in value._asdict().items()}
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name), lang) for f in fields(value)}
    return [plain(v, lang) for v in value] if isinstance(value, list | tuple) else value
