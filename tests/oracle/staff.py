"""The oracle's answer to «whose extension was it then» (R0.50, G9), by brute force over every word ever said."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from domain.facts.company import EmployeeChanged, Extension

Cards = Sequence[tuple[datetime, EmployeeChanged]]


def holder(ext: str, moment: datetime, source: str, cards: Cards) -> str:
    """One employee, or ``ext:201`` when it was nobody or cannot be said who of several."""
    if not any(e.ext == ext for _, c in cards if not c.removed for e in c.extensions):
        return f"ext:{ext}"
    day = moment.astimezone(ZoneInfo("Europe/Moscow")).date()
    people = sorted({c.employee_id for _, c in cards})
    for own in (True, False):
        by_days, by_card = set(), set()
        for who in people:
            last = _last(who, cards)
            if last is not None and moment < _left(who, cards):
                by_days |= {who for e in _mine(last, ext, source, own) if _dated(e) and _covers(e, day)}
            now = _said(who, moment, cards)
            if now is not None and not now.removed:
                by_card |= {who for e in _mine(now, ext, source, own) if _covers(e, day)}
        if by_days or by_card:
            who_held = by_days or by_card
            return who_held.pop() if len(who_held) == 1 else f"ext:{ext}"
    if _ever_held(ext, moment, day, source, cards):
        return f"ext:{ext}"
    later = [
        (at, e.scope is None, c.employee_id)
        for at, c in cards
        if at > moment and not c.removed
        for own in (True, False)
        for e in _mine(c, ext, source, own)
        if not _dated(e)
    ]
    if not later:
        return f"ext:{ext}"
    first = min(later)
    names = {who for at, common, who in later if (at, common) == first[:2]}
    return names.pop() if len(names) == 1 else f"ext:{ext}"


def _ever_held(ext: str, moment: datetime, day: date, source: str, cards: Cards) -> bool:
    for at, c in cards:
        if c.removed:
            continue
        for own in (True, False):
            for e in _mine(c, ext, source, own):
                begun = e.valid_from is None or e.valid_from <= day
                stated = at <= moment or (_dated(e) and c is _last(c.employee_id, cards))
                if begun and stated:
                    return True
    return False


def _mine(card: EmployeeChanged, ext: str, source: str, own: bool) -> list[Extension]:
    return [e for e in card.extensions if e.ext == ext and e.scope == (source if own else None)]


def _dated(e: Extension) -> bool:
    return bool(e.valid_from or e.valid_to)


def _covers(e: Extension, day: date) -> bool:
    return (e.valid_from is None or e.valid_from <= day) and (e.valid_to is None or day < e.valid_to)


def _said(who: str, moment: datetime, cards: Cards) -> EmployeeChanged | None:
    said = [c for at, c in cards if c.employee_id == who and at <= moment]
    return said[-1] if said else None


def _last(who: str, cards: Cards) -> EmployeeChanged | None:
    said = [c for _, c in cards if c.employee_id == who and not c.removed]
    return said[-1] if said else None


def _left(who: str, cards: Cards) -> datetime:
    """When the last card ended because he left; the end of time for who is here."""
    end = datetime.max.replace(tzinfo=UTC)
    for at, c in cards:
        if c.employee_id == who:
            end = at if c.removed and end == datetime.max.replace(tzinfo=UTC) else end
            end = end if c.removed else datetime.max.replace(tzinfo=UTC)
    return end


def random_cards(chance: random.Random) -> list[tuple[datetime, EmployeeChanged]]:
    """Cards of up to three people over ten days, each moment once, in order."""
    hours = sorted(chance.sample(range(240), chance.randint(1, 6)))
    found = []
    for hour in hours:
        who = chance.choice(("anna", "ivan", "oleg"))
        days = [None, None, date(2026, 3, 3), date(2026, 3, 6)]
        exts = tuple(
            Extension(
                ext=chance.choice(("201", "201", "202")),
                scope=chance.choice((None, None, "main")),
                valid_from=chance.choice(days),
                valid_to=chance.choice(days),
            )
            for _ in range(chance.choice((0, 1, 1, 2)))
        )
        fact = EmployeeChanged(
            employee_id=who, name=f"{who} {hour}", extensions=exts, removed=chance.random() < 0.15
        )
        found.append((datetime(2026, 3, 1, tzinfo=UTC) + timedelta(hours=hour), fact))
    return found
