"""Parameters of a report: from a URL or command line and back to one canonical URL query.

Names: ``from``, ``to`` (local days, both included) or ``period`` (a preset); ``as_of``, ``known_at``; ``group``;
``filter=employee:in:ivan,anna`` and ``filter=employee:not:ivan`` (repeatable, joined by AND), or ``employee=ivan``;
``basis``, ``counted``, ``compare``, ``zone``, ``office_time``, ``valid_reasons``, ``lang``. «Не указано» is spelled ``~``; a comma or
percent sign inside a filter's value is written ``%2C``, ``%25`` (before the URL's own encoding).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Final, Literal, TypeVar, get_args
from urllib.parse import unquote, urlencode
from zoneinfo import ZoneInfo, available_timezones

from reports.catalogue import INQUIRIES
from reports.model import ReportSpec
from reports.result import Comparing, Label, Params

PRESETS: Final[dict[str, Label]] = {
    "today": Label("Сегодня", "Today"),
    "yesterday": Label("Вчера", "Yesterday"),
    "week": Label("Эта неделя", "This week"),
    "month": Label("Этот месяц", "This month"),
    "last_month": Label("Прошлый месяц", "Last month"),
    "quarter": Label("Этот квартал", "This quarter"),
    "year": Label("Этот год", "This year"),
}
DEFAULT_PRESET: Final = "month"
COMPARISONS: Final[tuple[Comparing, ...]] = get_args(Comparing)
DEFAULT_COMPARISON: Final[Comparing] = "previous"
MAX_LEVELS: Final = 3
MAX_VALUES: Final = 500
MAX_TEXT: Final = 200
YEARS: Final = range(2000, 2101)

_KNOWN: Final = frozenset(
    {
        "from",
        "to",
        "period",
        "as_of",
        "known_at",
        "group",
        "filter",
        "basis",
        "counted",
        "zone",
        "office_time",
        "valid_reasons",
        "compare",
        "lang",
    }
)
_ZONE_NAME: Final = re.compile(r"[A-Za-z0-9_+\-]+(/[A-Za-z0-9_+\-]+)+|UTC")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one parameter."""

    field: str
    reason: Label


class ParamError(ValueError):
    """Parameters that can't be used (HTTP 400): every wrong field with its reason, Russian and English."""

    def __init__(self, errors: Iterable[FieldError]) -> None:
        self.errors = tuple(errors)
        super().__init__("; ".join(f"{e.field}: {e.reason.en}" for e in self.errors))


class _WrongError(Exception):
    def __init__(self, ru: str, en: str) -> None:
        self.reason = Label(ru, en)
        super().__init__(en)


def parse(
    pairs: Iterable[tuple[str, str]],
    *,
    now: datetime,
    zone: str = "Europe/Moscow",
    spec: ReportSpec = INQUIRIES,
    ignore: Collection[str] = (),
) -> Params:
    """Read parameters from (name, value) pairs; names in ``ignore`` belong to somebody else (a page's own state).

    ``zone`` is the company's, used when none is asked for; ``now`` (aware) places the presets.
    Raises ParamError naming all wrong fields at once.
    """
    given: dict[str, list[str]] = {}
    for name, value in pairs:
        if name not in ignore:
            given.setdefault(name, []).append(value)
    errors: list[FieldError] = []

    def read(name: str, default: T, how: Callable[[str], T]) -> T:
        values = given.get(name)
        if not values:
            return default
        try:
            if len(values) > 1:
                raise _WrongError("указано несколько раз", "given more than once")
            return how(_clean(values[0]))
        except _WrongError as wrong:
            errors.append(FieldError(name, wrong.reason))
            return default

    asked_zone = read("zone", zone, _zone)
    today = now.astimezone(ZoneInfo(asked_zone)).date()
    first, last = preset_days(read("period", DEFAULT_PRESET, _one_of(tuple(PRESETS))), today)
    if "period" in given and ("from" in given or "to" in given):
        errors.append(
            FieldError(
                "period", Label("укажите либо period, либо from и to", "give either period or from and to")
            )
        )
    elif ("from" in given) != ("to" in given):
        absent = "to" if "from" in given else "from"
        errors.append(FieldError(absent, Label("нужны обе даты: from и to", "both from and to are needed")))
    first = read("from", first, _day)
    last = read("to", last, _day)
    if first > last and not errors:
        errors.append(
            FieldError("to", Label("конец периода раньше начала", "the period ends before it begins"))
        )

    def moment(text: str) -> datetime | None:
        return _moment(text, asked_zone)

    dimensions = {d.key: d for d in spec.dimensions}
    unknown = [n for n in given if n not in _KNOWN and n not in dimensions]
    errors += [FieldError(n[:MAX_TEXT], Label("такого параметра нет", "no such parameter")) for n in unknown]
    params = Params(
        first_day=first,
        last_day=last,
        as_of=read("as_of", None, moment),
        known_at=read("known_at", None, moment),
        levels=read("group", spec.levels, lambda text: _levels(text, tuple(dimensions))),
        filters=_filters(given, spec, errors),
        basis=read("basis", _COHORT, _basis),
        counted=read("counted", _INQUIRY, _counted),
        zone=asked_zone,
        office_time=read("office_time", False, _switch),
        valid_reasons=read("valid_reasons", None, _reasons),
        lang=read("lang", _RU, _lang),
        compare=read("compare", DEFAULT_COMPARISON, _compare),
    )
    if errors:
        raise ParamError(errors)
    return params


