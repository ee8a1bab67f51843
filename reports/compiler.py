# ruff: noqa: S608 - the text comes from the catalogue and the schema; values are always bound
"""From a report's data and parameters to SQL: one scope query, which the report, the drill and the SQL views share.

The scope query has one row per counted thing: a subject row (cohort basis: all its measures at once, so the report
is one scan) or a subject row × a thing that happened to it (activity basis: each by its own moment). Columns:
``id``, ``client``, ``moment``, ``excluded_by`` (null = in the report), ``d_<dimension>`` and ``m_<measure>``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from domain.directory import Directory
from domain.rules import Rules
from reports.dimensions import NONE_KEY
from reports.model import Measure, ReportSpec
from reports.result import Params

_WIDEST_OFFSET = timedelta(hours=16)
_FEW_SPANS = 16
Span = tuple[datetime, datetime]
"""A stretch of time, the end excluded."""


@dataclass(slots=True)
class Query:
    """SQL text with named placeholders and their values."""

    text: str
    values: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Compiler:
    """Compiles one report with one set of parameters over given relations.

    ``relations``: table name → SQL of the relation to read (a table, or live rows with an overlay; reports.overlay).
    ``within``: of the period only these stretches, none of which meet.
    """

    spec: ReportSpec
    params: Params
    directory: Directory
    as_of: datetime
    relations: Mapping[str, str]
    within: tuple[Span, ...] | None = None

    def scope(
        self,
        *,
        dimensions: Iterable[str],
        measures: Sequence[str],
        conditions: Sequence[tuple[str, bool, tuple[str, ...]]] = (),
        ids: Sequence[UUID] | None = None,
    ) -> Query:
        """The scope query with the named dimensions and measures; ``conditions`` narrow it beside the filters.

        ``ids``: of these subject rows only.
        """
        query = Query("", {"as_of": self.as_of, "zone": self.params.zone})
        if ids is not None:
            query.values["ids"] = list(ids)
        wanted = [self.spec.measure(key) for key in measures]
        dims = list(dict.fromkeys(dimensions))
        selects = [
            self._select(query, dims, wanted, here, moment, join, conditions)
            for moment, join, here in branches(self.spec, self.params.basis, wanted)
        ]
        query.text = "\nunion all\n".join(selects)
        return query

    def _select(
        self,
        query: Query,
        dimensions: Sequence[str],
        measures: Sequence[Measure],
        here: Mapping[str, str],
        moment: str,
        join: str,
        conditions: Sequence[tuple[str, bool, tuple[str, ...]]],
    ) -> str:
        subject = self.spec.subject
        columns = [
            f"{subject.id} as id",
            f"{subject.client} as client",
            f"{moment} as moment",
            f"{self.excluded_by()} as excluded_by",
            *(f"{self.spec.dimension(d).sql} as d_{d}" for d in dimensions),
            *(
                f"{here.get(m.key, 'false' if m.kind == 'flag' else '0::numeric')} as m_{m.key}"
                for m in measures
            ),
        ]
        where = [
            self._period(query, moment),
            *(self._in(query, *condition) for condition in (*self.params.filters, *conditions)),
        ]
        if "ids" in query.values:
            where.append(f"{subject.id} = any(%(ids)s)")
        if len(here) == 1 and self.params.basis == "activity":
            only = next(m for m in measures if m.key in here)
            if only.kind == "flag":
                where.append(here[only.key])
        many = ""
        if self.within is not None and len(self.within) > _FEW_SPANS:
            many = (
                "unnest(%(spans)s::timestamptz[], %(span_ends)s::timestamptz[]) as w(since, till) cross join "
            )
        text = (
            f"select {', '.join(columns)}\nfrom {many}{{{subject.table}}} i {join}\nwhere "
            + "\n  and ".join(f"({w})" for w in where)
        )
        return self.finish(query, text, moment)

    def row_query(self, columns: str, condition: str) -> Query:
        """Columns of subject rows chosen by a condition alone, without period and filters."""
        query = Query("", {"as_of": self.as_of, "zone": self.params.zone})
        text = (
            f"select {columns} from {{{self.spec.subject.table}}} i left join {{client}} c on c.client_id = i.client_id"
            f" where {condition}"
        )
        query.text = self.finish(query, text, self.spec.subject.born)
        return query

    def excluded_by(self) -> str:
        """SQL: the notice key of the first rule that keeps a row out, or null."""
        return excluded_by(self.spec)

    def _period(self, query: Query, moment: str) -> str:
        """Half-open period (G1), in the report's zone or by each row's office; of rows born within the stretches."""
        p = self.params
        query.values.update(period_values(p))
        bounds = f"{moment} >= %(since)s and {moment} < %(till)s"
        if p.office_time:
            local = f"({moment} at time zone {self.spec.subject.zone})"
            bounds += f" and {local} >= %(local_since)s and {local} < %(local_till)s"
        if self.within is None:
            return bounds
        spans = self._spans(query, self.within)
        # the stretches of a cohort lie in its period
        return spans if p.basis == "cohort" and not p.office_time else f"({spans}) and {bounds}"

    def _spans(self, query: Query, within: tuple[Span, ...]) -> str:
        born = self.spec.subject.born
        if len(within) > _FEW_SPANS:
            query.values |= {"spans": [s for s, _ in within], "span_ends": [t for _, t in within]}
            query.values |= {"first_span": min(s for s, _ in within), "last_span": max(t for _, t in within)}
            whole = f"{born} >= %(first_span)s and {born} < %(last_span)s"  # what the planner can estimate by
            return f"{whole} and {born} >= w.since and {born} < w.till"
        for n, (since, till) in enumerate(within):
            query.values |= {f"since_{n}": since, f"till_{n}": till}
        spans = (f"({born} >= %(since_{n})s and {born} < %(till_{n})s)" for n in range(len(within)))
        return " or ".join(spans) or "false"

    def _in(self, query: Query, dimension: str, included: bool, values: tuple[str, ...]) -> str:
        return is_in(query, self.spec.dimension(dimension).sql, included, values)

    def finish(self, query: Query, text: str, moment: str) -> str:
        """Put in what stands for the catalogue's marks and for ``{table}``."""
        zone = self.spec.subject.zone if self.params.office_time else "%(zone)s"
        if "{valid_reasons}" in text:
            condition, values = valid_reasons(self.params.valid_reasons, self.directory)
            text = text.replace("{valid_reasons}", condition)
            query.values.update(values)
        if "{known_category}" in text:
            text = text.replace("{known_category}", "i.category_id = any(%(categories)s::text[])")
            query.values["categories"] = known_categories(self.directory)
        text = text.replace("{moment}", moment).replace("{zone}", zone).replace("{as_of}", "%(as_of)s")
        return self.finish_tables(text)

    def finish_tables(self, text: str) -> str:
        """Put the relations in for ``{table}`` marks."""
        for table, relation in self.relations.items():
            text = text.replace(f"{{{table}}}", relation)
        return text


