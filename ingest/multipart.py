"""multipart/form-data bodies: fields and the names of files. Files themselves stay in the evidence."""

from __future__ import annotations

import re
from typing import Final

from ingest.decoding import clean_text, decoded
from ingest.limits import Limits, Unreadable
from ingest.pairs import Pairs

_BOUNDARY: Final = re.compile(r'boundary=(?:"([^"]{1,200})"|([^;\s]{1,200}))', re.IGNORECASE)
#: A value in quotes, or a token without them.
_VALUE: Final = rb'(?:"((?:[^"\\]|\\.)*)"|([^\s";]+))'
_NAME: Final = re.compile(rb"(?<![\w&-])name=" + _VALUE, re.IGNORECASE)
_FILE: Final = re.compile(rb"(?<![\w&-])filename=" + _VALUE, re.IGNORECASE)
_HEAD_ENDS: Final = re.compile(rb"\r?\n\r?\n")


def parse_multipart(body: bytes, content_type: str, charset: str | None, limits: Limits) -> Pairs:
    """Fields in order; a file becomes its file name.

    Raises:
        Unreadable: no boundary, too many parts, or something is said and no field is named.
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
        head, content = _parted(part.lstrip(b"\r\n"))
        name = _NAME.search(head.replace(b"filename", b"_file"))
        if name is None:
            continue
        file = _FILE.search(head)
        value = _value(file) if file else content.removesuffix(b"\n").removesuffix(b"\r")
        pairs.append((_text(_value(name), charset), _text(value, charset)))
    if not pairs and (parts[0].strip() or any(part.strip(b"-\r\n ") for part in parts[1:])):
        raise Unreadable("no part of the multipart body names its fields")
    return pairs


def _parted(part: bytes) -> tuple[bytes, bytes]:
    ends = _HEAD_ENDS.search(part)
    return (part, b"") if ends is None else (part[: ends.start()], part[ends.end() :])


def _value(match: re.Match[bytes]) -> bytes:
    return match[2] if match[1] is None else match[1]


def _text(raw: bytes, charset: str | None) -> str:
    return clean_text(decoded(raw, charset))
