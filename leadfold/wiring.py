"""From settings to working parts: the only place where packages meet."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Final

import psycopg
import structlog

from eventlog.contract import EventLog
from eventlog.open import LogSettings, open_log
from leadfold.doors import numbered
from leadfold.embedded_postgres import EmbeddedPostgres
from leadfold.lock import FolderLock
from leadfold.settings import Settings
from leadfold.source_settings import source_infos
from projector.settings import Limits, ProjectorSettings

log = structlog.get_logger(__name__)

_SPOOL: Final = re.compile(r"spool(?:-(\d{1,3}))?\.db")


# --- the log ------------------------------------------------------------------------------------------------------


def log_settings(settings: Settings, *, client_id: str = "leadfold") -> LogSettings:
    """Settings of the event log as `eventlog` wants them."""
    log = settings.log
    return LogSettings(
        engine=log.engine,
        path=settings.data_dir / "events" / "events.db",
        bootstrap=log.bootstrap,
        topic=log.topic,
        partitions=log.partitions if log.engine == "kafka" else None,
        client_id=client_id,
        security_protocol=log.security.upper(),
        sasl_mechanism=log.sasl_mechanism,
        sasl_username=log.username or None,
        sasl_password=log.password.get_secret_value() or None,
        ssl_cafile=log.ca_file,
        ssl_certfile=log.cert_file,
        ssl_keyfile=log.key_file,
    )


def make_log(settings: Settings, *, writable: bool, client_id: str = "leadfold") -> EventLog:
    """The event log, not started. On a running event loop. The embedded one is made when it is missing."""
    if settings.embedded_log:
        with suppress(OSError):  # on a read-only disk: the log says so at its start
            private_folder(settings.data_dir / "events")
    return open_log(log_settings(settings, client_id=client_id), writable=writable)


@asynccontextmanager
async def event_log(settings: Settings, *, writable: bool = False) -> AsyncIterator[EventLog]:
    """The event log, started, for one command.

    Raises:
        LogRefused, LogUnavailable: it cannot be used now.
    """
    log = make_log(settings, writable=writable, client_id="leadfold-cli")
    try:
        await log.start()
        yield log
    finally:
        await log.close()


def spool_path(settings: Settings, number: int = 1) -> Path:
    """Where the front door of this number keeps what the log did not take in time."""
    return settings.data_dir / "spool" / f"{numbered('spool', number)}.db"


def spools(settings: Settings) -> dict[int, Path]:
    """The spools that there are, by the number of their front door: also of those that no longer run."""
    found = {}
    for path in (settings.data_dir / "spool").glob("spool*.db"):
        number = _SPOOL.fullmatch(path.name)
        if number is not None:
            found[int(number[1] or 1)] = path
    return dict(sorted(found.items()))


def private_folder(path: Path) -> Path:
    """A folder for our user only: what lies in it is personal data."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o700)
    return path


# --- the database -------------------------------------------------------------------------------------------------


def embedded_postgres(settings: Settings) -> EmbeddedPostgres:
    """The Postgres that Leadfold brings along; not started."""
    return EmbeddedPostgres(settings.data_dir / "pg", settings.data_dir / "logs" / "postgres.log")


def running_database_url(settings: Settings) -> str | None:
    """Address of the database; None when it is the embedded one and does not run."""
    given = settings.database.url.get_secret_value()
    return given or embedded_postgres(settings).url()


@contextmanager
def database(settings: Settings) -> Iterator[str]:
    """Address of the database for one command; an embedded server that does not run is started for its duration.

    Raises:
        AlreadyRunning: `leadfold run` holds the data folder but its Postgres is not up (yet).
        PostgresFailed: it does not start.
    """
    url = running_database_url(settings)
    if url is not None:
        yield url
        return
    with FolderLock(settings.data_dir):
        server = embedded_postgres(settings)
        try:
            yield server.start()
        finally:
            server.stop()


async def wait_for_database(settings: Settings, stop: asyncio.Event) -> str | None:
    """Address of the database once it answers; None when ``stop`` came first."""
    from projector.database import address, why_away

    told = ""
    while not stop.is_set():
        why = "does not run"
        url = await asyncio.to_thread(running_database_url, settings)
        if url is not None:
            try:
                async with await psycopg.AsyncConnection.connect(**address(url)):
                    return url
            except psycopg.OperationalError as error:
                url, why = None, why_away(error)
        if why != told:
            log.warning("database.away", reason=why)
            told = why
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), 1.0)
    return None


# --- the projector ------------------------------------------------------------------------------------------------


def projector_settings(settings: Settings, database_url: str) -> ProjectorSettings:
    """Settings of the projector and of rebuilds."""
    return ProjectorSettings(
        database_url=database_url,
        timezone=settings.company.timezone,
        sources=source_infos(settings),
        limits=Limits(
            batch_records=settings.projector.batch,
            dead_in_a_row=settings.projector.dead_in_a_row,
            dead_ratio=settings.projector.dead_ratio,
        ),
        further_views=(report_views(settings.company.timezone),),
    )


def report_views(timezone: str) -> str:
    """The reports as SQL views for analysts, with ``{schema}`` for the build: made with each switch of builds."""
    from reports.sql_views import analytics_ddl

    any_build = "build_9999"
    return analytics_ddl(any_build, timezone).replace(any_build, "{schema}")


def fold_inputs(settings: Settings) -> tuple[object, ...]:
    """What of the settings the fold depends on: when it changes, a projector must start anew."""
    return (settings.company.timezone, source_infos(settings), settings.projector)
