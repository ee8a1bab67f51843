"""``leadfold project``: from the log into the read models, with its own health and metrics."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

import psycopg
import structlog

from eventlog.contract import EventLog, LogRefused, PositionLost
from leadfold import metrics
from leadfold.config_file import Config
from leadfold.services.base import changes, ended, health_app, lasting, served, stop_on_signals
from leadfold.settings import Settings
from leadfold.wiring import fold_inputs, make_log, projector_settings, running_database_url, wait_for_database
from projector import garbage
from projector.database import connect, within
from projector.errors import DatabaseRefused, ProjectorStopped
from projector.positions import live_build
from projector.run import Projector
from projector.status import ProjectionStatus, projection_status

log = structlog.get_logger(__name__)


#: Seconds until a projector that stopped by itself is tried again, the first time and at most; and between two looks
#: whether other tables went live, which may be all that it waits for.
_AGAIN_S = 15.0
_AGAIN_MOST_S = 300.0
_LOOK_S = 5.0


class Projecting:
    """The projector of the current settings; a change of what the fold depends on starts another one in its place.

    One that stopped by itself, or was refused by log or database, needs a person: that is told in ``/readyz`` and tried
    again, more and more seldom, and at once when the settings change. Only a part that was refused before it ever worked
    ends: whoever starts it reads why.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._projector: Projector | None = None
        self._changed = asyncio.Event()
        self._log: EventLog | None = None
        self._stopped: str | None = None  # why the last one stopped by itself; until another one is well
        self._again_s = _AGAIN_S
        self._worked = False  # ever

    async def run(self, stop: asyncio.Event) -> None:
        """Project until ``stop``. Raises DatabaseRefused, LogRefused: refused at the start."""
        garbage.begin()
        watcher = asyncio.create_task(lasting("config", self._watch))
        host, (port, fixed) = self._config.settings.projector.host, self._config.settings.projector_port
        try:
            async with served(
                health_app(self._ready, self._metrics),
                self._config.settings,
                "project",
                host,
                port,
                fixed=fixed,
            ) as address:
                log.info("project.serving", address=address)
                while not stop.is_set():
                    await self._one(stop)
        finally:
            await ended(watcher)

    async def _one(self, stop: asyncio.Event) -> None:
        """One projector, until ``stop``, a change of the settings, or its own end and a while after it."""
        settings = self._config.settings
        self._changed = asyncio.Event()
        halt = asyncio.Event()
        waiters = [asyncio.create_task(_forward(event, halt)) for event in (stop, self._changed)]
        try:
            url = await wait_for_database(settings, halt)
            if url is not None:
                await self._project(settings, url, halt)
        finally:
            await ended(*waiters)

    async def _project(self, settings: Settings, url: str, halt: asyncio.Event) -> None:
        projector: Projector | None = None
        self._log = event_log = make_log(settings, writable=False, client_id="leadfold-projector")
        try:
            await _started(event_log, halt)
            if not halt.is_set():
                self._projector = projector = Projector(event_log, projector_settings(settings, url))
                await projector.run(halt)
                self._note(projector, None)
        except (ProjectorStopped, PositionLost, LogRefused, DatabaseRefused) as error:
            self._note(projector, error)
            if isinstance(error, LogRefused | DatabaseRefused):
                if not self._worked:
                    raise
                log.error("project.refused", reason=str(error))
            await self._pause(url, halt)
        finally:
            await event_log.close()

    def _note(self, projector: Projector | None, error: Exception | None) -> None:
        """What came of an attempt: the next one comes soon, unless this one was in vain again."""
        begun = projector is not None and projector.status().begun
        self._worked = self._worked or begun
        self._again_s = _AGAIN_S if begun else min(self._again_s * 2, _AGAIN_MOST_S)
        if error is not None or begun:
            self._stopped = None if error is None else str(error)

    async def _pause(self, url: str, halt: asyncio.Event) -> None:
        """Until it is time to try again: told to end, new settings, other tables live, or long enough."""
        until = time.monotonic() + self._again_s
        before = await _live(url)
        log.warning("project.waits", again_after_s=self._again_s)
        while not halt.is_set() and (left := until - time.monotonic()) > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(halt.wait(), min(_LOOK_S, left))
            if (live := await _live(url)) is not None and live != before:
                self._again_s = _AGAIN_S
                return

    async def _watch(self) -> None:
        async for fresh in changes(self._config):
            before, self._config = self._config, fresh
            # While it does not work, any change may be what it needs: another password, another topic.
            if not self._works() or fold_inputs(before.settings) != fold_inputs(fresh.settings):
                self._changed.set()

    def _works(self) -> bool:
        status = self._projector.status() if self._projector else None
        return status is not None and status.running and status.begun and status.stopped is None

    def _why(self) -> str | None:
        """Why it has stopped by itself, until one works again; None while it works, begins for the first time, or waits."""
        if self._works():
            return None
        return self._stopped or (self._projector.status().stopped if self._projector else None)

    async def _ready(self) -> dict[str, Any]:
        status, stopped = self._projector.status() if self._projector else None, self._why()
        if status is None:
            waiting = {"ok": False, "reason": "it waits for Postgres or the log"}
            return {"ready": False, "checks": {"projector": waiting}}
        # one that has stopped asks neither of them: that is no failure of theirs
        checks = {
            "database": _check(status.database_up or stopped is not None, "Postgres does not answer"),
            "log": _check(status.log_up or stopped is not None, "the event log does not answer"),
            "projector": {
                **_check(self._works(), stopped or ("it begins" if status.running else "it does not run")),
                "stopped": stopped is not None,
                "standby": status.standby,
                "behind": status.behind,
            },
        }
        return {"ready": all(check["ok"] for check in checks.values()), "checks": checks}

    async def _metrics(self) -> str:
        values: dict[tuple[str, metrics.Labels], float] = {}
        status = self._projector.status() if self._projector else None
        if status is not None:
            values |= {(f"leadfold_{name}", ()): value for name, value in status.counters.items()}
            values[_name("database_up"), ()] = float(status.database_up)
            values[_name("partitions"), ()] = len(status.held)
            values[_name("stopped"), ()] = float(self._why() is not None)
            for partition, held in status.held.items():
                values[_name("epoch"), (("partition", str(partition)),)] = held.epoch
                values[_name("position"), (("partition", str(partition)),)] = held.next_offset
        return metrics.render(values | await self._seen())

    async def _seen(self) -> dict[tuple[str, metrics.Labels], float]:
        """What the database and the log say; a lag that is not known is absent."""
        url = running_database_url(self._config.settings)
        values: dict[tuple[str, metrics.Labels], float] = {(_name("lag_known"), ()): 0.0}
        if url is None or self._projector is None:
            return values
        with contextlib.suppress(psycopg.Error, OSError):
            found = await within(5, self._asked(url))
            values[_name("dirty_groups"), ()] = found.dirty_groups
            values[_name("dead_letters_open"), ()] = found.dead_letters
            if found.lag_records is not None and found.lag_seconds is not None:
                values[_name("lag_records"), ()] = found.lag_records
                values[_name("lag_seconds"), ()] = found.lag_seconds
                values[_name("lag_known"), ()] = 1.0
        return values

    async def _asked(self, url: str) -> ProjectionStatus:
        async with await connect(url, name="leadfold-metrics") as conn:
            return await projection_status(conn, self._log)


async def _live(url: str) -> int | None:
    """The live build; None when that cannot be asked."""

    async def asked() -> int | None:
        async with await connect(url, name="leadfold-projector-look") as conn:
            build = await live_build(conn)
            return None if build is None else build.build_id

    try:
        return await within(5, asked())
    except (psycopg.Error, OSError, TimeoutError):
        return None


def _check(ok: bool, reason: str) -> dict[str, Any]:
    return {"ok": ok, "reason": None if ok else reason}


def _name(name: str) -> str:
    return f"leadfold_projector_{name}"


async def _started(event_log: Any, stop: asyncio.Event) -> None:
    from eventlog.contract import LogUnavailable

    while not stop.is_set():
        try:
            await event_log.start()
        except LogUnavailable as error:
            log.warning("project.log_away", error=str(error))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), 2.0)
        else:
            return


async def _forward(source: asyncio.Event, target: asyncio.Event) -> None:
    await source.wait()
    target.set()


async def project(config: Config) -> None:
    """Run until SIGTERM."""
    stop = stop_on_signals()
    await Projecting(config).run(stop)
