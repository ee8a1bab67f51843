"""The metric catalogue: every report that there is, as data (design §7). The engine, drill, exports and SQL read only this.

«Обращения клиентов в автосервис» is spec R0.1–R0.53 and 1.5; its parts are in ``inquiry_measures``,
``inquiry_metrics`` and ``dimensions``.
"""

from __future__ import annotations

from typing import Final

from reports.dimensions import INQUIRY_DIMENSIONS
from reports.inquiry_measures import EXCLUSIONS, MEASURES, PARTS, WAITING_UNTIL
from reports.inquiry_metrics import METRICS
from reports.model import ReportSpec, Subject
from reports.result import Label

INQUIRIES: Final = ReportSpec(
    name="inquiries",
    title=Label("Обращения клиентов в автосервис", "Client inquiries"),
    about=Label(
        "Сколько обратились, записались, приехали и сколько денег это принесло. Только целевые обращения.",
        "How many asked, booked, came, and what it brought in. Target inquiries only.",
    ),
    subject=Subject("inquiry", "i.inquiry_id", "i.client_id", "i.opened_at", "i.office_zone"),
    measures=MEASURES,
    metrics=METRICS,
    dimensions=INQUIRY_DIMENSIONS,
    exclusions=EXCLUSIONS,
    levels=("direction", "employee", "kind"),
    counts="inquiries",
    needs={
        **dict.fromkeys(("booked", "refusals", "pending", "conv_booked"), "booking"),
        **dict.fromkeys(("arrived", "conv_arrived", "pay"), "visit"),
        **dict.fromkeys(
            (
                "margin",
                "sales",
                "receipts",
                "average_receipt",
                "margin_share",
                "sales_per_inquiry",
                "margin_per_inquiry",
                "sales_per_arrival",
                "margin_per_arrival",
            ),
            "sale",
        ),
    },
    # What goes with what: an employee has few teams and offices, so the first is hardly larger without them.
    rollups=(
        ("direction", "employee", "kind", "team", "office"),
        ("direction", "kind", "office", "channel"),
        ("category",),
        ("source",),
        ("result",),
        ("refusal_reason",),
        ("new_client",),
    ),
    parts=PARTS,
    turns=WAITING_UNTIL,
)

REPORTS: Final[dict[str, ReportSpec]] = {INQUIRIES.name: INQUIRIES}
"""Every report by its name in URLs and on the command line."""
