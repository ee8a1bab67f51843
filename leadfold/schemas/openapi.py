"""The HTTP interfaces as one OpenAPI document: ingest's native contract and the reports' API."""

from __future__ import annotations

import copy
from typing import Any, Final

from domain.codes import document_without_codes
from ingest import openapi as native
from reports.catalogue import INQUIRIES
from reports.params import COMPARISONS, MAX_LEVELS, PRESETS

Json = dict[str, Any]

_TEXT: Final[Json] = {"type": "string"}
_COUNT: Final[Json] = {"type": "integer", "minimum": 0}
_MOMENT: Final[Json] = {"type": ["string", "null"], "format": "date-time"}
_VALUE: Final[Json] = {
    "type": ["integer", "number", "string", "null"],
    "description": "count: integer; percent: fraction as a number; money: roubles as text; no value: null",
}


def build() -> Json:
    """The document, the same on every call."""
    document = copy.deepcopy(native.build())
    document["info"]["title"] = "Leadfold"
    document["servers"] = [
        {"url": "http://127.0.0.1:8080", "description": "ingest: [ingest] host, port, public_url"},
    ]
    pages = [
        {"url": "http://127.0.0.1:8081", "description": "reports: [reports] host, port; this machine only"}
    ]
    for path, operation in _report_paths().items():
        document["paths"][path] = {"servers": pages, "get": {"security": [], **operation}}
    document["components"]["schemas"] |= _report_schemas()
    told: Json = document_without_codes(document)
    return told


def _report_paths() -> dict[str, Json]:
    return {
        "/api/v1/reports/inquiries": {
            "operationId": "inquiriesReport",
            "summary": INQUIRIES.title.en,
            "parameters": _parameters(),
            "responses": {
                "200": _answer("The result object: page, Excel, SQL and terminal show the same.", "Report"),
                **_refusals("400", "503", "504"),
            },
        },
        "/api/v1/reports/inquiries/rows": {
            "operationId": "inquiriesRows",
            "summary": "The inquiries behind a figure of the report",
            "parameters": [
                *_parameters(),
                _query("metric", _TEXT, "key of the column"),
                _query(
                    "at",
                    {"type": "array", "items": _TEXT},
                    "dimension:key, once for each level of the row of the tree; absent: the total",
                    explode=True,
                    style="form",
                ),
                _query("notice", _TEXT, "rows of a notice instead, e.g. uncategorised"),
                _query("limit", {**_COUNT, "maximum": 1000}, "at most so many"),
                _query("offset", _COUNT, "from here on"),
            ],
            "responses": {
                "200": _answer("A page of inquiries, newest first.", "Rows"),
                **_refusals("400", "503", "504"),
            },
        },
        "/api/v1/inquiries/{id}": {
            "operationId": "inquiry",
            "summary": "One inquiry with its calls, bookings, visits, sales and events",
            "parameters": [_ident("inquiry or one of its events")],
            "responses": {"200": {"description": "The card."}, **_refusals("400", "404", "503")},
        },
        "/api/v1/events/{id}": {
            "operationId": "event",
            "summary": "One event with the raw webhook it came from",
            "parameters": [_ident("event")],
            "responses": {"200": {"description": "The event."}, **_refusals("400", "404", "503")},
        },
    }


def _answer(description: str, schema: str) -> Json:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"description": description, "content": content}


def _refusals(*statuses: str) -> Json:
    known = {
        "400": _answer("Wrong parameters, all of them named.", "WrongParameters"),
        "404": _answer("Unknown.", "Refusal"),
        "503": _answer("There are no read models yet, or Postgres is away; see Retry-After.", "Refusal"),
        "504": _answer("The report takes longer than a minute.", "Refusal"),
    }
    return {status: known[status] for status in statuses}


def _query(name: str, schema: Json, description: str, **more: Any) -> Json:
    return {"name": name, "in": "query", "schema": schema, "description": description, **more}


def _ident(what: str) -> Json:
    return {
        "name": "id", "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}, "description": what,
    }  # fmt: skip


