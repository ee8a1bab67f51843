"""``leadfold ingest``: the front door, the spool, and the directory of leadfold.toml on the log."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import sys
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from functools import partial

import psycopg
import structlog
from aiohttp import web

from domain.event import Event
from eventlog.contract import AppendFailed, EventLog, LogError, LogUnavailable
from eventlog.sealing import seal
from eventlog.spool import Spool
from ingest.app import DOOR, IngestDeps, build_app
from ingest.limits import Limits
from ingest.ops import ops_app
from ingest.sources import SourceBook
from leadfold import config_sync
from leadfold.announce import OPS
from leadfold.config_file import Config
from leadfold.services.base import changes, ended, lasting, served, stop_on_signals
from leadfold.settings import Settings
from leadfold.source_settings import dictionary_of, source_configs
from leadfold.wiring import make_log, private_folder, running_database_url, spool_path

log = structlog.get_logger(__name__)

_APPEND_S = 10.0
_AGAIN_S = 2.0
#: Connections that the system may hold for us while the loop is busy.
_BACKLOG = 1024
#: Open files that are no connections: log, spool, Kafka, Python's own.
_OTHER_FILES = 200
#: So often the words of the dictionary that came as events are asked from the read models.
_WORDS_S = 60.0


async def ingest(config: Config) -> None:
    """Run until SIGTERM.

    Raises:
        LogRefused: log or spool must not be used. OSError: the address is taken.
    """
    # The thread that writes the embedded log gets its turn sooner beside a busy loop.
    sys.setswitchinterval(0.0005)
    stop = stop_on_signals()
    settings = config.settings
    with contextlib.suppress(OSError):  # on a read-only disk: the spool says so, and is tried again
        private_folder(spool_path(settings).parent)
    event_log = make_log(settings, writable=True, client_id="leadfold-ingest")
    spool = Spool(spool_path(settings), max_bytes=settings.ingest.spool_max_bytes)
    try:
        with contextlib.suppress(LogUnavailable):  # it goes on trying; until then deliveries go to the spool
            await event_log.start()
        opening = await _opened(spool)
        try:
            await _serve(config, event_log, spool, stop)
        finally:
            await ended(*opening)
    finally:
        await spool.close()
        await event_log.close()


async def _opened(spool: Spool) -> list[asyncio.Task[None]]:
    """Start the spool. On a disk that is full or read-only it is tried again beside the service: a log that is there suffices."""
    try:
        await spool.start()
    except LogUnavailable as error:
        log.error("ingest.spool_away", error=str(error))
        return [asyncio.create_task(_open_at_last(spool), name="spool")]
    return []


async def _open_at_last(spool: Spool) -> None:
    while True:
        await asyncio.sleep(_AGAIN_S)
        try:
            await spool.start()
        except LogError as error:
            log.warning("ingest.spool_away", error=str(error))
        else:
            log.info("ingest.spool_back", depth=spool.depth)
            return


async def _serve(config: Config, event_log: EventLog, spool: Spool, stop: asyncio.Event) -> None:
    settings = config.settings
    sources = Sources(settings)
    deps = IngestDeps(
        log=event_log,
        spool=spool,
        book=sources.book,
        key_secret=settings.secrets.key_secret.get_secret_value().encode(),
        limits=limits(settings),
        deadline_s=settings.ingest.deadline_s,
        accept_received_header=settings.ingest.accept_received_header,
    )
    publisher = DirectoryPublisher(event_log, settings)
    tasks = [
        asyncio.create_task(lasting(name, work), name=name)
        for name, work in (
            ("directory", publisher.run),
            ("config", partial(_follow, config, sources, publisher)),
            ("dictionary", sources.learn),
        )
    ]
    try:
        app, given = build_app(deps), settings.ingest
        async with (
            _ops(ops_app(app[DOOR]), settings) as ops,
            served(app, settings, "ingest", given.host, given.port, backlog=_BACKLOG) as address,
        ):
            log.info("ingest.serving", address=address, ops=ops, sources=len(sources.book))
            await stop.wait()
    finally:
        await ended(*tasks)


@contextlib.asynccontextmanager
async def _ops(app: web.Application, settings: Settings) -> AsyncIterator[str]:
    """Serve health and metrics beside. Raises OSError that names the setting."""
    given = settings.ingest
    port, fixed = settings.ops_port
    async with contextlib.AsyncExitStack() as stack:
        try:
            address = await stack.enter_async_context(
                served(app, settings, OPS, given.ops_host, port, fixed=fixed)
            )
        except OSError as error:
            raise OSError(error.errno, error.strerror, "ops_port") from error
        yield address


async def _follow(config: Config, sources: Sources, publisher: DirectoryPublisher) -> None:
    """Take over sources and directory of a changed leadfold.toml; the rest of it needs a restart."""
    async for fresh in changes(config):
        sources.take(fresh.settings)
        publisher.want(fresh.settings)
        log.info("ingest.reloaded", sources=len(sources.book))


class Sources:
    """The sources of the current settings, with the words of which their senders are not warned."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._told: Sequence[Event] = ()
        self.book = SourceBook(source_configs(settings, dictionary_of(settings)))

    def take(self, settings: Settings) -> None:
        """The settings from now on."""
        self._settings = settings
        self.book.replace(source_configs(settings, dictionary_of(settings, self._told)))

    async def learn(self) -> None:
        """Ask the read models now and then for words that came as events, until cancelled."""
        while True:
            await asyncio.sleep(_WORDS_S)
            if told := await published_before(self._settings):
                self._told = told
                self.take(self._settings)


