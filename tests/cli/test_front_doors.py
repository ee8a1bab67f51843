"""Several front doors on one address: what each has, who holds the address, and who looks after what was left."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from eventlog.contract import Record
from eventlog.spool import Spool
from leadfold import doors
from leadfold.announce import announced
from leadfold.cli.status import collect
from leadfold.cli.wait import spool_depth
from leadfold.config_file import Config, WrongConfig, load, parse
from leadfold.readiness import Address, address_of, parts
from leadfold.services.ingest import limits
from leadfold.services.left_spools import LeftSpools
from leadfold.wiring import event_log, spool_path, spools

HEAD = f'[secrets]\nkey_secret = "{"k" * 40}"\n'
PATH = Path("leadfold.toml")


def config(folder: Path, more: str = "") -> Config:
    folder.mkdir(exist_ok=True)
    (folder / "leadfold.toml").write_text(HEAD + more)
    return load(folder)


def two(folder: Path, port: int, more: str = "") -> Config:
    return config(folder, f'[ingest]\nhost = "127.0.0.1"\nport = {port}\nprocesses = 2\nops_port = 0\n{more}')


# --- settings -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[ingest]\nprocesses = 3\nops_port = 9000\n[projector]\nport = 9002\n", "port 9002 is already that"),
        ("[ingest]\nprocesses = 3\nops_port = 65534\n", "the last of 3 processes would have port 65536"),
        (
            '[ingest]\nprocesses = 2\nstatus_url = "http://ops.example"\n',
            "http://ops.example names no port: further processes are asked at the ports after it",
        ),
        ("[ingest]\nprocesses = 0\n", "processes"),
    ],
)
def test_what_cannot_be(text: str, told: str) -> None:
    with pytest.raises(WrongConfig, match=told):
        parse(HEAD + text, PATH)


def test_a_system_that_does_not_spread_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors, "SPREADS", False)
    with pytest.raises(WrongConfig, match="does not spread connections over processes"):
        parse(f"{HEAD}[ingest]\nprocesses = 2\n", PATH)
    parse(f"{HEAD}[ingest]\nprocesses = 1\n", PATH)


def test_limits_hold_for_all_together() -> None:
    settings = parse(
        f"{HEAD}[ingest]\nprocesses = 4\nrate_per_s = 10\nrate_burst = 3\nmax_in_flight = 100\n"
        "max_connections = 1000\n",
        PATH,
    )
    mine = limits(settings)
    assert (mine.rate_per_s, mine.rate_burst) == (2.5, 1)
    assert (mine.max_in_flight, mine.max_connections) == (25, 250)
    assert limits(parse(f"{HEAD}[ingest]\nprocesses = 4\nrate_per_s = 0\n", PATH)).rate_per_s is None


def test_each_has_a_name_and_an_ops_address_of_its_own() -> None:
    kafka = f'{HEAD}[log]\nengine = "kafka"\n[ingest]\nprocesses = 2\n'
    settings = parse(kafka, PATH)
    assert parts(settings) == ("ingest", "ingest-2", "project", "report")
    assert [settings.ops_port_of(n) for n in (1, 2)] == [(8083, False), (8084, False)]
    assert address_of(settings, "ingest-2") == Address("http://127.0.0.1:8084")
    settings = parse(f'{kafka}status_url = "http://10.0.0.5:9000/"\n', PATH)
    assert [address_of(settings, name) for name in ("ingest", "ingest-2")] == [
        Address("http://10.0.0.5:9000", given=True), Address("http://10.0.0.5:9001", given=True),
    ]  # fmt: skip
    settings = parse(f"{HEAD}[ingest]\nprocesses = 2\nops_port = 9000\n[reports]\nport = 8084\n", PATH)
    assert [settings.ops_port_of(n) for n in (1, 2)] == [(9000, True), (9001, True)]
    settings = parse(f"{HEAD}[ingest]\nprocesses = 2\n[reports]\nport = 8084\n", PATH)
    assert [settings.ops_port_of(n) for n in (1, 2)] == [(8083, False), (0, False)]


# --- the address --------------------------------------------------------------------------------------------------


def listening(port: int, *options: int) -> socket.socket:
    made = socket.socket()
    try:
        for option in (socket.SO_REUSEADDR, *options):
            made.setsockopt(socket.SOL_SOCKET, option, 1)
        made.bind(("127.0.0.1", port))
        made.listen()
    except BaseException:
        made.close()
        raise
    return made


def test_the_address_is_ours_alone(tmp_path: Path) -> None:
    settings = two(tmp_path / "a", 0).settings
    with doors.reserved(settings) as port:
        assert port > 0
        other = two(tmp_path / "b", port).settings
        for listeners in (0, 2):  # while nobody listens there, too
            ours = [listening(port, socket.SO_REUSEPORT) for _ in range(listeners)]
            with pytest.raises(OSError, match="in use"), doors.reserved(other):
                raise AssertionError("two installations have one address")
            with pytest.raises(OSError, match="in use"):
                listening(port)
            # connections that end linger, and are in nobody's way later
            connected = [
                socket.create_connection(("127.0.0.1", port), timeout=5) for _ in range(10 * listeners)
            ]
            for each in (*ours, *connected):
                each.close()
    with doors.reserved(other) as port_again:
        assert port_again == port
    with closing(listening(port)), pytest.raises(OSError, match="in use"), doors.reserved(other):
        raise AssertionError("somebody listens there")


def test_one_front_door_sees_to_its_address_itself(tmp_path: Path) -> None:
    alone = config(tmp_path, "[ingest]\nport = 1\n").settings
    with doors.reserved(alone) as port:
        assert port == 1
    assert doors.environment(alone, port) == dict(os.environ)


# --- spools -------------------------------------------------------------------------------------------------------


async def keep(path: Path, *keys: bytes) -> None:
    async with Spool(path) as spool:
        await spool.put([Record(key, b"{}", ()) for key in keys], deadline_s=5)


async def test_what_is_left_of_former_processes_is_shipped_once(tmp_path: Path) -> None:
    settings = config(tmp_path).settings
    await keep(spool_path(settings), b"mine")
    await keep(spool_path(settings, 2), b"two", b"three")
    await keep(spool_path(settings, 11), b"eleven")
    (tmp_path / "data" / "spool" / "spool-x.db").write_text("something else")
    assert list(spools(settings)) == [1, 2, 11]
    assert await spool_depth(settings) == 4
    assert (await collect(load(tmp_path)))["spool"] == {"records": 4}
    async with event_log(settings, writable=True) as log:
        left = LeftSpools(settings, log)
        async with Spool(spool_path(settings, 11)):  # its process has not ended yet
            task = asyncio.create_task(left.run())
            while await spool_depth(settings) > 2:  # noqa: ASYNC110 - another task's file
                await asyncio.sleep(0.05)
        await asyncio.wait_for(task, 30)
        assert left.depth == 0
        stored = await log.read(0, 0, max_records=10, max_wait_s=0)
        assert sorted(each.record.key for each in stored) == [b"eleven", b"three", b"two"]
        await LeftSpools(settings, log).run()
        assert (await log.bounds())[0] == (0, 3)
    assert await spool_depth(settings) == 1


# --- processes ----------------------------------------------------------------------------------------------------


@contextmanager
def running(current: Config, *names: str) -> Iterator[subprocess.Popen[str]]:
    """``leadfold ingest`` until these parts have announced themselves."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("LEADFOLD_", "COVERAGE"))}
    process = subprocess.Popen(
        [sys.executable, "-m", "leadfold", "ingest", "--config", str(current.file)],
        env=environment, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        ends = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < ends:
            if all(announced(current.settings, name) for name in names):
                break
            time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=20)


