"""The whole product as real processes, with everything that can be broken: on the embedded engines and on Kafka."""

from __future__ import annotations

import asyncio
import signal
import uuid
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar, Self

import psutil

from eventlog.contract import EventLog
from leadfold.doors import names
from leadfold.readiness import parts
from leadfold.wiring import event_log, running_database_url
from tests.faults.installation import Place, Running, install, kill_tree
from tests.faults.installation import fixed_port as port
from tests.faults.servers import Servers
from tests.support.proxy import Mode

Harm = Callable[[float], Awaitable[None]]
"""Breaks something for so many seconds and lets it be whole again (or starts it again)."""


class Service(ABC):
    """A running Leadfold. ``places`` are its front doors; ``harms`` what can be done to it, by name."""

    places: list[Place]
    harms: dict[str, Harm]

    @abstractmethod
    async def start(self) -> None:
        """Start everything; returns when all of it is ready."""

    @abstractmethod
    async def end(self) -> None:
        """Leave nothing running."""

    @property
    @abstractmethod
    def database_url(self) -> str:
        """For the look from outside; never through a proxy."""

    @abstractmethod
    def processes(self) -> dict[str, int]:
        """Process ids of our own parts by name, for the memory they take."""

    @abstractmethod
    async def mended(self) -> None:
        """After the storm nothing is left broken by us: all proxies pass, all processes were started again."""

    @abstractmethod
    def deaths(self) -> dict[str, int]:
        """How often a process of ours ended although nobody told it to; those of them that did."""

    @asynccontextmanager
    async def log(self) -> AsyncIterator[EventLog]:
        """The event log, to read."""
        async with event_log(self.places[0].settings) as log:
            yield log

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.end()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.end()


