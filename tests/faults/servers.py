"""A Kafka and a Postgres behind proxies: of one service that breaks them, or shared by services one after the other."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from deploy.kafka.broker import LocalBroker
from tests.faults.installation import fixed_port as port
from tests.support.kafka_service import JVM_OPTIONS
from tests.support.postgres import LocalPostgres, with_database
from tests.support.proxy import Mode, Proxy, postgres_socket


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


class Servers:
    """Both servers in a folder, each behind a proxy. The proxies have a thread of their own: no test's loop is theirs."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)  # Postgres runs as another user when we are root
        seen, real, controller, self._database_port = port(), port(), port(), port()
        self.broker = BehindProxy(
            folder / "kafka", real, controller, heap="384m", session_timeout_ms=3000, jvm_options=JVM_OPTIONS
        )
        self.broker.seen_at = seen
        self.postgres = LocalPostgres(folder / "postgres")
        self._proxies: dict[str, Proxy] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxies", daemon=True)

    def start(self) -> None:
        """Start both; returns when they answer through their proxies."""
        self._thread.start()
        self.postgres.start()
        socket = postgres_socket(self.postgres.url)
        self._proxies = {
            "broker": Proxy(self.broker.seen_at, self.broker.port, latency_s=0.15),
            "postgres": Proxy(self._database_port, socket, latency_s=0.02),
        }
        for proxy in self._proxies.values():
            self._there(proxy.open())
        self.broker.start()

    def stop(self) -> None:
        """End both."""
        self.broker.stop()
        self.postgres.stop()
        if self._thread.is_alive():
            for proxy in self._proxies.values():
                self._there(proxy.close())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(5)

    def _there(self, work: Coroutine[Any, Any, None]) -> None:
        """Do it in the proxies' thread."""
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def postgres_up(self) -> None:
        """Start Postgres again after its kill."""
        if self.postgres.pid is None:
            self.postgres.start()

    @property
    def bootstrap(self) -> str:
        """Kafka's address, through the proxy."""
        return self.broker.bootstrap_seen

    def proxied_url(self, database: str) -> str:
        """A database's address, through the proxy."""
        return f"postgresql://postgres@127.0.0.1:{self._database_port}/{database}"

    def url(self, database: str) -> str:
        """A database's address for the look from outside; never through the proxy. Postgres was started."""
        return with_database(self.postgres.url, database)

    def create_database(self, name: str) -> None:
        """An empty one."""
        with psycopg.connect(self.postgres.url, autocommit=True) as connection:
            connection.execute(
                sql.SQL("create database {} template template0 encoding 'UTF8'").format(sql.Identifier(name))
            )

    def weather(self, what: str, mode: Mode) -> None:
        """Switch the proxy in front of ``broker`` or ``postgres``, if it is open."""

        async def switch(proxy: Proxy) -> None:
            proxy.switch(mode)

        if what in self._proxies:
            self._there(switch(self._proxies[what]))
