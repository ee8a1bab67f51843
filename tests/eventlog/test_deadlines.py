"""One timer for many waiting futures: each is called in its time, the finished are forgotten."""

import asyncio
import time
from functools import partial

from eventlog.deadlines import Deadlines


async def test_each_expires_in_its_own_time_whatever_the_order() -> None:
    deadlines, began = Deadlines(), time.monotonic()
    late: list[tuple[float, float]] = []
    loop = asyncio.get_running_loop()

    def expire(seconds: float, future: asyncio.Future[None]) -> None:
        late.append((seconds, time.monotonic() - began))
        future.set_result(None)

    futures: list[asyncio.Future[None]] = []
    for seconds in (0.15, 0.03, 0.08, 0.03):
        future: asyncio.Future[None] = loop.create_future()
        futures.append(future)
        deadlines.add(seconds, future, partial(expire, seconds, future))
    await asyncio.wait_for(asyncio.gather(*futures), 5)
    assert [seconds for seconds, _ in late] == [0.03, 0.03, 0.08, 0.15]
    assert all(took >= seconds - 0.003 for seconds, took in late)


async def test_what_is_done_in_time_is_not_expired_and_not_kept() -> None:
    deadlines = Deadlines()
    late: list[int] = []
    loop = asyncio.get_running_loop()
    for number in range(1000):
        future: asyncio.Future[None] = loop.create_future()
        deadlines.add(0.02, future, partial(late.append, number))
        future.set_result(None)
    assert len(deadlines._waiting) == 1
    await asyncio.sleep(0.05)
    assert not late
    assert not deadlines._waiting
    waits: asyncio.Future[None] = loop.create_future()
    deadlines.add(0.01, waits, lambda: waits.set_result(None))  # the timer is armed anew
    await asyncio.wait_for(waits, 5)
