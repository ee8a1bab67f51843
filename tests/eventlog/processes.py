"""Settings across process borders, for tests that start other processes."""

import json
from dataclasses import asdict
from pathlib import Path

from eventlog.open import LogSettings


def settings_text(settings: LogSettings) -> str:
    """As one argument of a command."""
    return json.dumps(
        {name: value for name, value in asdict(settings).items() if value is not None}, default=str
    )


def settings_from(text: str) -> LogSettings:
    """And back."""
    given = json.loads(text)
    return LogSettings(**given | {"path": Path(given["path"])})
