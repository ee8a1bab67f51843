"""Every word of the pages that is not a metric, a dimension or a dictionary entry: Russian and English side by side."""

from __future__ import annotations

from typing import Final

from reports.result import Label
from reports.web.texts import frame, guide, report, sheets

TEXTS: Final[dict[str, Label]] = {
    key: Label(*pair) for part in (frame, report, sheets, guide) for key, pair in part.TEXTS.items()
}


def say(key: str, lang: str, /, **values: object) -> str:
    """The text in a language, with its values put in. Raises KeyError for a text that does not exist."""
    text = TEXTS[key][lang]
    return text.format(**values) if values else text
