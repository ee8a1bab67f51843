"""Which Kafka the tests talk to, and how several worker processes share one.

In this order: ``KAFKA_BOOTSTRAP`` from the environment; a container where a Docker engine answers; a local broker
from Maven's jars (``deploy/kafka``). The last two run under ``tests.support.kafka_service``.
"""

import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.support import run_dir

ROOT = Path(__file__).resolve().parents[2]
#: A container has to be pulled the first time.
_START_TIMEOUT = 300.0


class KafkaUnavailableError(RuntimeError):
    """There is no Kafka to be had here; the message says why."""


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield  # closing the file lets go of the lock


def shared_bootstrap() -> str:
    """``host:port`` of the run's shared Kafka; the first caller of all workers starts it, the rest wait for it.

    Raises:
        KafkaUnavailableError: neither environment, nor Docker, nor Java and jars.
    """
    if given := os.environ.get("KAFKA_BOOTSTRAP"):
        return given
    folder = run_dir.current()
    state = folder / "kafka.json"
    with _locked(folder / "kafka.lock"):
        if not state.exists():
            _start_service(folder, state)
        answer = json.loads(state.read_text())
    if "error" in answer:
        raise KafkaUnavailableError(answer["error"])
    return str(answer["bootstrap"])


def _start_service(folder: Path, state: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "tests.support.kafka_service",
        str(folder),
        str(run_dir.controller_pid()),
    ]
    with (folder / "kafka_service.log").open("ab") as log:
        service = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    deadline = time.monotonic() + _START_TIMEOUT
    while not state.exists():
        if service.poll() is not None or time.monotonic() > deadline:
            service.kill()
            log_text = (folder / "kafka_service.log").read_text()
            state.write_text(json.dumps({"error": f"the shared broker did not start: {log_text[-2000:]}"}))
            return
        time.sleep(0.05)


def stop_shared(folder: Path) -> None:
    """End the run's shared Kafka, when one was started. Called once, by the controller, after all tests."""
    state = folder / "kafka.json"
    if not state.exists() or "pid" not in (answer := json.loads(state.read_text())):
        return
    try:
        service = psutil.Process(answer["pid"])
        service.terminate()
        service.wait(30)
    except psutil.NoSuchProcess:
        return
