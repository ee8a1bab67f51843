"""The load: connections that post, wait for the answer and post again; a process of its own, bounded in time.

``python -m tests.bench.load '{"port": …, "path": …, "shape": "tilda", "connections": 64, "seconds": 3, "first": 0}'``
prints a `Result` as JSON. With ``per_s`` deliveries are sent at that pace instead of as fast as they are answered.
"""

import asyncio
import json
import re
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import cast

import uvloop

from tests.bench.deliveries import SHAPES

_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")


@dataclass(frozen=True, slots=True)
class Load:
    """What to send. Numbers of deliveries begin at ``first``; two runs on one server take different ones."""

    port: int
    path: str
    shape: str
    seconds: float
    first: int = 0
    connections: int = 64
    per_s: float | None = None
    stamps: bool = False  # also tell when each was accepted


@dataclass(slots=True)
class Result:
    """What came back. ``seconds`` from the first request to the last answer; latencies are seconds."""

    answers: dict[str, int] = field(default_factory=dict)
    sent: int = 0
    seconds: float = 0.0
    p50: float = 0.0
    p99: float = 0.0
    stamps: list[float] = field(default_factory=list)  # Unix time of each answer 2xx

    @property
    def accepted(self) -> int:
        """Answers 2xx."""
        return sum(count for status, count in self.answers.items() if status.startswith("2"))


class _Numbers:
    """Numbers for all connections, and when the next one is due."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.next = load.first
        self.began = time.perf_counter()
        self.ends = self.began + load.seconds
        self.answers: Counter[str] = Counter()
        self.latencies: list[float] = []
        self.stamps: list[float] = []
        self.done = asyncio.Event()
        self.open = 0

    def due_in(self) -> float:
        """Seconds until the next delivery may be sent."""
        if self.load.per_s is None:
            return 0.0
        return (self.next - self.load.first) / self.load.per_s - (time.perf_counter() - self.began)


class _Poster(asyncio.Protocol):
    def __init__(self, numbers: _Numbers) -> None:
        self._numbers = numbers
        self._shape = SHAPES[numbers.load.shape]
        self._buffer = b""
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._numbers.open += 1
        self._send()

    def _send(self) -> None:
        numbers = self._numbers
        now = time.perf_counter()
        if now >= numbers.ends:
            self._transport.close()
            return
        wait_s = numbers.due_in()
        if wait_s > 0:
            asyncio.get_running_loop().call_later(wait_s, self._send)
            return
        number = numbers.next
        numbers.next += 1
        self._sent_at = now
        self._transport.write(self._shape(numbers.load.path, number))

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        head = buffer.find(b"\r\n\r\n")
        length = _LENGTH.search(buffer, 0, head + 4) if head >= 0 else None
        if head < 0 or len(buffer) < head + 4 + (int(length[1]) if length else 0):
            self._buffer = buffer
            return
        self._buffer = b""
        numbers = self._numbers
        numbers.answers[buffer[9:12].decode()] += 1
        numbers.latencies.append(time.perf_counter() - self._sent_at)
        if numbers.load.stamps and buffer[9:10] == b"2":
            numbers.stamps.append(time.time())
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        self._numbers.open -= 1
        if not self._numbers.open:
            self._numbers.done.set()


async def _run(load: Load) -> Result:
    numbers = _Numbers(load)
    loop = asyncio.get_running_loop()
    for _ in range(load.connections):
        await loop.create_connection(lambda: _Poster(numbers), "127.0.0.1", load.port)
    async with asyncio.timeout(load.seconds + 30):
        await numbers.done.wait()
    took = time.perf_counter() - numbers.began
    found = sorted(numbers.latencies) or [0.0]
    return Result(
        dict(numbers.answers),
        numbers.next - load.first,
        took,
        found[len(found) // 2],
        found[len(found) * 99 // 100],
        numbers.stamps,
    )


def send(load: Load) -> Result:
    """Send it from a process of its own.

    Raises:
        subprocess.CalledProcessError: the server went away.
    """
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.load", json.dumps(asdict(load))],
        stdout=subprocess.PIPE, check=True, timeout=load.seconds + 60,
    )  # fmt: skip
    return Result(**json.loads(done.stdout))


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(asdict(runner.run(_run(Load(**json.loads(sys.argv[1])))))))
