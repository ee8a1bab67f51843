"""The front door over real HTTP, on a real log: answers, limits, and that nothing acknowledged is lost."""

import asyncio
import gzip
import json
import time
from typing import Any

import pytest
import structlog

from ingest.limits import Limits
from ingest.signatures import sign
from ingest.sources import SourceConfig
from tests.ingest.doors import Door, OpenDoor
from tests.ingest.support import SECRET, cases

CALL = "event=1&call_id=1.1&src_num=79990000001&src_type=1&dst_num=74990000011_id1&dst_type=1&timestamp=1710000000"
PBX = f"/in/pbx/{SECRET}"
FORM = f"/in/landing/{SECRET}"


def call(number: int) -> Any:
    return f"{PBX}?{CALL.replace('1.1', f'1.{number}')}"


async def test_a_call_by_get_and_post(door: Door) -> None:
    got = await door.client.get(f"{PBX}?{CALL}")
    assert (got.status, await got.json(), got.content_type) == (200, {"success": True}, "application/json")
    posted = await door.client.post(PBX, data=dict(p.split("=") for p in CALL.split("&")))
    assert posted.status == 200
    one, two = await door.events()
    assert one.id == two.id
    assert one.source == "/sipuni/pbx"
    assert one.evidence.path == "/in/pbx/***"
    assert one.evidence.query == CALL