class EmbeddedService(Service):
    """``leadfold run``: one process tree that mends itself; only the whole tree is started again by us."""

    def __init__(
        self, folder: Path, *, days: int = 10, changes: dict[str, dict[str, Any]] | None = None
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        config = install(folder, changes, days=days)
        self.places = [Place(config, folder / "data", port())]
        self._run = Running(self.places[0], "run", "--quiet", name="run")
        self._whole = asyncio.Lock()
        self.harms = {
            "kill ingest": self._killing("ingest"),
            "kill projector": self._killing("project"),
            "kill pages": self._killing("report"),
            "kill postgres": self._kill_postgres,
            "kill supervisor": self._kill_supervisor,
            "kill all": self._kill_all,
            "freeze projector": self._freeze,
            **{f"kill {name}": self._killing(name) for name in names(self.places[0].settings)[1:]},
        }

    async def start(self) -> None:
        self._run.start()
        await self.places[0].ready(*parts(self.places[0].settings))

    async def end(self) -> None:
        await asyncio.to_thread(self._run.end)

    async def kill(self) -> None:
        """kill -9 of the whole tree, Postgres included."""
        await asyncio.to_thread(self._run.kill)

    @property
    def database_url(self) -> str:
        url = running_database_url(self.places[0].settings)
        assert url is not None, "the embedded Postgres does not run"
        return url

    def processes(self) -> dict[str, int]:
        found = {part: self.places[0].pid(part) for part in parts(self.places[0].settings)}
        return {name: pid for name, pid in {**found, "run": self._run.pid}.items() if pid is not None}

    def deaths(self) -> dict[str, int]:
        return {"run": self._run.deaths} if self._run.deaths else {}

    async def mended(self) -> None:
        async with self._whole:
            self._run.start()

    def _killing(self, part: str) -> Harm:
        async def harm(_lasting_s: float) -> None:
            _signal(self.places[0].pid(part), signal.SIGKILL)

        return harm

    async def _freeze(self, lasting_s: float) -> None:
        pid = self.places[0].pid("project")
        _signal(pid, signal.SIGSTOP)
        await asyncio.sleep(lasting_s)
        _signal(pid, signal.SIGCONT)

    def postmaster(self) -> int | None:
        """Process id of the embedded Postgres."""
        with suppress(OSError, ValueError):
            return int((self.places[0].data / "pg" / "postmaster.pid").read_text().split("\n", 1)[0])
        return None

    async def _kill_postgres(self, _lasting_s: float) -> None:
        pid = self.postmaster()
        if pid is not None:
            await asyncio.to_thread(kill_tree, pid)

    @property
    def output(self) -> Path:
        """What ``leadfold run`` printed, over all its lives."""
        return self._run.output

    def family(self) -> list[psutil.Process]:
        """``leadfold run`` and everything below it."""
        assert self._run.pid is not None
        root = psutil.Process(self._run.pid)
        return [root, *root.children(recursive=True)]

    def kill_supervisor(self) -> None:
        """SIGKILL to ``leadfold run`` alone."""
        self._run.tell_the_end()
        self._run.signal(signal.SIGKILL)

    async def _kill_supervisor(self, lasting_s: float) -> None:
        async with self._whole:
            self.kill_supervisor()
            await asyncio.sleep(lasting_s)
            self._run.start()

    async def _kill_all(self, lasting_s: float) -> None:
        async with self._whole:
            await self.kill()
            await asyncio.sleep(lasting_s)
            self._run.start()


class KafkaService(Service):
    """Receivers, each with a projector and pages beside it, as processes on a Kafka and a Postgres behind proxies.

    ``servers``: started ones that others use too, one after the other; then topic and database are of our own, and they
    are not to be killed. Without: a private Kafka and Postgres, which may be.
    """

    PARTITIONS: ClassVar = 6

    def __init__(
        self,
        folder: Path,
        *,
        days: int = 10,
        partitions: int = PARTITIONS,
        receivers: int = 2,
        changes: dict[str, dict[str, Any]] | None = None,
        servers: Servers | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._shared = servers is not None
        self.servers = servers or Servers(folder)
        self._name = f"service_{uuid.uuid4().hex[:8]}" if self._shared else None
        settings: dict[str, dict[str, Any]] = {
            "log": {"engine": "kafka", "bootstrap": self.servers.bootstrap, "partitions": partitions},
            "database": {"url": self.servers.proxied_url(self._name or "postgres")},
        }
        if self._name:
            settings["log"]["topic"] = f"{self._name}.events"
        for table, values in (changes or {}).items():
            settings.setdefault(table, {}).update(values)
        config = install(folder, settings, days=days)
        self.places = [Place(config, folder / name, port()) for name in ("first", "second")[:receivers]]
        self._parts = {
            f"{part} {number}": Running(place, *arguments, name=f"{part}-{number}")
            for number, place in enumerate(self.places, 1)
            for part, arguments in (
                ("ingest", ("ingest",)),
                ("projector", ("project",)),
                ("report", ("report", "serve")),
            )
        }
        self._locks = {name: asyncio.Lock() for name in (*self._parts, "broker", "postgres")}
        self.harms = {
            **{f"kill {name}": self._killing(name) for name in self._parts},
            "kill broker": self._kill_broker,
            "kill postgres": self._kill_postgres,
            "kill all": self._kill_all,
            **{
                f"freeze {name}": self._freezing(name) for name in self._parts if name.startswith("projector")
            },
        }
        modes: tuple[tuple[str, Mode], ...] = (
            ("cut", "cut"), ("slow", "slow"), ("half-open", "half_open"), ("silent", "half_open"),
        )  # fmt: skip
        for what in ("broker", "postgres"):
            for word, mode in modes:
                self.harms[f"{word} {what}"] = self._weather(what, mode)

    async def start(self) -> None:
        if not self._shared:
            await asyncio.to_thread(self.servers.start)
        if self._name:
            await asyncio.to_thread(self.servers.create_database, self._name)
        done = await self.places[0].call("log", "create")
        assert done.returncode == 0, done.stderr
        await self.revive()
        await asyncio.gather(*(place.ready("ingest", "project", "report") for place in self.places))

    async def end(self) -> None:
        self._pass()
        await asyncio.gather(*(asyncio.to_thread(part.end) for part in self._parts.values()))
        if not self._shared:
            await asyncio.to_thread(self.servers.stop)

    async def kill(self, *, servers: bool = True) -> None:
        """kill -9 of everything at once, with broker and Postgres or without."""
        for part in self._parts.values():
            part.tell_the_end()
            part.signal(signal.SIGKILL)
        await asyncio.gather(*(asyncio.to_thread(part.kill) for part in self._parts.values()))
        if servers:
            await asyncio.gather(
                asyncio.to_thread(self.servers.broker.kill), asyncio.to_thread(self.servers.postgres.kill)
            )

    async def revive(self) -> None:
        """Start everything that is not there, our parts before the servers."""
        for part in self._parts.values():
            part.start()
        await asyncio.gather(
            asyncio.to_thread(self.servers.postgres_up), asyncio.to_thread(self.servers.broker.start)
        )

    def part(self, name: str) -> Running:
        """One of ``ingest 1``, ``projector 2`` …"""
        return self._parts[name]

    def parts(self) -> list[Running]:
        """All of them."""
        return list(self._parts.values())

    def weather(self, what: str, mode: Mode) -> None:
        """Switch the proxy in front of ``broker`` or ``postgres``."""
        self.servers.weather(what, mode)

    @property
    def database_url(self) -> str:
        return self.servers.url(self._name or "postgres")

    def processes(self) -> dict[str, int]:
        return {name: pid for name, part in self._parts.items() if (pid := part.pid) is not None}

    def deaths(self) -> dict[str, int]:
        return {name: part.deaths for name, part in self._parts.items() if part.deaths}

    async def mended(self) -> None:
        self._pass()
        for part in self._parts.values():
            part.signal(signal.SIGCONT)
            part.start()

    def _pass(self) -> None:
        for what in ("broker", "postgres"):
            self.weather(what, "pass")

    def _killing(self, name: str) -> Harm:
        async def harm(lasting_s: float) -> None:
            async with self._locks[name]:
                await asyncio.to_thread(self._parts[name].kill)
                await asyncio.sleep(lasting_s)
                self._parts[name].start()

        return harm

    def _freezing(self, name: str) -> Harm:
        async def harm(lasting_s: float) -> None:
            async with self._locks[name]:
                self._parts[name].signal(signal.SIGSTOP)
                await asyncio.sleep(lasting_s)
                self._parts[name].signal(signal.SIGCONT)

        return harm

    def _weather(self, what: str, mode: Mode) -> Harm:
        async def harm(lasting_s: float) -> None:
            async with self._locks[what]:
                self.weather(what, mode)
                await asyncio.sleep(lasting_s)
                self.weather(what, "pass")

        return harm

    async def _kill_broker(self, lasting_s: float) -> None:
        async with self._locks["broker"]:
            await asyncio.to_thread(self.servers.broker.kill)
            await asyncio.sleep(lasting_s)
            await asyncio.to_thread(self.servers.broker.start)

    async def _kill_postgres(self, lasting_s: float) -> None:
        async with self._locks["postgres"]:
            await asyncio.to_thread(self.servers.postgres.kill)
            await asyncio.sleep(lasting_s)
            await asyncio.to_thread(self.servers.postgres_up)

    async def _kill_all(self, lasting_s: float) -> None:
        async with AsyncExitStack() as stack:
            for lock in self._locks.values():  # always in one order: two of these never wait for each other
                await stack.enter_async_context(lock)
            await self.kill()
            await asyncio.sleep(lasting_s)
            await self.revive()


def _signal(pid: int | None, number: signal.Signals) -> None:
    with suppress(psutil.NoSuchProcess):
        if pid is not None:
            psutil.Process(pid).send_signal(number)
