"""The stage on which stories play: counters, the clock's hand-over day, and what has been said so far."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from leadfold.demo.company import BY_ID, COMPANY_ZONE, OFFICES, RING, Office, Operator
from leadfold.demo.people import People, Person
from leadfold.demo.sent import CRM, ERP, PROVIDERS, Script
from leadfold.demo.truth import Kind, Truth
from leadfold.demo.wire import native

BATCH = 60  # facts in one delivery of the ERP


@dataclass
class Scene:
    """Everything the stories share. All moments are UTC; the generator hands them out in order of opening."""

    rng: random.Random
    handover: date
    people: People
    script: Script = field(default_factory=Script)
    truths: list[Truth] = field(default_factory=list)
    busy: dict[str, datetime] = field(default_factory=dict)
    _counts: Counter[str] = field(default_factory=Counter)
    _erp: dict[datetime, list[native.Item]] = field(default_factory=lambda: defaultdict(list))

    def between(self, first: datetime, last: datetime, low: float, high: float) -> datetime:
        """A moment after ``low`` to ``high`` of the way, to a whole second."""
        return first + timedelta(seconds=int((last - first).total_seconds() * self.rng.uniform(low, high)))

    def number(self, of: str) -> int:
        """The next number of a counter, from 1."""
        self._counts[of] += 1
        return self._counts[of]

    def chance(self, share: float) -> bool:
        """True in this share of cases."""
        return self.rng.random() < share

    def pick(self, weights: dict[str, int]) -> str:
        """One of the keys, by weight."""
        return self.rng.choices(list(weights), list(weights.values()))[0]

    def after(self, moment: datetime, low: float, high: float) -> datetime:
        """A moment between ``low`` and ``high`` seconds later, to a whole second."""
        return moment + timedelta(seconds=int(self.rng.uniform(low, high)))

    def ext(self, operator: Operator, moment: datetime) -> str:
        """The operator's extension at a moment; the hand-over is at Moscow or office midnight alike: nobody works then."""
        return operator.ext_on(OFFICES[operator.office].local(moment).date(), self.handover)

    def free_operator(self, office: str, moment: datetime) -> Operator | None:
        """Somebody of the office's ring group who is not talking; None when all are."""
        free = [i for i in RING[office] if self.busy.get(i, moment) <= moment]
        if not free:
            return None
        first = 0.5 if office == "ekb" else 0.25
        chosen = free[0] if self.rng.random() < first else self.rng.choice(free)
        return BY_ID[chosen]

    def open(
        self,
        source: str,
        opening: str,
        native_id: str | None,
        person: str,
        at: datetime,
        kind: Kind,
        *,
        office: str | None,
        channel: str | None = None,
        outgoing: bool = False,
    ) -> Truth:
        """Write down an inquiry of the simulated world."""
        truth = Truth(
            source=source,
            provider=PROVIDERS[source],
            opening=opening,
            native=native_id,
            person=person,
            opened_at=at,
            direction="out" if outgoing else "in",
            kind=kind,
            office=office,
            zone=OFFICES[office].zone if office else COMPANY_ZONE,
            channel=channel,
        )
        self.truths.append(truth)
        return truth

    def crm(self, at: datetime, group: str, items: list[native.Item]) -> None:
        """The CRM tells a few facts of one card at once."""
        if items:
            self.script.say(native.batch(at, CRM, group, items))

    def erp(self, at: datetime, type_: str, data: dict[str, Any], *, nightly: bool = False) -> datetime:
        """Put a fact into the ERP's next exchange, hourly or at night; returns when it will be told."""
        told = (at + timedelta(hours=1)).replace(minute=1, second=0, microsecond=0)
        if nightly:
            told = (at + timedelta(days=1)).replace(hour=0, minute=30, second=0, microsecond=0)
        self._erp[told].append(self.fact(type_, at, data))
        return told

    def fact(self, type_: str, at: datetime, data: dict[str, Any]) -> native.Item:
        """One native fact with an id of its own."""
        return native.item(type_, f"{type_}-{self.number('fact')}", at, data)

    def flush_erp(self) -> None:
        """Turn the ERP's exchanges into deliveries; call once, at the end."""
        for told, items in sorted(self._erp.items()):
            for n in range(0, len(items), BATCH):
                self.script.say(native.batch(told, ERP, f"erp:{told.isoformat()}:{n}", items[n : n + BATCH]))
        self._erp.clear()

    def contact(self, person: Person) -> str:
        """The person's id in the CRM, allotted with the first card."""
        person.contact = person.contact or f"C-{self.number('contact'):06}"
        return person.contact

    def office_of(self, person: Person) -> Office:
        """The branch a client uses."""
        return OFFICES[person.office]
