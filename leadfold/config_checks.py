"""What single settings cannot know: names that must exist, must be unique, must agree with each other."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import Final

from domain.defaults import DEFAULT_DICTIONARY
from ingest.adapters.registry import providers
from leadfold import doors
from leadfold.settings import Settings
from leadfold.source_settings import source_config

Found = tuple[tuple[str | int, ...], str]
"""Path of the setting, and what is wrong with it."""


def contradictions(settings: Settings) -> list[Found]:
    """Everything in the settings that contradicts itself, in no order."""
    return [
        *_twice("sources", [s.name for s in settings.sources], "name"),
        *_twice("offices", [o.id for o in settings.offices], "id"),
        *_twice("employees", [e.id for e in settings.employees], "id"),
        *_twice("stages", [s.id for s in settings.stages], "id"),
        *_twice("reasons", [r.id for r in settings.reasons], "id"),
        *_twice("categories", [c.id for c in settings.categories], "id"),
        *_providers(settings),
        *_offices(settings),
        *_secrets(settings),
        *_ports(settings),
        *_front_doors(settings),
        *_extensions(settings),
        *_numbers(settings),
        *_plans(settings),
        *_log(settings),
    ]


def doubts(settings: Settings) -> list[Found]:
    """What is most likely a slip, and may be right: a category or reason that only a CRM's events name."""
    found: list[Found] = []
    slip = "rules.{}: no {} {!r} is known here{}; known: {}. Inquiries count by it only if events name it so"
    for rule, dictionary, own in (
        ("target_categories", "category", [c.id for c in settings.categories]),
        ("valid_reasons", "reason", [r.id for r in settings.reasons]),
    ):
        known = [*(e.item for e in DEFAULT_DICTIONARY if e.dictionary == dictionary), *own]
        for name in getattr(settings.rules, rule) if rule in settings.rules.model_fields_set else ():
            if name not in known:
                all_known = ", ".join(dict.fromkeys(known))
                found.append(
                    (("rules", rule), slip.format(rule, dictionary, name, _near(name, known), all_known))
                )
    return found


def _twice(section: str, names: Sequence[str], key: str) -> Iterator[Found]:
    seen: set[str] = set()
    for index, name in enumerate(names):
        if name in seen:
            yield (section, index, key), f"{section}: {name!r} is there twice"
        seen.add(name)


def _providers(settings: Settings) -> Iterator[Found]:
    known = {*providers(), "native"}
    for index, source in enumerate(settings.sources):
        if source.provider not in known:
            listed = ", ".join(sorted(known)).replace("native", "native (any CRM, ERP or script)")
            hint = _near(source.provider.lower(), known, 0.75) or f"; known: {listed}"
            yield ("sources", index, "provider"), f"there is no provider {source.provider!r}{hint}"
            continue
        for problem in source_config(source, settings).problems(known):
            yield ("sources", index), problem


def _offices(settings: Settings) -> Iterator[Found]:
    known = [o.id for o in settings.offices]
    for section in ("sources", "employees", "numbers"):
        for index, item in enumerate(getattr(settings, section)):
            if item.office is not None and item.office not in known:
                near = difflib.get_close_matches(item.office, known, n=1)
                hint = f"; did you mean {near[0]!r}?" if near else "; describe it in [[offices]]"
                yield (section, index, "office"), f"there is no office {item.office!r}{hint}"


def _secrets(settings: Settings) -> Iterator[Found]:
    seen: dict[str, str] = {}
    for index, source in enumerate(settings.sources):
        secret = source.secret.get_secret_value()
        if secret in seen:
            yield ("sources", index, "secret"), f"{source.name!r} has the same secret as {seen[secret]!r}"
        if any(not (c.isalnum() or c in "-_.~") for c in secret) and source.provider != "native":
            yield (
                ("sources", index, "secret"),
                "a secret is part of an address: letters, digits, - _ . ~ only",
            )
        seen[secret] = source.name
        if source.signing_secret is not None and source.provider != "native":
            yield ("sources", index, "signing_secret"), "only native sources are signed so"


_LAST_PORT: Final = 65_535


def _ports(settings: Settings) -> Iterator[Found]:
    """Two parts on one port. A port that gives way (`Settings.ops_port`) is in nobody's."""
    ops = [settings.ops_port_of(number) for number in range(1, settings.ingest.processes + 1)]
    seen: dict[int, str] = {}
    for section, name, (port, fixed) in (
        ("ingest", "port", (settings.ingest.port, True)),
        *(("ingest", "ops_port", one) for one in ops),
        ("reports", "port", (settings.reports.port, True)),
        ("projector", "port", settings.projector_port),
    ):
        if not port or not fixed:
            continue
        if port in seen:
            yield (section, name), f"port {port} is already that of [{seen[port]}]"
        seen[port] = section


def _front_doors(settings: Settings) -> Iterator[Found]:
    given = settings.ingest
    if given.processes == 1:
        return
    if not doors.SPREADS:
        yield (
            ("ingest", "processes"),
            "this system does not spread connections over processes (SO_REUSEPORT, as Linux has it): leave it at 1",
        )
    last_port = given.ops_port + given.processes - 1
    if last_port > _LAST_PORT:
        yield ("ingest", "ops_port"), f"the last of {given.processes} processes would have port {last_port}"
    try:
        doors.port_after(given.status_url, 1)
    except ValueError as error:
        yield ("ingest", "status_url"), f"{error}: further processes are asked at the ports after it"


def _extensions(settings: Settings) -> Iterator[Found]:
    held: dict[tuple[str | None, str], list[tuple[date, date, str]]] = {}
    for index, employee in enumerate(settings.employees):
        for position, extension in enumerate(employee.extensions):
            first, following = extension.valid_from or date.min, extension.valid_to or date.max
            others = held.setdefault((extension.source, extension.ext), [])
            clash = next((n for f, t, n in others if n != employee.id and first < t and f < following), None)
            if clash:
                both = f"extension {extension.ext} is held by {clash!r} and {employee.id!r} on the same days"
                yield ("employees", index, "extensions", position), f"{both}: give them periods (from, to)"
            others.append((first, following, employee.id))


def _numbers(settings: Settings) -> Iterator[Found]:
    held: dict[str, list[tuple[date, date]]] = {}
    for index, number in enumerate(settings.numbers):
        first, following = number.valid_from or date.min, number.valid_to or date.max
        if any(first < t and f < following for f, t in held.get(number.number, ())):
            yield (
                ("numbers", index),
                f"{number.number} is assigned twice for the same days: give periods (from, to)",
            )
        held.setdefault(number.number, []).append((first, following))


def _plans(settings: Settings) -> Iterator[Found]:
    known = {e.id for e in settings.employees}
    for index, plan in enumerate(settings.plans):
        if plan.employee is not None and known and plan.employee not in known:
            yield (
                ("plans", index, "employee"),
                f"there is no employee {plan.employee!r}{_near(plan.employee, known)}",
            )
        if plan.employee is not None and plan.team is not None:
            yield ("plans", index, "team"), "a plan is for an employee or for a team, not both"


def _log(settings: Settings) -> Iterator[Found]:
    log = settings.log
    if (
        log.engine == "kafka"
        and log.security.startswith("sasl")
        and not (log.username and log.password.get_secret_value())
    ):
        yield ("log", "username"), f"security = {log.security!r} needs a username and a password"


def _near(given: str, known: Iterable[str], likeness: float = 0.6) -> str:
    near = difflib.get_close_matches(given, list(known), n=1, cutoff=likeness)
    return f"; did you mean {near[0]!r}?" if near else ""
