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
from leadfold.doors import names
from tests.bench import peers
from tests.bench.load import Load, send
from tests.bench.options import Options
from tests.bench.places import folder
from tests.bench.rounds import Series
from tests.bench.servers import Installation, Running, floor, installation, leadfold
from tests.bench.table import Row

PARTITIONS = 6
SHAPES = {"tilda": "Tilda form", "sipuni": "Sipuni GET"}
TWO = "two processes"


class Bench:
    """Servers under load; remembers, by port, what each was answered with 2xx, and what it cost in processor time."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next = 0
        self.accepted: Counter[int] = Counter()
        self.cpu_us: dict[tuple[int, str], list[float]] = {}

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
        self.accepted[server.port] += result.accepted
        assert result.accepted == sum(result.answers.values()) > 0, f"{server.name}: {result.answers}"
        self.cpu_us.setdefault((server.port, shape), []).append(used / result.accepted * 1e6)
        return result.accepted / result.seconds

    def cost(self, server: Running, shape: str) -> float:
        """Processor time of the server for one delivery, microseconds; the median of the rounds."""
        found = sorted(self.cpu_us[server.port, shape])
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
        installed = [installation(place / f"leadfold-{n}", _settings(n)) for n in (1, 2)]
        published = [_log_length(each.settings.data_dir) for each in installed]
        with ExitStack() as stack:
            name = "bare aiohttp handler, stores nothing"
            bare, bare_two = (_run(stack, floor(name, ["nothing"], place / f"bare-{n}", n)) for n in (1, 2))
            ours, ours_two = (_run(stack, _started(each)) for each in installed)
            bench.warm(bare, ours, bare_two, ours_two)
            for shape, says in SHAPES.items():
                title = f"ingest embedded, {says}"
                others = {f"{title}, {TWO}": ours_two, f"{name}, {TWO}, {shape}": bare_two}
                rows += _compared(bench, shape, title, ours, bare, others, "≥ 0.6")
        for each, before, server in zip(installed, published, (ours, ours_two), strict=True):
            found = _log_length(each.settings.data_dir) - before - _directory_events(each.file)
            accepted = bench.accepted[server.port]
            assert found == accepted, f"{found} records for {accepted} answers 2xx"
    return rows


def kafka(options: Options) -> list[Row]:
    """On Kafka with six partitions: acks=all; end offsets are compared with the answers 2xx."""
    bench = Bench(options.seconds)
    rows: list[Row] = []
    topics = [f"bench.{name}" for name in ("ours", "ours-two", "bare", "bare-two", "faststream", "mq-bridge")]
    with folder() as place, _broker(place) as broker:
        asyncio.run(_create(broker.bootstrap, topics))
        installed = [
            installation(place / f"leadfold-{n}", {**_settings(n), "log": _kafka_log(broker, topics[n - 1])})
            for n in (1, 2)
        ]
        with ExitStack() as stack:
            name = "bare aiohttp + aiokafka handler"
            bare, bare_two = (
                _run(stack, floor(name, ["kafka", broker.bootstrap, topic], place / topic, n))
                for n, topic in ((1, "bench.bare"), (2, "bench.bare-two"))
            )
            ours, ours_two = (_run(stack, _started(each)) for each in installed)
            served = {"bench.bare": bare, "bench.bare-two": bare_two}
            strangers: dict[str, Running] = {}
            if peers.python() is not None:
                strangers["FastStream, raw ASGI route"] = served["bench.faststream"] = _run(
                    stack, peers.faststream(broker.bootstrap, "bench.faststream")
                )
                strangers["mq-bridge, HTTP to Kafka"] = served["bench.mq-bridge"] = _run(
                    stack, peers.mq_bridge(broker.bootstrap, "bench.mq-bridge")
                )
            bench.warm(bare, ours, bare_two, ours_two, *strangers.values())
            for shape, says in SHAPES.items():
                title = f"ingest on Kafka, {says}"
                others = {f"{title}, {TWO}": ours_two, f"{name}, {TWO}, {shape}": bare_two}
                others |= {f"{other}, {shape}": server for other, server in strangers.items()}
                rows += _compared(bench, shape, title, ours, bare, others, "≥ 0.9")
        ends = asyncio.run(_ends(broker.bootstrap, topics))
        for each, topic, server in zip(installed, topics, (ours, ours_two), strict=False):
            ends[topic] -= _directory_events(each.file)
            served[topic] = server
        for topic, server in served.items():
            assert ends[topic] == bench.accepted[server.port], f"{topic}: {ends}, {bench.accepted}"
    return rows


def _compared(
    bench: Bench, shape: str, name: str, ours: Running, bare: Running, others: dict[str, Running], aim: str
) -> list[Row]:
    """Deliveries a second, and (less disturbed by what else runs on the machine) processor time for each."""
    of = f"{bare.name}, {shape}"
    named = [(of, bare), (name, ours), *others.items()]
    series = Series([(title, lambda s=server: bench.run(s, shape)) for title, server in named])  # type: ignore[misc]
    rows = series.rows("requests/s", {name: aim})
    floor_us = bench.cost(bare, shape)
    for title, server in named:
        us = bench.cost(server, shape)
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


def _settings(processes: int) -> dict[str, dict[str, object]]:
    return {"ingest": {"port": 0, "ops_port": 0, "rate_per_s": 0, "processes": processes}}


def _kafka_log(broker: LocalBroker, topic: str) -> dict[str, object]:
    return {"engine": "kafka", "bootstrap": broker.bootstrap, "topic": topic, "partitions": PARTITIONS}


def _started(installed: Installation) -> Running:
    """Our front doors, all of which listen."""
    return leadfold(installed, door=names(installed.settings)[-1])


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
