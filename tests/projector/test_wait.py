"""What waiting calls visible is visible: a batch that commits between two of its questions does not deceive it."""

from pathlib import Path

import pytest

from projector import positions, wait
from projector.batch import Applier
from projector.database import Connection, connect
from projector.directory_watch import BuildState
from tests.projector import support
from tests.projector.support import call, decode, opened, project, put, settings


async def test_a_directory_that_changes_between_two_questions(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = settings(database_url)

    async def then_a_batch_commits(conn: Connection) -> BuildState | None:
        found = await positions.live_build(conn)
        monkeypatch.undo()
        async with await connect(database_url) as other:
            held = await positions.take(other, 1, [0], "one", polite_s=None)
            records = {0: await log.read(0, held[0].next_offset, max_records=10, max_wait_s=1)}
            await Applier(given).apply(other, 1, decode(records, held))
        return found

    async with opened(tmp_path) as log:
        await put(log, [call(n, f"c{n}", n) for n in range(3)])
        await project(log, given)
        await put(log, [support.employee(1)])
        monkeypatch.setattr(wait, "live_build", then_a_batch_commits)
        waited = await wait.wait_visible(log, database_url, 0)
        assert (waited.visible, waited.missing) == (False, "1 record is not applied yet")
        waited = await wait.wait_visible(log, database_url, 0)
        assert (waited.visible, waited.missing) == (False, "groups wait to be folded")
        await project(log, given)
