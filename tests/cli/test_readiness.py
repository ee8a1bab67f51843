"""How commands learn how the parts are: here, elsewhere, not at all; and what they say then."""

import asyncio
import json
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from aiohttp import web

from eventlog.contract import LogUnavailable, Record
from eventlog.embedded import EmbeddedLog
from eventlog.spool import Spool
from ingest.app import CONNECTIONS, DOOR, build_app
from ingest.door import IngestDeps
from ingest.ops import ops_app
from ingest.sources import SourceBook
from leadfold.announce import OPS, announce, announced
from leadfold.cli import status as command
from leadfold.cli.wait import spool_depth
from leadfold.config_file import Config, load
from leadfold.readiness import Address, address_of, ask
from leadfold.services.base import health_app, served
from leadfold.services.ingest import room_for

ROOT = Path(__file__).parents[2]


def config(folder: Path, more: str = "") -> Config:
    folder.mkdir(exist_ok=True)
    (folder / "leadfold.toml").write_text(f'[secrets]\nkey_secret = "{"k" * 40}"\n{more}')
    return load(folder)


@asynccontextmanager
async def door(folder: Path, waiting: int) -> AsyncIterator[str]:
    """A front door as another machine has it, with records in its spool; its address."""
    settings = config(folder).settings
    async with EmbeddedLog(folder / "events.db") as log, Spool(folder / "spool.db") as spool:
        if waiting:
            await spool.put([Record(b"k", b"v", ())] * waiting, deadline_s=5)
        deps = IngestDeps(log=log, spool=spool, book=SourceBook([]), key_secret=b"k" * 40, drain=False)
        app = build_app(deps)
        async with (
            served(app, settings, "ingest", "127.0.0.1", 0),
            served(ops_app(app[DOOR], app[CONNECTIONS]), settings, OPS, "127.0.0.1", 0) as address,
        ):
            yield address


async def test_a_spool_elsewhere_is_asked_for(tmp_path: Path) -> None:
    async with door(tmp_path / "there", 3) as address:
        here = config(tmp_path / "here", f'[ingest]\nstatus_url = "{address}"\n').settings
        assert await spool_depth(here) == 3
        told = await ask(Address(address))
        assert told is not None
        assert told.ready
        assert told.checks["spool"]["depth"] == 3
    with pytest.raises(LogUnavailable, match=f"ingest does not answer at {address}"):
        await spool_depth(here)
    assert await ask(Address(address)) is None


async def test_an_ingest_that_nobody_named_cannot_be_waited_for(tmp_path: Path) -> None:
    settings = config(tmp_path, '[log]\nengine = "kafka"\n[ingest]\nops_port = 1\n').settings
    assert address_of(settings, "ingest") == Address("http://127.0.0.1:1")
    assert await spool_depth(settings) == 0


@pytest.mark.parametrize("hours", [5, -7])
async def test_a_part_is_found_though_the_clock_was_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    """The time of day at which the kernel says that it was started moves with the clock."""
    settings = config(tmp_path).settings
    async with served(web.Application(), settings, "report", "127.0.0.1", 0):
        before, told = announced(settings, "report"), psutil.boot_time()
        for name in ("psutil.boot_time", "psutil._pslinux.boot_time"):
            monkeypatch.setattr(name, lambda: told + hours * 3600)
        assert psutil.Process().create_time() > told + hours * 3600
        assert announced(settings, "report") == before is not None


def test_a_process_of_the_same_id_that_was_started_at_another_time_is_not_ours(tmp_path: Path) -> None:
    settings = config(tmp_path).settings
    announce(settings, "report", "127.0.0.1", 1)
    assert announced(settings, "report") is not None
    file = settings.data_dir / "run" / "report.json"
    told = json.loads(file.read_text())
    for other in ("", told["started"][:-1], f"0{told['started']}"):
        file.write_text(json.dumps({**told, "started": other}))
        assert announced(settings, "report") is None


async def test_whoever_else_answers_is_not_ours(tmp_path: Path) -> None:
    settings = config(tmp_path).settings
    assert address_of(settings, "report") is None  # embedded: it would have announced itself

    async def other(_: web.Request) -> web.Response:
        return web.json_response(["somebody"])

    app = web.Application()
    app.router.add_get("/readyz", other)
    async with served(app, settings, "report", "127.0.0.1", 0) as address:
        assert await ask(Address(address)) is None
        assert address_of(settings, "report") == Address(address, address_of(settings, "report").pid)  # type: ignore[union-attr]


async def test_parts_of_our_own_have_one_shape(tmp_path: Path) -> None:
    checks = {"database": {"ok": False, "reason": "Postgres does not answer"}}

    async def ready() -> dict[str, Any]:
        return {"ready": False, "checks": checks}

    async def metrics() -> str:
        return ""

    async with served(
        health_app(ready, metrics), config(tmp_path).settings, "project", "127.0.0.1", 0
    ) as url:
        told = await ask(Address(url))
        assert told is not None
        assert (told.ready, told.checks) == (False, checks)


def test_a_stopped_service_says_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = asyncio.run(command.collect(config(tmp_path)))
    assert found["projection"] is None
    assert found["parts"]["ingest"]["running"] is False
    command._show(found)
    shown = capsys.readouterr().out
    assert "unknown, Postgres does not run" in shown
    assert "no read models yet" not in shown
    assert shown.count("not running") == 3


def test_what_does_not_answer_from_here_is_not_called_dead() -> None:
    part = {"running": None, "ready": False, "url": "http://10.0.0.5:8080", "pid": None, "checks": None}
    assert "not reachable from here" in command._state(part)


def test_compose_reaches_every_part_as_the_settings_say(tmp_path: Path) -> None:
    """Commands run on the host's network, where each part is published at its default port."""
    services = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())["services"]
    settings = config(tmp_path).settings
    for name in ("cli", "report"):
        assert services[name]["network_mode"] == "host"
    published = " ".join(services["ingest"]["ports"] + services["project"]["ports"])
    assert f"{settings.ingest.port}:{settings.ingest.port}" in published
    assert f"127.0.0.1:{settings.projector.port}-" in published
    assert services["project"]["environment"]["LEADFOLD_PROJECTOR__HOST"] == "0.0.0.0"
    # pages answer the loopback only: nothing may tell them to listen elsewhere
    assert not any("REPORTS__HOST" in str(s.get("environment")) for s in services.values())


def test_the_limit_of_open_files_is_raised_and_bounds_connections() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        assert room_for(50) == 50
        if hard != resource.RLIM_INFINITY:
            assert room_for(hard * 2) == hard - 200
            assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
