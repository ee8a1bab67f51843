"""Directory items of ``leadfold.toml`` become events on the log, each change once (source ``/config/leadfold``).

Only the ingest process does this, at start and after every change of the file. It remembers in a small file of the
data folder what it has published. An item that was never published gets the time `BEGINNING`, so that all history sees
it; a later change gets the time of the change. So does an employee who is added when others were published before: he
may take over an extension, and one that nobody held until then is his for all history anyway. When the small file is lost, the read models are asked what they know;
when they do not answer either, everything is published once more with the time of now: the same contents, so nothing
changes for the reader. So it is when the file tells of another log than the one at hand.

Ids are made of the item, a hash of its contents and the number of its changes so far: A, then B, then A again are
three events, and publishing one of them twice (a crash in between) is one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import structlog

from domain.defaults import DEFAULT_DICTIONARY, SETTINGS_SOURCE
from domain.directory import item_key
from domain.event import Event
from domain.facts.base import Fact
from domain.facts.company import (
    DictionaryChanged,
    EmployeeChanged,
    Extension,
    NumberAssigned,
    PlanSet,
    RulePublished,
)
from domain.facts.registry import read_fact
from domain.identity import event_id
from domain.said import partition_key
from leadfold.directory_settings import Employee, Number
from leadfold.files import write_private
from leadfold.settings import Settings

log = structlog.get_logger(__name__)

BEGINNING: Final = datetime(2000, 1, 1, tzinfo=UTC)
STATE_FILE: Final = "config-sync.json"
RULE_VERSION: Final = "leadfold.toml"

Key = tuple[str, ...]
"""What a fact is about, as in `domain.directory.item_key`."""


@dataclass(frozen=True, slots=True)
class Published:
    """The last published form of an item. ``changes``: how many forms were published before it."""

    fact: Fact
    changes: int
    time: datetime
    gone: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """What was published. ``complete``: nothing else ever was, so an unknown item is a new one.

    ``log``: identity of the log on which it is; empty when it is not known.
    """

    items: Mapping[Key, Published] = field(default_factory=dict)
    complete: bool = True
    log: str = ""


def items(settings: Settings) -> dict[Key, Fact]:
    """The directory as the settings describe it."""
    found: dict[Key, Fact] = {}
    for fact in _facts(settings):
        key = item_key(fact)
        assert key is not None
        found[key] = fact
    return found


def _facts(settings: Settings) -> Iterable[Fact]:
    for office in settings.offices:
        attrs = {"timezone": office.timezone} if office.timezone else {}
        yield DictionaryChanged(
            dictionary="office",
            item=office.id,
            label=office.label,
            label_en=office.label_en,
            attrs=dict(attrs),
        )
    yield from map(employee_fact, settings.employees)
    yield from map(number_fact, settings.numbers)
    yield from _dictionaries(settings)
    if settings.rules.body:
        yield RulePublished(
            version=RULE_VERSION,
            valid_from=settings.rules.valid_from,
            body=settings.rules.body,
            by="leadfold.toml",
        )
    for plan in settings.plans:
        yield PlanSet(
            employee_id=plan.employee,
            team=plan.team,
            metric=plan.metric,
            value=plan.value,
            valid_from=plan.valid_from,
            valid_to=plan.valid_to,
        )


def employee_fact(card: Employee) -> EmployeeChanged:
    """An employee's card as a fact."""
    return EmployeeChanged(
        employee_id=card.id,
        name=card.name,
        team=card.team,
        office=card.office,
        role=card.role,
        extensions=tuple(
            Extension(ext=e.ext, scope=e.source, valid_from=e.valid_from, valid_to=e.valid_to)
            for e in card.extensions
        ),
        logins=card.logins,
        phones=card.phones,
    )


def number_fact(given: Number) -> NumberAssigned:
    """A number of ours as a fact."""
    return NumberAssigned(
        number=given.number,
        channel=given.channel,
        office=given.office,
        valid_from=given.valid_from,
        valid_to=given.valid_to,
    )


def _dictionaries(settings: Settings) -> Iterable[Fact]:
    for order, stage in enumerate(settings.stages):
        attrs: dict[str, Any] = {"group": stage.group, "order": order}
        if stage.pipeline:
            attrs["pipeline"] = stage.pipeline
        yield DictionaryChanged(
            dictionary="stage",
            item=stage.id,
            label=stage.label,
            label_en=stage.label_en,
            attrs=attrs,
            merged_into=stage.merged_into,
        )
    for reason in settings.reasons:
        yield DictionaryChanged(
            dictionary="reason",
            item=reason.id,
            label=reason.label,
            label_en=reason.label_en,
            merged_into=reason.merged_into,
        )
    for category in settings.categories:
        yield DictionaryChanged(
            dictionary="category",
            item=category.id,
            label=category.label,
            label_en=category.label_en,
            merged_into=category.merged_into,
        )


