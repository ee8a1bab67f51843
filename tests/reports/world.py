"""A small build schema filled by hand: rows go straight into the tables, so the report's arithmetic stands alone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from psycopg import AsyncConnection, sql

from domain.directory import Directory
from domain.facts.company import DictionaryChanged, EmployeeChanged, Extension
from domain.identity import row_id
from domain.rows import TABLES, ClientRow, InquiryRow, Row, SaleLineRow, SaleRow
from projector.readmodel.tables import columns
from reports.context import Context
from reports.engine import run
from reports.overlay import stored
from reports.params import parse
from reports.result import Group, Params, Report

SCHEMA = "build_0001"
MOSCOW = ZoneInfo("Europe/Moscow")
TABLE_OF = {row_type: table for table, row_type in TABLES.items()}


def msk(text: str) -> datetime:
    """A Moscow wall-clock moment, "2026-03-01 10:00", as UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=MOSCOW).astimezone(UTC)


def day_end(moment: datetime, zone: str = "Europe/Moscow") -> datetime:
    local = moment.astimezone(ZoneInfo(zone)).date() + timedelta(days=1)
    return datetime.combine(local, time(), ZoneInfo(zone)).astimezone(UTC)


def directory() -> Directory:
    """Two operators, one extension that two of them hold, one office in another zone."""
    base = Directory.build([])
    people = [
        EmployeeChanged(
            employee_id="ivan", name="Иван Ёлкин", team="call_centre", extensions=(Extension(ext="201"),)
        ),
        EmployeeChanged(
            employee_id="anna", name="Анна К.", team="call_centre", extensions=(Extension(ext="201"),)
        ),
    ]
    office = DictionaryChanged(
        dictionary="office",
        item="ekb",
        label="Екатеринбург",
        label_en="Yekaterinburg",
        attrs={"timezone": "Asia/Yekaterinburg"},
    )
    return replace(
        base,
        cards={e.employee_id: ((datetime(2000, 1, 1, tzinfo=UTC), e),) for e in people},
        entries={**base.entries, ("office", "ekb"): office},
    )


def inquiry(opened: str | datetime = "2026-03-10 10:00", **over: Any) -> InquiryRow:
    """A target incoming phone inquiry; ``booked``, ``slot``, ``arrived`` are Moscow wall-clock texts."""
    opened_at = msk(opened) if isinstance(opened, str) else opened
    zone = over.get("office_zone", "Europe/Moscow")
    for short in ("booked", "slot", "arrived", "no_show", "booking_cancelled", "refusal", "result"):
        name = f"{short}_at"
        if isinstance(over.get(name), str):
            over[name] = msk(over[name])
    if over.get("slot_at") and "slot_day_end" not in over:
        over["slot_day_end"] = day_end(over["slot_at"], zone)
    values: dict[str, Any] = {
        "inquiry_id": uuid4(), "client_id": uuid4(), "lead_id": None, "opened_at": opened_at, "direction": "in",
        "kind": "phone", "source": "main", "channel": None, "utm": {}, "page": None, "office_id": None,
        "office_zone": zone, "employee_id": "ivan", "employee_basis": "talk", "team": None, "category_id": "repair",
        "categorised_at": None, "is_target": True, "result": None, "result_at": None, "refusal_reason_id": None,
        "refusal_at": None, "booked_at": None, "slot_at": None, "slot_day_end": None, "booking_cancelled_at": None,
        "no_show_at": None, "arrived_at": None, "receipts": 0, "sales": Decimal(0), "margin": Decimal(0),
        "margin_incomplete": False, "pay_rate": Decimal(0), "calls": 1, "talk_s": 60, "first_touch_at": None,
        "reached_at": None, "missed_fate": None, "left_message": False, "duplicates": 0, "new_client": True,
        "excluded": None, "events": (),
    }  # fmt: skip
    return InquiryRow(**(values | over))


