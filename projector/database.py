"""Connections of the projector, and which of their errors pass by themselves."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import TupleRow
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from projector.errors import BatchConflict

T = TypeVar("T")

Connection = AsyncConnection[TupleRow]

#: Seconds between two attempts to end a statement that nobody waits for any more.
_CANCEL_S: Final = 2.0

#: Seconds until Postgres ends a transaction whose client went silent (a frozen process keeps no locks).
_SILENT_CLIENT_S: Final = 20

#: Seconds, and milliseconds for the last one.
_NETWORK: Final[dict[str, Any]] = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}

#: Sequential scans would only be chosen on stale statistics: a batch touches a vanishing part of each table.
_OPTIONS: Final = (
    f"-c idle_in_transaction_session_timeout={_SILENT_CLIENT_S}s -c enable_seqscan=off -c jit=off"
    " -c plan_cache_mode=force_generic_plan -c timezone=UTC -c client_min_messages=warning"
)

#: Doing the same once more is right.
RETRYABLE: Final = (
    psycopg.errors.SerializationFailure,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.LockNotAvailable,
    BatchConflict,
)

#: The connection is of no use any more, or the server does not take work now; it will be back.
GONE: Final = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.ReadOnlySqlTransaction,  # a standby after a failover
    psycopg.errors.IdleInTransactionSessionTimeout,
    TimeoutError,
    OSError,
)

#: One record of the batch is to blame: a value that a column cannot take, or one that our own code stumbles over.
ISOLATED: Final = (
    psycopg.DataError,
    psycopg.IntegrityError,
    psycopg.errors.ProgramLimitExceeded,
    psycopg.errors.StatementTooComplex,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)


def address(url: str) -> dict[str, Any]:
    """Arguments of a connection to the database: a server that went silent is given up after a quarter of a minute.

    Without them the system would wait for it for a quarter of an hour. What the URL itself says goes before.
    """
    info: dict[str, Any] = psycopg.conninfo.conninfo_to_dict(url)
    return _NETWORK | info


async def connect(url: str, *, name: str = "leadfold-projector", scans: bool = False) -> Connection:
    """A connection in autocommit; transactions are opened explicitly. ``scans`` allows sequential scans.

    Raises:
        psycopg.OperationalError: no answer.
    """
    info = address(url)
    options = _OPTIONS.replace("-c enable_seqscan=off", "") if scans else _OPTIONS
    info["options"] = f"{info.get('options') or ''} {options}".strip()
    info["application_name"] = name
    connection = await AsyncConnection.connect(**info, autocommit=True)
    connection.prepare_threshold = 1
    return connection


def why_away(error: Exception) -> str:
    """What to say when no connection can be had: the server's own words if it answered; never an address or a key."""
    told = re.search(r"FATAL:\s+(.+)", str(error))
    return f"refuses: {told[1]}" if told else f"does not answer ({type(error).__name__})"


def retrying() -> AsyncRetrying:
    """Tries again after conflicts with other transactions, with growing pauses; about 5 s in all."""
    return AsyncRetrying(
        retry=retry_if_exception_type(RETRYABLE),
        wait=wait_random_exponential(0.02, max=1.0),
        stop=stop_after_attempt(12),
        reraise=True,
    )


async def within(seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """The result of work on a connection, or TimeoutError after so many seconds: then the connection is of no use.

    `asyncio.timeout` is not enough: a cancelled psycopg statement asks the server to cancel it and waits for the
    answer, which a server that went silent (a half-open connection) never gives. So it is cancelled again.
    """
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
    except asyncio.CancelledError:
        await _end(task)
        raise
    if done:
        return task.result()
    await _end(task)
    raise TimeoutError(f"the database did not answer within {seconds:g} s")


async def _end(task: asyncio.Future[Any]) -> None:
    for _ in range(3):
        task.cancel()
        done, _ = await asyncio.wait({task}, timeout=_CANCEL_S)
        if done:
            break
    if task.done() and not task.cancelled():
        task.exception()  # seen: its outcome is unknown to the caller anyway


def is_gone(error: BaseException) -> bool:
    """Whether the connection or the server is away (and not merely a conflict between transactions)."""
    return isinstance(error, GONE) and not isinstance(error, (*RETRYABLE, *ISOLATED))
