"""Posts deliveries over HTTP like providers that remember every answer: keep-alive, bounded, stubborn on 503."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import aiohttp
from yarl import URL

from ingest.wire import RECEIVED_HEADER
from leadfold.demo.sent import Sent


@dataclass(frozen=True, slots=True)
class Target:
    """Where the deliveries of a source go: its ready address and the headers of its key, if it sends one."""

    url: str
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """The last answer to one delivery. ``status`` 0: given up without any; ``seconds`` of the last attempt."""

    sent: Sent
    status: int
    body: bytes
    attempts: int
    seconds: float

    @property
    def accepted(self) -> bool:
        """Whether Leadfold took responsibility for it."""
        return 200 <= self.status < 300


class Poster:
    """An asynchronous client for one or many sources. Use as an async context manager.

    ``dated``: send the delivery's own moment in the header RECEIVED_HEADER (history). ``give_up_s``: how long a delivery
    that is answered 503, 429 or not at all is posted again, unchanged, before it counts as refused.
    """

    def __init__(
        self,
        targets: Mapping[str, Target],
        *,
        connections: int = 32,
        dated: bool = False,
        timeout_s: float = 10,
        give_up_s: float = 120,
    ) -> None:
        self._targets = {name: (t.url, dict(t.headers)) for name, t in targets.items()}
        self._connections = connections
        self._dated = dated
        self._timeout_s = timeout_s
        self._give_up_s = give_up_s
        self._session: aiohttp.ClientSession | None = None
        self.answers: list[Answer] = []

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._connections, force_close=False, keepalive_timeout=60),
            timeout=aiohttp.ClientTimeout(total=self._timeout_s),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def post(self, sent: Sent) -> Answer:
        """Post one delivery until it is answered with anything but 503 or 429, or time is up; remembers the answer."""
        end = time.monotonic() + self._give_up_s
        attempts, pause = 0, 0.05
        while True:
            attempts += 1
            began = time.monotonic()
            status, body, wait = await self._once(sent)
            now = time.monotonic()
            if status not in (0, 429, 503) or now + pause > end:
                answer = Answer(sent, status, body, attempts, now - began)
                self.answers.append(answer)
                return answer
            await asyncio.sleep(min(max(pause, wait), 5.0))
            pause = min(pause * 2, 2.0)

    async def _once(self, sent: Sent) -> tuple[int, bytes, float]:
        """One attempt: status (0: no answer), body, and the seconds of Retry-After."""
        assert self._session is not None
        url, key = self._targets[sent.source]
        if sent.query:
            url = f"{url}{'&' if '?' in url else '?'}{sent.query}"
        headers = {**key, **dict(sent.headers)}
        if self._dated:
            headers[RECEIVED_HEADER] = sent.at.isoformat()
        try:
            async with self._session.request(
                sent.method,
                URL(url, encoded=True),
                data=sent.body or None,
                headers=headers,
                allow_redirects=False,
            ) as response:
                body = await response.read()
                after = response.headers.get("Retry-After", "")
                return response.status, body, float(after) if after.isdigit() else 0.0
        except (aiohttp.ClientError, TimeoutError, ConnectionError):
            return 0, b"", 0.0

    async def post_all(
        self, deliveries: Iterable[Sent], on_answer: Callable[[Answer], None] | None = None
    ) -> None:
        """Post many, in their order of starting, as many at a time as there are connections."""
        queue = iter(deliveries)

        async def worker() -> None:
            for sent in queue:
                answer = await self.post(sent)
                if on_answer is not None:
                    on_answer(answer)

        async with asyncio.TaskGroup() as group:
            for _ in range(self._connections):
                group.create_task(worker())
