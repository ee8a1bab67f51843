"""The whole product as real processes, with everything that can be broken: on the embedded engines and on Kafka."""

from __future__ import annotations

import asyncio
import signal
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar, Self
from urllib.parse import parse_qs, urlsplit

import psutil

from deploy.kafka.broker import LocalBroker
from eventlog.contract import EventLog
from leadfold.wiring import event_log, running_database_url
from tests.faults.installation import Place, Running, install, kill_tree
from tests.faults.installation import fixed_port as port
from tests.faults.proxy import Mode, Proxy
from tests.support.kafka_service import JVM_OPTIONS
from tests.support.postgres import LocalPostgres

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
            "kill postgres": self._kill_postgres,
            "kill supervisor": self._kill_supervisor,
            "kill all": self._kill_all,
            "freeze projector": self._freeze,
        }

    async def start(self) -> None:
        self._run.start()
        await self.places[0].ready("ingest", "project", "report")

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
        found = {part: self.places[0].pid(part) for part in ("ingest", "project", "report")}
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

    async def _kill_postgres(self, _lasting_s: float) -> None:
        with suppress(OSError, ValueError):
            file = self.places[0].data / "pg" / "postmaster.pid"
            await asyncio.to_thread(kill_tree, int(file.read_text().split("\n", 1)[0]))

    async def _kill_supervisor(self, lasting_s: float) -> None:
        async with self._whole:
            self._run.tell_the_end()
            self._run.signal(signal.SIGKILL)
            await asyncio.sleep(lasting_s)
            self._run.start()

    async def _kill_all(self, lasting_s: float) -> None:
        async with self._whole:
            await self.kill()
            await asyncio.sleep(lasting_s)
            self._run.start()


class KafkaService(Service):
    """Receivers, each with a projector and pages beside it, as processes on a private Kafka and Postgres behind proxies."""

    PARTITIONS: ClassVar = 6

    def __init__(
        self,
        folder: Path,
        *,
        days: int = 10,
        partitions: int = PARTITIONS,
        receivers: int = 2,
        changes: dict[str, dict[str, Any]] | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        seen, real, controller, self._database_port = port(), port(), port(), port()
        self.broker = BehindProxy(
            folder / "kafka", real, controller, heap="384m", session_timeout_ms=3000, jvm_options=JVM_OPTIONS
        )
        self.broker.seen_at = seen
        self.postgres = LocalPostgres(folder / "postgres")
        settings: dict[str, dict[str, Any]] = {
            "log": {"engine": "kafka", "bootstrap": f"127.0.0.1:{seen}", "partitions": partitions},
            "database": {"url": f"postgresql://postgres@127.0.0.1:{self._database_port}/postgres"},
        }
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
        self._stack = AsyncExitStack()
        self._proxies: dict[str, Proxy] = {}
        self._latency_s = {"broker": 0.15, "postgres": 0.02}
        self.harms = {
            **{f"kill {name}": self._killing(name) for name in self._parts if not name.startswith("report")},
            "kill broker": self._kill_broker,
            "kill postgres": self._kill_postgres,
            "kill all": self._kill_all,
            **{
                f"freeze {name}": self._freezing(name) for name in self._parts if name.startswith("projector")
            },
        }
        modes: tuple[tuple[str, Mode], ...] = (("cut", "cut"), ("slow", "slow"), ("half-open", "half_open"))
        for what in ("broker", "postgres"):
            for word, mode in modes:
                self.harms[f"{word} {what}"] = self._weather(what, mode)

    async def start(self) -> None:
        await asyncio.to_thread(self.postgres.start)
        socket = parse_qs(urlsplit(self.postgres.url).query)["host"][0] + "/.s.PGSQL.5432"
        for what, at, target in (
            ("broker", self.broker.seen_at, self.broker.port), ("postgres", self._database_port, socket),
        ):  # fmt: skip
            proxy = Proxy(at, target, latency_s=self._latency_s[what])
            self._proxies[what] = await self._stack.enter_async_context(proxy)
        await asyncio.to_thread(self.broker.start)
        done = await self.places[0].call("log", "create")
        assert done.returncode == 0, done.stderr
        for part in self._parts.values():
            part.start()
        await asyncio.gather(*(place.ready("ingest", "project", "report") for place in self.places))

    async def end(self) -> None:
        self._pass()
        await asyncio.gather(*(asyncio.to_thread(part.end) for part in self._parts.values()))
        await asyncio.to_thread(self.broker.stop)
        await asyncio.to_thread(self.postgres.stop)
        await self._stack.aclose()

    async def kill(self, *, servers: bool = True) -> None:
        """kill -9 of everything at once, with broker and Postgres or without."""
        for part in self._parts.values():
            part.tell_the_end()
            part.signal(signal.SIGKILL)
        await asyncio.gather(*(asyncio.to_thread(part.kill) for part in self._parts.values()))
        if servers:
            await asyncio.gather(asyncio.to_thread(self.broker.kill), asyncio.to_thread(self.postgres.kill))

    async def revive(self) -> None:
        """Start everything that is not there, our parts before the servers."""
        for part in self._parts.values():
            part.start()
        await asyncio.gather(asyncio.to_thread(self._postgres_up), asyncio.to_thread(self.broker.start))

    def part(self, name: str) -> Running:
        """One of ``ingest 1``, ``projector 2`` …"""
        return self._parts[name]

    def weather(self, what: str, mode: Mode) -> None:
        """Switch the proxy in front of ``broker`` or ``postgres``."""
        self._proxies[what].switch(mode)

    @property
    def database_url(self) -> str:
        return self.postgres.url

    def processes(self) -> dict[str, int]:
        return {name: part.pid for name, part in self._parts.items() if part.pid is not None}

    def deaths(self) -> dict[str, int]:
        return {name: part.deaths for name, part in self._parts.items() if part.deaths}

    async def mended(self) -> None:
        self._pass()
        for part in self._parts.values():
            part.signal(signal.SIGCONT)
            part.start()

    def _pass(self) -> None:
        for proxy in self._proxies.values():
            proxy.switch("pass")

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
            await asyncio.to_thread(self.broker.kill)
            await asyncio.sleep(lasting_s)
            await asyncio.to_thread(self.broker.start)

    async def _kill_postgres(self, lasting_s: float) -> None:
        async with self._locks["postgres"]:
            await asyncio.to_thread(self.postgres.kill)
            await asyncio.sleep(lasting_s)
            await asyncio.to_thread(self._postgres_up)

    async def _kill_all(self, lasting_s: float) -> None:
        async with AsyncExitStack() as stack:
            for lock in self._locks.values():  # always in one order: two of these never wait for each other
                await stack.enter_async_context(lock)
            await self.kill()
            await asyncio.sleep(lasting_s)
            await self.revive()

    def _postgres_up(self) -> None:
        if self.postgres.pid is None:
            self.postgres.start()


class BehindProxy(LocalBroker):
    """A broker that tells clients the address of the proxy in front of it."""

    seen_at: int = 0

    @property
    def bootstrap_seen(self) -> str:
        """``host:port`` for clients: the proxy."""
        return f"127.0.0.1:{self.seen_at}"

    def _write_properties(self) -> Path:
        path = super()._write_properties()
        text = path.read_text(encoding="utf-8")
        own, seen = (f"advertised.listeners=PLAINTEXT://127.0.0.1:{p}\n" for p in (self.port, self.seen_at))
        path.write_text(text.replace(own, seen), encoding="utf-8")
        return path


def _signal(pid: int | None, number: signal.Signals) -> None:
    with suppress(psutil.NoSuchProcess):
        if pid is not None:
            psutil.Process(pid).send_signal(number)
