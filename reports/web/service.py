"""What handlers share: the request read into a State, a database connection with the live context, the report."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final
from uuid import UUID

from aiohttp import web

from reports.catalogue import INQUIRIES
from reports.context import Context
from reports.model import ReportSpec
from reports.params import parse
from reports.result import Params
from reports.web.assets import Assets
from reports.web.charts import MAX_COLUMNS
from reports.web.deps import Conn, Deps
from reports.web.render import Renderer
from reports.web.state import State, read_state

#: A page that takes longer is given up with an answer that says so.
LIMIT_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Service:
    """The application's parts. ``spec`` is the report on the page; a second report adds a route with another."""

    deps: Deps
    assets: Assets
    renderer: Renderer
    spec: ReportSpec = INQUIRIES

    def state(self, request: web.Request, ignore: frozenset[str] = frozenset()) -> State:
        """The address of a report page. Raises ParamError."""
        return read_state(
            request.query.items(), now=self.deps.now(), zone=self.deps.zone, spec=self.spec, ignore=ignore
        )

    def clocks(self, request: web.Request) -> State:
        """The address of a card or event: clocks, zone and language only. Raises ParamError."""
        params: Params = parse(
            request.query.items(), now=self.deps.now(), zone=self.deps.zone, spec=self.spec
        )
        return State(params=params, spec=self.spec, zone=self.deps.zone)

    @asynccontextmanager
    async def database(self, *, limit_s: float | None = LIMIT_S) -> AsyncIterator[tuple[Conn, Context]]:
        """A connection for this request and the world as it is now, for so long; None = as long as it takes.

        Raises NoLiveBuild, TimeoutError and psycopg errors.
        """
        async with asyncio.timeout(limit_s), self.deps.connection() as conn:
            yield conn, await self.deps.context(conn)


def id_of(request: web.Request) -> UUID:
    """The id in the path. Raises HTTPNotFound for a text that is none."""
    try:
        return UUID(request.match_info["id"])
    except ValueError:
        raise web.HTTPNotFound from None


def weeks_params(state: State) -> Params | None:
    """What to ask for the chart by week; None when the period has fewer than two weeks or too many columns."""
    params = state.params
    days = params.last_day - params.first_day
    if not timedelta(days=7) <= days < timedelta(weeks=MAX_COLUMNS - 1):
        return None
    return replace(params, levels=("week", "kind"), compare="none")
