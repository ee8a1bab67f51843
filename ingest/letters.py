"""Tilda's letter about an order, which some receivers get as the text of one field (providers/tilda.md, quirks)."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_LETTER: Final = re.compile(r"\bOrder #\d+|\bPayment Amount:|\bPurchaser information:|\bForm Name:")
_EMAIL: Final = re.compile(r"\bE-?mail:\s*(\S+@\S+)", re.IGNORECASE)
_PHONE: Final = re.compile(r"\b(?:Phone|Телефон):\s*(\+?\d[\d\s().-]{5,28}\d)", re.IGNORECASE)
#: Up to the end of the line, or to what follows on the same line.
_NAME: Final = re.compile(
    r"(?<!Form )(?<!Full )\bName:[ \t]*(\S.{0,200}?)(?=\s*(?:$|\s(?:[\w-]{2,40}|Form Name|Additional information):))",
    re.MULTILINE,
)


class Letter(NamedTuple):
    """Who ordered, as far as the letter says; each as written."""

    name: str | None
    phone: str | None
    email: str | None


def read(text: str | None) -> Letter | None:
    """The purchaser of a letter; None where the text is none, as anybody's own words."""
    if text is None or not _LETTER.search(text):
        return None
    found = (pattern.search(text) for pattern in (_NAME, _PHONE, _EMAIL))
    return Letter(*(match.group(1).strip() if match else None for match in found))
