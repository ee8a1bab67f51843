"""Cycles of garbage are looked for between batches, when few objects live, and not while one is decoded and folded.

A batch is hundreds of thousands of objects and hardly any cycles; the collector walked over all of them again and again:
an eighth of the time of a fold, a third of the time in which stored facts are read back.
"""

from __future__ import annotations

import gc
from typing import Final

#: More objects than this have come and not gone since the last look: some 20 MB. A look walks over all that live.
_MANY: Final = 200_000


def begin() -> None:
    """From now on this process looks for cycles only in `between`. For processes that do nothing but project."""
    gc.collect()
    gc.freeze()
    gc.disable()


def between() -> None:
    """Look for cycles if much has gathered; nothing in a process that has not begun so."""
    if not gc.isenabled() and gc.get_count()[0] > _MANY:
        gc.collect()
