"""Phone numbers: whatever people and providers write, as E.164 or as a reason why not (spec 2.3)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

import phonenumbers


class Phone(NamedTuple):
    """A number as given and what it means.

    ``e164`` is None when the number is hidden, internal, or not usable; ``ext_tail`` are the digits after
    «доб.»; ``hidden``: the caller withheld it; ``internal``: at most four digits, an extension, never a client.
    """

    e164: str | None
    raw: str
    ext_tail: str | None = None
    hidden: bool = False
    internal: bool = False


_HIDDEN_WORDS: Final = frozenset(
    {
        "",
        "anonymous",
        "anonim",
        "unknown",
        "restricted",
        "private",
        "withheld",
        "unavailable",
        "hidden",
        "blocked",
        "null",
        "none",
        "nil",
        "undefined",
        "(not set)",
        "(none)",
        "номер скрыт",
        "скрыт",
        "скрытый",
        "скрытый номер",
        "неизвестно",
        "неизвестный",
        "аноним",
        "<не указано>",
        "<не заполнено>",
    }
)
_SCHEME: Final = re.compile(r"^\s*(?:sips?|tel|callto|phone)\s*:", re.IGNORECASE)
_EXTENSION: Final = re.compile(
    r"(?:[\s,;(]*(?:доб(?:\.|авочный)?|вн(?:\.|утр\.?)|ext(?:\.|ension)?|;ext=|x|#)[\s.:№=]*|,+\s*)(\d{1,6})[\s)]*$",
    re.IGNORECASE,
)
_WORDS: Final = re.compile(r"[^\W\d_]")
_WORD: Final = re.compile(r"[:\s]*[^\W\d_]+[.:]?")
#: What stands between two numbers of one field, and remarks in brackets.
_BETWEEN: Final = re.compile(r"[,;/|\n]|\s(?=\+)|\s(?:или|и|or)\s", re.IGNORECASE)
_REMARK: Final = re.compile(r"\([^()\d]*\)")
_NOT_DIGITS: Final = re.compile(r"\D+", re.ASCII)
#: +7 903 123-45-67, 8(903)1234567, 9031234567 …: nine of ten numbers here. It reads what `_read` would read.
_PLAIN: Final = re.compile(r" *(?:\+?7|8)?[ (-]*([3489]\d\d)[ )-]*(\d\d\d)[ -]*(\d\d)[ -]*(\d\d) *", re.ASCII)
_SEVEN: Final = frozenset({"RU", "KZ"})  # one numbering plan, +7
_LONGEST: Final = 100


def normalise(raw: str | None, region: str = "RU", area_code: str | None = None) -> Phone:
    """Read a phone number.

    Args:
        raw: as typed or sent; ``tel:`` and ``sip:…@host`` forms are understood.
        region: ISO country whose national forms are meant ("RU", "KZ", "UZ" …).
        area_code: code of the city for local numbers of 5–7 digits; without it these are unusable.

    Never raises; a text that is no number gives ``e164=None``. Numbers are checked by possible length and range.
    """
    given = raw or ""
    if (region in _SEVEN or region.upper() in _SEVEN) and (plain := _PLAIN.fullmatch(given)):
        return Phone("+7" + "".join(plain.groups()), given)
    return _read(given, region, area_code)


@lru_cache(maxsize=65_536)
def _read(given: str, region: str, area_code: str | None) -> Phone:
    """Whatever was written; `normalise` knows the usual spelling at a glance."""
    text = _SCHEME.sub("", given[:_LONGEST]).strip()
    if text.casefold() in _HIDDEN_WORDS:
        return Phone(None, given, hidden=True)
    user, at, _ = text.strip("\"'<>").strip().partition("@")
    text = user if user or not at else text  # sip:user@host; a nickname (@name) stays a word
    if text.casefold() in _HIDDEN_WORDS:
        return Phone(None, given, hidden=True)
    tail: str | None = None
    if match := _EXTENSION.search(text):
        head = text[: match.start()]
        if len(_NOT_DIGITS.sub("", head)) >= 5:
            text, tail = head.strip(), match.group(1)
    digits = _NOT_DIGITS.sub("", text)
    if not digits or _WORDS.search(text):
        return _first_of(given, region, area_code) or Phone(None, given, tail)
    if not digits.strip("0"):
        return Phone(None, given, tail, hidden=True)
    plus = text.startswith("+")
    if len(digits) <= 4 and not plus:
        return Phone(None, given, tail, internal=True)
    found = _e164(digits, plus, region.upper(), area_code)
    return (
        Phone(found, given, tail)
        if found
        else _first_of(given, region, area_code) or Phone(None, given, tail)
    )


def _first_of(given: str, region: str, area_code: str | None) -> Phone | None:
    """The first readable number of several in one field: people add a second one, and words around it."""
    plain = _REMARK.sub(" ", given[:_LONGEST])
    parts = _BETWEEN.split(plain)
    if "@" not in given:  # the digits of an e-mail address are no number
        parts += _WORD.split(plain)
    read = (_read(part, region, area_code) for part in parts if part.strip() and part != given)
    return next((Phone(p.e164, given, p.ext_tail) for p in read if p.e164), None)


def _e164(digits: str, plus: bool, region: str, area_code: str | None) -> str | None:
    if region in _SEVEN or plus:
        found = _plus_seven(digits, plus)
        if found is not None:
            return found
    if plus:
        return _valid(f"+{digits}", None) or (_trunk_after_plus(digits) if region in _SEVEN else None)
    if 5 <= len(digits) <= 7:
        code = _NOT_DIGITS.sub("", area_code or "")
        if code:
            return _valid(code + digits, region)
        # Some countries have national numbers this short; +7 does not.
        return None if region in _SEVEN else _valid(digits, region)
    found = _valid(digits, region)
    if found is None and len(digits) >= 10:
        found = _valid(f"+{digits}", None)
    return found


def _plus_seven(digits: str, plus: bool) -> str | None:
    """The quick way for the numbers of Russia: 7 or 8 and ten digits, or ten digits, of a range in use."""
    if len(digits) == 11 and digits[0] in ("7" if plus else "78") and digits[1] in "3489":
        return f"+7{digits[1:]}"
    if not plus and len(digits) == 10 and digits[0] in "3489":
        return f"+7{digits}"
    # A mask gives +7, and the visitor types his 7 or 8 behind it. No country has such numbers.
    if (
        len(digits) == 12
        and digits[0] in ("7" if plus else "78")
        and digits[1] in "78"
        and digits[2] in "3489"
    ):
        return f"+7{digits[2:]}"
    return None


def _trunk_after_plus(digits: str) -> str | None:
    """«+8 903 …»: the trunk prefix where the country code belongs."""
    if len(digits) == 11 and digits[0] == "8" and digits[1] in "3489":
        return f"+7{digits[1:]}"
    return None


def _valid(number: str, region: str | None) -> str | None:
    try:
        parsed = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(parsed):
        return None
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


__all__ = ["Phone", "normalise"]
