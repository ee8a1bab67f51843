"""Live traffic: after the history its people go on calling, writing and coming, in real time."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from leadfold.demo.poster import Poster
from leadfold.demo.sent import Sent
from leadfold.demo.world import History, go_on

EVERY_S = (3.0, 9.0)
"""Seconds between two stories; each goes on by itself as long as it takes."""


async def trickle(
    history: History,
    poster: Poster,
    stop: asyncio.Event,
    told: Callable[[int], None],
    every_s: tuple[float, float] = EVERY_S,
) -> None:
    """Post what becomes due until ``stop``: the rest of the history, and a new story every few seconds.

    ``told`` hears the number of deliveries posted so far.
    """
    begin = datetime.now(UTC)
    waiting = [(s.at, n, s) for n, s in enumerate(history.sent) if s.at > max(history.until, begin)]
    heapq.heapify(waiting)
    count, posted = len(history.sent), 0
    while not stop.is_set():
        now = datetime.now(UTC)
        if begin <= now:
            for sent in go_on(history, now.replace(microsecond=0)):
                heapq.heappush(waiting, (sent.at, count, sent))
                count += 1
            begin = now + timedelta(seconds=history.scene.rng.uniform(*every_s))
        due: list[Sent] = []
        while waiting and waiting[0][0] <= now:
            due.append(heapq.heappop(waiting)[2])
        if due:
            await poster.post_all(due)
            posted += len(due)
            poster.answers.clear()
            told(posted)
        try:
            await asyncio.wait_for(stop.wait(), 0.2)
        except TimeoutError:
            continue
