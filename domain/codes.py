"""Numbers of requirements and rules («D-0.5», «R0.21, L5»): they lead developers to a definition and tell readers nothing."""

from __future__ import annotations

import re
from typing import Any, Final

_CODE: Final = r"(?:[GRL]\d+(?:\.\d+)?|D-\d+\.\d+|spec \d+(?:\.\d+)*|rule \d+)"
_CODES: Final = re.compile(rf"\s*\({_CODE}(?:(?:, |–){_CODE})*\)")


def without_codes(text: str) -> str:
    """The text without «(D-0.5)», «(G9, R0.50)»."""
    return _CODES.sub("", text)


def document_without_codes(value: Any) -> Any:
    """The same of every text in a JSON value; keys stay."""
    if isinstance(value, str):
        return without_codes(value)
    if isinstance(value, dict):
        return {key: document_without_codes(item) for key, item in value.items()}
    return [document_without_codes(item) for item in value] if isinstance(value, list) else value
