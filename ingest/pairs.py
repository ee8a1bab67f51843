"""Forms and queries: percent-encoded pairs, and PHP-style brackets as nested values. Pure and bounded."""

from __future__ import annotations

import binascii
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple
from urllib.parse import unquote, unquote_to_bytes

from ingest.decoding import DIRTY, Fields, clean_text, guessed
from ingest.limits import Limits, Unreadable

Pairs = list[tuple[str, str]]

_BRACKETS: Final = re.compile(r"\[([^\[\]]*)\]")
#: Longer names of fields, all together, are read every time anew: nobody fills our memory with them.
_REMEMBERED: Final = 1000


class Names(NamedTuple):
    """The names of a form's fields. ``decoded``: clean; None when they must be cleaned one by one.

    ``flat``: each is there once and none has brackets, so that they may stand beside their values as they are.
    """

    decoded: tuple[str, ...] | None
    flat: bool
    longest: int


class Apart:
    """A query or form body taken apart at its ampersands and equals signs, and nothing decoded yet.

    All deliveries of a form have the same names: what can be said of them is said once, of `names`. Only for ASCII
    texts with fewer fields than the limit (`apart`).
    """

    __slots__ = ("_pieces", "_text", "names")

    def __init__(self, text: str) -> None:
        self._text = text
        self._pieces = [part.partition("=") for part in text.split("&") if part]
        #: Names as they were sent, with ampersands between.
        self.names = "&".join([piece[0] for piece in self._pieces])

    def fields(self, charset: str | None, limits: Limits) -> Fields:
        """What ``nest(parse_pairs(…))`` makes of the text, at once where nothing is out of the ordinary.

        Raises:
            Unreadable: as those do.
        """
        names = names_of(self.names)
        if names.flat and names.decoded and names.longest <= limits.max_key and charset in (None, "utf-8"):
            values = _values("&".join([piece[2] for piece in self._pieces]))
            if values is not None:
                return dict(zip(names.decoded, values, strict=True))
        return nest(parse_pairs(self._text, charset, limits), limits)


def apart(text: str, limits: Limits) -> Apart | None:
    """A text taken apart; None where that does not help."""
    if not text.strip("&") or not text.isascii() or text.count("&") >= limits.max_fields:
        return None
    return Apart(text)


def parse_pairs(text: str, charset: str | None, limits: Limits) -> Pairs:
    """A query or form body as pairs in order, percent-decoded. A name without ``=`` has an empty value.

    Raises:
        Unreadable: more fields than the limit.
    """
    if text.count("&") >= limits.max_fields:
        raise Unreadable("too many fields")
    parts = [part.partition("=") for part in text.split("&") if part]
    if parts and charset in (None, "utf-8"):
        names = names_of("&".join([part[0] for part in parts])).decoded
        values = _values("&".join([part[2] for part in parts]))
        if names is not None and values is not None:
            return list(zip(names, values, strict=True))
    return [(_unquote(name, charset), _unquote(value, charset)) for name, _, value in parts]


def names_of(joined: str) -> Names:
    """What is to be known of names with ampersands between them, as they were sent."""
    return _names_again(joined) if len(joined) <= _REMEMBERED else _names(joined)


def _values(joined: str) -> list[str] | None:
    """Values with ampersands between them, all decoded at once; None when they must be cleaned one by one."""
    joined = joined.replace("+", " ")
    if "%26" not in joined:
        values = unescaped(joined)
        return values.split("&") if _clean(values, joined) else None
    # An escaped ampersand parts nothing: meanwhile another character stands for it.
    values = unescaped(joined.replace("%26", "%01"))
    if "\x01" in joined or "%01" in joined or not _clean(values, joined):
        return None
    return [value.replace("\x01", "&") for value in values.split("&")]


def _clean(decoded: str, sent: str) -> bool:
    """Whether `clean_text` leaves a text as it is and nothing in it was spoilt (`guessed`).

    Escapes never make halves of characters, so ASCII has none.
    """
    if "\ufffd" in decoded:
        return False
    return "\x00" not in decoded if sent.isascii() else DIRTY.search(decoded) is None


