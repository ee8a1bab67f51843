"""Text for a terminal: of what comes from outside, whatever would move its cursor, colour it or turn its direction is spelled out."""

from __future__ import annotations

import re
from typing import Final

#: Control characters of both sets, marks that turn the direction of text, line separators, halves of characters.
_ACTING: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def printable(text: str, *, keep: str = "") -> str:
    """The text with such characters by their number, as JSON spells them; those in ``keep`` stay."""
    return _ACTING.sub(lambda m: m[0] if m[0] in keep else f"\\u{ord(m[0]):04x}", text)


def counted(number: int, one: str, many: str = "") -> str:
    """A number with its word: «1 event», «2 events»; ``many`` where it takes more than an s."""
    return f"{number} {one if number == 1 else many or f'{one}s'}"
