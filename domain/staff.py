"""Employees through time: every card that was ever told, in force from its event's time until the next (G9, R0.50).

What an employee did stays counted by the card of that time. To mend the past, give an extension its days in the
present card, or tell a card with an earlier time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime

from domain.facts.company import EmployeeChanged

Told = tuple[tuple[datetime, EmployeeChanged], ...]
"""The cards of one employee, each with the time (UTC) it holds from, in order."""

_END = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Holding:
    """An extension as one card names it. ``first`` ≤ local day < ``last``; the card holds ``since`` ≤ moment < ``until``.

    ``dated``: the card gives days for it; ``latest``: no later card of this employee names his extensions.
    """

    who: str
    scope: str | None
    first: date
    last: date
    dated: bool
    since: datetime
    until: datetime
    latest: bool


class Staff:
    """The cards of all employees. Immutable."""

    def __init__(self, told: Mapping[str, Told]) -> None:
        self.told = told
        self.present = {who: t[-1][1] for who, t in sorted(told.items()) if not t[-1][1].removed}
        self.held: dict[str, list[Holding]] = {}
        for _, cards in sorted(told.items()):
            for ext, holding in _holdings(cards):
                self.held.setdefault(ext, []).append(holding)
        self.logins = self._logins()

    def last(self, employee_id: str | None) -> EmployeeChanged | None:
        """An employee's card; of one who left, the last that he had."""
        cards = self.told.get(employee_id or "", ())
        return next((c for _, c in reversed(cards) if not c.removed), None)

    def at(self, employee_id: str | None, moment: datetime) -> EmployeeChanged | None:
        """The card in force at a moment. The first tells of the time before it too, the last of the time after he left."""
        cards = [(since, c) for since, c in self.told.get(employee_id or "", ()) if not c.removed]
        past = [c for since, c in cards if since <= moment]
        return past[-1] if past else cards[0][1] if cards else None

    def holders(self, ext: str, moment: datetime, day: date, scopes: frozenset[str | None]) -> set[str]:
        """Who held an extension at a moment, whose local day is ``day``; several when nobody can say who of them.

        Holders named for one of ``scopes`` go before those named for all. Days that a present card (or the last one
        of somebody who left) gives go before the cards of that time. When nobody ever held it until then, the first
        card afterwards that names it without days tells of the time before it.
        """
        mine = [h for h in self.held.get(ext, ()) if h.scope is None or h.scope in scopes]
        for part in ([h for h in mine if h.scope is not None], [h for h in mine if h.scope is None]):
            today = [h for h in part if h.first <= day < h.last and moment < h.until]
            told = {h.who for h in today if h.dated and h.latest}
            if found := told or {h.who for h in today if h.since <= moment}:
                return found
        if any(h.first <= day and (h.since <= moment or (h.dated and h.latest)) for h in mine):
            return set()
        later = [h for h in mine if not h.dated and h.since > moment]
        begun = min((h.since for h in later), default=_END)
        first = [h for h in later if h.since == begun]
        return {h.who for h in first if h.scope is not None} or {h.who for h in first}

    def phones(self) -> set[str]:
        """Employees' own numbers (G11): by the present cards, and by the last ones of those who left.

        A number taken off a card as a mistake is a client's again, at once and for all history.
        """
        cards = (self.last(who) for who in self.told)
        return {phone for card in cards if card is not None for phone in card.phones}

    def owner(self, phone: str) -> str | None:
        """Whose own number it is, of those here before those who left; None when nobody's or several people's."""
        cards = [(who, card) for who in self.told if (card := self.last(who)) and phone in card.phones]
        here = [who for who, _ in cards if who in self.present] or [who for who, _ in cards]
        return here[0] if len(here) == 1 else None

    def _logins(self) -> dict[str, str]:
        """Login, name or id in lower case → employee: those here before those who left, present words before former."""
        logins: dict[str, str] = {}
        gone = [c for who in sorted(self.told) if who not in self.present and (c := self.last(who))]
        for card in self.present.values():
            for text in (*card.logins, card.name):
                logins.setdefault(_plain(text), card.employee_id)
        for who in self.present:
            logins[_plain(who)] = who
        for card in gone:
            for text in (card.employee_id, *card.logins, card.name):
                logins.setdefault(_plain(text), card.employee_id)
        former = [(since, who, c) for who, cards in self.told.items() for since, c in cards]
        for _, who, card in sorted(former, key=lambda f: (f[0], f[1]), reverse=True):
            for text in (*card.logins, card.name):
                logins.setdefault(_plain(text), who)
        return logins


def _plain(text: str) -> str:
    return text.strip().casefold()


def _holdings(cards: Told) -> Iterable[tuple[str, Holding]]:
    named = [n for n, (_, card) in enumerate(cards) if not card.removed]
    for n in named:
        since, card = cards[n]
        until = cards[n + 1][0] if n + 1 < len(cards) else _END
        for e in card.extensions:
            yield (
                e.ext,
                Holding(
                    who=card.employee_id,
                    scope=e.scope or None,
                    first=e.valid_from or date.min,
                    last=e.valid_to or date.max,
                    dated=e.valid_from is not None or e.valid_to is not None,
                    since=since,
                    until=until,
                    latest=n == named[-1],
                ),
            )
