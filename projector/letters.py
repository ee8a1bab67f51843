"""Dead letters: written in the transaction of the batch, and the limits above which the projector stops."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from projector.database import Connection
from projector.errors import TooManyDeadLetters
from projector.settings import Limits

Kind = Literal["record", "fact", "group"]

#: Records over which the ratio of dead ones is taken.
_WINDOW = 1000


@dataclass(frozen=True, slots=True)
class Letter:
    """Something that could not be used. ``reason`` holds no data of the record.

    ``record``: it could not be read or stored; ``fact``: it is stored, but its group folds only without it;
    ``group``: a whole group cannot be folded and keeps its former rows (``partition`` -1, ``offset`` its number).
    """

    kind: Kind
    partition: int
    offset: int
    reason: str
    event_id: UUID | None = None
    event_type: str | None = None
    group_id: int | None = None


async def record(conn: Connection, build_id: int, letters: Sequence[Letter]) -> None:
    """Write dead letters; one that is known already counts another attempt."""
    if not letters:
        return
    unique = {(letter.partition, letter.offset): letter for letter in letters}
    rows = [unique[key] for key in sorted(unique)]
    await conn.execute(
        'insert into leadfold.deadletter (build_id, kind, "partition", "offset", event_id, event_type, group_id, reason)'
        " select %s, * from unnest(%s::text[], %s::integer[], %s::bigint[], %s::uuid[], %s::text[], %s::bigint[], %s::text[])"
        ' on conflict (build_id, "partition", "offset") do update set attempts = deadletter.attempts + 1,'
        " last_at = now(), reason = excluded.reason, kind = excluded.kind, resolved_at = null",
        (
            build_id,
            [letter.kind for letter in rows],
            [letter.partition for letter in rows],
            [letter.offset for letter in rows],
            [letter.event_id for letter in rows],
            [letter.event_type for letter in rows],
            [letter.group_id for letter in rows],
            [letter.reason.replace("\0", "")[:1000] for letter in rows],
        ),
    )


def reason_of(error: BaseException) -> str:
    """A reason without data: the kind of the error and where it was raised, not its text (it may quote the fact)."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return type(error).__name__
    code = trace.tb_frame.f_code
    return (
        f"{type(error).__name__} in {code.co_name} ({code.co_filename.rpartition('/')[2]}:{trace.tb_lineno})"
    )


class DeadLetterLimit:
    """Counts good and dead records in the order of the log, and stops the projector above the limits."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._row = 0
        self._recent: deque[bool] = deque(maxlen=_WINDOW)

    def check(self, dead: Sequence[bool]) -> None:
        """Whether a batch with these outcomes may be committed.

        Raises:
            TooManyDeadLetters: it may not.
        """
        row = self._row
        recent = deque(self._recent, maxlen=_WINDOW)
        for one in dead:
            row = row + 1 if one else 0
            recent.append(one)
            if row >= self._limits.dead_in_a_row:
                raise TooManyDeadLetters(
                    f"{row} records in a row cannot be used: the projector stopped before it empties the log into the"
                    " dead letters. See `leadfold deadletters list`; mend the cause, then start it again"
                )
        if len(recent) >= self._limits.dead_sample and sum(recent) > self._limits.dead_ratio * len(recent):
            raise TooManyDeadLetters(
                f"{sum(recent)} of the last {len(recent)} records cannot be used: the projector stopped."
                " See `leadfold deadletters list`; mend the cause, then start it again"
            )

    def count(self, dead: Sequence[bool]) -> None:
        """A batch with these outcomes was committed."""
        for one in dead:
            self._row = self._row + 1 if one else 0
            self._recent.append(one)
