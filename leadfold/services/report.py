"""``leadfold report``: the pages and the API, with raw webhooks from the log."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from datetime import UTC, datetime

import psycopg
import structlog

from eventlog.contract import EventLog, LogError
from ingest.adapters.registry import adapters
from leadfold.config_file import Config
from leadfold.evidence import LogEvidence
from leadfold.pool import Conn, Pool
from leadfold.report_metrics import ReportMetrics
from leadfold.services.base import changes, ended, lasting, served, stop_on_signals
from leadfold.source_settings import source_infos
from leadfold.wiring import make_log, running_database_url
from projector.database import connect, within
from projector.readmodel.live import NoLiveBuild
from projector.status import projection_status
from reports.catalogue import REPORTS
from reports.context import Context, DirectoryCache, load_context
from reports.rollup.refresh import pack, refresh
from reports.web.app import build_app
from reports.web.deps import Deps, Setup

log = structlog.get_logger(__name__)

#: One query of a page may take so long.
_STATEMENT_S = 60
#: How old the figure for the lag may be, seconds.
_LOOK_S = 1.0
#: Sums of days are refreshed so often, seconds, and take at most a quarter of one backend's time.
_SUMS_S = 2.0
_SUMS_SHARE = 4


class Reporting:
    """The pages of the current settings."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._log: EventLog | None = None
        self._lag_s: float | None = None
        self._database_up = False
        self._directories = DirectoryCache()
        self._metrics = ReportMetrics(lambda: self._database_up)
        self._pool = Pool(
            lambda: running_database_url(self._config.settings),
            options=f"-c statement_timeout={_STATEMENT_S}s -c idle_in_transaction_session_timeout=60s -c jit=off"
            " -c timezone=UTC",
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until ``stop``. Raises OSError when the address is taken."""
        settings = self._config.settings
        self._log = make_log(settings, writable=False, client_id="leadfold-report")
        evidence = LogEvidence(self._log)
        app = build_app(
            Deps(
                connection=self._pool.connection,
                context=self._context,
                evidence=evidence,
                now=lambda: datetime.now(UTC),
                zone=settings.company.timezone,
                ready=self._ready,
                metrics=self._metrics.text,
                setup=self._setup,
                public_url=settings.reports_url if settings.reports.public_url else "",
            )
        )
        app.middlewares.insert(0, self._metrics.middleware())
        works = {"log": self._open_log, "lag": self._look, "sums": self._refresh, "config": self._follow}
        tasks = [asyncio.create_task(lasting(name, work), name=name) for name, work in works.items()]
        try:
            async with served(
                app, settings, "report", settings.reports.host, settings.reports.port, stop_s=1.0
            ) as address:
                log.info("report.serving", address=address)
                await stop.wait()
        finally:
            await ended(*tasks)
            await self._pool.close()
            await self._log.close()

    async def _context(self, conn: Conn) -> Context:
        settings = self._config.settings
        return await load_context(
            conn,
            now=datetime.now(UTC),
            timezone=settings.company.timezone,
            sources=source_infos(settings),
            lag_s=self._lag_s,
            directories=self._directories,
        )

    def _setup(self) -> Setup:
        settings = self._config.settings
        return Setup(
            config=str(self._config.file),
            ingest_url=settings.ingest_url,
            sources=tuple((source.name, source.provider) for source in settings.sources),
            providers=tuple(sorted(adapters())),
        )

    async def _ready(self) -> Mapping[str, str | None]:
        return {
            "database": None if self._database_up else "Postgres does not answer, or has no read models yet"
        }

    async def _follow(self) -> None:
        async for fresh in changes(self._config):
            self._config = fresh

    async def _open_log(self) -> None:
        """Until the log answers pages work without raw webhooks."""
        while self._log is not None:
            try:
                await self._log.start()
            except LogError as error:
                log.warning("report.log_away", error=str(error))
                await asyncio.sleep(5.0)
            else:
                return

    async def _look(self) -> None:
        """Lag and health, looked at once for all requests."""
        while True:
            self._lag_s, self._database_up = None, False
            with contextlib.suppress(psycopg.Error, OSError, TimeoutError):
                await self._watch_connected()
            await asyncio.sleep(_LOOK_S)

    async def _refresh(self) -> None:
        """Sums of days, kept up; without them reports are as right and slower."""
        told = False
        while True:
            pause = _SUMS_S
            try:
                async with self._pool.connection() as conn:
                    pause = await self._refresh_once(conn)
                told = False
            except (NoLiveBuild, OSError, TimeoutError, psycopg.OperationalError):
                pass  # no database or nothing in it yet
            except psycopg.Error as error:
                if not told:
                    log.warning("report.sums", error=type(error).__name__)
                told = True
            await asyncio.sleep(pause)

    async def _refresh_once(self, conn: Conn) -> float:
        """One pass over each report, sums or columns; how long to wait before the next."""
        began = time.monotonic()
        context = await self._context(conn)
        zone = self._config.settings.company.timezone
        specs = [spec for spec in REPORTS.values() if spec.rollups]
        left = sum([(await refresh(conn, context, spec, zone)).left for spec in specs])
        if not left:  # sums first: more of what is asked needs them
            left = sum([await pack(conn, context, spec, zone) for spec in specs])
        spent = (time.monotonic() - began) * (_SUMS_SHARE - 1)
        return spent if left else max(_SUMS_S, spent)

    async def _watch_connected(self) -> None:
        url = await asyncio.to_thread(running_database_url, self._config.settings)
        if url is None:
            return
        conn = await connect(url, name="leadfold-report")
        async with conn:
            while True:
                found = await within(10, projection_status(conn, self._log))
                self._lag_s, self._database_up = found.lag_seconds, found.live is not None
                await asyncio.sleep(_LOOK_S)


async def report(config: Config) -> None:
    """Run until SIGTERM."""
    stop = stop_on_signals()
    await Reporting(config).run(stop)
