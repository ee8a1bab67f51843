"""The directory of leadfold.toml on its way to the log: published by the first front door, nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import psycopg
import structlog

from domain.event import Event
from eventlog.contract import AppendFailed, EventLog, LogUnavailable
from eventlog.identity import same_log
from eventlog.sealing import seal
from leadfold import config_sync
from leadfold.settings import Settings
from leadfold.wiring import running_database_url

log = structlog.get_logger(__name__)

_APPEND_S = 10.0
_AGAIN_S = 2.0


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
        identity = await self._log.identity()
        state = await self._state(settings, identity)
        events, after = config_sync.plan(
            config_sync.items(settings),
            state,
            now=datetime.now(UTC),
            key_secret=settings.secrets.key_secret.get_secret_value().encode(),
        )
        if events:
            await self._log.append([seal(event) for event in events], deadline_s=_APPEND_S)
        if events or identity != state.log:
            await asyncio.to_thread(config_sync.save_state, settings.data_dir, replace(after, log=identity))
        return len(events)

    async def _state(self, settings: Settings, identity: str) -> config_sync.State:
        """What was published on this log: by our own note, else on an empty log nothing, else as the read models know."""
        noted = config_sync.load_state(settings.data_dir)
        if noted is not None and same_log(noted.log, identity):
            return noted
        if not any(following for _, following in (await self._log.bounds()).values()):
            return config_sync.State()
        if noted is not None:
            log.warning("directory.other_log", was=noted.log, now=identity)
            return config_sync.from_events(())
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
