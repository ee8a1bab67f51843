"""What a company may have told about itself before its clients came: employees, numbers, rules, dictionaries."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from domain.facts import company

OWN = "+79039999999"
LINES = ("+74990000011", "+74990000012")
MIDNIGHT = datetime(2026, 3, 2, 21, 0, tzinfo=UTC)  # 3 March, 00:00 in Moscow
DAY = timedelta(days=1)


def company_told(chance: Callable[[int], bool]) -> list[company.DirectoryFact]:
    """What the company may have told about itself; ``chance(n)`` is true once in n."""
    facts: list[company.DirectoryFact] = []
    day = date(2026, 3, 3)
    if chance(2):
        facts += [
            company.EmployeeChanged(
                employee_id="irina", name="Ирина К.", team="kc", logins=("57",), phones=(OWN,),
                extensions=(company.Extension(ext="201", valid_to=day), company.Extension(ext="202", scope="main")),
            ),
            company.EmployeeChanged(
                employee_id="oleg", name="Олег",
                extensions=(company.Extension(ext="201", valid_from=day), company.Extension(ext="202")),
            ),
        ]  # fmt: skip
    if chance(2):
        facts += [
            company.DictionaryChanged(
                dictionary="office", item="ural", label="Урал", attrs={"timezone": "Asia/Yekaterinburg"}
            ),
            company.NumberAssigned(number=LINES[1], office="ural", channel="yandex"),
        ]
        if chance(2):
            facts.append(company.NumberAssigned(number=LINES[0], office="centre"))
    if chance(3):
        body: dict[str, Any] = {
            "target_categories": ["parts"],
            "missed_window_hours": 1,
            "attribution_days": 1,
        }
        facts.append(company.RulePublished(version="2", valid_from=MIDNIGHT + DAY, body=body))
    if chance(4):
        facts.append(company.RulePublished(version="1", body={"missed_unprocessed_is_target": True}))
    if chance(3):
        facts += [
            company.DictionaryChanged(
                dictionary="reason", item="old", label="старая причина", merged_into="price"
            ),
            company.DictionaryChanged(dictionary="reason", item="new", label="новая причина"),
            company.DictionaryChanged(
                dictionary="category", item="own", label="своя категория", attrs={"is_target": True}
            ),
        ]
    return facts
