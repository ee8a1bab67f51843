"""The native contract: batches of facts by POST, as a CRM or ERP integration sends them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson

from leadfold.demo.sent import JSON, Sent

Item = dict[str, Any]


def item(type_: str, id_: str, at: datetime, data: dict[str, Any]) -> Item:
    """One fact of a batch; ``id_`` is the sender's own id of it, ``at`` when it happened."""
    return {"type": type_, "id": id_, "time": at.astimezone(UTC).isoformat(), "data": data}


def batch(at: datetime, source: str, group: str, items: list[Item]) -> Sent:
    """One delivery with several facts."""
    return Sent(at=at, source=source, kind=source, group=group, headers=JSON, body=orjson.dumps(items))
