"""An installation whose rows an older version of the fold wrote mends itself: they are folded again in the background."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from domain.directory import Directory
from domain.event import Event
from domain.fold import FOLD_VERSION, fold_group
from domain.rows import Rows
from projector.settings import Folding
from tests.projector import support
from tests.projector.support import call, opened, project, put, query, running, settings, visible


def as_version_one(events: Sequence[Event], directory: Directory) -> Rows:
    """What version 1 wrote, with a wrong word in it."""
    return support.rewritten(fold_group(events, directory), "inquiry", kind="old")


async def test_rows_of_version_one_are_folded_again(tmp_path: Path, database_url: str) -> None:
    assert FOLD_VERSION > 1
    kinds = "select kind, count(*) from LIVE.inquiry group by 1"
    async with opened(tmp_path) as log:
        await put(log, [call(n, f"c{n}", n) for n in range(10)])
        await project(log, settings(database_url, folding=Folding(as_version_one, "1")))
        assert query(database_url, kinds) == [("old", 10)]
        given = settings(database_url, folding=Folding.default())
        async with running(log, given):
            for _ in range(100):
                if query(database_url, kinds) == [("phone", 10)]:
                    break
                await asyncio.sleep(0.1)
            await visible(log, given)
    assert query(database_url, kinds) == [("phone", 10)]
    assert query(database_url, "select fold_version from leadfold.build") == [(str(FOLD_VERSION),)]
