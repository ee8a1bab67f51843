"""The directory: employees, numbers, dictionaries, rules and rates, folded from directory facts.

A pure function of the set of directory facts: for each item the latest fact (time, then id) wins.
Periods of local days are half-open: ``valid_from`` included, ``valid_to`` excluded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import cached_property, lru_cache
from hashlib import sha256
from zoneinfo import ZoneInfo

from domain.defaults import DEFAULT_DICTIONARY
from domain.event import Event
from domain.facts.base import Fact
from domain.facts.company import DictionaryChanged, EmployeeChanged, NumberAssigned, PlanSet, RulePublished
from domain.phones import normalise
from domain.rules import Rules
from domain.staff import Staff, Told

DEFAULT_TIMEZONE = "Europe/Moscow"
_SHORTEST_PHONE = 10


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What the configuration says about a source of deliveries."""

    name: str
    provider: str
    timezone: str = DEFAULT_TIMEZONE
    office: str | None = None
    channel: str | None = None


@dataclass(frozen=True)
class Directory:
    """Everything the fold must know besides a client's own facts. Immutable; build with ``Directory.build``."""

    timezone: str = DEFAULT_TIMEZONE
    sources: Mapping[str, SourceInfo] = field(default_factory=dict)
    cards: Mapping[str, Told] = field(default_factory=dict)
    numbers: Mapping[str, tuple[NumberAssigned, ...]] = field(default_factory=dict)
    entries: Mapping[tuple[str, str], DictionaryChanged] = field(default_factory=dict)
    rule_versions: tuple[tuple[datetime, Rules], ...] = ()
    plans: tuple[PlanSet, ...] = ()

    @classmethod
    def build(
        cls,
        facts: Iterable[Event],
        *,
        timezone: str = DEFAULT_TIMEZONE,
        sources: Iterable[SourceInfo] = (),
    ) -> Directory:
        """Fold directory events (any order, duplicates allowed) over the built-in dictionary."""
        latest: dict[tuple[str, ...], Fact] = {
            ("dictionary", e.dictionary, e.item): e for e in DEFAULT_DICTIONARY
        }
        cards: dict[str, list[tuple[datetime, EmployeeChanged]]] = {}
        for event in sorted(facts, key=lambda e: (e.time, e.received, e.id)):
            key = item_key(event.data)
            if key is not None:
                latest.pop(key, None)  # the latest word stands last
                latest[key] = event.data
            if isinstance(event.data, EmployeeChanged):
                told = cards.setdefault(event.data.employee_id, [])
                if not told or told[-1][1] != event.data:  # the same card told again changes nothing
                    told.append((event.time, event.data))
        numbers: dict[str, list[NumberAssigned]] = {}
        entries: dict[tuple[str, str], DictionaryChanged] = {}
        plans: list[PlanSet] = []
        rules: list[RulePublished] = []
        for fact in latest.values():
            match fact:
                case NumberAssigned():
                    numbers.setdefault(fact.number, []).append(fact)
                case DictionaryChanged() if not fact.removed:
                    entries[fact.dictionary, fact.item] = fact
                case PlanSet():
                    plans.append(fact)
                case RulePublished():
                    rules.append(fact)
        return cls(
            timezone=timezone,
            sources={s.name: s for s in sources},
            cards={who: tuple(told) for who, told in sorted(cards.items())},
            numbers={n: tuple(sorted(a, key=lambda x: x.valid_from or date.min)) for n, a in numbers.items()},
            entries=entries,
            rule_versions=_versions(rules),
            plans=tuple(
                sorted(plans, key=lambda p: (p.valid_from or date.min, p.employee_id or "", p.team or ""))
            ),
        )

    @cached_property
    def fingerprint(self) -> str:
        """Hash of everything here: rows folded under another fingerprint are stale and folded again."""
        parts = [
            self.timezone,
            *(repr(self.sources[k]) for k in sorted(self.sources)),
            *(
                f"{at.isoformat()}{c.model_dump_json()}"
                for k in sorted(self.cards)
                for at, c in self.cards[k]
            ),
            *(n.model_dump_json() for k in sorted(self.numbers) for n in self.numbers[k]),
            *(self.entries[k].model_dump_json() for k in sorted(self.entries)),
            *(f"{at.isoformat()}{r.model_dump_json()}" for at, r in self.rule_versions),
            *(p.model_dump_json() for p in self.plans),
        ]
        return sha256("\n".join(parts).encode()).hexdigest()[:32]

    def rules_at(self, moment: datetime) -> Rules:
        """The rules in force at a moment (UTC)."""
        found = _DEFAULT_RULES
        for valid_from, rules in self.rule_versions:
            if valid_from > moment:
                break
            found = rules
        return found

    def zone_of(self, office: str | None) -> str:
        """IANA zone of an office; the company's own when the office has none."""
        entry = self.entries.get(("office", office)) if office else None
        zone = entry.attrs.get("timezone") if entry else None
        return zone if isinstance(zone, str) and zone else self.timezone

    @cached_property
    def has_other_clocks(self) -> bool:
        """Some office's days begin and end by another clock than the company's."""
        return any(
            self.zone_of(item) != self.timezone for dictionary, item in self.entries if dictionary == "office"
        )

    def local_day(self, moment: datetime, office: str | None = None) -> date:
        """The local day of a moment at an office."""
        return moment.astimezone(_zone(self.zone_of(office))).date()

    def day_end(self, moment: datetime, office: str | None = None) -> datetime:
        """End (UTC, exclusive) of the local day in which a moment falls; right across daylight changes."""
        zone = self.zone_of(office)
        return _begin(zone, moment.astimezone(_zone(zone)).date() + timedelta(days=1))

    def entry_id(self, dictionary: str, text: str | None) -> str | None:
        """Id of a dictionary entry given by id or by label; an unknown text is its own id. Follows mergers."""
        if text is None or not text.strip():
            return None
        item = self._labels.get((dictionary, text.strip().casefold()), text.strip())
        for _ in range(8):
            entry = self.entries.get((dictionary, item))
            if entry is None or entry.merged_into is None:
                break
            item = entry.merged_into
        return item

    @cached_property
    def _labels(self) -> dict[tuple[str, str], str]:
        names: dict[tuple[str, str], str] = {}
        for (dictionary, item), entry in sorted(self.entries.items()):
            for text in (entry.label, entry.label_en or "", item):
                if text:
                    names[dictionary, text.strip().casefold()] = item
        for dictionary, item in self.entries:
            names[dictionary, item.casefold()] = item
        return names

    @cached_property
    def staff(self) -> Staff:
        """The employees through time."""
        return Staff(self.cards)

    @property
    def employees(self) -> Mapping[str, EmployeeChanged]:
        """Who is an employee by the latest word, with his card."""
        return self.staff.present

    def card_of(self, employee_id: str | None) -> EmployeeChanged | None:
        """An employee's latest card; of one who left, the last that he had."""
        return self.staff.last(employee_id)

    def employee_by_ext(
        self,
        ext: str | None,
        moment: datetime,
        *,
        source: str,
        cabinet: str | None,
        office: str | None = None,
        names: Iterable[str] = (),
    ) -> str | None:
        """Who held an extension at a moment (R0.50), by the cards of that time: see ``Staff.holders``.

        An employee's own phone stands for him. ``ext:101`` when nobody or several held it: shown as «номер 101» or
        «номер 101 (смена)». ``names``: how the provider calls its holder: a login goes before the extension; when we
        know nothing, the last name is shown.
        """
        if not ext:
            return None
        if named := next((k for name in names if (k := self.staff.logins.get(name.casefold()))), None):
            return named
        if ext not in self.staff.held:
            # a call goes on to somebody's mobile; chat widgets call their agents by ids of their own: those are logins
            known = self._own_mobile(ext) or self.staff.logins.get(ext.casefold())
            return known or self.employee_known_as(names, moment, source=source) or f"ext:{ext}"
        day = self.local_day(moment, office)
        holders = self.staff.holders(ext, moment, day, frozenset((source, cabinet)) - {None})
        return holders.pop() if len(holders) == 1 else f"ext:{ext}"

    def _own_mobile(self, number: str) -> str | None:
        """The employee whose own phone a telephony names in place of an extension (a forwarded call)."""
        phone = normalise(number).e164 if len(number) >= _SHORTEST_PHONE else None
        return self.staff.owner(phone) if phone in self.own_phones else None

    def employee_id(
        self, by: str | None, moment: datetime, *, source: str = "", cabinet: str | None = None
    ) -> str | None:
        """The employee meant by an id, login, name or extension; an unknown text is kept as it is."""
        if by is None or not by.strip():
            return None
        text = by.strip()
        known = self.staff.logins.get(text.casefold())
        if known:
            return known
        if text.isdigit() and text in self.staff.held:
            return self.employee_by_ext(text, moment, source=source, cabinet=cabinet)
        return text

    def employee_known_as(
        self, names: Iterable[str | None], moment: datetime, *, source: str = ""
    ) -> str | None:
        """The employee meant by the first of several names of one person (id, e-mail, name) that we know.

        When we know none of them: the holder, if the first is an extension; else the last, for people to read.
        """
        given = [name.strip() for name in names if name and name.strip()]
        known = next((k for text in given if (k := self.staff.logins.get(text.casefold()))), None)
        if known or not given:
            return known
        first = self.employee_id(given[0], moment, source=source)
        return first if first != given[0] else given[-1]

    def team_of(self, employee_id: str | None, moment: datetime) -> str | None:
        """The team of an employee at a moment (G9), if known."""
        card = self.staff.at(employee_id, moment)
        return card.team if card else None

    @cached_property
    def own_phones(self) -> frozenset[str]:
        """Employees' numbers: never clients (G11)."""
        return frozenset(self.staff.phones())

    @cached_property
    def own_lines(self) -> frozenset[str]:
        """Our own lines, but those that are an employee's: as a caller's number they say nothing of who calls."""
        return frozenset(self.numbers) - self.own_phones

    def number_on(self, number: str | None, moment: datetime) -> NumberAssigned | None:
        """To which source and office a number of ours belonged on the day of a moment (R3.34)."""
        for assigned in reversed(self.numbers.get(number or "", ())):
            day = self.local_day(moment, assigned.office)
            if (assigned.valid_from or date.min) <= day < (assigned.valid_to or date.max):
                return assigned
        return None

    def arrival_rate(self, employee_id: str | None, moment: datetime, office: str | None) -> Decimal:
        """Roubles for one arrival by the rate valid on the local day of a moment: his own, else his team's, else everybody's."""
        if employee_id is None:
            return Decimal(0)
        day = self.local_day(moment, office)
        team = self.team_of(employee_id, moment)
        rates: dict[str, Decimal] = {}
        for plan in self.plans:
            if plan.metric != "arrival_rate" or not (plan.valid_from or date.min) <= day < (
                plan.valid_to or date.max
            ):
                continue
            if plan.employee_id is not None:
                if plan.employee_id == employee_id:
                    rates["own"] = plan.value
            elif plan.team is None:
                rates["all"] = plan.value
            elif plan.team == team:
                rates["team"] = plan.value
        return next((rates[whose] for whose in ("own", "team", "all") if whose in rates), Decimal(0))


