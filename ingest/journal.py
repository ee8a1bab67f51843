"""What may be said about trouble in logs: where it happened and of which kind, never the data that caused it."""

from __future__ import annotations

import logging
import time
import traceback

from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestPayloadError


def trace_of(error: BaseException) -> list[str]:
    """The frames of an exception, innermost last. Its message is left out: it may quote what was sent."""
    return [f"{f.filename}:{f.lineno} {f.name}" for f in traceback.extract_tb(error.__traceback__)[-8:]]


class Seldom:
    """Says a thing at most once in ``every_s``, with how often it happened since: strangers must not fill our logs."""

    def __init__(self, every_s: float = 1.0) -> None:
        self._every_s = every_s
        self._said: dict[str, tuple[float, int]] = {}

    def times(self, what: str, now: float) -> int:
        """How often it happened since it was last said; 0: it is not to be said yet. ``now``: of a steady clock."""
        said, count = self._said.get(what, (-self._every_s, 0))
        if now - said < self._every_s:
            self._said[what] = (said, count + 1)
            return 0
        self._said[what] = (now, 0)
        return count + 1


class _Quiet(logging.Filter):
    """aiohttp quotes requests that it cannot parse, secrets and all: the kind of the error is enough, now and then.

    Strangers send them all day, so they are no errors of ours.
    """

    def __init__(self) -> None:
        super().__init__()
        self._seldom = Seldom()

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        name = type(error).__name__ if error else "error"
        if isinstance(
            error, HttpProcessingError | RequestPayloadError
        ):  # also a body that breaks off while it is read
            record.levelno, record.levelname = logging.WARNING, "WARNING"
            told = f"bad request: {name}"
        else:  # ours: where, and still not what was sent
            told = f"request failed: {name}" + "".join(
                f"; {frame}" for frame in (trace_of(error) if error else ())
            )
        record.msg, record.args = told, ()
        record.exc_info, record.exc_text, record.stack_info = None, None, None
        return bool(self._seldom.times(name, time.monotonic()))


def server_logger() -> logging.Logger:
    """The logger for aiohttp's servers, of every part that listens."""
    logger = logging.getLogger("leadfold.http")
    if not any(isinstance(f, _Quiet) for f in logger.filters):
        logger.addFilter(_Quiet())
    return logger
