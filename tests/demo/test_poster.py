"""The poster against a real server that misbehaves."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from aiohttp import web

from ingest.wire import RECEIVED_HEADER
from leadfold.demo.poster import Poster, Target
from leadfold.demo.sent import CRM, JSON, SIPUNI, Sent

AT = datetime(2026, 3, 1, 9, tzinfo=UTC)


class Server:
    """Answers 503 or cuts the connection as many times as it is told, then takes what it gets."""

    def __init__(self) -> None:
        self.refuse = 0
        self.cut = 0
        self.taken: list[tuple[str, str, str, str, bytes]] = []
        self.tried: Counter[str] = Counter()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.tried[request.query_string] += 1
        if self.cut and self.tried[request.query_string] <= self.cut:
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        if self.tried[request.query_string] <= self.refuse:
            return web.Response(status=503, headers={"Retry-After": "0"})
        self.taken.append(
            (
                request.method,
                request.raw_path,
                request.headers.get(RECEIVED_HEADER, ""),
                request.headers.get("Authorization", ""),
                body,
            )
        )
        return web.json_response({"success": True})


@pytest.fixture
async def server() -> AsyncIterator[tuple[Server, str]]:
    handler = Server()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handler.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    yield handler, f"http://{host}:{port}"
    await runner.cleanup()


def _ring(number: int) -> Sent:
    return Sent(
        AT, SIPUNI, "sipuni.1", f"call:{number}", method="GET", query=f"event=1&call_id={number}&x=%2B7%20a"
    )


async def test_a_delivery_arrives_as_it_was_written(server: tuple[Server, str]) -> None:
    handler, url = server
    targets = {
        SIPUNI: Target(f"{url}/in/s/key?own=1"),
        CRM: Target(f"{url}/v1/events", (("Authorization", "Bearer k"),)),
    }
    async with Poster(targets, dated=True) as poster:
        ring = await poster.post(_ring(1))
        card = await poster.post(Sent(AT, CRM, "crm", "card:1", headers=JSON, body=b"[1]"))
    assert (ring.status, ring.attempts, ring.accepted) == (200, 1, True)
    assert card.body == b'{"success": true}'
    assert handler.taken[0][:3] == ("GET", "/in/s/key?own=1&event=1&call_id=1&x=%2B7%20a", AT.isoformat())
    assert handler.taken[1][3:] == ("Bearer k", b"[1]")


async def test_refused_and_cut_deliveries_are_posted_again(server: tuple[Server, str]) -> None:
    handler, url = server
    handler.refuse, handler.cut = 3, 2
    async with Poster({SIPUNI: Target(url)}, connections=8) as poster:
        await poster.post_all(_ring(n) for n in range(40))
    assert len(handler.taken) == 40
    assert all(a.accepted and a.attempts >= 3 for a in poster.answers)
    assert not handler.taken[0][2], "no date without being told to"


async def test_gives_up_in_the_end(server: tuple[Server, str]) -> None:
    handler, url = server
    handler.refuse = 10_000
    async with Poster({SIPUNI: Target(url)}, give_up_s=0.3) as poster:
        answer = await poster.post(_ring(1))
    assert answer.status == 503
    assert not answer.accepted
    assert poster.answers == [answer]


async def test_every_answer_is_told(server: tuple[Server, str]) -> None:
    _, url = server
    seen: list[str] = []
    async with Poster({SIPUNI: Target(url)}, connections=4) as poster:
        await poster.post_all([_ring(n) for n in range(25)], lambda a: seen.append(a.sent.group))
    assert sorted(seen) == sorted(f"call:{n}" for n in range(25))
