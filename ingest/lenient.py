"""What CRMs and ERPs send, in the types that the facts want (providers/onec-alfa-auto.md).

Numbers with spaces and commas, «Да»/«Нет», dates without offset, 0001-01-01 for «no date», ids as numbers, phones in any
form. Only what can be meant in one way is changed; the rest is left for the model to refuse.
"""

from __future__ import annotations

import re
import types
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin, get_type_hints
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, BaseModel

from domain.facts.base import Phone
from domain.phones import normalise
from ingest.decoding import clean_text
from ingest.reading import unix_seconds
from ingest.sources import SourceConfig

Coerce = Callable[[Any, SourceConfig], Any]

_YES: Final = frozenset({"да", "yes", "true", "истина", "on", "y", "1"})
_NO: Final = frozenset({"нет", "no", "false", "ложь", "off", "n", "0"})
_SPACES: Final = re.compile(r"[\s\u00a0\u2007\u2009\u202f'’]+")
_NUMBER: Final = re.compile(r"[+-]?\d{1,30}(?:[.,]\d{1,30})?")
_NO_NUMBER: Final = "not a number"  # no model takes it
_TOO_MUCH: Final = Decimal(10) ** 15
_RUSSIAN_DATE: Final = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})(?:[ T]+(\d{1,2}):(\d{2})(?::(\d{2}))?)?")


def coerce(model: type[BaseModel], data: dict[str, Any], source: SourceConfig) -> dict[str, Any]:
    """The data as the model wants them; fields the model does not have are dropped, empty ones too.

    A phone that is normalised leaves its raw form in ``<field>_raw`` where the model has such a field.
    """
    out: dict[str, Any] = {}
    plan = _plan(model)
    for name, how in plan.items():
        value = data.get(name)
        if value is None or (isinstance(value, str) and not value.strip()):
            continue
        changed = how(value, source)
        if changed is None:
            continue
        out[name] = changed
        raw_name = f"{name}_raw"
        if raw_name in plan and isinstance(value, str | int) and changed != value and not data.get(raw_name):
            out[raw_name] = str(value)
    return out


def moment(value: Any, zone: ZoneInfo) -> datetime | None:
    """An ISO-8601 (or dd.mm.yyyy, or Unix) moment as UTC; without offset it is local to ``zone``. None for 1C's «no date».

    Raises:
        ValueError: it is no moment.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        found = unix_seconds(value)
        if found is None:
            raise ValueError("not a moment")
        return found
    text = value.strip() if isinstance(value, str) else ""
    if text.startswith(("0001-01-01", "01.01.0001")):
        return None
    if match := _RUSSIAN_DATE.fullmatch(text):
        day, month, year, hour, minute, second = (int(part or 0) for part in match.groups())
        stamp = datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - made aware below
    else:
        stamp = datetime.fromisoformat(text)
    if stamp.tzinfo is None:
        stamp = stamp.replace(tzinfo=zone)
    if not 1900 <= stamp.year <= 2200:
        raise ValueError("not a moment of our time")
    return stamp.astimezone(UTC)


@lru_cache(maxsize=256)
def _plan(model: type[BaseModel]) -> dict[str, Coerce]:
    hints = get_type_hints(model, include_extras=True)
    return {name: _for(hints[name]) for name in model.model_fields}


def _for(hint: Any) -> Coerce:
    """How to read a value of this annotation."""
    if hint == Phone:
        return _phone
    origin = get_origin(hint)
    if origin is Annotated:
        return _for(get_args(hint)[0])
    if origin in (Union, types.UnionType):
        inner = [a for a in get_args(hint) if a is not type(None)]
        return _for(inner[0]) if len(inner) == 1 else _as_is
    if origin is Literal:
        return _word(tuple(str(a) for a in get_args(hint)))
    if origin is tuple:
        return _many(_for(get_args(hint)[0]))
    if origin is dict:
        return _texts if get_args(hint)[1] is str else _as_is
    if isinstance(hint, type):
        if issubclass(hint, BaseModel):
            return _model(hint)
        # AwareDatetime is a class of its own and no datetime.
        if hint is AwareDatetime or issubclass(hint, datetime):
            return _moment
        for kind, how in (
            (date, _date),
            (Decimal, _number),
            (bool, _flag),
            (int, _number),
            (str, _text),
            (UUID, _text),
        ):
            if issubclass(hint, kind):
                return how
    return _as_is


def _as_is(value: Any, _: SourceConfig) -> Any:
    return value


def _text(value: Any, _: SourceConfig) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return str(int(value)) if isinstance(value, int) or value.is_integer() else str(value)


def _texts(value: Any, _: SourceConfig) -> Any:
    if not isinstance(value, dict):
        return value
    return {
        k[:200]: v if isinstance(v, str) else str(v)
        for k, v in value.items()
        if isinstance(v, str | int | float)
    }


def _phone(value: Any, source: SourceConfig) -> Any:
    text = _text(value, source)
    if not isinstance(text, str):
        return value
    return normalise(text, source.region, source.area_code).e164 or text.strip()


def _number(value: Any, _: SourceConfig) -> Any:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return value
    if isinstance(value, str):
        plain = re.sub(r"(?i)(?:руб\.?|р\.?|₽|rub)$", "", _SPACES.sub("", value))
        if not _NUMBER.fullmatch(plain):
            return _NO_NUMBER  # 1,000.00 and 1.000,00 too: nobody knows
        number = Decimal(plain.replace(",", "."))
    else:
        number = Decimal(str(value))  # as written in the JSON, not as the nearest binary fraction
    return number if abs(number) < _TOO_MUCH else _NO_NUMBER


def _flag(value: Any, _: SourceConfig) -> Any:
    word = str(value).strip().casefold()
    return True if word in _YES else False if word in _NO else value


def _moment(value: Any, source: SourceConfig) -> Any:
    try:
        return moment(value, source.zone)
    except (ValueError, OverflowError):
        return value


def _date(value: Any, source: SourceConfig) -> Any:
    """A local day; a moment counts by the source's own calendar."""
    try:
        found = moment(value, source.zone)
    except (ValueError, OverflowError):
        return value
    return found.astimezone(source.zone).date() if found else None


def _word(words: tuple[str, ...]) -> Coerce:
    def read(value: Any, _: SourceConfig) -> Any:
        said = value.strip().lower() if isinstance(value, str) else value
        return said if said in words else value

    return read


def _many(one: Coerce) -> Coerce:
    def read(value: Any, source: SourceConfig) -> Any:
        if isinstance(value, str):
            value = [part.strip() for part in clean_text(value).split(",") if part.strip()]
        if not isinstance(value, list):
            return value
        return [one(item, source) for item in value if item not in (None, "")]

    return read


def _model(model: type[BaseModel]) -> Coerce:
    def read(value: Any, source: SourceConfig) -> Any:
        return coerce(model, value, source) if isinstance(value, dict) else value

    return read
