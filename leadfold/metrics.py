"""Every metric that Leadfold shows, in one registry: name, kind, meaning. Nothing else may appear under /metrics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

Labels = tuple[tuple[str, str], ...]
Values = Mapping[tuple[str, Labels], float]
"""(full name, labels) → value."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric. ``kind``: counter, gauge or histogram. ``part``: whose /metrics shows it."""

    name: str
    kind: str
    meaning: str
    labels: tuple[str, ...]
    part: str


def registry() -> dict[str, Metric]:
    """All metrics of all parts by name."""
    from ingest.metrics import METRICS as INGEST
    from leadfold.report_metrics import METRICS as REPORT
    from projector.metrics import METRICS as PROJECTOR

    found = [
        *(Metric(m.name, m.kind, m.help, m.labels, "ingest") for m in INGEST),
        *(Metric(f"leadfold_{m.name}", m.kind, m.meaning, m.labels, "project") for m in PROJECTOR),
        *(Metric(name, kind, meaning, labels, "report") for name, kind, meaning, labels in REPORT),
    ]
    return {metric.name: metric for metric in found}


def table() -> str:
    """The registry as a Markdown table, for the documentation."""
    rows = [
        f"| `{m.name}` | {m.part} | {m.kind} | {', '.join(m.labels) or '–'} | {m.meaning} |"
        for m in registry().values()
    ]
    return "\n".join(["| metric | part | kind | labels | meaning |", "|---|---|---|---|---|", *rows])


def render(values: Values) -> str:
    """Prometheus text, in the order of the registry. Raises KeyError for a name that is not in it."""
    known = registry()
    by_name: dict[str, list[tuple[Labels, float]]] = {}
    for (name, labels), value in values.items():
        by_name.setdefault(known[name].name, []).append((labels, value))
    lines: list[str] = []
    for name, metric in known.items():
        if name in by_name:
            lines += [f"# HELP {name} {metric.meaning}", f"# TYPE {name} {metric.kind}"]
            lines += [f"{name}{_labels(labels)} {_number(value)}" for labels, value in sorted(by_name[name])]
    return "\n".join(lines) + "\n"


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def _labels(labels: Iterable[tuple[str, str]]) -> str:
    shown = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels)
    return f"{{{shown}}}" if shown else ""


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
