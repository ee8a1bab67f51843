"""A second process folds beside a projector that is far behind: the same tables, and it may be lost at any moment."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from multiprocessing import parent_process
from pathlib import Path
from typing import Any

import psutil
import pytest
import structlog

from projector import helper, workers
from projector.settings import Folding, ProjectorSettings
from tests.projector import support
from tests.projector.support import opened, project, put, running, settings, tables, visible

pytestmark = pytest.mark.slow


def _given(url: str, **other: Any) -> ProjectorSettings:
    """Far behind with a few hundred records, and slow enough alone for another process to begin."""
    small = {"batch_records": 50, "bulk_records": 200, "bulk_behind": 100, "help_behind": 100}
    return settings(url, **{**small, "refold_groups": 5, **other})


@contextmanager
def told(event: str) -> Iterator[list[Any]]:
    """What is logged under a name."""
    found: list[Any] = []
    with structlog.testing.capture_logs() as logs:
        yield found
        found += [one for one in logs if one["event"] == event]


def _children() -> set[psutil.Process]:
    return {
        one for one in psutil.Process().children(recursive=True) if "spawn_main" in "".join(one.cmdline())
    }


async def _until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not done():  # noqa: ASYNC110 - processes are looked at
            await asyncio.sleep(0.01)


def slow(*given: Any) -> Any:
    """The fold of the tests; in the projector itself so slow that another process has time to begin."""
    if parent_process() is None:
        time.sleep(0.2)
    return support.fold(*given)


def _here(_: object, *given: Any) -> Any:
    return support.fold(*given)


SLOW = Folding(slow, "slow")


async def test_what_a_helper_folds_too_gives_the_same_tables(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folded: list[workers.Folded] = []
    watch = helper.Helper.watch

    def seen(*args: Any, **how: Any) -> workers.Folded:
        folded.append(watch(*args, **how))
        return folded[-1]

    async with opened(tmp_path) as log:
        await put(log, support.history(300))
        with told("projector.helper") as begun:
            monkeypatch.setattr(helper.Helper, "watch", seen)
            given = _given(database_url, folding=SLOW)
            async with running(log, given) as projector:
                await visible(log, given, 60)
                counted = projector.status().counters["projector_groups_folded_total"]
        assert len(begun) == 1
        assert 0 < sum(one.groups for one in folded) < counted
        before = tables(database_url)
        await project(log, settings(database_url))  # folds all of it anew, alone
        assert tables(database_url) == before
    assert _children() == set()


async def test_a_helper_that_is_killed_leaves_its_work_to_the_projector(
    tmp_path: Path, database_url: str
) -> None:
    async with opened(tmp_path) as log:
        await put(log, support.history(300))
        given = _given(database_url, folding=SLOW)
        with told("projector.helper_lost") as lost:
            async with running(log, given):
                await _until(lambda: bool(_children()))
                for child in _children():
                    child.kill()
                await visible(log, given, 60)
        assert len(lost) >= 1
        before = tables(database_url)
        await project(log, settings(database_url))
        assert tables(database_url) == before


async def test_a_projector_that_is_told_to_stop_takes_its_helper_along(
    tmp_path: Path, database_url: str
) -> None:
    async with opened(tmp_path) as log:
        await put(log, support.history(300))
        async with running(log, _given(database_url, folding=SLOW)):
            await _until(lambda: bool(_children()))
        assert _children() == set()


async def test_without_a_helper_the_projector_goes_on_alone(tmp_path: Path, database_url: str) -> None:
    async with opened(tmp_path) as log:
        await put(log, support.history(60))
        given = _given(database_url)
        with told("projector.no_helper") as said:
            await project(log, replace(given, folding=Folding(partial(_here, lambda: None), "here")))
        assert len(said) == 1
