"""A real single-node Apache Kafka (KRaft) on 127.0.0.1, from plain jars: no Docker, no ZooKeeper, only Java 17.

In the foreground, for a look at Leadfold on Kafka (this is what ``make kafka`` runs)::

    python -m deploy.kafka.broker --port 9092 --data-dir var/kafka

As a library, for tests that break it: `LocalBroker` starts, stops, kills, freezes and restarts on the same data.
The jars come from ``make kafka-jars`` (Maven, ``deploy/kafka/pom.xml``). Not for production: one node, no replicas;
``deploy/compose.yaml`` shows the real thing.
"""

import argparse
import asyncio
import base64
import contextlib
import logging
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Self

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

LIBS = Path(__file__).resolve().parents[2] / "build" / "kafka" / "libs"
#: Beside the jars: their classes as the JVM keeps them in memory (`deploy.kafka.archive`). Without it a start takes longer.
ARCHIVE = "classes.jsa"
HOST = "127.0.0.1"


class BrokerUnavailableError(RuntimeError):
    """Kafka cannot run here or did not come up; the message says what is missing and what to do about it."""


def why_unavailable(libs: Path = LIBS) -> str | None:
    """The reason why no local broker can be started on this machine, or None when it can."""
    if not any(libs.glob("kafka_2.13-*.jar")):
        return f"no Kafka jars in {libs}: run `make kafka-jars`"
    if shutil.which("java") is None:
        return "no `java` in PATH: install Java 17 or newer"
    return None


def free_ports(count: int) -> list[int]:
    """TCP ports of 127.0.0.1 that are free now; different from one another."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((HOST, 0))
        return [each.getsockname()[1] for each in sockets]


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0


async def _serves(bootstrap: str) -> bool:
    """Whether the broker is registered with its controller and unfenced: only then it takes records."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=3000)
    try:
        await admin.start()
        return bool((await admin.describe_cluster())["brokers"])
    except (KafkaError, OSError):
        return False
    finally:
        await admin.close()


def serves(bootstrap: str) -> bool:
    """Whether a Kafka answers at ``bootstrap`` (``host:port``) and takes records. Blocks for some seconds at most.

    Runs its own event loop in a thread of its own, so it may be called from tests that have one running.
    """
    answer: list[bool] = []
    thread = threading.Thread(target=lambda: answer.append(asyncio.run(_serves(bootstrap))))
    thread.start()
    thread.join()
    return answer == [True]


