"""``leadfold ingest``: a front door, its spool, and (the first one) the directory of leadfold.toml on the log."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import structlog
from aiohttp import web

from domain.event import Event
from eventlog.contract import EventLog, LogError, LogUnavailable
from eventlog.spool import Spool
from ingest.app import CONNECTIONS, DOOR, build_app
from ingest.door import IngestDeps
from ingest.limits import Limits
from ingest.ops import ops_app
from ingest.sources import SourceBook
from leadfold.announce import OPS
from leadfold.config_file import Config
from leadfold.doors import numbered, share
from leadfold.services.base import changes, ended, lasting, served, stop_on_signals
from leadfold.services.directory import DirectoryPublisher, published_before
from leadfold.services.left_spools import LeftSpools
from leadfold.settings import Settings
from leadfold.source_settings import dictionary_of, source_configs
from leadfold.wiring import make_log, private_folder, spool_path

log = structlog.get_logger(__name__)

_AGAIN_S = 2.0
#: Connections that the system may hold for us while the loop is busy.
_BACKLOG = 1024
#: Open files that are no connections: log, spool, Kafka, Python's own.
_OTHER_FILES = 200
#: Room of a front door's spool at least, as the setting has it for all of them.
_LEAST_ROOM = 1_048_576
#: So often the words of the dictionary that came as events are asked from the read models.
_WORDS_S = 60.0


async def ingest(config: Config, number: int = 1) -> None:
    """Run the front door of this number, from 1 to `[ingest] processes`, until SIGTERM.

    Raises:
        LogRefused: log or spool must not be used. OSError: the address is taken.
    """
    # The thread that writes the embedded log gets its turn sooner beside a busy loop.
    sys.setswitchinterval(0.0005)
    stop = stop_on_signals()
    settings = config.settings
    with contextlib.suppress(OSError):  # on a read-only disk: the spool says so, and is tried again
        private_folder(spool_path(settings).parent)
    event_log = make_log(settings, writable=True, client_id=numbered("leadfold-ingest", number))
    room = share(settings, settings.ingest.spool_max_bytes, _LEAST_ROOM)
    spool = Spool(spool_path(settings, number), max_bytes=room)
    try:
        with contextlib.suppress(LogUnavailable):  # it goes on trying; until then deliveries go to the spool
            await event_log.start()
        opening = await _opened(spool)
        try:
            await _serve(config, number, event_log, spool, stop)
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


async def _serve(config: Config, number: int, event_log: EventLog, spool: Spool, stop: asyncio.Event) -> None:
    settings = config.settings
    sources = Sources(settings)
    left = LeftSpools(settings, event_log)
    publisher = DirectoryPublisher(event_log, settings)
    deps = IngestDeps(
        log=event_log,
        spool=spool,
        book=sources.book,
        key_secret=settings.secrets.key_secret.get_secret_value().encode(),
        limits=limits(settings),
        deadline_s=settings.ingest.deadline_s,
        accept_received_header=settings.ingest.accept_received_header,
        left=lambda: left.depth,
    )
    works: dict[str, Callable[[], Awaitable[None]]] = {
        "config": Following(config, sources, publisher if number == 1 else None).run,
        "dictionary": sources.learn,
    }
    if number == 1:  # once for the installation
        works |= {"directory": publisher.run, "left spools": left.run}
    tasks = [asyncio.create_task(lasting(name, work), name=name) for name, work in works.items()]
    try:
        app, given = build_app(deps), settings.ingest
        async with (
            _ops(ops_app(app[DOOR], app[CONNECTIONS]), settings, number) as ops,
            served(
                app,
                settings,
                numbered("ingest", number),
                given.host,
                given.port,
                backlog=_BACKLOG,
                shared=given.processes > 1,
            ) as address,
        ):
            log.info("ingest.serving", address=address, ops=ops, sources=len(sources.book))
            await stop.wait()
    finally:
        await ended(*tasks)


@contextlib.asynccontextmanager
async def _ops(app: web.Application, settings: Settings, number: int) -> AsyncIterator[str]:
    """Serve health and metrics beside. Raises OSError that names the setting."""
    given = settings.ingest
    port, fixed = settings.ops_port_of(number)
    async with contextlib.AsyncExitStack() as stack:
        try:
            address = await stack.enter_async_context(
                served(app, settings, numbered(OPS, number), given.ops_host, port, fixed=fixed)
            )
        except OSError as error:
            raise OSError(error.errno, error.strerror, "ops_port") from error
        yield address


class Following:
    """Takes over sources and directory of a changed leadfold.toml; the rest of it needs a restart."""

    def __init__(self, config: Config, sources: Sources, publisher: DirectoryPublisher | None) -> None:
        self._config = config  # what is taken over: after a failure the next look compares with that
        self._sources = sources
        self._publisher = publisher

    async def run(self) -> None:
        """Until cancelled."""
        async for fresh in changes(self._config):
            self._sources.take(fresh.settings)
            if self._publisher is not None:
                self._publisher.want(fresh.settings)
            self._config = fresh
            log.info("ingest.reloaded", sources=len(self._sources.book))


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
    """Limits of one front door: its share of those that are meant for all."""
    given = settings.ingest
    return Limits(
        max_body=given.max_body_bytes,
        max_fields=given.max_fields,
        max_depth=given.max_depth,
        max_batch=given.max_batch,
        max_in_flight=share(settings, given.max_in_flight, 10),
        max_connections=room_for(share(settings, given.max_connections, 10)),
        read_timeout_s=given.read_timeout_s,
        idle_timeout_s=given.idle_timeout_s,
        rate_per_s=given.rate_per_s / given.processes or None,
        rate_burst=share(settings, given.rate_burst, 1),
    )
