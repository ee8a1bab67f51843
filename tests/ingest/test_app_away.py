"""The front door while the log, the spool or both take nothing: who is answered what, and how soon."""

import asyncio
import time
from typing import Any

from tests.ingest.doors import Door, OpenDoor
from tests.ingest.support import SECRET

CALL = "event=1&call_id=1.1&src_num=79990000001&src_type=1&dst_num=74990000011_id1&dst_type=1&timestamp=1710000000"
PBX = f"/in/pbx/{SECRET}"
FORM = f"/in/landing/{SECRET}"


def call(number: int) -> Any:
    return f"{PBX}?{CALL.replace('1.1', f'1.{number}')}"


async def test_a_log_that_does_not_answer_is_replaced_by_the_spool_and_the_spool_is_shipped(
    doors: OpenDoor,
) -> None:
    door = await doors(deadline_s=0.6)
    with door.hold(door.log.path):
        began = time.monotonic()
        answers = await asyncio.gather(*(door.client.get(call(n)) for n in range(20)))
        assert {a.status for a in answers} == {200}
        assert time.monotonic() - began < 2
        assert door.spool.depth == 20
        began = time.monotonic()
        assert (await door.client.get(call(20))).status == 200  # the log is known to be away
        assert time.monotonic() - began < 0.3
        ready = await door.ops.get("/readyz")
        assert ready.status == 200
        state = await ready.json()
        checks = state["checks"]
        assert (checks["log"]["ok"], checks["spool"]["depth"], state["ready"]) == (False, 21, True)
        assert checks["log"]["reason"]
    assert len(await door.wait_for(21)) == 21
    for _ in range(100):  # nobody delivers anything: that the spool was shipped shows that the log is back
        if (await (await door.ops.get("/readyz")).json())["checks"]["log"]["ok"]:
            break
        await asyncio.sleep(0.05)
    else:
        raise AssertionError("the log is still called away")
    for _ in range(200):
        assert (await door.client.get(call(21))).status == 200
        if 'outcome="logged"' in await (await door.ops.get("/metrics")).text():
            break
        await asyncio.sleep(0.05)
    else:
        raise AssertionError("the log was never tried again")


async def test_a_log_that_is_gone(door: Door) -> None:
    await door.log.close()
    answers = await asyncio.gather(
        *(door.client.post(FORM, data={"phone": f"8999000{n:04}"}) for n in range(10))
    )
    assert {a.status for a in answers} == {200}
    assert door.spool.depth == 10
    assert (await door.client.get("/healthz")).status == 200


async def test_neither_log_nor_spool(door: Door) -> None:
    await door.log.close()
    await door.spool.close()
    for path in (call(1), FORM):
        got = await door.client.post(path, data={"phone": "89990000001"})
        assert (got.status, got.headers["Retry-After"]) == (503, "5")
    ready = await door.client.get("/readyz")
    assert (ready.status, (await ready.json())["ready"]) == (503, False)


async def test_a_full_spool_is_a_503_and_the_log_is_still_tried(doors: OpenDoor) -> None:
    door = await doors(deadline_s=0.5, spool_bytes=3000, drain=False)
    with door.hold(door.log.path):
        statuses = [(await door.client.get(call(n))).status for n in range(6)]
        assert statuses[0] == 200
        assert statuses[-1] == 503
    assert (await door.client.get(call(7))).status == 200
    assert door.spool.depth == statuses.count(200)


async def test_without_a_spool(doors: OpenDoor) -> None:
    door = await doors(with_spool=False, deadline_s=0.4)
    assert (await door.client.get(call(1))).status == 200
    with door.hold(door.log.path):
        began = time.monotonic()
        assert (await door.client.get(call(2))).status == 503
        assert time.monotonic() - began < 1.5
    assert (await door.client.get(call(2))).status == 200
    assert len({e.id for e in await door.events()}) == 2


async def test_a_log_with_more_waiting_than_it_may_hold_is_replaced_by_the_spool(doors: OpenDoor) -> None:
    door = await doors(deadline_s=3.0, queue_bytes=4_000, drain=False)
    with door.hold(door.log.path):
        began = time.monotonic()
        first, *others = [asyncio.create_task(door.client.get(call(n))) for n in range(20)]
        assert {got.status for got in await asyncio.gather(*others[-10:])} == {200}
        assert time.monotonic() - began < 1.5, "nobody waits for a queue that is full"
    assert {got.status for got in await asyncio.gather(first, *others)} == {200}
    assert len(await door.events()) + door.spool.depth == 20


async def test_a_full_queue_without_a_spool_is_a_503_at_once(doors: OpenDoor) -> None:
    door = await doors(with_spool=False, deadline_s=3.0, queue_bytes=4_000)
    with door.hold(door.log.path):
        began = time.monotonic()
        waiting = [asyncio.create_task(door.client.get(call(n))) for n in range(20)]
        done, _ = await asyncio.wait(waiting, timeout=1.0)
        refused = [one.result() for one in done]
        assert len(refused) >= 10
        assert {(got.status, got.headers["Retry-After"]) for got in refused} == {(503, "5")}
        assert time.monotonic() - began < 2
    statuses = [got.status for got in await asyncio.gather(*waiting)]
    assert len(await door.events()) == statuses.count(200) > 0