def item_key(fact: Fact) -> tuple[str, ...] | None:
    """What a directory fact is about: a later fact with the same key replaces an earlier one."""
    match fact:
        case EmployeeChanged():
            return ("employee", fact.employee_id)
        case NumberAssigned():
            return ("number", fact.number, str(fact.valid_from or ""))
        case DictionaryChanged():
            return ("dictionary", fact.dictionary, fact.item)
        case RulePublished():
            return ("rule", fact.version)
        case PlanSet():
            return ("plan", fact.metric, fact.employee_id or "", fact.team or "", str(fact.valid_from or ""))
    return None


_DEFAULT_RULES = Rules()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _versions(published: list[RulePublished]) -> tuple[tuple[datetime, Rules], ...]:
    """Each version changes only what its body names; the rest goes on from the version before it.

    Of versions in force from one moment the one published last counts (G10): they come in order of publication.
    """
    versions: list[tuple[datetime, Rules]] = []
    current = _DEFAULT_RULES.model_dump()
    for rule in sorted(published, key=lambda r: r.valid_from or _EPOCH):
        current = {**current, **rule.body}
        versions.append((rule.valid_from or _EPOCH, Rules.model_validate(current)))
    return tuple(versions)


@lru_cache(maxsize=4096)
def _begin(zone: str, day: date) -> datetime:
    return datetime.combine(day, time(), _zone(zone)).astimezone(UTC)


_ZONES: dict[str, ZoneInfo] = {}


def _zone(name: str) -> ZoneInfo:
    if name not in _ZONES:
        _ZONES[name] = ZoneInfo(name)
    return _ZONES[name]