def plan(
    wanted: Mapping[Key, Fact], state: State, *, now: datetime, key_secret: bytes
) -> tuple[list[Event], State]:
    """The events that bring the log from ``state`` to ``wanted``, and the state afterwards. Pure."""
    after = dict(state.items)
    staffed = any(isinstance(known.fact, EmployeeChanged) for known in state.items.values())
    events = []
    for key, fact in wanted.items():
        before = state.items.get(key)
        if before is not None and not before.gone and before.fact == fact:
            continue
        first = state.complete and not (isinstance(fact, EmployeeChanged) and staffed)
        time = _after(before, now) if before else BEGINNING if first else now
        after[key] = Published(fact, before.changes + 1 if before else 0, time)
        events.append(_event(key, after[key], key_secret))
    for key, before in state.items.items():
        if key not in wanted and not before.gone:
            after[key] = Published(
                _removal(before.fact, now.date()), before.changes + 1, _after(before, now), gone=True
            )
            events.append(_event(key, after[key], key_secret))
    return events, replace(state, items=after, complete=True)


def _after(before: Published, now: datetime) -> datetime:
    """Later than what it replaces, whatever the clock says: the latest one counts."""
    return max(now, before.time + timedelta(microseconds=1))


def _removal(fact: Fact, today: date) -> Fact:
    """What a removed item says from now on. Numbers and rates end today: what was counted by them stays."""
    match fact:
        case DictionaryChanged():
            built_in = (
                e for e in DEFAULT_DICTIONARY if (e.dictionary, e.item) == (fact.dictionary, fact.item)
            )
            return next(built_in, fact.model_copy(update={"removed": True}))
        case EmployeeChanged():
            return fact.model_copy(update={"removed": True})
        case RulePublished():
            return fact.model_copy(update={"body": {}})
        case NumberAssigned() | PlanSet() if fact.valid_to is None or fact.valid_to > today:
            return fact.model_copy(update={"valid_to": max(today, fact.valid_from or today)})
    return fact


def _event(key: Key, published: Published, key_secret: bytes) -> Event:
    fact = published.fact
    digest = sha256(fact.model_dump_json().encode()).hexdigest()[:32]
    return Event(
        id=event_id(SETTINGS_SOURCE, fact.TYPE, *key, digest, str(published.changes)),
        type=fact.TYPE,
        version=fact.VERSION,
        source=SETTINGS_SOURCE,
        time=published.time,
        received=published.time,
        revision=1,
        subject=key[-1] or None,
        partitionkey=partition_key((), f"{SETTINGS_SOURCE}/{'/'.join(key)}", key_secret),
        data=fact,
        refs=(),
        evidence=None,
    )


def from_events(events: Iterable[Event]) -> State:
    """The state that published events show: for each item the latest one. Not known to be complete."""
    found: dict[Key, Published] = {}
    counted: dict[Key, int] = {}
    for event in sorted(events, key=lambda e: (e.time, e.id)):
        key = item_key(event.data)
        if event.source != SETTINGS_SOURCE or key is None:
            continue
        counted[key] = counted.get(key, -1) + 1
        found[key] = Published(
            event.data, counted[key], event.time, gone=bool(getattr(event.data, "removed", False))
        )
    return State(found, complete=False)


def load_state(folder: Path) -> State | None:
    """The remembered state; None when there is none that can be read."""
    try:
        stored = json.loads((folder / STATE_FILE).read_text(encoding="utf-8"))
        return State(
            {
                tuple(entry["key"]): Published(
                    read_fact(entry["type"], entry["version"], entry["fact"]),
                    entry["changes"],
                    datetime.fromisoformat(entry["time"]),
                    entry["gone"],
                )
                for entry in stored["items"]
            },
            log=str(stored.get("log", "")),
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("config_sync.state_unreadable", error=type(error).__name__)
        return None


def save_state(folder: Path, state: State) -> None:
    """Remember what was published. Raises OSError."""
    entries: Sequence[dict[str, Any]] = [
        {
            "key": list(key),
            "type": item.fact.TYPE,
            "version": item.fact.VERSION,
            "fact": item.fact.model_dump(mode="json"),
            "changes": item.changes,
            "time": item.time.isoformat(),
            "gone": item.gone,
        }
        for key, item in state.items.items()
    ]
    folder.mkdir(parents=True, exist_ok=True)
    write_private(
        folder / STATE_FILE, json.dumps({"log": state.log, "items": entries}, ensure_ascii=False, indent=1)
    )
