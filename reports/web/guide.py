"""What the page «Помощь» and the first steps show: the installation's own commands, addresses and categories."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from datetime import datetime

from domain.directory import Directory
from reports.web.deps import Setup


@dataclass(frozen=True, slots=True)
class Category:
    """A category of the dictionary as it stands today."""

    key: str
    label: str
    target: bool


@dataclass(frozen=True, slots=True)
class Guide:
    """Commands ready to be copied. ``sources``: names of those configured, native ones last."""

    add: str
    add_crm: str
    urls: str
    checks: tuple[str, ...]
    post: str
    csv: str
    load: str
    employee: str
    sources: tuple[tuple[str, str], ...]
    providers: str
    categories: tuple[Category, ...]


_EMPLOYEE = '[[employees]]\nid = "anna"\nname = "Анна Смирнова"\nextensions = ["201"]'
_CSV = "type;time;phone;category\ninquiry.categorised;{day} 10:05;+7 999 000-00-01;repair"


def guide_of(setup: Setup, directory: Directory | None, now: datetime, lang: str) -> Guide:
    """The guide of an installation; without a ``directory`` (no database) it lists no categories."""
    program = f"leadfold --config {shlex.quote(setup.config)}" if setup.config else "leadfold"
    sources = tuple(sorted(setup.sources, key=lambda s: (s[1] == "native", s[0])))
    names = [name for name, provider in sources if provider != "native"] or ["main"]
    event = {
        "type": "inquiry.categorised",
        "time": f"{now:%Y-%m-%dT%H:%M:00Z}",
        "data": {"phone": "+79990000001", "category": "repair"},
    }
    return Guide(
        add=f"{program} sources add main --provider sipuni",
        add_crm=f"{program} sources add crm --provider native",
        urls=f"{program} sources list",
        checks=(*(f"{program} sources check {name}" for name in names[:2]), f"{program} status"),
        post=f"curl {setup.ingest_url}/v1/events -H 'Authorization: Bearer KEY' \\\n"
        f"  -H 'Content-Type: application/json' \\\n  -d '{json.dumps(event)}'",
        csv=_CSV.format(day=f"{now:%d.%m.%Y}"),
        load=f"{program} import events categories.csv",
        employee=_EMPLOYEE,
        sources=sources,
        providers=", ".join(name for name in setup.providers if name not in ("sipuni", "native")),
        categories=_categories(directory, now, lang) if directory else (),
    )


def _categories(directory: Directory, now: datetime, lang: str) -> tuple[Category, ...]:
    target = directory.rules_at(now).target_categories
    found = [
        Category(item, (entry.label_en or entry.label) if lang == "en" else entry.label, item in target)
        for (kind, item), entry in directory.entries.items()
        if kind == "category" and entry.merged_into is None
    ]
    return tuple(sorted(found, key=lambda c: (not c.target, c.label)))