def _parameters() -> list[Json]:
    levels = ", ".join(d.key for d in INQUIRIES.dimensions)
    day = {"type": "string", "format": "date"}
    return [
        _query("from", day, "first local day"),
        _query("to", day, "last local day, included"),
        _query("period", {"enum": list(PRESETS)}, "instead of from and to"),
        _query("as_of", _TEXT, "only what had happened before this moment (ISO-8601; local to the zone without offset)"),
        _query("known_at", _TEXT, "only what had been received before this moment"),
        _query("group", _TEXT, f"up to {MAX_LEVELS} levels, with commas: {levels}"),
        _query(
            "filter", {"type": "array", "items": _TEXT}, "dimension:in:a,b or dimension:not:a; «Не указано» is ~",
            explode=True, style="form",
        ),
        _query("basis", {"enum": ["cohort", "activity"]}, "by the inquiry's date, or by each thing's own (G2)"),
        _query(
            "compare", {"enum": list(COMPARISONS)}, "with the period before (default), the same days a year ago, or nothing"
        ),
        _query("counted", {"enum": ["inquiry", "client"]}, "what is counted (D-0.12)"),
        _query("zone", _TEXT, "IANA time zone of the days"),
        _query("office_time", {"type": "boolean"}, "days by each office's own clock (G1)"),
        _query("valid_reasons", _TEXT, "«уважительные» reasons instead of the rule's, with commas"),
        _query("lang", {"enum": ["ru", "en"]}, "language of labels; keys never change"),
    ]  # fmt: skip


def _object(properties: Json, **more: Any) -> Json:
    return {"type": "object", "required": list(properties), "properties": properties, **more}


def _report_schemas() -> dict[str, Json]:
    values = {"type": "object", "additionalProperties": _VALUE, "description": "figures by key of the column"}
    group = _object(
        {
            "dimension": _TEXT,
            "key": {"type": ["string", "null"], "description": "null: «Не указано»"},
            "label": _TEXT,
            "values": values,
            "groups": {"type": "array", "items": {"$ref": "#/components/schemas/ReportGroup"}},
        }
    )
    part = {"type": ["string", "null"], "description": "column that a ratio is made of; null: no ratio"}
    column = _object(
        {
            "key": {"enum": [m.key for m in INQUIRIES.metrics]},
            "label": _TEXT,
            "unit": {"enum": ["count", "percent", "money"]},
            "definition": _TEXT,
            "formula": _TEXT,
            "counted": {**_TEXT, "description": "what is counted"},
            "numerator": part,
            "denominator": part,
            "optional": {"type": "boolean", "description": "the page shows it on request"},
        }
    )
    notice = _object(
        {
            "key": {
                **_TEXT,
                "description": "the rule that keeps them out, such as uncategorised or excluded:valid_refusal",
            },
            "label": _TEXT,
            "count": _COUNT,
        }
    )
    comparison = _object(
        {
            "kind": {"enum": [c for c in COMPARISONS if c != "none"]},
            "from": _TEXT,
            "to": _TEXT,
            "total": values,
            "difference": values,
            "share": values,
        }
    )
    report = _object(
        {
            "name": _TEXT,
            "title": _TEXT,
            "params": {"type": "object"},
            "as_of": _MOMENT,
            "fresh_at": {**_MOMENT, "description": "when the newest event was received; null: unknown"},
            "stands_since": {
                **_MOMENT,
                "description": "nobody has brought the figures up to date since then; null: somebody does",
            },
            "lag_s": {"type": ["number", "null"], "description": "seconds behind the log; null: unknown"},
            "rules": _TEXT,
            "columns": {"type": "array", "items": column},
            "total": values,
            "groups": {"type": "array", "items": {"$ref": "#/components/schemas/ReportGroup"}},
            "notices": {"type": "array", "items": notice},
            "not_connected": {
                "type": "array",
                "items": _TEXT,
                "description": "columns whose source was never seen",
            },
            "comparison": {"oneOf": [comparison, {"type": "null"}]},
        }
    )
    wrong = _object({"field": _TEXT, "reason": _TEXT})
    return {
        "Report": report,
        "ReportGroup": group,
        "Rows": _object(
            {
                "total": _COUNT,
                "value": _VALUE,
                "limit": _COUNT,
                "offset": _COUNT,
                "inquiries": {"type": "array", "items": {"type": "object"}},
            }
        ),
        "WrongParameters": _object(
            {
                "error": {**wrong, "description": "the first of them"},
                "errors": {"type": "array", "items": wrong},
            }
        ),
        "Refusal": _object({"error": wrong}),
    }
