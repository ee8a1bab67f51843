"""A rebuild in a process of its own, to be killed: ``python -m tests.projector.rebuilding FILE URL``. Prints its phases."""

import asyncio
import sys
from functools import partial
from pathlib import Path

from eventlog.embedded import EmbeddedLog
from projector import filling
from projector.builds import rebuild
from tests.projector.support import settings


async def main(file: Path, url: str) -> None:
    """With two processes, in small steps."""
    filling._FEW = 10
    given = settings(url, bulk_records=10, refold_groups=5)
    async with EmbeddedLog(file) as log:
        await rebuild(
            log,
            given,
            workers=2,
            reopen=partial(EmbeddedLog, file),
            progress=lambda phase, done, _: print(phase, done, flush=True),
        )


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