async def test_the_query_is_kept_byte_for_byte(door: Door) -> None:
    odd = f"{CALL}&treeName=%D0%92%d1%85+x%20y&a[b]=%7e~&%CF=1"
    reader, writer = await asyncio.open_connection(door.client.host, door.client.port)
    writer.write(f"GET {PBX}?{odd} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert b" 200 " in await reader.readline()
    writer.close()
    (event,) = await door.events()
    assert event.evidence.query == odd
    assert event.data.scheme == "Вх x y"


@pytest.mark.parametrize("provider", ["sipuni", "jivo", "tilda", "form"])
async def test_every_delivery_of_the_tables_is_answered_as_the_provider_wants(
    door: Door, provider: str
) -> None:
    name = {"sipuni": "pbx", "jivo": "chat", "tilda": "site", "form": "landing"}[provider]
    for _, case in (c for c in cases() if c[0] == provider and "source" not in c[1]):
        d = case["delivery"]
        headers = {"Token": SECRET} if provider == "tilda" else {}
        headers |= d.get("headers", {})
        kwargs = (
            {"data": d["form"]}
            if "form" in d
            else {"json": d["json"]}
            if "json" in d
            else {"data": d.get("body", "").encode()}
        )
        if "form" in d or "json" in d:
            headers.pop("content-type", None)
        path = "/in/site" if provider == "tilda" else f"/in/{name}/{SECRET}"
        method = d.get("method") or ("GET" if "query" in d and "form" not in d else "POST")
        got = await door.client.request(method, f"{path}?{d.get('query', '')}", headers=headers, **kwargs)
        expected = {
            "sipuni": b'{"success":true}',
            "jivo": b'{"result":"ok"}',
            "form": b'{"result":"ok"}',
            "tilda": b"ok",
        }
        assert (got.status, await got.read()) == (200, expected[provider]), case["name"]


@pytest.mark.parametrize(
    "path",
    [
        f"/in/nobody/{SECRET}",
        "/in/pbx/wrong",
        "/in/pbx",
        "/in/pbx/",
        "/in/site",
        f"/in/landing/{SECRET}x",
        "/in/",
        "/",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "PUT"])
async def test_strangers_hear_the_same_whatever_is_wrong(door: Door, path: str, method: str) -> None:
    got = await door.client.request(method, path, data=b"phone=89990000001" if method != "GET" else None)
    assert got.status == (404 if path != "/in/site" or method != "OPTIONS" else 204)
    assert await door.events() == []


async def test_a_slash_behind_the_address(door: Door) -> None:
    query = "event=5&call_id=1.1&src_num=79990000001"
    plain = await door.client.get(f"/in/pbx/{SECRET}?{query}")
    slashed = await door.client.get(f"/in/pbx/{SECRET}/?{query}")
    assert (
        (slashed.status, await slashed.read())
        == (plain.status, await plain.read())
        == (200, b'{"success":true}')
    )
    token = await door.client.post("/in/site/", data={"Phone": "+79990000001"}, headers={"Token": SECRET})
    assert token.status == 200
    stored = await door.events()
    assert SECRET not in str(stored)
    assert len({e.id for e in stored}) == 2  # one call, however its address was written, and a form
    assert (await door.client.get(f"/in/pbx/{SECRET}//?{query}")).status == 404


async def test_a_token_in_a_header_and_the_bare_probe(door: Door) -> None:
    good = await door.client.post(
        "/in/site", data={"Phone": "89990000001", "tranid": "1:1"}, headers={"token": SECRET}
    )
    assert (good.status, await good.text()) == (200, "ok")
    probe = await door.client.post("/in/site", data={"test": "test"})
    assert (probe.status, await probe.text()) == (200, "ok")
    assert [e.type for e in await door.events()] == ["form.submitted"]


async def test_browsers_may_post_forms(door: Door) -> None:
    origin = {"Origin": "https://sto.example"}
    asked = await door.client.options(FORM, headers=origin | {"Access-Control-Request-Method": "POST"})
    assert (asked.status, asked.headers["Access-Control-Allow-Origin"]) == (204, "*")
    posted = await door.client.post(FORM, data={"phone": "89990000001"}, headers=origin)
    assert posted.headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Origin" not in (await door.client.post(call(1), headers=origin)).headers


async def test_native_keys_find_their_source(door: Door) -> None:
    event = {"id": "1", "type": "walkin.registered", "data": {"walkin_id": "1", "phone": "8 999 000 00 01"}}
    for key, name in ((SECRET + "-erp", "erp"), (SECRET + "-crm", "crm")):
        got = await door.client.post("/v1/events", json=event, headers={"Authorization": f"Bearer {key}"})
        assert got.status == 200
        assert (await got.json())["accepted"] == 1
        assert (await door.events())[-1].source == f"/native/{name}"
    body = json.dumps(event).encode()
    stamp = int(time.time())
    signed = {
        "webhook-id": "m1",
        "webhook-timestamp": str(stamp),
        "webhook-signature": sign(SECRET + "-crm", "m1", stamp, body),
    }
    assert (await door.client.post("/v1/events", data=body, headers=signed)).status == 200
    refused = await door.client.post("/v1/events", data=body + b" ", headers=signed)
    assert (refused.status, refused.headers["WWW-Authenticate"]) == (401, 'Bearer realm="leadfold"')
    assert (await door.client.post("/v1/events", json=event)).status == 401
    assert (await door.client.get("/v1/events")).status == 405
    assert (await door.client.post(f"/in/erp/{SECRET}-erp", json=event)).status == 200
    assert SECRET not in str([e.evidence for e in await door.events()])


async def test_native_refuses_only_what_is_not_json_and_keeps_even_that(door: Door) -> None:
    headers = {"X-Api-Key": SECRET + "-erp"}
    assert (await door.client.post("/v1/events", data=b"{", headers=headers)).status == 400
    assert [e.type for e in await door.events()] == ["delivery.unreadable"]


async def test_unreadable_deliveries_get_success_and_a_record(door: Door) -> None:
    got = await door.client.post(f"/in/chat/{SECRET}", data=b"\xff\x00not json")
    assert (got.status, await got.json()) == (200, {"result": "ok"})
    (event,) = await door.events()
    assert event.evidence.body == b"\xff\x00not json"


async def test_what_nobody_wanted_to_read_is_kept_and_no_alarm(door: Door) -> None:
    deal = {"event_name": "created_deal", "deal_id": 3}
    assert (await door.client.post(f"/in/chat/{SECRET}", json=deal)).status == 200
    assert [e.type for e in await door.events()] == ["delivery.unreadable"]
    shown = await (await door.ops.get("/metrics")).text()
    assert 'outcome="unused"' in shown
    assert 'outcome="unreadable"' not in shown


async def test_gzip(door: Door) -> None:
    packed = gzip.compress("phone=89990000001&text=привет".encode())
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/x-www-form-urlencoded"}
    assert (await door.client.post(FORM, data=packed, headers=headers)).status == 200
    assert (await door.events())[0].data.text == "привет"
    bomb = gzip.compress(b"\0" * 30_000_000)
    assert (await door.client.post(FORM, data=bomb, headers=headers)).status == 413
    assert (await door.client.post(FORM, data=b"no gzip", headers=headers)).status == 200
    found = await door.events()
    assert [e.type for e in found] == ["form.submitted", "delivery.unreadable", "delivery.unreadable"]
    assert bomb.startswith(found[1].evidence.body)
    assert ("Content-Encoding", "gzip") in [(n.title(), v) for n, v in found[1].evidence.headers]


async def test_the_head_of_what_is_too_large_is_kept_when_its_sender_is_known(doors: OpenDoor) -> None:
    """He is told 413 all the same, and somebody can see that he sent it and what it began with."""
    door = await doors(limits=Limits(max_body=100_000))
    large = b"phone=89990000001&text=" + b"a" * 200_000

    async def in_pieces(body: bytes) -> Any:
        for start in range(0, len(body), 10_000):
            yield body[start : start + 10_000]

    erp = {"Authorization": f"Bearer {SECRET}-erp"}
    item = json.dumps({"events": [{"type": "x", "data": "b" * 200_000}]}).encode()
    known: list[tuple[str, bytes, dict[str, str]]] = [
        (FORM, large, {}),
        ("/in/site", large, {"Token": SECRET}),
        ("/v1/events", item, erp),
    ]
    for path, body, headers in known:
        assert (await door.client.post(path, data=body, headers=headers)).status == 413
        assert (await door.client.post(path, data=in_pieces(b" " + body), headers=headers)).status == 413
    found = await door.events()
    assert [(e.type, e.source) for e in found] == [
        ("delivery.unreadable", source)
        for source in ("/form/landing", "/tilda/site", "/native/erp")
        for _ in range(2)
    ]
    for event, (_, body, _) in zip(found, [one for one in known for _ in range(2)], strict=True):
        assert len(event.evidence.body) == 64 * 1024
        assert body.startswith(event.evidence.body.removeprefix(b" "))
        assert event.data.reason.startswith("the body is larger than [ingest] max_body_bytes")

    nobody: list[tuple[str, dict[str, str], int]] = [
        ("/in/landing/wrong", {}, 404),
        ("/in/site", {"Token": "wrong"}, 413),
        ("/v1/events", {"Authorization": "Bearer wrong"}, 413),
        ("/in/nosuch", {}, 404),
    ]
    for path, headers, status in nobody:
        assert (await door.client.post(path, data=large, headers=headers)).status == status
    assert len(await door.events()) == len(found)
    shown = await (await door.ops.get("/metrics")).text()
    assert 'outcome="unreadable",source="landing"} 2.0' in shown
    assert 'outcome="too_large",source="native"} 1.0' in shown


async def test_a_large_delivery_that_cannot_be_kept_now_may_be_sent_again(doors: OpenDoor) -> None:
    door = await doors(with_spool=False, limits=Limits(max_body=1000), deadline_s=0.3)
    with door.hold(door.log.path):
        assert (await door.client.post(FORM, data=b"a" * 2000)).status == 503
    assert (await door.client.post(FORM, data=b"a" * 2000)).status == 413
    assert [e.type for e in await door.wait_for(1)] == ["delivery.unreadable"]


async def test_sizes(doors: OpenDoor) -> Any:
    door = await doors(limits=Limits(max_body=1000, max_line=2000, max_header=500))
    assert (await door.client.post(FORM, data=b"phone=1&x=" + b"a" * 990)).status == 200
    assert (await door.client.post(FORM, data=b"phone=1&x=" + b"a" * 991)).status == 413

    async def in_pieces() -> Any:
        for _ in range(20):
            yield b"a" * 100

    assert (await door.client.post(FORM, data=in_pieces())).status == 413
    assert (await door.client.get(f"{FORM}?x={'a' * 3000}")).status == 400
    assert (await door.client.get(FORM, headers={"X": "a" * 1000})).status == 400


async def test_a_body_that_does_not_come(doors: OpenDoor) -> Any:
    door = await doors(limits=Limits(read_timeout_s=0.2))

    async def stuck() -> Any:
        yield b"phone="
        await asyncio.sleep(2)

    assert (await door.client.post(FORM, data=stuck())).status == 408
    assert await door.events() == []


async def test_a_rate_per_source(doors: OpenDoor) -> None:
    door = await doors(limits=Limits(rate_per_s=0.5, rate_burst=3))
    answers = [await door.client.get(call(n)) for n in range(5)]
    assert [a.status for a in answers] == [200, 200, 200, 429, 429]
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 2
    assert (
        await door.client.post(FORM, data={"phone": "89990000001"})
    ).status == 200  # the others are not disturbed
    assert len(await door.events()) == 4


async def test_too_many_at_once(doors: OpenDoor) -> None:
    door = await doors(limits=Limits(max_in_flight=0))
    got = await door.client.get(call(1))
    assert (got.status, got.headers["Retry-After"]) == (503, "5")


async def test_sources_are_replaced_while_running(door: Door) -> None:
    assert (await door.client.get("/in/new/another-secret?" + CALL)).status == 404
    door.deps.book.replace([SourceConfig("new", "sipuni", "another-secret")])
    assert (await door.client.get("/in/new/another-secret?" + CALL)).status == 200
    assert (await door.client.get(call(1))).status == 404


async def test_many_at_once_share_commits_and_none_is_lost(door: Door) -> None:
    answers = await asyncio.gather(*(door.client.get(call(n)) for n in range(300)))
    assert {a.status for a in answers} == {200}
    assert len({e.id for e in await door.events()}) == 300
    assert door.log.counters["commits"] < 300


# --- what it tells ----------------------------------------------------------------------------------------------


async def test_readiness_health_and_document(door: Door) -> None:
    assert await (await door.ops.get("/readyz")).json() == {
        "ready": True,
        "checks": {
            "log": {"ok": True, "reason": None, "engine": "embedded"},
            "spool": {
                "ok": True, "reason": None, "depth": 0,
                "left": 0, "bytes": 0, "room_bytes": 1024**2, "oldest_age_s": None,
            },
        },
    }  # fmt: skip
    for one in (door.client, door.ops):
        assert await (await one.get("/healthz")).json() == {"alive": True}
    assert (await (await door.client.get("/openapi.json")).json())["openapi"] == "3.1.0"


async def test_the_world_learns_nothing_about_sources_and_counts(door: Door) -> None:
    await door.client.get(call(1))
    assert (await door.client.get("/metrics")).status == 404
    assert await (await door.client.get("/readyz")).json() == {"ready": True}
    assert "pbx" not in await (await door.client.get("/openapi.json")).text()


async def test_metrics_are_those_of_the_list(door: Door) -> None:
    from ingest.metrics import METRICS

    await door.client.get(call(1))
    await door.client.get(PBX)
    await door.client.get("/in/pbx/wrong?secret=1")
    text = await (await door.ops.get("/metrics")).text()
    assert 'leadfold_ingest_deliveries_total{outcome="logged",source="pbx"} 1.0' in text
    assert 'leadfold_ingest_deliveries_total{outcome="probe",source="pbx"} 1.0' in text
    assert 'leadfold_ingest_deliveries_total{outcome="refused",source="pbx"} 1.0' in text
    assert 'leadfold_ingest_facts_total{source="pbx",type="call.started"} 1.0' in text
    assert "leadfold_ingest_spool_records 0.0" in text
    told = {
        line.split()[2]
        for line in text.splitlines()
        if line.startswith("# HELP") and not line.split()[2].endswith("_created")
    }
    assert told == {m.name for m in METRICS}


async def test_logs_hold_neither_secrets_nor_personal_data(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        structlog.testing.capture_logs() as told,
        caplog.at_level("DEBUG"),
        caplog.at_level("DEBUG", logger="ingest.door"),
    ):
        await door.client.get(call(1))
        await door.client.post(FORM, data={"phone": "89990000001", "name": "Иван"})
        await door.client.post(
            f"/in/chat/{SECRET}", data=b'{"event_name": "chat_finished", "visitor": {"name": "\xff'
        )
        await door.client.get(f"/in/pbx/{SECRET}x?{CALL}")
        await door.client.get(FORM, headers={"X": SECRET * 1000})
        await door.client.post("/v1/events", data=b"x", headers={"Authorization": "Bearer " + SECRET})
    shown = json.dumps(told, default=str, ensure_ascii=False) + caplog.text
    assert "ingest.unreadable" in shown
    for secret in (SECRET, "9990000001", "Иван"):
        assert secret not in shown
    accepted = [t for t in told if t["event"] == "ingest.accepted"]
    stored = {str(e.id) for e in await door.events()}
    assert accepted
    assert {i for t in accepted for i in t["events"]} <= stored


async def test_whatever_fails_inside_is_a_503(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("Иван")

    monkeypatch.setattr("ingest.door.records_of", broken)
    got = await door.client.get(call(1))
    assert (got.status, got.headers["Retry-After"]) == (503, "5")
    assert "Иван" not in await got.text()


async def test_events_are_stored_before_the_answer(doors: OpenDoor) -> None:
    """While the log takes nothing nobody is answered; whoever is answered can be read at that very moment."""
    door = await doors(with_spool=False, deadline_s=20.0)

    async def posted(number: int) -> list[str]:
        got = await door.client.get(call(number))
        assert got.status == 200
        return [e.data.call_id for e in await door.events()]

    with door.hold(door.log.path):
        early = [asyncio.create_task(posted(n)) for n in range(5)]
        done, _ = await asyncio.wait(early, timeout=0.7)
        assert not done
        assert await door.events() == []
    for number, stored in enumerate(await asyncio.gather(*early)):
        assert f"1.{number}" in stored
    for number in range(5, 10):
        assert f"1.{number}" in await posted(number)