def _names(joined: str) -> Names:
    if "%26" in joined:
        return Names(None, False, 0)
    text = unescaped(joined.replace("+", " "))
    if not _clean(text, joined):
        return Names(None, False, 0)
    names = tuple(text.split("&"))
    return Names(names, "[" not in text and len(set(names)) == len(names), max(map(len, names)))


#: Every delivery of a form has the same names.
_names_again = lru_cache(maxsize=1024)(_names)


def unescaped(text: str) -> str:
    """`urllib.parse.unquote` for UTF-8, ten times as fast where the text is plain and its escapes are right."""
    if "%" not in text:
        return text
    if text.isascii() and "\n" not in text and "\r" not in text:
        # Quoted-printable spells bytes alike, with another sign, and is read in C in one go.
        spelled = text.replace("=", "=3D").replace("%", "=")
        raw = binascii.a2b_qp(spelled)
        # Every right escape is two characters longer than its byte, whatever else the codec forgives is not.
        if len(spelled) - len(raw) == 2 * spelled.count("="):
            return raw.decode("utf-8", "replace")
    return unquote(text)


def _unquote(text: str, charset: str | None) -> str:
    if "+" in text:
        text = text.replace("+", " ")
    if "%" in text:
        plain = unquote(text, charset or "utf-8", "replace")
        if "\ufffd" in plain and (charset or "utf-8").lower() == "utf-8":
            plain = guessed(unquote_to_bytes(text.encode("utf-8", "replace")))
        text = plain
    return clean_text(text)


def nest(pairs: Sequence[tuple[str, Any]], limits: Limits) -> Fields:
    """Pairs with PHP brackets as nested values: ``a[b][0]=x`` → ``{"a": {"b": ["x"]}}``.

    A key that repeats gathers its values in a list. Where a key is both a value and a parent, the value lies under
    ``""``. Brackets that do not close belong to the name. Indexes 0, 1, 2 … make a list, others (ids) stay keys.

    Raises:
        Unreadable: too many fields, too deep, or a key too long.
    """
    if len(pairs) > limits.max_fields:
        raise Unreadable("too many fields")
    plain: Fields = dict(pairs)
    if max(map(len, plain), default=0) > limits.max_key:
        raise Unreadable("a field name is too long")
    if len(plain) == len(pairs) and "[" not in "".join(plain):
        return plain
    root: Fields = {}
    nested = False
    for key, value in pairs:
        if "[" in key:
            nested = True
            _put(root, split_key(key), value, limits)
        else:
            _store(root, key, value)
    return {key: _lists(value) for key, value in root.items()} if nested else root


def split_key(key: str) -> list[str]:
    """``a[b][]`` → ``["a", "b", ""]``; a key that is not built so is one part."""
    head, bracket, _ = key.partition("[")
    if not bracket or not head:
        return [key]
    tail = key[len(head) :]
    parts = _BRACKETS.findall(tail)
    if sum(len(p) + 2 for p in parts) != len(tail):
        return [key]
    return [head, *parts]


def _put(root: Fields, parts: list[str], value: Any, limits: Limits) -> None:
    if len(parts) > limits.max_depth:
        raise Unreadable("fields are nested too deeply")
    place = root
    for part in parts[:-1]:
        name = part or str(len(place))
        inner = place.get(name)
        if not isinstance(inner, dict):
            inner = {} if inner is None else {"": inner}
            place[name] = inner
        place = inner
    _store(place, parts[-1] or str(len(place)), value)


def _store(place: Fields, name: str, value: Any) -> None:
    if name not in place:
        place[name] = value
        return
    there = place[name]
    if isinstance(there, dict):
        _store(there, "", value)
    elif isinstance(there, list):
        there.append(value)
    else:
        place[name] = [there, value]


def _lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inner = {key: _lists(item) for key, item in value.items()}
    if inner and all(key == str(index) for index, key in enumerate(sorted(inner, key=_index_order))):
        return [inner[str(index)] for index in range(len(inner))]
    return inner


def _index_order(key: str) -> tuple[int, str]:
    return (int(key), "") if key.isascii() and key.isdigit() and len(key) < 9 else (-1, key)
