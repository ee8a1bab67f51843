"""The client that remembers every answer: what was accepted is what Leadfold is held to."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from leadfold.demo.poster import Answer, Poster, Target
from leadfold.demo.sent import Sent


@dataclass
class Record:
    """What several posters saw together. Statuses count attempts; 0 is a connection that broke or was refused."""

    statuses: Counter[int] = field(default_factory=Counter)
    slowest_s: float = 0.0
    slow: list[tuple[float, int, str]] = field(
        default_factory=list
    )  # seconds, status, kind: over `patience_s`
    without_retry_after: int = 0
    accepted: set[datetime] = field(default_factory=set)
    refused: list[Answer] = field(default_factory=list)
    patience_s: float = 3.0

    @property
    def requests(self) -> int:
        """Attempts."""
        return sum(self.statuses.values())

    def saw(self, sent: Sent, status: int, seconds: float, retry_after: float) -> None:
        """One attempt."""
        self.statuses[status] += 1
        self.slowest_s = max(self.slowest_s, seconds)
        if seconds > self.patience_s:
            self.slow.append((round(seconds, 2), status, sent.kind))
        if status == 503 and not retry_after:
            self.without_retry_after += 1
        if 200 <= status < 300:
            self.accepted.add(sent.at)


class RememberingPoster(Poster):
    """A provider at one receiver; writes every attempt down in a common record."""

    def __init__(self, targets: Mapping[str, Target], record: Record, *, give_up_s: float = 180) -> None:
        # more connections than tasks: a request never waits for one, so its time is Leadfold's own
        super().__init__(targets, connections=256, dated=True, timeout_s=30, give_up_s=give_up_s)
        self._record = record

    async def _once(self, sent: Sent) -> tuple[int, bytes, float]:
        began = time.monotonic()
        status, body, wait = await super()._once(sent)
        self._record.saw(sent, status, time.monotonic() - began, wait)
        return status, body, wait

    async def post(self, sent: Sent) -> Answer:
        """As `Poster.post`; answers are not kept, only the refused ones."""
        answer = await super().post(sent)
        self.answers.clear()
        if not answer.accepted:
            self._record.refused.append(answer)
        return answer


async def post_paced(
    posters: Sequence[Poster], deliveries: Iterable[tuple[int, Sent]], *, per_s: float, at_once: int = 64
) -> None:
    """Post through the given receiver of each, at a steady pace as far as ``at_once`` unanswered ones allow."""
    room = asyncio.Semaphore(at_once)
    began, count = time.monotonic(), 0

    async def one(poster: Poster, sent: Sent) -> None:
        try:
            await poster.post(sent)
        finally:
            room.release()

    async with asyncio.TaskGroup() as group:
        for receiver, sent in deliveries:
            early = began + count / per_s - time.monotonic()
            if early > 0:
                await asyncio.sleep(early)
            await room.acquire()
            group.create_task(one(posters[receiver], sent))
            count += 1
