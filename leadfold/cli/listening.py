"""Commands that listen: an address that cannot be had ends them with a message that names the setting."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import NoReturn

from leadfold.cli.common import Exit, fail


def served(work: Callable[[], None], table: str, host: str, port: int) -> None:
    """Run a part to its end; an address that cannot be had is a refusal (exit code 4), not a failure.

    ``table``: where `host` and `port` stand in the settings.
    """
    try:
        work()
    except OSError as error:
        cannot_listen(error, table, host, port)


def cannot_listen(error: OSError, table: str, host: str, port: int) -> NoReturn:
    """End the command when ``error`` says that an address cannot be had; raise it when it says something else."""
    if error.errno in (errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES):
        setting = error.filename or "port"
        where = f"{host}:{port}" if setting == "port" else f"its {setting}"
        fail(
            f"cannot listen on {where}: {os.strerror(error.errno).lower()}. "
            f"Another one: {setting} in [{table}], or LEADFOLD_{table.upper()}__{setting.upper()}",
            Exit.REFUSED,
        )
    raise error
