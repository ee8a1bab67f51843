"""Callers who send what is no HTTP: every part says the kind of it, as a warning, and quotes nothing."""

import asyncio
import logging
from pathlib import Path

import pytest
from aiohttp import web

from leadfold.config_file import load
from leadfold.services.base import health_app, served

SECRET = "+79031234567"
NO_HTTP = (
    f"GET /{SECRET} HTTP/1.1\r\nHost: localhost\r\nX-One: a\0{SECRET}\r\n\r\n",
    f"GET /{SECRET} HTTP/1.1\r\nHost: localhost\r\nX{SECRET} Two: a\r\n\r\n",
    f"GET {SECRET} {SECRET} HTTP/9.9\r\n\r\n",
    f"\x16\x03\x01{SECRET}\r\n\r\n",
)


async def answer(address: str, sent: str) -> bytes:
    host, _, port = address.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(sent.encode("latin-1"))
    await writer.drain()
    try:
        return await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()


async def test_what_is_no_http_is_told_without_a_word_of_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "leadfold.toml").write_text(f'[secrets]\nkey_secret = "{"k" * 40}"\n')
    settings = load(tmp_path).settings

    async def broken(_: web.Request) -> web.Response:
        raise KeyError(SECRET)

    app = health_app(lambda: asyncio.sleep(0, {"ready": True}), lambda: asyncio.sleep(0, ""))
    app.router.add_get("/broken", broken)
    with caplog.at_level(logging.INFO):
        async with served(app, settings, "part", "127.0.0.1", 0) as address:
            for sent in NO_HTTP:
                assert (await answer(address, sent)).startswith(b"HTTP/1.0 400")
            ours = await answer(
                address, "GET /broken HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            )
            assert ours.startswith(b"HTTP/1.1 500")
    told = [record for record in caplog.records if record.name == "leadfold.http"]
    assert {record.levelname for record in told} == {"WARNING", "ERROR"}
    assert [r.getMessage().partition(";")[0] for r in told if r.levelname == "ERROR"] == [
        "request failed: KeyError"
    ]
    assert not [record for record in told if record.exc_info or SECRET in record.getMessage()]
    assert all(r.getMessage().startswith("bad request: ") for r in told if r.levelname == "WARNING")
    assert "test_server_log.py" in told[-1].getMessage()  # where it was
