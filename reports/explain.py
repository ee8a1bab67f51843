"""«Объяснить число»: a figure as a sentence with the numbers put in, then its definition and formula."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from reports import formats
from reports.catalogue import REPORTS
from reports.model import Metric, ReportSpec
from reports.result import Column, Group, Label, Report, Value

_CLIENTS: Final = Label("клиенты", "clients")
_NOUNS: Final = ("клиент", "клиента", "клиентов")


@dataclass(frozen=True, slots=True)
class Explanation:
    """Texts in one language. ``parts``: (column key, label, figure as text) of a ratio's two halves."""

    title: str
    where: str
    sentence: str
    definition: str
    formula: str
    counted: str
    dated_by: str
    value: str
    parts: tuple[tuple[str, str, str], ...]


def find(report: Report, path: Sequence[str | None]) -> tuple[dict[str, Value], tuple[Group, ...]]:
    """The figures of a node, and the groups on the way to it; an empty path is the total. Raises KeyError."""
    groups, values = report.groups, report.total
    way: list[Group] = []
    for key in path:
        found = next((g for g in groups if g.key == key), None)
        if found is None:
            raise KeyError(key)
        way.append(found)
        groups, values = found.children, found.values
    return values, tuple(way)


def explain(report: Report, path: Sequence[str | None], metric: str) -> Explanation:
    """Explain one cell, in the language of the report's parameters. Raises KeyError for a cell that is not there."""
    spec = REPORTS[report.name]
    lang = report.params.lang
    values, way = find(report, path)
    chosen = spec.metric(metric)
    column = chosen.column
    total = "Total" if lang == "en" else "Итого"
    parts = tuple(
        (part.key, part.column.label[lang], formats.cell(values[part.key], part.column.unit, lang))
        for part in _halves(spec, column)
    )
    return Explanation(
        title=column.label[lang],
        where=" · ".join(g.label[lang] for g in way) or total,
        sentence=sentence(spec, chosen, values, lang, by_clients=report.params.counted == "client"),
        definition=column.definition[lang],
        formula=column.formula[lang],
        counted=(_CLIENTS if _of_clients(column, report.params.counted) else column.counted)[lang],
        dated_by=column.dated_by[lang] if column.dated_by else "",
        value=formats.cell(values[metric], column.unit, lang),
        parts=parts,
    )


def sentence(
    spec: ReportSpec, metric: Metric, values: dict[str, Value], lang: str, *, by_clients: bool = False
) -> str:
    """«52,5 % = 126 заездов / 240 обращений»; for a sum the figure with its meaning."""
    value = formats.cell(values[metric.key], metric.column.unit, lang)
    halves = _halves(spec, metric.column)
    if halves:
        return f"{value} = " + " / ".join(
            quantity(m, values[m.key], lang, by_clients=by_clients) for m in halves
        )
    if metric.nouns[0]:
        value = quantity(metric, values[metric.key], lang, by_clients=by_clients)
    return f"{value} — {metric.column.formula[lang]}"


def quantity(metric: Metric, value: Value, lang: str, *, by_clients: bool = False) -> str:
    """A figure with its noun: «126 заездов», «912 480,00 ₽ (продажи)», by clients «97 клиентов (заезды)»."""
    column = metric.column
    text = formats.cell(value, column.unit, lang)
    if column.unit == "count" and metric.nouns[0] and value is not None:
        n = int(value)
        if by_clients and _of_clients(column, "client"):
            noun = ("client", "clients")[n != 1] if lang == "en" else formats.plural(n, *_NOUNS)
            return f"{text} {noun} ({column.label[lang].lower()})"
        noun = metric.nouns_en[n != 1] if lang == "en" else formats.plural(n, *metric.nouns)
        return f"{text} {noun}"
    return f"{text} ({column.label[lang].lower()})"


def _of_clients(column: Column, counted: str) -> bool:
    """Asked by clients, what counts inquiries counts their clients (D-0.12); receipts and roubles stay."""
    return counted == "client" and column.counted.en == "inquiries"


def _halves(spec: ReportSpec, column: Column) -> list[Metric]:
    return [spec.metric(k) for k in (column.numerator, column.denominator) if k]
