"""The tabs beside the table: refusal reasons, pay, what was left out. Each reads a Report of the same engine."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from reports.context import Context
from reports.engine import run
from reports.formats import cell, number
from reports.result import Group
from reports.web.deps import Conn
from reports.web.state import State


@dataclass(frozen=True, slots=True)
class Reason:
    """A refusal reason. ``toggle`` looks at the report as if it were valid, or not."""

    label: str
    count: str
    href: str
    share: str
    width: str
    valid: bool
    toggle: str | None


@dataclass(frozen=True, slots=True)
class Refusals:
    """Reasons, the most frequent first; ``reset`` takes the reader's own marks back."""

    reasons: tuple[Reason, ...]
    total: str
    href: str
    reset: str | None


@dataclass(frozen=True, slots=True)
class Pay:
    """Pay of one employee; ``rate`` is the mean over the arrivals."""

    label: str
    arrived: str
    arrived_href: str
    rate: str
    pay: str
    pay_href: str
    unset: bool


@dataclass(frozen=True, slots=True)
class PayRoll:
    """Pay by employee with the total."""

    lines: tuple[Pay, ...]
    arrived: str
    pay: str


async def refusals(conn: Conn, context: Context, state: State) -> Refusals:
    """Declined in conversation by reason (D-0.3), those with a valid reason too: nothing is hidden here."""
    lang = state.lang
    valid = (
        frozenset(state.params.valid_reasons)
        if state.params.valid_reasons is not None
        else frozenset(context.directory.rules_at(context.now).valid_reasons)
    )
    open_ = state.with_params(valid_reasons=())
    report = await run(
        conn, replace(open_.params, levels=("refusal_reason",), compare="none"), context, state.spec
    )
    total = int(report.total.get("declined") or 0)
    groups = [g for g in report.groups if g.values.get("declined")]
    groups.sort(key=lambda g: -_declined(g))
    most = max((_declined(g) for g in groups), default=1)
    reasons = tuple(
        Reason(
            label=g.label[lang],
            count=number(_declined(g), 0, lang),
            href=open_.rows_url("declined", (("refusal_reason", g.key),)),
            share=number(Decimal(_declined(g)) * 100 / total, 1, lang),
            width=f"{100 * _declined(g) / most:.2f}%",
            valid=g.key in valid,
            toggle=None if g.key is None else state.to(valid_reasons=tuple(sorted(valid ^ {g.key}))),
        )
        for g in groups
    )
    reset = state.to(valid_reasons=None) if state.params.valid_reasons is not None else None
    return Refusals(reasons, number(total, 0, lang), open_.rows_url("declined"), reset)


def _declined(group: Group) -> int:
    return int(group.values.get("declined") or 0)


async def pay(conn: Conn, context: Context, state: State) -> PayRoll:
    """Arrivals of the report × rate, by employee (D-0.11)."""
    lang = state.lang
    report = await run(conn, replace(state.params, levels=("employee",), compare="none"), context, state.spec)
    lines = []
    for group in report.groups:
        arrived = int(group.values.get("arrived") or 0)
        if not arrived:
            continue
        sum_ = Decimal(group.values.get("pay") or 0)
        path = (("employee", group.key),)
        lines.append(
            Pay(
                label=group.label[lang],
                arrived=number(arrived, 0, lang),
                arrived_href=state.rows_url("arrived", path),
                rate=cell(sum_ / arrived, "money", lang, bare=True),
                pay=cell(sum_, "money", lang, bare=True),
                pay_href=state.rows_url("pay", path),
                unset=sum_ == 0,
            )
        )
    return PayRoll(
        tuple(lines),
        cell(report.total.get("arrived"), "count", lang),
        cell(report.total.get("pay"), "money", lang, bare=True),
    )
