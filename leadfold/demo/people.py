"""The clients: names, phones (some have two, some share one), cars, and how they are spelled by careless hands."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

_MALE: Final = (
    "Александр",
    "Сергей",
    "Андрей",
    "Дмитрий",
    "Алексей",
    "Пётр",
    "Николай",
    "Михаил",
    "Рустам",
    "Тимур",
    "Глеб",
    "Владимир",
    "Артём",
    "Игорь",
    "Юрий",
    "Роман",
    "Олег",
    "Фёдор",
    "Константин",
    "Вадим",
)
_FEMALE: Final = (
    "Елена",
    "Наталья",
    "Татьяна",
    "Ирина",
    "Светлана",
    "Мария",
    "Юлия",
    "Екатерина",
    "Оксана",
    "Алсу",
    "Вера",
)
_SURNAMES: Final = (
    "Иванов",
    "Петров",
    "Сидоров",
    "Васильев",
    "Михайлов",
    "Новиков",
    "Фёдоров",
    "Волков",
    "Алексеев",
    "Лебедев",
    "Семёнов",
    "Егоров",
    "Павлов",
    "Козлов",
    "Степанов",
    "Николаев",
    "Орлов",
    "Макаров",
    "Захаров",
    "Зайцев",
)
CARS: Final = (
    "Kia Rio",
    "Hyundai Solaris",
    "Lada Vesta",
    "Toyota Camry",
    "Skoda Octavia",
    "Volkswagen Polo",
    "Renault Duster",
    "Nissan Qashqai",
    "BMW X5",
    "Mazda CX-5",
    "Haval Jolion",
    "Chery Tiggo 7",
    "Ford Focus",
    "Mitsubishi Outlander",
)
_PREFIXES: Final = (
    "903",
    "905",
    "909",
    "910",
    "912",
    "915",
    "916",
    "919",
    "922",
    "925",
    "926",
    "950",
    "961",
    "982",
    "999",
)


@dataclass(slots=True)
class Person:
    """One client as the system should see him. ``free_at``: when his story so far is over (UTC)."""

    id: str
    name: str
    phones: list[str]  # 11 digits, 7…
    office: str
    car: str
    email: str | None
    names: list[str] = field(default_factory=list)  # others that call from the same phone
    contact: str | None = None  # id in the CRM, once a card exists
    erp: str | None = None
    arrivals: int = 0
    free_at: datetime | None = None

    def phone(self, rng: random.Random) -> str:
        """The phone used this time: usually the first one."""
        return self.phones[0] if len(self.phones) == 1 or rng.random() < 0.7 else self.phones[1]

    def called(self, rng: random.Random) -> str:
        """The name given this time."""
        return rng.choice([self.name, *self.names])


class People:
    """Makes clients with phones that never repeat; the order of calls decides, so a seed gives one town."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._taken: set[str] = set()
        self.all: list[Person] = []

    def new_phone(self) -> str:
        """A mobile number nobody has yet."""
        while True:
            phone = f"7{self._rng.choice(_PREFIXES)}{self._rng.randrange(1_000_000, 10_000_000)}"
            if phone not in self._taken:
                self._taken.add(phone)
                return phone

    def new(self, office: str) -> Person:
        """A new client of an office."""
        rng = self._rng
        number = len(self.all) + 1
        phones = [self.new_phone()]
        if rng.random() < 0.06:
            phones.append(self.new_phone())
        person = Person(
            id=f"p{number}",
            name=self.name(),
            phones=phones,
            office=office,
            car=rng.choice(CARS),
            email=f"client{number}@mail.example" if rng.random() < 0.3 else None,
            names=[self.name() for _ in range(rng.choice((1, 2)))] if rng.random() < 0.03 else [],
        )
        self.all.append(person)
        return person

    def name(self) -> str:
        """A full or a short Russian name."""
        rng = self._rng
        surname = rng.choice(_SURNAMES)
        if rng.random() < 0.4:
            full = f"{rng.choice(_FEMALE)} {surname}а"
        else:
            full = f"{rng.choice(_MALE)} {surname}"
        return full if rng.random() < 0.6 else full.partition(" ")[0]


def typed(phone: str, rng: random.Random) -> str:
    """A phone as people type it into a form."""
    a, b, c, d = phone[1:4], phone[4:7], phone[7:9], phone[9:11]
    return rng.choice(
        (
            f"+7 ({a}) {b}-{c}-{d}",
            f"+7 ({a}) {b}-{c}-{d}",
            f"8 {a} {b} {c} {d}",
            f"8({a}){b}{c}{d}",
            f"+{phone}",
            f"{a}{b}{c}{d}",
        )
    )