def room_for(connections: int) -> int:
    """So many connections, or what the system lets one process have: its limit of open files is raised first."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _OTHER_FILES
    if most != resource.RLIM_INFINITY:
        wanted = min(wanted, most)
    now, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if now != resource.RLIM_INFINITY and now < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
    room = max(10, wanted - _OTHER_FILES)
    if room < connections:
        log.warning("ingest.few_files", max_connections=room, wanted=connections)
    return room


def limits(settings: Settings) -> Limits:
    """Limits of the front door."""
    given = settings.ingest
    return Limits(
        max_body=given.max_body_bytes,
        max_fields=given.max_fields,
        max_depth=given.max_depth,
        max_batch=given.max_batch,
        max_in_flight=given.max_in_flight,
        max_connections=room_for(given.max_connections),
        read_timeout_s=given.read_timeout_s,
        idle_timeout_s=given.idle_timeout_s,
        rate_per_s=given.rate_per_s or None,
        rate_burst=given.rate_burst,
    )


class DirectoryPublisher:
    """Brings the directory of the settings onto the log, and tries until it is there."""

    def __init__(self, event_log: EventLog, settings: Settings) -> None:
        self._log = event_log
        self._settings = settings
        self._wanted = asyncio.Event()
        self._wanted.set()

    def want(self, settings: Settings) -> None:
        """The settings to publish now."""
        self._settings = settings
        self._wanted.set()

    async def run(self) -> None:
        """Publish whenever there is something new, until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            try:
                count = await self.publish()
            except (AppendFailed, LogUnavailable, OSError) as error:
                log.warning("directory.not_published", error=str(error))
                self._wanted.set()
                await asyncio.sleep(_AGAIN_S)
            else:
                if count:
                    log.info("directory.published", events=count)

    async def publish(self) -> int:
        """Append what has changed; how many events. Raises AppendFailed, LogUnavailable, OSError."""
        settings = self._settings
        state = config_sync.load_state(settings.data_dir) or await self._recovered(settings)
        events, after = config_sync.plan(
            config_sync.items(settings),
            state,
            now=datetime.now(UTC),
            key_secret=settings.secrets.key_secret.get_secret_value().encode(),
        )
        if events:
            await self._log.append([seal(event) for event in events], deadline_s=_APPEND_S)
            await asyncio.to_thread(config_sync.save_state, settings.data_dir, after)
        return len(events)

    async def _recovered(self, settings: Settings) -> config_sync.State:
        """What was published, when our own note of it is lost: on an empty log nothing, else ask the read models."""
        if not any(following for _, following in (await self._log.bounds()).values()):
            return config_sync.State()
        return config_sync.from_events(await published_before(settings))


async def published_before(settings: Settings) -> Sequence[Event]:
    """Directory events that the read models know; none when they do not answer."""
    from projector.database import address
    from projector.readmodel.history import directory_query, event_of
    from projector.readmodel.live import DIRECTORY_TYPES, NoLiveBuild, live_schema

    url = await asyncio.to_thread(running_database_url, settings)
    if url is None:
        return []
    try:
        async with await psycopg.AsyncConnection.connect(**address(url)) as conn:
            schema = await live_schema(conn)
            async with conn.cursor(binary=True) as cursor:
                await cursor.execute(directory_query(schema, DIRECTORY_TYPES).encode())
                return [event_of(row) for row in await cursor.fetchall()]
    except (psycopg.Error, NoLiveBuild) as error:
        log.warning("directory.unknown_before", error=type(error).__name__)
        return []
