"""The front door on a real Kafka that freezes, dies and comes back: every answer is a 200, within time, and kept."""

import asyncio
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from deploy.kafka.broker import LocalBroker
from eventlog.kafka import KafkaLog, KafkaSettings
from eventlog.kafka.admin import create_topic
from eventlog.sealing import unseal
from eventlog.spool import Spool
from ingest.app import build_app
from ingest.door import IngestDeps
from ingest.sources import SourceBook, SourceConfig
from tests.ingest.support import KEY, SECRET

pytestmark = pytest.mark.slow

CALL = "event=1&src_num=79990000001&src_type=1&dst_type=1&timestamp=1710000000&call_id="


async def stored(log: KafkaLog) -> set[str]:
    """Call ids in the log."""
    found: set[str] = set()
    for partition, (offset, following) in (await log.bounds()).items():
        at = offset
        while at < following:
            records = await log.read(partition, at, max_records=500, max_wait_s=1)
            read: list[Any] = [unseal(r.record) for r in records]
            found |= {e.data.call_id for e in read}
            at += len(records)
    return found


async def test_a_broker_that_comes_and_goes(kafka_broker: LocalBroker, tmp_path: Path) -> None:
    settings = KafkaSettings(bootstrap=kafka_broker.bootstrap, topic="leadfold.ingest")
    await create_topic(settings, partitions=3, replication=1)
    async with AsyncExitStack() as stack:
        log = await stack.enter_async_context(KafkaLog(settings))
        spool = await stack.enter_async_context(Spool(tmp_path / "spool.db"))
        book = SourceBook([SourceConfig("pbx", "sipuni", SECRET)])
        app = build_app(IngestDeps(log=log, spool=spool, book=book, key_secret=KEY))
        client = await stack.enter_async_context(TestClient(TestServer(app)))
        slowest = 0.0

        async def post(call_id: str) -> None:
            nonlocal slowest
            began = time.monotonic()
            answer = await client.get(f"/in/pbx/{SECRET}?{CALL}{call_id}")
            slowest = max(slowest, time.monotonic() - began)
            assert answer.status == 200

        async def wave(name: str) -> set[str]:
            ids = {f"{name}.{n}" for n in range(25)}
            await asyncio.gather(*map(post, sorted(ids)))
            return ids

        sent = await wave("1")
        assert spool.depth == 0
        await asyncio.to_thread(kafka_broker.freeze)  # accepts connections, never answers
        sent |= await wave("2")
        sent |= await wave("3")
        assert spool.depth > 0
        await asyncio.to_thread(kafka_broker.thaw)
        await asyncio.to_thread(kafka_broker.kill)
        sent |= await wave("4")
        await asyncio.to_thread(kafka_broker.start)
        for _ in range(600):
            if spool.depth == 0 and log.available:
                break
            await asyncio.sleep(0.1)
        assert spool.depth == 0
        sent |= await wave("5")
        assert await stored(log) == sent
        assert slowest < 3
