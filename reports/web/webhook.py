"""A delivery made readable: pretty-printed, a form as pairs, and in a batch the one item that the event came from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

from domain.event import Event, Evidence
from domain.facts.registry import NAMES
from domain.identity import event_id

_BY_NAME: Final = {name.casefold(): type_ for name, type_ in NAMES.items()}


@dataclass(frozen=True, slots=True)
class Webhook:
    """A delivery made readable. ``body`` is pretty-printed text; ``fields`` the pairs of a form; ``binary`` its size.

    ``item``: of a batch, the text of the event's own item; ``body`` is then what stands before it, ``after`` what
    stands behind, and ``place`` its number of how many.
    """

    request: str
    query: tuple[tuple[str, str], ...]
    headers: tuple[tuple[str, str], ...]
    fields: tuple[tuple[str, str], ...]
    body: str
    item: str
    after: str
    place: tuple[int, int]
    binary: int
    adapter: str
    redacted: bool


def webhook(evidence: Evidence, event: Event) -> Webhook:
    """JSON is indented, a form is split into pairs, anything else is shown as it came; a batch is marked."""
    kind = next((value for name, value in evidence.headers if name.lower() == "content-type"), "")
    text, binary = _text(evidence.body)
    fields: tuple[tuple[str, str], ...] = ()
    if text and "x-www-form-urlencoded" in kind:
        fields = tuple(parse_qsl(text, keep_blank_values=True))
    before, item, after, place = _marked(text, evidence, event)
    return Webhook(
        request=f"{evidence.method} {evidence.path}",
        query=tuple(parse_qsl(evidence.query, keep_blank_values=True)),
        headers=evidence.headers,
        fields=fields,
        body=before,
        item=item,
        after=after,
        place=place,
        binary=binary,
        adapter=evidence.adapter,
        redacted="***" in f"{evidence.path}{evidence.query}{text}"
        or any("***" in v for _, v in evidence.headers),
    )


def _text(body: bytes) -> tuple[str, int]:
    for encoding in ("utf-8", "cp1251"):
        try:
            text = body.decode(encoding)
        except UnicodeDecodeError:
            continue
        if all(c.isprintable() or c in "\r\n\t" for c in text):
            return text, 0
    return "", len(body)


def _marked(text: str, evidence: Evidence, event: Event) -> tuple[str, str, str, tuple[int, int]]:
    """The text pretty-printed, cut at the event's own item of a batch."""
    try:
        value = json.loads(text)
        whole = _pretty(value)
    except (ValueError, RecursionError):
        return text, "", "", (0, 0)
    given = value.get("events") if isinstance(value, dict) else value
    batch: list[Any] = given if isinstance(given, list) else []
    at = _place(batch, evidence, event) if len(batch) > 1 else None
    if at is None:
        return whole, "", "", (0, 0)
    mark = "item"
    while mark in whole:
        mark += "-"
    item, batch[at] = _pretty(batch[at]), mark
    before, after = _pretty(value).split(f'"{mark}"')
    indent = before[before.rfind("\n") + 1 :]
    return before, item.replace("\n", "\n" + indent), after, (at + 1, len(batch))


def _place(batch: list[Any], evidence: Evidence, event: Event) -> int | None:
    """Which item of a batch of the native contract the event came from: by its id, or its number in a signed message."""
    message = next((value.strip() for name, value in evidence.headers if name.lower() == "webhook-id"), "")
    for number, item in enumerate(batch):
        if not isinstance(item, dict) or _type(item) != event.type:
            continue
        own = str(item.get("id") or "").strip()
        ident = own or (f"{message[:180]}/{number}" if message else "")
        if ident and event_id(event.source, event.type, ident) == event.id:
            return number
    return None


def _type(item: dict[str, Any]) -> str:
    said = str(item.get("type")).strip()
    return _BY_NAME.get(said.casefold(), said)


def _pretty(value: Any) -> str:
    """Indented JSON; characters stand as they are unless one of them cannot be written (half of a pair)."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, indent=2)
    return text