def excluded_by(spec: ReportSpec) -> str:
    """SQL: the notice key of the first rule that keeps a row out, or null."""
    cases = " ".join(f"when {e.condition} then {e.key_sql}" for e in spec.exclusions)
    return f"case {cases} end"


def branches(
    spec: ReportSpec, basis: str, wanted: Sequence[Measure]
) -> list[tuple[str, str, dict[str, str]]]:
    """(moment, join, {measure: sql}) of each part of the scope."""
    if basis == "cohort":
        return [(spec.subject.born, "", {m.key: m.sql for m in wanted})]
    parts: dict[tuple[str, str], dict[str, str]] = {}
    for m in wanted:
        moment, join, sql = (
            (m.joined.moment, m.joined.join, m.joined.sql) if m.joined else (m.moment, "", m.sql)
        )
        parts.setdefault((moment, join), {})[m.key] = sql
    return [(moment, join, here) for (moment, join), here in parts.items()]


def is_in(query: Query, sql: str, included: bool, values: tuple[str, ...]) -> str:
    """SQL condition: the text that ``sql`` gives is one of ``values`` (or none of them); ``~`` is null."""
    named = [v for v in values if v != NONE_KEY]
    name = f"f{len(query.values)}"
    query.values[name] = named
    hit = f"({sql}) = any(%({name})s::text[])"  # an index may serve it; unknown is as good as false
    if NONE_KEY in values:
        hit = f"({hit} or ({sql}) is null)"
    return hit if included else f"not coalesce({hit}, false)"


def period_values(params: Params) -> dict[str, object]:
    """Bounds of the period as SQL values: UTC moments, and local days for «по времени филиала»."""
    since = datetime.combine(params.first_day, time())
    till = datetime.combine(params.last_day + timedelta(days=1), time())
    if params.office_time:
        return {
            "since": since.replace(tzinfo=UTC) - _WIDEST_OFFSET,
            "till": till.replace(tzinfo=UTC) + _WIDEST_OFFSET,
            "local_since": since,
            "local_till": till,
        }
    zone = ZoneInfo(params.zone)
    return {
        "since": since.replace(tzinfo=zone).astimezone(UTC),
        "till": till.replace(tzinfo=zone).astimezone(UTC),
    }


def known_categories(directory: Directory) -> list[str]:
    """Ids of the categories that the dictionary has today."""
    return sorted(item for dictionary, item in directory.entries if dictionary == "category")


def valid_reasons(override: tuple[str, ...] | None, directory: Directory) -> tuple[str, dict[str, object]]:
    """SQL condition «the refusal reason is valid» (R0.42, D-0.4) and its values.

    By the rule in force on the inquiry's date, or by the reader's own list.
    """
    if override is not None:
        return "i.refusal_reason_id = any(%(valid)s::text[])", {"valid": list(override)}
    values: dict[str, object] = {"valid_0": sorted(Rules().valid_reasons)}
    condition = "i.refusal_reason_id = any(%(valid_0)s::text[])"
    for n, (since, rules) in enumerate(directory.rule_versions, 1):
        values[f"valid_{n}"] = sorted(rules.valid_reasons)
        values[f"valid_since_{n}"] = since
        condition = (
            f"case when i.opened_at >= %(valid_since_{n})s then i.refusal_reason_id = any(%(valid_{n})s::text[])"
            f" else {condition} end"
        )
    return f"({condition})", values
