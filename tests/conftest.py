"""Shared fixtures: real servers, found or started, never imitated.

- ``kafka_bootstrap``: ``host:port`` of a Kafka shared by all tests of the run; use topic names of your own.
- ``kafka_broker``: a `LocalBroker` for one test alone, to kill, freeze and restart.
- ``postgres_url``: a server for the whole worker; ``database_url``: an empty database for one test.
- ``postgres_server``: a `LocalPostgres` for one test alone, to kill and restart.
- ``browser_pages``: opens pages at any size and theme; ``browser_page``: one page, 1440 x 900, light.
"""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
import structlog
from hypothesis import settings
from playwright.async_api import Browser, Page

from deploy.kafka.broker import LocalBroker, free_ports, why_unavailable
from tests.support import browser, kafka, postgres, run_dir
from tests.support.kafka_service import JVM_OPTIONS
from tests.support.require import unavailable

# Generated tests are slow now and then (a server, a busy machine): that is no failure.
settings.register_profile("leadfold", deadline=None, print_blob=True)
settings.load_profile("leadfold")

_RUN_DIR = pytest.StashKey[Path]()
#: A test that uses the fixture needs the marker; nobody has to remember it.
_MARKERS = {
    "kafka_bootstrap": "kafka",
    "kafka_broker": "kafka",
    "browser_page": "browser",
    "browser_pages": "browser",
    "chromium": "browser",
}


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """The controller makes the run's folder; temporary files go there too.

    Not into pytest's own folder: that one is closed to other users again and again, and the embedded Postgres runs
    as another user when the tests run as root.
    """
    if hasattr(config, "workerinput"):
        return
    folder = run_dir.create()
    (folder / "controller.pid").write_text(str(os.getpid()))
    config.stash[_RUN_DIR] = folder
    if config.option.basetemp is None:
        config.option.basetemp = str(folder / "tmp")


def pytest_unconfigure(config: pytest.Config) -> None:
    """The controller ends what the workers shared."""
    folder = config.stash.get(_RUN_DIR, None)
    if folder is not None:
        kafka.stop_shared(folder)
        run_dir.remove(folder)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by the fixtures they use, so that ``-m 'not kafka'`` means what it says; spread the long ones."""
    for item in items:
        for fixture in getattr(item, "fixturenames", ()):
            if marker := _MARKERS.get(fixture):
                item.add_marker(marker)
        if pytest_asyncio.is_async_test(item) and (
            item.get_closest_marker("browser") or item.path.parent.name == "browser"
        ):
            # on the event loop of the browser, which is started once; fixtures have to say so themselves
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)
    items[:] = _spread(items)


def _spread(items: list[pytest.Item]) -> list[pytest.Item]:
    """File by file, slow files between quick ones: a worker that got the last file would be waited for by the others."""
    files: dict[str, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.nodeid.partition("::")[0], []).append(item)
    slow = [file for file in files.values() if any(one.get_closest_marker("slow") for one in file)]
    quick = [file for file in files.values() if file not in slow]
    # each slow file is followed by its share of three quarters of the quick ones; the others come at the end
    share = max(1, len(quick) * 3 // 4 // max(1, len(slow)))
    order: list[list[pytest.Item]] = []
    for number, file in enumerate(slow):
        order += [file, *quick[number * share : (number + 1) * share]]
    order += quick[len(slow) * share :]
    return [item for file in order for item in file]


@pytest.fixture(autouse=True)
def _logs_as_they_were() -> Iterator[None]:
    """A command that runs in this process sets up its own logs: the next test must not hear less for it."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.fixture(scope="session")
def kafka_bootstrap() -> str:
    """``host:port`` of a real Kafka, shared by the whole run. Topics are not created by themselves."""
    try:
        return kafka.shared_bootstrap()
    except kafka.KafkaUnavailableError as error:
        unavailable("kafka", str(error))


@pytest.fixture
def kafka_broker(tmp_path: Path) -> Iterator[LocalBroker]:
    """A started Kafka of this test's own. After `kill` it is back about 4 s after `start`, not 11 as by default."""
    if reason := why_unavailable():
        unavailable("kafka", reason)
    port, controller_port = free_ports(2)
    broker = LocalBroker(
        tmp_path / "kafka",
        port,
        controller_port,
        heap="512m",
        session_timeout_ms=3000,
        jvm_options=JVM_OPTIONS,
    )
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()


@pytest.fixture(scope="session")
def postgres_url(worker_id: str) -> Iterator[str]:
    """URL of a Postgres server as superuser: ``POSTGRES_URL``, or one of this worker's own. Share no databases."""
    if given := os.environ.get("POSTGRES_URL"):
        yield given
        return
    server = postgres.LocalPostgres(run_dir.current() / f"postgres-{worker_id}")
    server.start()
    yield server.url
    server.stop()


@pytest.fixture
def database_url(postgres_url: str) -> Iterator[str]:
    """URL of an empty database for this test, dropped afterwards even when connections were left open."""
    with postgres.fresh_database(postgres_url) as url:
        yield url


@pytest.fixture
def postgres_server(tmp_path: Path) -> Iterator[postgres.LocalPostgres]:
    """A started Postgres server of this test's own, to kill and restart."""
    server = postgres.LocalPostgres(tmp_path / "postgres")
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium that can be started."""
    found = browser.find_chromium()
    if found is None:
        unavailable("browser", "no chromium in PATH; `make test` installs one, or set CHROMIUM to its path")
    return found


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def _browser(chromium: str) -> AsyncIterator[Browser]:
    """This worker's browser: to start one for every test took half of the time of those tests."""
    async with browser.started(chromium) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def browser_pages(_browser: Browser) -> AsyncIterator[browser.Pages]:
    """Opens pages in a real browser; fails the test when a page had errors or asked for anything on the network."""
    async with browser.pages(_browser) as opened:
        yield opened
        assert opened.problems == []


@pytest_asyncio.fixture(loop_scope="session")
async def browser_page(browser_pages: browser.Pages) -> Page:
    """One empty page, 1440 x 900, light, Russian, Moscow time."""
    return await browser_pages.open()
