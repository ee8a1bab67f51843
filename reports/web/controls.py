"""The controls above the tiles: period, basis, clocks, levels, filters, columns, tabs — each change is a link."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from reports.context import Context
from reports.dimensions import NONE_KEY, label_of
from reports.formats import moment, month_name, period
from reports.params import COMPARISONS, MAX_LEVELS, PRESETS, preset_days
from reports.periods import add_months, neighbours
from reports.web.state import TABS, State
from reports.web.texts import say


@dataclass(frozen=True, slots=True)
class Choice:
    """A link among others."""

    label: str
    href: str
    current: bool = False
    key: str = ""


@dataclass(frozen=True, slots=True)
class Level:
    """A grouping level with the links that move and remove it; None where that can't be done."""

    key: str
    label: str
    left: str | None
    right: str | None
    remove: str | None


@dataclass(frozen=True, slots=True)
class Chip:
    """A filter in words and the link without it."""

    text: str
    remove: str


@dataclass(frozen=True, slots=True)
class Controls:
    """Everything above the tiles."""

    period: str
    presets: tuple[Choice, ...]
    earlier: str
    later: str
    bases: tuple[Choice, ...]
    units: tuple[Choice, ...]
    comparisons: tuple[Choice, ...]
    as_of: str
    as_of_now: str
    levels: tuple[Level, ...]
    more_levels: tuple[Choice, ...]
    chips: tuple[Chip, ...]
    dimensions: tuple[Choice, ...]
    clear: str | None
    columns: tuple[Choice, ...]
    tabs: tuple[Choice, ...]
    expand: str
    collapse: str


def controls(state: State, context: Context) -> Controls:
    """Links for every change a reader can make."""
    lang, params = state.lang, state.params
    spans = {key: preset_days(key, context.now.astimezone(ZoneInfo(params.zone)).date()) for key in PRESETS}
    now = (params.first_day, params.last_day)
    presets = tuple(
        Choice(label[lang], state.to(first_day=spans[k][0], last_day=spans[k][1]), spans[k] == now, k)
        for k, label in PRESETS.items()
    )
    earlier, later = neighbours(*now)
    optional = [m.column for m in state.spec.metrics if m.column.optional]
    return Controls(
        period=period_words(*now, lang),
        presets=presets,
        earlier=state.to(first_day=earlier[0], last_day=earlier[1]),
        later=state.to(first_day=later[0], last_day=later[1]),
        bases=tuple(
            Choice(say(f"basis.{b}", lang), state.to(basis=b), params.basis == b, b)
            for b in ("cohort", "activity")
        ),
        units=tuple(
            Choice(say(f"counted.{c}", lang), state.to(counted=c), params.counted == c, c)
            for c in ("inquiry", "client")
        ),
        comparisons=tuple(
            Choice(say(f"compare.{c}", lang), state.to(compare=c), params.compare == c, c)
            for c in COMPARISONS
        ),
        as_of=moment(params.as_of, params.zone) if params.as_of else say("as_of.now", lang),
        as_of_now=state.to(as_of=None),
        levels=_levels(state),
        more_levels=tuple(
            Choice(d.label[lang], state.to(levels=(*params.levels, d.key)), key=d.key)
            for d in state.spec.dimensions
            if d.key not in params.levels
        )
        if len(params.levels) < MAX_LEVELS
        else (),
        chips=tuple(_chip(state, context, n) for n in range(len(params.filters))),
        dimensions=tuple(
            Choice(d.label[lang], state.values_url(d.key), key=d.key) for d in state.spec.dimensions
        ),
        clear=state.to(filters=()) if len(params.filters) > 1 else None,
        columns=tuple(
            Choice(
                c.label[lang],
                state.url(columns=_toggled(state.columns, c.key)),
                c.key in state.columns,
                c.key,
            )
            for c in optional
        ),
        tabs=tuple(Choice(say(f"tab.{t}", lang), state.url(tab=t, sort=""), state.tab == t, t) for t in TABS),
        expand=state.url(open=("all",)),
        collapse=state.url(open=()),
    )


def period_words(first: date, last: date, lang: str) -> str:
    """A whole month or year by its name, other periods by their days."""
    after = last + timedelta(days=1)
    if first.day == 1 and after == add_months(first, 1):
        return month_name(first, lang).capitalize()
    if (first.day, first.month) == (1, 1) and after == add_months(first, 12):
        return say("period.year", lang, year=first.year)
    return period(first, last)


def _levels(state: State) -> tuple[Level, ...]:
    keys = state.params.levels
    labels = {d.key: d.label[state.lang] for d in state.spec.dimensions}

    def moved(n: int, by: int) -> str | None:
        if not 0 <= n + by < len(keys):
            return None
        order = list(keys)
        order[n], order[n + by] = order[n + by], order[n]
        return state.to(levels=tuple(order))

    return tuple(
        Level(
            key=key,
            label=labels[key],
            left=moved(n, -1),
            right=moved(n, 1),
            remove=state.to(levels=(*keys[:n], *keys[n + 1 :])) if len(keys) > 1 else None,
        )
        for n, key in enumerate(keys)
    )


def _chip(state: State, context: Context, n: int) -> Chip:
    key, included, values = state.params.filters[n]
    dimension = state.spec.dimension(key)
    names = [label_of(dimension, None if v == NONE_KEY else v, context.directory)[state.lang] for v in values]
    shown = ", ".join(names[:3]) + (f" +{len(names) - 3}" if len(names) > 3 else "")
    joint = "chip.in" if included else "chip.not"
    rest = (*state.params.filters[:n], *state.params.filters[n + 1 :])
    return Chip(
        say(joint, state.lang, what=dimension.label[state.lang], values=shown), state.to(filters=rest)
    )


def _toggled(columns: tuple[str, ...], key: str) -> tuple[str, ...]:
    return tuple(c for c in columns if c != key) if key in columns else (*columns, key)
