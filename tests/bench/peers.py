"""Packages from PyPI that do something alike. They live in an environment of their own (``make bench`` makes it)."""

import os
import subprocess
import sys
import time
from pathlib import Path

from deploy.kafka.broker import free_ports
from tests.bench.servers import Running

ROOT = Path(__file__).resolve().parents[2]


def python() -> Path | None:
    """The interpreter of the peers' environment; None when it was not made."""
    found = Path(os.environ.get("BENCH_PEERS", ROOT / "build" / "bench-venv")) / "bin" / "python"
    return found if found.exists() else None


def faststream(bootstrap: str, topic: str) -> Running:
    """FastStream behind uvicorn: a raw ASGI route that publishes the body, keyed."""
    return _running("FastStream", "peer_faststream.py", bootstrap, topic)


def mq_bridge(bootstrap: str, topic: str) -> Running:
    """mq-bridge's route from HTTP to Kafka: its own server and librdkafka, no handler of ours."""
    return _running("mq-bridge", "peer_mq_bridge.py", bootstrap, topic)


def _running(name: str, script: str, bootstrap: str, topic: str) -> Running:
    (port,) = free_ports(1)
    process = subprocess.Popen(
        [str(python()), str(Path(__file__).with_name(script)), bootstrap, topic, str(port)],
        stdout=subprocess.DEVNULL, stderr=sys.stderr,
    )  # fmt: skip
    _until_listening(process, port)
    return Running(name, process, port, {"tilda": "/in/site/secret", "sipuni": "/in/pbx/secret"})


def _until_listening(process: subprocess.Popen[bytes], port: int) -> None:
    import socket

    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    process.kill()
    raise RuntimeError("the peer does not listen")


def eventsourcing(facts: Path, url: str) -> float:
    """Events a second of `eventsourcing`'s projection on the same facts (a prefix of them: it is slow)."""
    done = subprocess.run(
        [str(python()), str(Path(__file__).with_name("peer_eventsourcing.py")), str(facts), url],
        stdout=subprocess.PIPE, check=True, timeout=300,
    )  # fmt: skip
    return float(done.stdout.decode().split()[-1])
