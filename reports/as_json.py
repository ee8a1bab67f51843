"""The result object as JSON, for scripts: stable names, plain values.

Counts are integers; percents are numbers, a fraction rounded half-up to 6 places (0.525 = 52,5 %); money is a
string of roubles with 2 to 4 places ("912480.00"); no value is null (G4). Moments are ISO-8601 in UTC, days are ISO
dates. Labels are in the language of the parameters; keys never change with it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson

from domain.rows import InquiryRow
from reports.drill import Page
from reports.formats import half_up
from reports.lines import STATES, InquiryLine
from reports.result import Column, Comparison, Group, Params, Report, Unit, Value

Json = dict[str, Any]


def dumps(value: Json, *, indent: bool = False) -> bytes:
    """UTF-8 JSON text of one of the objects below."""
    return orjson.dumps(value, option=(orjson.OPT_INDENT_2 if indent else 0) | orjson.OPT_APPEND_NEWLINE)


def report_json(report: Report) -> Json:
    """A whole report."""
    lang = report.params.lang
    units = {c.key: c.unit for c in report.columns}
    return {
        "name": report.name,
        "title": report.title[lang],
        "params": params_json(report.params),
        "as_of": moment_json(report.as_of),
        "fresh_at": moment_json(report.fresh_at),
        "lag_s": report.lag_s,
        "stands_since": moment_json(report.stands_since),
        "rules": report.rules,
        "columns": [_column(c, lang) for c in report.columns],
        "total": _values(report.total, units),
        "groups": [_group(g, units, lang) for g in report.groups],
        "notices": [{"key": n.key, "label": n.label[lang], "count": n.count} for n in report.notices],
        "not_connected": list(report.not_connected),
        "comparison": _comparison(report.comparison, units),
    }


def params_json(params: Params) -> Json:
    """What was asked for, every default spelled out."""
    return {
        "from": params.first_day.isoformat(),
        "to": params.last_day.isoformat(),
        "as_of": moment_json(params.as_of),
        "known_at": moment_json(params.known_at),
        "group": list(params.levels),
        "filters": [
            {"dimension": d, "in": included, "values": list(values)} for d, included, values in params.filters
        ],
        "basis": params.basis,
        "counted": params.counted,
        "compare": params.compare,
        "zone": params.zone,
        "office_time": params.office_time,
        "valid_reasons": None if params.valid_reasons is None else list(params.valid_reasons),
        "lang": params.lang,
    }


def page_json(page: Page, unit: Unit, lang: str) -> Json:
    """The inquiries behind a figure."""
    return {
        "total": page.total,
        "value": value_json(page.value, unit),
        "limit": page.limit,
        "offset": page.offset,
        "inquiries": [line_json(line, lang) for line in page.lines],
    }


def line_json(line: InquiryLine, lang: str) -> Json:
    """One inquiry: its row as stored, and the words for its keys."""
    return {
        **row_json(line.inquiry),
        "client_name": line.client_name,
        "phone": line.phone,
        "phone_text": line.phone_text,
        "state": line.state,
        "state_label": STATES[line.state][lang],
        "excluded_by": line.excluded_by,
        "labels": {key: label[lang] for key, label in line.words.items()},
    }


def row_json(row: InquiryRow) -> Json:
    """Every column of an inquiry."""
    return {name: _plain(value) for name, value in row._asdict().items()}


def value_json(value: Value, unit: Unit) -> int | float | str | None:
    """One figure as this module's rules say."""
    if value is None:
        return None
    if unit == "count":
        return int(value)
    if unit == "percent":
        return float(half_up(Decimal(value), 6))
    return money_json(Decimal(value))


def money_json(value: Decimal) -> str:
    """Roubles as text with at least 2 and at most 4 places."""
    text = f"{half_up(value, 4):f}"
    whole, _, places = text.partition(".")
    return f"{whole}.{places.rstrip('0').ljust(2, '0')}"


def moment_json(moment: datetime | None) -> str | None:
    """ISO-8601 in UTC with Z."""
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return money_json(value)
    if isinstance(value, datetime):
        return moment_json(value)
    return [str(v) for v in value] if isinstance(value, tuple) else value


def _column(column: Column, lang: str) -> Json:
    return {
        "key": column.key,
        "label": column.label[lang],
        "unit": column.unit,
        "definition": column.definition[lang],
        "formula": column.formula[lang],
        "counted": column.counted[lang],
        "numerator": column.numerator,
        "denominator": column.denominator,
        "optional": column.optional,
    }


def _values(values: dict[str, Value], units: dict[str, Unit]) -> Json:
    return {key: value_json(values[key], unit) for key, unit in units.items()}


def _comparison(comparison: Comparison | None, units: dict[str, Unit]) -> Json | None:
    """The other period's total, and by how much this one's differs: in the figure's own unit, and as a share of it."""
    if comparison is None:
        return None
    return {
        "kind": comparison.kind,
        "from": comparison.first_day.isoformat(),
        "to": comparison.last_day.isoformat(),
        "total": _values(comparison.total, units),
        "difference": {k: value_json(comparison.changes[k].difference, unit) for k, unit in units.items()},
        "share": {k: value_json(comparison.changes[k].share, "percent") for k in units},
    }


def _group(group: Group, units: dict[str, Unit], lang: str) -> Json:
    return {
        "dimension": group.dimension,
        "key": group.key,
        "label": group.label[lang],
        "values": _values(group.values, units),
        "groups": [_group(g, units, lang) for g in group.children],
    }
