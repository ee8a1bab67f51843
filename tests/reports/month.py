"""A month of inquiries with everything in it: all kinds, employees, states, rules and money, made by a seed."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from random import Random
from uuid import UUID

from domain.rows import InquiryRow, Row
from tests.reports.world import day_end, inquiry, msk, sale

PEOPLE = ("ivan", "anna", "ext:101", "ext:201", None)
KINDS = ("phone", "missed", "site", "visit", "chat")
REASONS = ("not_our_car", "not_our_work", "price", "terms")


def month(seed: int = 7, n: int = 160) -> list[Row]:
    """Inquiries of February to April around March, with sales of those who came."""
    random = Random(seed)
    rows: list[Row] = []
    clients = [UUID(int=random.getrandbits(128)) for _ in range(n // 2)]
    for number in range(n):
        one = _inquiry(random, random.choice(clients))
        rows.append(one)
        if one.receipts:
            assert one.arrived_at is not None
            at = f"{one.arrived_at + timedelta(hours=5):%Y-%m-%d %H:%M}"
            lines = [(at, str(one.sales), None if one.margin_incomplete else str(one.margin))]
            rows += sale(one, at, lines, key=f"r{number}")
    return rows


def _inquiry(random: Random, client: UUID) -> InquiryRow:
    opened = msk("2026-02-20 00:00") + timedelta(minutes=random.randrange(50 * 24 * 60))
    target = random.random() < 0.75
    over: dict[str, object] = {
        "inquiry_id": UUID(int=random.getrandbits(128)), "client_id": client, "employee_id": random.choice(PEOPLE),
        "kind": random.choice(KINDS), "direction": random.choice(("in", "in", "out")), "is_target": target,
        "category_id": "repair" if target else random.choice(("other", None)),
        "channel": random.choice(("yandex", "2gis", None)), "new_client": random.random() < 0.6,
        "office_zone": random.choice(("Europe/Moscow", "Asia/Yekaterinburg")),
        "excluded": "mark:spam" if random.random() < 0.05 else None, "pay_rate": Decimal(random.choice((0, 300))),
    }  # fmt: skip
    if random.random() < 0.25:
        over |= {"refusal_reason_id": random.choice(REASONS), "refusal_at": opened + timedelta(minutes=9)}
    if random.random() < 0.6:
        slot = opened + timedelta(days=random.randrange(1, 12))
        zone = str(over["office_zone"])
        over |= {
            "booked_at": opened + timedelta(minutes=5),
            "slot_at": slot,
            "slot_day_end": day_end(slot, zone),
        }
        if random.random() < 0.2:
            over["booking_cancelled_at"] = slot - timedelta(hours=3)
    if random.random() < 0.4:
        over["arrived_at"] = opened + timedelta(days=random.randrange(1, 12))
        if random.random() < 0.8:
            paid = Decimal(random.randrange(100_000, 2_000_000)) / 100
            incomplete = random.random() < 0.2
            over |= {
                "receipts": 1,
                "sales": paid,
                "margin": Decimal(0) if incomplete else paid / 4,
                "margin_incomplete": incomplete,
            }
    return inquiry(opened, **over)