def sale(
    of: InquiryRow, sold: str | None, lines: list[tuple[str, str, str | None]], key: str = "r1"
) -> list[Row]:
    """A receipt of an inquiry: lines are (moment, amount, margin); negative amounts are refunds."""
    sale_id = row_id("sale", key)
    rows: list[Row] = []
    for n, (at, amount, margin) in enumerate(lines):
        rows.append(
            SaleLineRow(
                row_id("line", key, str(n)),
                sale_id,
                of.client_id,
                msk(at),
                "refund" if amount.startswith("-") else "work",
                None,
                Decimal(1),
                Decimal(amount),
                None,
                None if margin is None else Decimal(margin),
                (),
            )
        )
    total = sum((Decimal(a) for _, a, _ in lines), Decimal(0))
    margins = sum((Decimal(m) for _, _, m in lines if m is not None), Decimal(0))
    refunds = [(at, Decimal(a)) for at, a, _ in lines if a.startswith("-")]
    rows.insert(
        0,
        SaleRow(
            sale_id,
            key,
            of.client_id,
            of.inquiry_id,
            None,
            None,
            "receipt",
            msk(sold) if sold else None,
            total,
            margins,
            any(m is None for _, _, m in lines),
            -sum((a for _, a in refunds), Decimal(0)),
            msk(refunds[-1][0]) if refunds else None,
            None,
            (),
        ),
    )
    return rows


@dataclass
class World:
    """A build schema under one connection; its clock stands still."""

    conn: AsyncConnection[Any]
    directory: Directory = field(default_factory=directory)
    now: datetime = field(default_factory=lambda: msk("2026-06-01 12:00"))
    schema: str = SCHEMA

    async def add(self, *rows: Row, group: int = 1) -> None:
        """Insert rows; inquiries get a client row each."""
        for row in rows:
            await self._insert(row, group)
            if isinstance(row, InquiryRow):
                client = ClientRow(
                    row.client_id,
                    "known",
                    None,
                    "Пётр",
                    ("+79031234567",),
                    (),
                    row.opened_at,
                    row.opened_at,
                    (),
                )
                await self._insert(client, group)

    async def _insert(self, row: Row, group: int) -> None:
        table = TABLE_OF[type(row)]
        names = [c.name for c in columns(table)] + ["group_id", "row_hash"]
        query = sql.SQL("insert into {} ({}) values ({}) on conflict do nothing").format(
            sql.Identifier(self.schema, table),
            sql.SQL(", ").join(map(sql.Identifier, names)),
            sql.SQL(", ").join(sql.Placeholder() * len(names)),
        )
        await self.conn.execute(query, [*(stored(v) for v in row), group, 0])

    @property
    def context(self) -> Context:
        return Context(self.schema, self.directory, self.now)

    async def report(self, first: str = "2026-03-01", last: str = "2026-03-31", **asked: str) -> Report:
        """Run the report for a period of local days; ``asked`` are URL parameters."""
        return await run(self.conn, self.params(first, last, **asked), self.context)

    def params(self, first: str = "2026-03-01", last: str = "2026-03-31", **asked: str) -> Params:
        pairs = [("from", first), ("to", last), *asked.items()]
        return parse(pairs, now=self.now)


def figures(report: Report, *keys: str) -> tuple[Any, ...]:
    return tuple(report.total[k] for k in keys)


def notices(report: Report) -> dict[str, int]:
    return {n.key: n.count for n in report.notices}


def nodes(report: Report) -> list[tuple[tuple[tuple[str, str | None], ...], Group]]:
    """Every group of the tree with its path."""
    found: list[tuple[tuple[tuple[str, str | None], ...], Group]] = []

    def walk(groups: tuple[Group, ...], path: tuple[tuple[str, str | None], ...]) -> None:
        for group in groups:
            here = (*path, (group.dimension, group.key))
            found.append((here, group))
            walk(group.children, here)

    walk(report.groups, ())
    return found


__all__ = ["UUID", "World", "date"]