def told(current: Config, part: str, path: str) -> str:
    found = announced(current.settings, part)
    assert found is not None, part
    with urllib.request.urlopen(f"{found.url}{path}", timeout=5) as response:
        return str(response.read().decode())


def accepted(url: str) -> bool:
    """Whether a trial of Tilda's, which makes no event, is answered with success."""
    try:
        with urllib.request.urlopen(url, b"test=test", timeout=5) as response:
            return bool(response.status == 200)
    except urllib.error.HTTPError:
        return False


@pytest.mark.slow
def test_leadfold_ingest_starts_as_many_as_are_set(tmp_path: Path) -> None:
    source = f'[[sources]]\nname = "site"\nprovider = "tilda"\nsecret = "{"s" * 20}"\n'
    current = two(tmp_path / "a", 0, f'[[offices]]\nid = "o"\nlabel = "O"\n{source}')
    with running(current, "ingest", "ingest-2", "ingest-ops", "ingest-ops-2") as process:
        first, second = (announced(current.settings, name) for name in ("ingest", "ingest-2"))
        assert first is not None
        assert second is not None
        assert first.port == second.port
        assert len({first.pid, second.pid, process.pid}) == 3
        for number in range(40):  # a connection each: it is all on one with a chance of 1 in 10^12
            with urllib.request.urlopen(
                f"{first.url}/in/site/{'s' * 20}",
                f"Phone=7903000{number:04}&formid=f{number}".encode(),
                timeout=5,
            ) as response:
                assert response.read() == b"ok"
        taken = []
        for ops in ("ingest-ops", "ingest-ops-2"):
            assert json.loads(told(current, ops, "/readyz"))["checks"]["spool"]["left"] == 0
            lines = told(current, ops, "/metrics").splitlines()
            taken += [float(line.split()[1]) for line in lines if 'outcome="logged"' in line]
        assert len(taken) == 2
        assert sum(taken) == 40

        # a source that is added is known to both
        added = current.file.read_text() + source.replace("site", "second").replace("s" * 20, "t" * 20)
        current.file.write_text(added)
        ends, known = time.monotonic() + 30, 0
        while known < 40 and time.monotonic() < ends:
            known = known + 1 if accepted(f"{first.url}/in/second/{'t' * 20}") else 0
        assert known == 40

        other = two(tmp_path / "b", first.port)
        with running(other, "ingest") as refused:
            assert refused.wait(30) == 4
            assert refused.stderr is not None
            assert f"cannot listen on 127.0.0.1:{first.port}: address already in use" in refused.stderr.read()

        os.kill(second.pid, signal.SIGKILL)
        ends = time.monotonic() + 30
        again = None
        while (again is None or again.pid == second.pid) and time.monotonic() < ends:
            time.sleep(0.05)
            again = announced(current.settings, "ingest-2")
        assert again is not None
        assert (again.port, again.pid != second.pid) == (first.port, True)
        process.terminate()
        assert process.wait(15) == 0
    assert announced(current.settings, "ingest") is None
    assert announced(current.settings, "ingest-2") is None

    async def stored() -> list[Record]:
        async with event_log(current.settings) as log:
            return [each.record for each in await log.read(0, 0, max_records=1000, max_wait_s=0)]

    types = [dict(record.headers).get("ce_type", b"") for record in asyncio.run(stored())]
    assert types.count(b"form.submitted") == 40
    assert sum(t.startswith(b"dictionary.") for t in types) == 1, "the directory is published by one of them"
