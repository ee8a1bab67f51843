"""Six months in the life of an auto service: a pure function of a seed, told as deliveries in order of time."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from leadfold.demo import site, stories
from leadfold.demo.company import HOUR_WEIGHTS, OFFICES, OPERATORS
from leadfold.demo.people import People, Person
from leadfold.demo.phone import internal
from leadfold.demo.scene import Scene
from leadfold.demo.sent import Sent
from leadfold.demo.stories import Story
from leadfold.demo.truth import Truth
from leadfold.demo.wire import forms, sipuni

DAYS: Final = 182
PER_DAY: Final = 24.0
"""Inquiries a day of both offices together at scale 1."""

_WEEKDAYS: Final = (1.25, 1.1, 1.0, 1.0, 1.15, 0.9, 0.6)
_STORIES: Final[tuple[tuple[Story, float], ...]] = (
    (stories.call, 66),
    (stories.incoming_request(site.form), 13),
    (site.chat, 9),
    (site.callback, 4),
    (stories.walk_in, 5),
)


@dataclass(frozen=True)
class History:
    """A generated history. ``sent`` is in order of time, everything after ``until`` is the future (live traffic)."""

    seed: int
    start: datetime
    until: datetime
    handover: date
    sent: tuple[Sent, ...]
    truths: tuple[Truth, ...]
    people: list[Person]
    scene: Scene

    def past(self) -> list[Sent]:
        """What was sent up to ``until``."""
        return [s for s in self.sent if s.at <= self.until]


def generate(seed: int, until: datetime, *, days: int = DAYS, scale: float = 1.0) -> History:
    """Generate the history that ends at ``until`` (UTC). Pure: the same arguments give the same bytes.

    ``scale`` multiplies the number of clients, not the length. Stories that began before ``until`` go on after it.
    """
    rng = random.Random(seed)  # noqa: S311 - a town of invented people, not a secret
    start = _start(until, days)
    handover = handover_day(until, days)
    scene = Scene(rng=rng, handover=handover, people=People(rng))
    scene.script.say(
        sipuni.probe(start + timedelta(minutes=5)), forms.tilda_probe(start + timedelta(minutes=6))
    )
    pool: list[Person] = []
    nuisances = [(scene.people.new_phone(), "spam") for _ in range(6)] + [
        (scene.people.new_phone(), "supplier")
    ] * 2
    known: set[str] = set()
    for at, office in _arrivals(rng, start, until, scale):
        draw = rng.random()
        if draw < 0.02 and OFFICES[office].is_open(at):
            number, mark = rng.choice(nuisances)
            stories.nuisance(scene, number, mark, office, at, tell=number not in known)
            known.add(number)
        elif draw < 0.032 and OFFICES[office].is_open(at):
            stories.hidden_caller(scene, office, at)
        elif draw < 0.04 and OFFICES["msk"].is_open(at):
            stories.own_phone(scene, rng.choice(OPERATORS), at)
        elif draw < 0.06 and OFFICES["msk"].is_open(at):
            caller, called = rng.sample(OPERATORS, 2)
            internal(scene, at, caller, called)
        else:
            _client(scene, pool, office, at)
    scene.flush_erp()
    return History(
        seed=seed,
        start=start,
        until=until,
        handover=handover,
        sent=tuple(scene.script.in_order()),
        truths=tuple(scene.truths),
        people=pool,
        scene=scene,
    )


def _arrivals(
    rng: random.Random, start: datetime, until: datetime, scale: float
) -> Iterator[tuple[datetime, str]]:
    """Moments at which somebody turns to an office, in order of time; one in eight outside opening hours."""
    moments: list[tuple[datetime, str]] = []
    for office in OFFICES.values():
        day, last = office.local(start).date(), office.local(until).date()
        while day <= last:
            expected = PER_DAY * scale * office.share * _WEEKDAYS[day.weekday()] * _season(day)
            for _ in range(int(expected + rng.random())):
                at = office.at(day, _hour(rng), rng.randrange(60), rng.randrange(60)).astimezone(UTC)
                if start + timedelta(hours=1) <= at <= until:
                    moments.append((at, office.id))
            day += timedelta(days=1)
    return iter(sorted(moments))


def _season(day: date) -> float:
    """People change tyres in April and October, and stay at home in the first days of January."""
    if day.month in (4, 10):
        return 1.3
    return 0.3 if day.month == 1 and day.day <= 8 else 1.0


def _hour(rng: random.Random) -> int:
    if rng.random() < 0.12:
        return rng.choice((0, 6, 7, 8, 20, 20, 21, 21, 22, 23))
    return 9 + rng.choices(range(len(HOUR_WEIGHTS)), HOUR_WEIGHTS)[0]


def _client(scene: Scene, pool: list[Person], office: str, at: datetime) -> None:
    """A client, new or known, plays his next story; known ones only when their last story is over."""
    person = _known(scene, pool, office, at) if scene.chance(0.34) else None
    if person is None:
        person = scene.people.new(office)
        pool.append(person)
    if person.arrivals and scene.chance(0.18) and OFFICES[office].is_open(at):
        story: Story = stories.invitation
    else:
        story = scene.rng.choices([s for s, _ in _STORIES], [w for _, w in _STORIES])[0]
    person.free_at = max(story(scene, person, at), at) + timedelta(days=4)


def handover_day(until: datetime, days: int = DAYS) -> date:
    """The day on which extensions change hands and a line its channel, in a history of these arguments."""
    return (_start(until, days) + timedelta(days=days * 0.6)).date()


def _start(until: datetime, days: int) -> datetime:
    return (until - timedelta(days=days)).replace(hour=0, minute=0, second=0, microsecond=0)


def go_on(history: History, at: datetime) -> list[Sent]:
    """One more story of somebody, beginning at a moment after ``until``; its deliveries, in order of time.

    Changes the history's scene and people (numbers go on, clients come back), not what was told before.
    """
    script = history.scene.script
    script.sent.clear()
    office = "msk" if history.scene.chance(OFFICES["msk"].share) else "ekb"
    _client(history.scene, history.people, office, at)
    history.scene.flush_erp()
    return script.in_order()


def _known(scene: Scene, pool: list[Person], office: str, at: datetime) -> Person | None:
    for _ in range(6):
        if not pool:
            return None
        person = scene.rng.choice(pool)
        if person.office == office and person.free_at is not None and person.free_at <= at:
            return person
    return None
