"""Rows of the result: what was measured, beside what, and what we aim at."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Row:
    """One figure.

    ``of`` names what the ratio is to (None: the row is such a floor itself, or stands alone); ``aim`` is a least ratio
    (``at_least=True``, or without a ratio a least value) or a largest value.
    """

    row: str
    value: float
    unit: str
    of: str | None = None
    ratio: float | None = None
    aim: str | None = None


def show(rows: Iterable[Row]) -> None:
    """Print the rows as a table."""
    table = Table(show_edge=False)
    table.add_column("row", overflow="fold")
    for name in ("value", "unit", "ratio"):
        table.add_column(name, justify="right" if name != "unit" else "left", no_wrap=True)
    table.add_column("of", overflow="fold")
    table.add_column("aim", no_wrap=True)
    for row in rows:
        table.add_row(
            row.row,
            f"{row.value:,.0f}" if row.value >= 100 else f"{row.value:,.3g}",
            row.unit,
            "" if row.ratio is None else f"{row.ratio:.2f}",
            row.of or "",
            row.aim or "",
        )
    Console(width=140).print(table)


def write(rows: Iterable[Row], file: Path) -> None:
    """Write the rows as JSON; rows of an earlier run that were not measured now are kept."""
    now = list(rows)
    measured = {row.row for row in now}
    before = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
    kept = [row for row in before if row["row"] not in measured]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(
        json.dumps([*kept, *(asdict(row) for row in now)], indent=1, ensure_ascii=False) + "\n",
        encoding="utf-8",
    )