def preset_days(preset: str, today: date) -> tuple[date, date]:
    """First and last day of a preset; weeks begin on Monday, and «this …» reaches to the end of its calendar unit."""
    month = today.replace(day=1)
    quarter = month.replace(month=(month.month - 1) // 3 * 3 + 1)
    monday = today - timedelta(days=today.weekday())
    yesterday = today - timedelta(days=1)
    before = (month - timedelta(days=1)).replace(day=1)
    spans = {
        "today": (today, today),
        "yesterday": (yesterday, yesterday),
        "week": (monday, monday + timedelta(days=6)),
        "month": (month, _month_end(month)),
        "last_month": (before, _month_end(before)),
        "quarter": (quarter, _month_end(quarter.replace(month=quarter.month + 2))),
        "year": (today.replace(month=1, day=1), today.replace(month=12, day=31)),
    }
    return spans[preset]


def to_pairs(
    params: Params, *, spec: ReportSpec = INQUIRIES, zone: str | None = None
) -> list[tuple[str, str]]:
    """Parameters as (name, value) pairs in a fixed order, leaving out defaults. ``zone``: the company's, left out too."""
    pairs = [("from", params.first_day.isoformat()), ("to", params.last_day.isoformat())]
    if params.as_of is not None:
        pairs.append(("as_of", _iso(params.as_of)))
    if params.known_at is not None:
        pairs.append(("known_at", _iso(params.known_at)))
    if params.levels != spec.levels:
        pairs.append(("group", ",".join(params.levels)))
    for dimension, included, values in params.filters:
        pairs.append(("filter", f"{dimension}:{'in' if included else 'not'}:{_listed(values)}"))
    if params.basis != _COHORT:
        pairs.append(("basis", params.basis))
    if params.counted != _INQUIRY:
        pairs.append(("counted", params.counted))
    if params.zone != zone:
        pairs.append(("zone", params.zone))
    if params.office_time:
        pairs.append(("office_time", "1"))
    if params.valid_reasons is not None:
        pairs.append(("valid_reasons", _listed(params.valid_reasons)))
    if params.compare != DEFAULT_COMPARISON:
        pairs.append(("compare", params.compare))
    if params.lang != _RU:
        pairs.append(("lang", params.lang))
    return pairs


def to_query(params: Params, *, spec: ReportSpec = INQUIRIES, zone: str | None = None) -> str:
    """The canonical URL query: the same parameters always give the same text, and ``parse`` reads it back."""
    return urlencode(to_pairs(params, spec=spec, zone=zone), safe=":,~")


_COHORT: Final[Literal["cohort", "activity"]] = "cohort"
_INQUIRY: Final[Literal["inquiry", "client"]] = "inquiry"
_RU: Final[Literal["ru", "en"]] = "ru"


def _clean(text: str) -> str:
    if any(ord(c) < 32 or ord(c) == 127 or 0xD800 <= ord(c) <= 0xDFFF for c in text):
        raise _WrongError("недопустимые знаки", "characters that are not allowed")
    return text.strip()


def _one_of(allowed: tuple[str, ...]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in allowed:
            names = ", ".join(allowed)
            raise _WrongError(f"нужно одно из: {names}", f"must be one of: {names}")
        return text

    return read


def _basis(text: str) -> Literal["cohort", "activity"]:
    return "activity" if _one_of(("cohort", "activity"))(text) == "activity" else "cohort"


def _counted(text: str) -> Literal["inquiry", "client"]:
    return "client" if _one_of(("inquiry", "client"))(text) == "client" else "inquiry"


def _lang(text: str) -> Literal["ru", "en"]:
    return "en" if _one_of(("ru", "en"))(text) == "en" else "ru"


def _compare(text: str) -> Comparing:
    _one_of(COMPARISONS)(text)
    return next(c for c in COMPARISONS if c == text)


def _day(text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise _WrongError("нужна дата вида 2026-03-31", "must be a date like 2026-03-31") from None
    if day.year not in YEARS:
        raise _WrongError("год должен быть от 2000 до 2100", "the year must be 2000 to 2100")
    return day


def _moment(text: str, zone: str) -> datetime | None:
    """A moment; without an offset in the report's zone; a bare date means the end of that local day; now = None."""
    if text in ("", "now"):
        return None
    try:
        if len(text) <= 10:
            day = date.fromisoformat(text)
            parsed = datetime.combine(day + timedelta(days=1), time(), ZoneInfo(zone))
        else:
            parsed = datetime.fromisoformat(text.replace(" ", "+") if _lost_plus(text) else text)
    except (ValueError, OverflowError):
        raise _WrongError(
            "нужен момент вида 2026-03-31T18:00:00+03:00 или дата",
            "must be a moment like 2026-03-31T18:00:00+03:00 or a date",
        ) from None
    if parsed.year not in YEARS:
        raise _WrongError("год должен быть от 2000 до 2100", "the year must be 2000 to 2100")
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)


def _listed(values: Iterable[str]) -> str:
    """Values with commas between them; a comma inside one is escaped."""
    return ",".join(v.replace("%", "%25").replace(",", "%2C") for v in values)


def _lost_plus(text: str) -> bool:
    """A URL's unescaped «+03:00» arrives as « 03:00»."""
    return re.search(r"T[\d:.]+ \d\d:?\d\d$", text) is not None


def _zone(text: str) -> str:
    if not _ZONE_NAME.fullmatch(text) or text not in _zones():
        raise _WrongError(
            "неизвестный часовой пояс, пример: Europe/Moscow", "unknown time zone, for example Europe/Moscow"
        )
    return text


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _switch(text: str) -> bool:
    return _one_of(("0", "1", "true", "false", "yes", "no", "on", "off"))(text.lower()) in (
        "1",
        "true",
        "yes",
        "on",
    )


def _reasons(text: str) -> tuple[str, ...]:
    return _values(text) if text else ()


def _levels(text: str, known: tuple[str, ...]) -> tuple[str, ...]:
    levels = tuple(part.strip() for part in text.split(",") if part.strip() and part.strip() != "none")
    for level in levels:
        _one_of(known)(level)
    if len(levels) > MAX_LEVELS:
        raise _WrongError(f"не больше {MAX_LEVELS} уровней", f"at most {MAX_LEVELS} levels")
    if len(set(levels)) != len(levels):
        raise _WrongError("уровень повторяется", "a level is repeated")
    return levels


def _values(text: str) -> tuple[str, ...]:
    values = tuple(dict.fromkeys(_clean(unquote(part)) for part in text.split(",")))
    if len(values) > MAX_VALUES:
        raise _WrongError(f"не больше {MAX_VALUES} значений", f"at most {MAX_VALUES} values")
    if any(len(v) > MAX_TEXT for v in values):
        raise _WrongError(
            f"значение длиннее {MAX_TEXT} знаков", f"a value is longer than {MAX_TEXT} characters"
        )
    if not any(values):
        raise _WrongError("нет значений", "no values")
    return tuple(sorted(v for v in values if v))


def _filters(
    given: dict[str, list[str]], spec: ReportSpec, errors: list[FieldError]
) -> tuple[tuple[str, bool, tuple[str, ...]], ...]:
    """All filters, sorted, so that their order in the URL does not matter."""
    keys = {d.key: d for d in spec.dimensions}
    written = [("filter", text) for text in given.get("filter", [])]
    written += [(key, f"{key}:in:{text}") for key in keys for text in given.get(key, [])]
    found: set[tuple[str, bool, tuple[str, ...]]] = set()
    for field, text in written:
        try:
            dimension, colon, rest = _clean(text).partition(":")
            mode, second, listed = rest.partition(":")
            if not colon or not second or mode not in ("in", "not"):
                raise _WrongError("нужно вида employee:in:ivan,anna", "must look like employee:in:ivan,anna")
            _one_of(tuple(keys))(dimension)
            values = _values(listed)
            allowed = keys[dimension].values
            for value in values:
                if allowed is not None and value != "~":
                    _one_of(allowed)(value)
            found.add((dimension, mode == "in", values))
        except _WrongError as wrong:
            errors.append(FieldError(field, wrong.reason))
    return tuple(sorted(found))


def _month_end(first: date) -> date:
    return (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
