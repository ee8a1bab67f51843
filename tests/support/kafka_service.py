"""A process that holds the test run's shared Kafka: starts it, says where it is, ends it with the run.

Apart from the workers because the worker that needs Kafka first may be the first to be done. It watches the run's
controller and ends with it, so even a killed run leaves no broker behind. Started by ``tests.support.kafka``::

    python -m tests.support.kafka_service RUN_DIR CONTROLLER_PID
"""

import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import docker
import psutil
from docker.errors import DockerException
from testcontainers.core.container import DockerContainer

from deploy.kafka.broker import BrokerUnavailableError, LocalBroker, free_ports, serves, why_unavailable

#: The same release as deploy/kafka/pom.xml.
IMAGE = "apache/kafka:4.3.1"
#: Cheap compilation and collection: the broker lives for minutes on a machine shared with the tests.
JVM_OPTIONS = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")

Running = tuple[str, Callable[[], object]]  # bootstrap, and how to stop it


def docker_answers() -> bool:
    """Whether a Docker engine is there; the client alone is no engine."""
    try:
        client = docker.from_env(timeout=5)
    except (DockerException, OSError):
        return False
    try:
        return bool(client.ping())
    except (DockerException, OSError):
        return False
    finally:
        client.close()


def start_container() -> Running:
    """Kafka in a container, on a port of 127.0.0.1 chosen beforehand because the broker has to advertise it."""
    (port,) = free_ports(1)
    settings = {
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_LISTENERS": "PLAINTEXT://:9092,CONTROLLER://:9093",
        "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://127.0.0.1:{port}",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
    }
    container = DockerContainer(IMAGE).with_bind_ports(9092, port)
    for name, value in settings.items():
        container = container.with_env(name, value)
    container.start()
    bootstrap = f"127.0.0.1:{port}"
    deadline = time.monotonic() + 60
    while not serves(bootstrap):
        if time.monotonic() > deadline:
            container.stop()
            raise BrokerUnavailableError(
                f"the container of {IMAGE} did not answer at {bootstrap} within 60 s"
            )
        time.sleep(0.2)
    return bootstrap, container.stop


def start_local(run_dir: Path) -> Running:
    """Kafka from jars, with its data in the run's folder."""
    port, controller_port = free_ports(2)
    broker = LocalBroker(run_dir / "kafka", port, controller_port, jvm_options=JVM_OPTIONS)
    broker.start()
    return broker.bootstrap, broker.stop


def start_any(run_dir: Path) -> Running:
    """A container where Docker answers, else the local broker.

    Raises:
        BrokerUnavailableError: neither works here.
    """
    if docker_answers():
        try:
            return start_container()
        except (DockerException, OSError, BrokerUnavailableError) as error:
            if why_unavailable() is not None:
                raise BrokerUnavailableError(f"Docker answers, but {IMAGE} does not run: {error}") from error
            print(f"no container ({error}); taking the local broker", file=sys.stderr)
    return start_local(run_dir)


def main() -> int:
    """Start, tell through ``kafka.json`` in the run's folder, wait for the end of the run; the exit code."""
    folder, controller = Path(sys.argv[1]), int(sys.argv[2])
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # probes fail until the broker is up
    told_to_end: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: told_to_end.append(number))
    try:
        bootstrap, stop = start_any(folder)
    except BrokerUnavailableError as error:
        _tell(folder, {"error": str(error)})
        return 1
    try:
        _tell(folder, {"bootstrap": bootstrap, "pid": os.getpid()})
        while not told_to_end and psutil.pid_exists(controller):
            time.sleep(0.2)
    finally:
        stop()
    return 0


def _tell(folder: Path, state: dict[str, object]) -> None:
    part = folder / "kafka.json.part"
    part.write_text(json.dumps(state), encoding="utf-8")
    part.rename(folder / "kafka.json")


if __name__ == "__main__":
    sys.exit(main())
