"""What may be said about trouble in logs: where it happened and of which kind, never the data that caused it."""

from __future__ import annotations

import logging
import traceback


def trace_of(error: BaseException) -> list[str]:
    """The frames of an exception, innermost last. Its message is left out: it may quote what was sent."""
    return [f"{f.filename}:{f.lineno} {f.name}" for f in traceback.extract_tb(error.__traceback__)[-8:]]


class _Quiet(logging.Filter):
    """aiohttp quotes requests that it cannot parse, secrets and all: the kind of the error is enough."""

    def filter(self, record: logging.LogRecord) -> bool:
        kind = record.exc_info[0] if isinstance(record.exc_info, tuple) else None
        record.msg, record.args = f"bad request: {kind.__name__ if kind else 'error'}", ()
        record.exc_info, record.exc_text, record.stack_info = None, None, None
        return True


def server_logger() -> logging.Logger:
    """The logger for aiohttp's server part."""
    logger = logging.getLogger("leadfold.ingest.http")
    if not any(isinstance(f, _Quiet) for f in logger.filters):
        logger.addFilter(_Quiet())
    return logger
