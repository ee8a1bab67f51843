"""The floors: what a handler costs that does as little as possible. ``python -m tests.bench.bare 1 nothing|kafka …``.

So many processes (the first argument) listen on one address. The port is written into the file given last, once they do.
"""

import asyncio
import os
import socket
import sys
from pathlib import Path

import uvloop
from aiohttp import web


async def serve(app: web.Application, port_file: Path) -> None:
    """Listen until the process is ended."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    port = int(os.environ.get("PORT", "0"))
    await web.TCPSite(runner, "127.0.0.1", port, reuse_port=port > 0).start()
    if "SECOND" not in os.environ:
        await asyncio.to_thread(port_file.write_text, str(runner.addresses[0][1]))
    await asyncio.Event().wait()


def several(processes: int) -> None:
    """Be so many processes with one port; they are ended with the first one."""
    address = socket.socket()
    address.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    address.bind(("127.0.0.1", 0))
    os.environ["PORT"] = str(address.getsockname()[1])
    for _ in range(processes - 1):
        if os.fork() == 0:
            os.environ["SECOND"] = "1"
            return


async def nothing(port_file: Path) -> None:
    """Reads the body and stores nothing."""

    async def handle(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(body=b"ok")

    app = web.Application()
    app.router.add_route("*", "/in/{name}/{secret}", handle)
    await serve(app, port_file)


async def kafka(bootstrap: str, topic: str, port_file: Path) -> None:
    """Reads the body and answers when Kafka has it: acks=all, idempotent, no linger, keyed."""
    from aiokafka import AIOKafkaProducer

    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True, linger_ms=0)
    await producer.start()

    async def handle(request: web.Request) -> web.Response:
        body = await request.read() or request.query_string.encode()
        await producer.send_and_wait(topic, body, key=body[-16:])
        return web.Response(body=b"ok")

    app = web.Application()
    app.router.add_route("*", "/in/{name}/{secret}", handle)
    await serve(app, port_file)


if __name__ == "__main__":
    count, kind, *rest = sys.argv[1:]
    if int(count) > 1:
        several(int(count))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop_runner:
        if kind == "nothing":
            loop_runner.run(nothing(Path(rest[0])))
        else:
            loop_runner.run(kafka(rest[0], rest[1], Path(rest[2])))