@dataclass
class LocalBroker:
    """One Kafka process, broker and controller in one, with its data in ``data_dir``.

    Topics are never created by themselves, so a missing topic is an error here as it should be in production.
    Use as a context manager, or call `start` and `stop`.
    """

    data_dir: Path
    port: int
    controller_port: int
    _: KW_ONLY
    libs: Path = LIBS
    heap: str = "768m"
    #: After kill -9 the controller refuses the same broker until its old registration has lapsed: this long.
    session_timeout_ms: int = 9000
    #: Extra JVM options, e.g. cheaper compilation for short lives.
    jvm_options: Sequence[str] = ()
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)

    @property
    def bootstrap(self) -> str:
        """``host:port`` for clients."""
        return f"{HOST}:{self.port}"

    @property
    def pid(self) -> int | None:
        """Process id while the process lives."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self, timeout: float = 60) -> None:
        """Start on the data that is there (formatted first when there is none); returns when records are taken.

        Raises:
            BrokerUnavailableError: no jars or Java, a port is taken, or no answer within ``timeout`` seconds.
        """
        if self.pid is not None:
            return
        if reason := why_unavailable(self.libs):
            raise BrokerUnavailableError(reason)
        for port in (self.port, self.controller_port):
            if _accepts(port):
                raise BrokerUnavailableError(f"port {port} is taken by another program")
        self.data_dir.mkdir(parents=True, exist_ok=True)
        properties = self._write_properties()
        if not (self._log_dir / "meta.properties").exists():
            self._format(properties)
        with self._log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._java(), "kafka.Kafka", str(properties)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C belongs to whoever owns us; we stop the broker in order
            )
        self._wait_until_serving(timeout)

    def stop(self, timeout: float = 20) -> None:
        """End in order (SIGTERM), by force after ``timeout`` seconds. Harmless when it is not running."""
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)  # a frozen process cannot hear SIGTERM
            process.terminate()
            try:
                process.wait(timeout)
            except subprocess.TimeoutExpired:
                process.kill()
        process.wait()
        self._process = None

    def kill(self) -> None:
        """End it with SIGKILL: what a crash or a power cut does to the process. The data stays for `start`."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self, timeout: float = 60) -> None:
        """Stop in order and start again on the same ports and data."""
        self.stop()
        self.start(timeout)

    def freeze(self) -> None:
        """SIGSTOP: connections stay open and nothing answers, like a network that swallows packets."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT after `freeze`."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def wait(self) -> int:
        """Block until the process ends by itself; its exit code."""
        return self._process.wait() if self._process is not None else 0

    def __enter__(self) -> Self:
        """Start; see `start`."""
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        """Stop; see `stop`."""
        self.stop()

    @property
    def _log_dir(self) -> Path:
        return self.data_dir / "data"

    @property
    def _log_file(self) -> Path:
        return self.data_dir / "broker.log"

    def _java(self) -> list[str]:
        # The JVM looks whether the archive fits itself and the jars, and does without one that does not.
        archive = self.libs.parent / ARCHIVE
        shared = [f"-XX:SharedArchiveFile={archive}"] if archive.exists() else []
        return ["java", f"-Xmx{self.heap}", *shared, *self.jvm_options, "-cp", f"{self.libs}/*"]

    def _write_properties(self) -> Path:
        settings = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "listeners": f"PLAINTEXT://{HOST}:{self.port},CONTROLLER://{HOST}:{self.controller_port}",
            "advertised.listeners": f"PLAINTEXT://{HOST}:{self.port}",
            "controller.listener.names": "CONTROLLER",
            # .voters would make `format --standalone` refuse
            "controller.quorum.bootstrap.servers": f"{HOST}:{self.controller_port}",
            "log.dirs": str(self._log_dir),
            "auto.create.topics.enable": "false",
            "broker.session.timeout.ms": str(self.session_timeout_ms),
            "broker.heartbeat.interval.ms": str(min(2000, self.session_timeout_ms // 3)),
            # the defaults want three brokers
            "offsets.topic.replication.factor": "1",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            # and fifty partitions, which take a node with one disk seconds to make
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.num.partitions": "4",
            "group.initial.rebalance.delay.ms": "0",
        }
        path = self.data_dir / "server.properties"
        path.write_text("".join(f"{key}={value}\n" for key, value in settings.items()), encoding="utf-8")
        return path

    def _format(self, properties: Path) -> None:
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if cluster_id.startswith("-"):  # the tool would take it for an option
            cluster_id = "A" + cluster_id[1:]
        command = [*self._java(), "kafka.tools.StorageTool", "format", "--standalone"]
        done = subprocess.run(
            [*command, "-t", cluster_id, "-c", str(properties)], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise BrokerUnavailableError(f"formatting {self._log_dir} failed:\n{done.stdout}{done.stderr}")

    def _wait_until_serving(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if self._process is None or (code := self._process.poll()) is not None:
                raise BrokerUnavailableError(f"Kafka ended at start with code {code}; see {self._log_file}")
            if _accepts(self.port) and serves(self.bootstrap):
                return
            time.sleep(0.1)
        self.stop()
        raise BrokerUnavailableError(f"Kafka did not answer at {self.bootstrap} within {timeout:g} s")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a broker in the foreground until Ctrl-C or SIGTERM; the exit code."""
    parser = argparse.ArgumentParser(
        prog="broker", description="A local single-node Kafka in the foreground."
    )
    parser.add_argument("--port", type=int, default=9092, help="for clients (default 9092)")
    parser.add_argument("--controller-port", type=int, help="for itself (default: the port after --port)")
    parser.add_argument("--data-dir", type=Path, default=Path("var/kafka"), help="kept between runs")
    options = parser.parse_args(arguments)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # its probes fail until the broker is up
    broker = LocalBroker(
        options.data_dir.resolve(), options.port, options.controller_port or options.port + 1
    )

    def interrupt(_signal: int, _frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    try:
        with broker:
            print(
                f"Kafka answers at {broker.bootstrap}, data in {broker.data_dir}. Ctrl-C ends it.", flush=True
            )
            print(
                f"Try: export LEADFOLD_LOG__ENGINE=kafka LEADFOLD_LOG__BOOTSTRAP={broker.bootstrap}; "
                "leadfold log create",
                flush=True,
            )
            return broker.wait()
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 0
    except BrokerUnavailableError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
