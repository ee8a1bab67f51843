"""Ingest: deliveries a second at 64 connections, each 2xx durable, beside bare handlers."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from deploy.kafka.broker import LocalBroker, free_ports
from eventlog.embedded import EmbeddedLog
from tests.bench import peers
from tests.bench.load import Load, send
from tests.bench.options import Options
from tests.bench.places import folder
from tests.bench.rounds import Series
from tests.bench.servers import Running, floor, installation, leadfold
from tests.bench.table import Row

PARTITIONS = 6


class Bench:
    """Servers under load; remembers what each was answered with 2xx, and what it cost in processor time."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next = 0
        self.accepted: Counter[str] = Counter()
        self.cpu_us: dict[tuple[str, str], list[float]] = {}

    def run(self, server: Running, shape: str, seconds: float | None = None) -> float:
        """Load a server; deliveries accepted a second.

        Raises:
            AssertionError: it answered anything but 2xx.
        """
        before = server.cpu_s()
        result = send(
            Load(server.port, server.paths[shape], shape, seconds or self._seconds, first=self._next)
        )
        used = server.cpu_s() - before
        self._next += result.sent
        self.accepted[server.name] += result.accepted
        assert result.accepted == sum(result.answers.values()) > 0, f"{server.name}: {result.answers}"
        self.cpu_us.setdefault((server.name, shape), []).append(used / result.accepted * 1e6)
        return result.accepted / result.seconds

    def cost(self, name: str, shape: str) -> float:
        """Processor time of the server for one delivery, microseconds; the median of the rounds."""
        found = sorted(self.cpu_us[name, shape])
        return found[len(found) // 2]

    def warm(self, *servers: Running) -> None:
        """Half a second of each shape, not counted in the figures (but on the log)."""
        for server in servers:
            for shape in ("tilda", "sipuni"):
                self.run(server, shape, 0.5)
        self.cpu_us.clear()


def embedded(options: Options) -> list[Row]:
    """On the embedded log: every 2xx is fsynced, and counted on the log in the end."""
    bench = Bench(options.seconds)
    rows: list[Row] = []
    with folder() as place:
        installed = installation(place / "leadfold", _settings())
        published = _log_length(installed.settings.data_dir)
        with ExitStack() as stack:
            bare = _run(stack, floor("bare aiohttp handler, stores nothing", ["nothing"], place / "bare"))
            ours = _run(stack, leadfold(installed))
            bench.warm(bare, ours)
            for shape, says in (("tilda", "Tilda form"), ("sipuni", "Sipuni GET")):
                rows += _compared(bench, shape, f"ingest embedded, {says}", ours, bare, {}, "≥ 0.6")
        found = _log_length(installed.settings.data_dir) - published - _directory_events(installed.file)
        assert found == bench.accepted[ours.name], (
            f"{found} records for {bench.accepted[ours.name]} answers 2xx"
        )
    return rows


def kafka(options: Options) -> list[Row]:
    """On Kafka with six partitions: acks=all; end offsets are compared with the answers 2xx."""
    bench = Bench(options.seconds)
    rows: list[Row] = []
    with folder() as place, _broker(place) as broker:
        topics = {name: f"bench.{name}" for name in ("ours", "bare", "faststream", "mq-bridge")}
        asyncio.run(_create(broker.bootstrap, list(topics.values())))
        kafka_log = {
            "engine": "kafka",
            "bootstrap": broker.bootstrap,
            "topic": topics["ours"],
            "partitions": PARTITIONS,
        }
        installed = installation(place / "leadfold", {**_settings(), "log": kafka_log})
        with ExitStack() as stack:
            bare = _run(
                stack,
                floor(
                    "bare aiohttp + aiokafka handler",
                    ["kafka", broker.bootstrap, topics["bare"]],
                    place / "bare",
                ),
            )
            ours = _run(stack, leadfold(installed))
            others: dict[str, Running] = {}
            if peers.python() is not None:
                others["FastStream, raw ASGI route"] = _run(
                    stack, peers.faststream(broker.bootstrap, topics["faststream"])
                )
                others["mq-bridge, HTTP to Kafka"] = _run(
                    stack, peers.mq_bridge(broker.bootstrap, topics["mq-bridge"])
                )
            bench.warm(bare, ours, *others.values())
            for shape, says in (("tilda", "Tilda form"), ("sipuni", "Sipuni GET")):
                rows += _compared(bench, shape, f"ingest on Kafka, {says}", ours, bare, others, "≥ 0.9")
        ends = asyncio.run(_ends(broker.bootstrap, list(topics.values())))
        directory = _directory_events(installed.file)
        assert ends[topics["ours"]] - directory == bench.accepted[ours.name], f"{ends}, {bench.accepted}"
        for topic, server in (("bare", bare), *((other.name.lower(), other) for other in others.values())):
            assert ends[topics[topic]] == bench.accepted[server.name], f"{ends}, {bench.accepted}"
    return rows


def _compared(
    bench: Bench, shape: str, name: str, ours: Running, bare: Running, others: dict[str, Running], aim: str
) -> list[Row]:
    """Deliveries a second, and (less disturbed by what else runs on the machine) processor time for each."""
    of = f"{bare.name}, {shape}"
    named = [(of, bare), (name, ours), *((f"{other}, {shape}", server) for other, server in others.items())]
    series = Series([(title, lambda s=server: bench.run(s, shape)) for title, server in named])  # type: ignore[misc]
    rows = series.rows("requests/s", {name: aim})
    floor_us = bench.cost(bare.name, shape)
    for title, server in named:
        us = bench.cost(server.name, shape)
        is_floor = server is bare
        rows.append(
            Row(
                f"{title}: CPU of the server",
                us,
                "µs/request",
                None if is_floor else of,
                None if is_floor else floor_us / us,
            )
        )
    return rows


def _settings() -> dict[str, dict[str, object]]:
    return {"ingest": {"port": 0, "rate_per_s": 0}}


def _run(stack: ExitStack, server: Running) -> Running:
    stack.callback(server.stop)
    return server


@contextmanager
def _broker(place: Path) -> Iterator[LocalBroker]:
    port, controller = free_ports(2)
    broker = LocalBroker(place / "kafka", port, controller)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


def _log_length(data: Path) -> int:
    file = data / "events" / "events.db"
    if not file.exists():
        return 0

    async def ask() -> int:
        async with EmbeddedLog(file, create=False) as log:
            return (await log.bounds())[0][1]

    return asyncio.run(ask())


def _directory_events(config: Path) -> int:
    """How many events of leadfold.toml's directory the service published."""
    for line in (config.parent / "ingest.log").read_text(encoding="utf-8").splitlines():
        if '"directory.published"' in line:
            return int(line.partition('"events":')[2].split(",")[0])
    return 0


async def _create(bootstrap: str, topics: list[str]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        forever = {"retention.ms": "-1", "retention.bytes": "-1", "max.message.bytes": str(5 * 1024 * 1024)}
        await admin.create_topics([NewTopic(name, PARTITIONS, 1, topic_configs=forever) for name in topics])
    finally:
        await admin.close()


async def _ends(bootstrap: str, topics: list[str]) -> dict[str, int]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
    await consumer.start()
    try:
        found = await consumer.end_offsets([TopicPartition(t, p) for t in topics for p in range(PARTITIONS)])
        return {t: sum(end for place, end in found.items() if place.topic == t) for t in topics}
    finally:
        await consumer.stop()
