"""multipart/form-data bodies: fields and the names of files. Files themselves stay in the evidence."""

from __future__ import annotations

import re
from typing import Final

from ingest.decoding import clean_text, guessed
from ingest.limits import Limits, Unreadable
from ingest.pairs import Pairs

_BOUNDARY: Final = re.compile(r'boundary=(?:"([^"]{1,200})"|([^;\s]{1,200}))', re.IGNORECASE)
_NAME: Final = re.compile(rb'\bname="((?:[^"\\]|\\.)*)"', re.IGNORECASE)
_FILE: Final = re.compile(rb'\bfilename="((?:[^"\\]|\\.)*)"', re.IGNORECASE)


def parse_multipart(body: bytes, content_type: str, charset: str | None, limits: Limits) -> Pairs:
    """Fields in order; a file becomes its file name.

    Raises:
        Unreadable: no boundary, or too many parts.
    """
    match = _BOUNDARY.search(content_type)
    if match is None:
        raise Unreadable("multipart without a boundary")
    mark = b"--" + (match.group(1) or match.group(2)).encode("utf-8", "replace")
    parts = body.split(mark)
    if len(parts) < 2:
        raise Unreadable("multipart without its boundary in the body")
    if len(parts) - 1 > limits.max_fields:
        raise Unreadable("too many fields")
    pairs: Pairs = []
    for part in parts[1:]:
        if part.startswith(b"--"):
            break
        head, _, content = part.lstrip(b"\r\n").partition(b"\r\n\r\n")
        name = _NAME.search(head.replace(b"filename=", b"_file="))
        if name is None:
            continue
        file = _FILE.search(head)
        value = file.group(1) if file else content.removesuffix(b"\r\n")
        pairs.append((_text(name.group(1), charset), _text(value, charset)))
    return pairs


def _text(raw: bytes, charset: str | None) -> str:
    return clean_text(guessed(raw) if charset in (None, "utf-8") else raw.decode(charset, "replace"))
