"""The report as SQL for analysts: ``analytics.report_inquiries`` and ``analytics.inquiries_report(from, to)``.

Both are compiled from the same catalogue as the page, so their figures are the page's figures «на сейчас». The rule
of valid reasons is written into the view: make them anew when the directory changes.
"""


from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime

from psycopg import sql

from domain.directory import Directory
from reports.catalogue import INQUIRIES
from reports.compiler import Compiler
from reports.model import Measure, Metric, ReportSpec
from reports.overlay import live_relations
from reports.result import Params

_LEVELS = ("direction", "employee", "kind")
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
_VIEW_COLUMNS = (
    ("inquiry_id", "i.inquiry_id", "обращение"),
    ("client_id", "i.client_id", "клиент"),
    ("opened_at", "i.opened_at", "дата обращения (R0.4)"),
    ("direction", "i.direction", "направление: in, out"),
    ("employee", "i.employee_id", "сотрудник (G9)"),
    ("kind", "i.kind", "вид обращения: phone, missed, site, visit, chat"),
    ("team", "i.team", "отдел"),
    ("office", "i.office_id", "филиал"),
    ("office_zone", "i.office_zone", "часовой пояс филиала"),
    ("channel", "i.channel", "рекламный канал"),
    ("category", "i.category_id", "категория"),
    ("source", "i.source", "подключение"),
    ("result", "i.result", "результат"),
    ("refusal_reason", "i.refusal_reason_id", "причина последнего отказа"),
    ("new_client", "i.new_client", "первое обращение клиента"),
    ("booked_at", "i.booked_at", "первая запись сделана"),
    ("slot_at", "i.slot_at", "время последней записи"),
    ("arrived_at", "i.arrived_at", "первый заезд"),
)


def analytics_ddl(schema: str, directory: Directory | None = None) -> str:
    """SQL that puts the view and the function into the schema ``analytics`` over a build.

    Run it where the other analyst views are made, in the switching transaction, and again when rules change.
    ``directory``: the build's, for its rules and the company's time zone; None = the defaults.
    """
    spec, given = INQUIRIES, directory or Directory()
    view = "analytics.report_inquiries"
    columns = [*_VIEW_COLUMNS, *_flags(spec, given)]
    selected = ",\n    ".join(f"{text} as {name}" for name, text, _ in columns)
    parts = [
        f"drop view if exists {view}",
        f'create view {view} as\nselect\n    {selected}\nfrom {live_relations(schema)["inquiry"]} i',
        _comment("view", view, "Обращения с признаками отчёта «Обращения клиентов в автосервис» на сейчас"),
        *(_comment("column", f"{view}.{name}", text) for name, _, text in columns),
        *_function(spec, given.timezone),
        _GRANT,
    ]
    return ";\n".join(parts)


def _flags(spec: ReportSpec, directory: Directory) -> list[tuple[str, str, str]]:
    """Measures and the excluding rule, over ``i``, with the clock at ``now()``."""
    today = date(1970, 1, 1)
    compiler = Compiler(spec, Params(today, today, zone=directory.timezone), directory, _NEVER, {})

    def at_now(text: str) -> str:
        query = compiler.row_query(text, "true")
        literals = {name: _literal(value) for name, value in query.values.items()} | {"as_of": "now()"}
        head = query.text.removeprefix("select ")
        return _put_in(head[: head.index(" from {inquiry} i ")], literals)

    rule = at_now(compiler.excluded_by())
    described = {m.measure: m.column.label.ru.lower() for m in spec.metrics if m.per is None}
    described |= {"full_sales": "продажи, где себестоимость известна", "full_margin": "маржа, где себестоимость известна"}
    return [
        ("excluded_by", rule, "правило, по которому обращение не вошло; пусто — вошло"),
        ("is_included", f"({rule}) is null", "входит в отчёт"),
        *(
            (m.key, f"coalesce({at_now(m.sql)}, false)" if m.kind == "flag" else m.sql, f"{described[m.key]} (на сейчас)")
            for m in spec.measures
            if m.key != spec.counts
        ),
    ]


def _function(spec: ReportSpec, timezone: str) -> list[str]:
    name = "analytics.inquiries_report"
    metrics = [(m.key, "bigint" if m.column.unit == "count" else "numeric", _figure(spec, m)) for m in spec.metrics]
    returned = ", ".join(["level int", *(f"{d} text" for d in _LEVELS), *(f"{key} {kind}" for key, kind, _ in metrics)])
    figures = ",\n    ".join(text for _, _, text in metrics)
    levels = ", ".join(f"v.{d}" for d in _LEVELS)
    body = (
        f"select {len(_LEVELS)} - length(replace(grouping({levels})::bit({len(_LEVELS)})::text, '0', '')),\n"
        f"    {levels},\n    {figures}\n"
        "from analytics.report_inquiries v\n"
        "where v.is_included\n"
        "    and v.opened_at >= first_day::timestamp at time zone zone\n"
        "    and v.opened_at < (last_day + 1)::timestamp at time zone zone\n"
        f"group by rollup ({levels})\n"
        f"order by {levels}"
    )
    signature = f"{name}(date, date, text)"
    said = "Отчёт «Обращения клиентов в автосервис» на сейчас: level 3 — строки, 2 и 1 — промежуточные итоги, 0 — итог"
    return [
        f"drop function if exists {signature}",
        (f"create function {name}(first_day date, last_day date, zone text default {_literal(timezone)})\n"
        f"returns table ({returned})\nlanguage sql stable parallel safe as $report$\n{body}\n$report$"),
        _comment("function", signature, said),
    ]


def _figure(spec: ReportSpec, metric: Metric) -> str:
    top = _sum(spec, spec.measure(metric.measure))
    if metric.per is None:
        return f"{top}::bigint" if metric.column.unit == "count" else top
    return f"{top}::numeric / nullif({_sum(spec, spec.measure(metric.per))}, 0)"


def _sum(spec: ReportSpec, measure: Measure) -> str:
    if measure.key == spec.counts:
        return "count(*)"
    if measure.kind == "flag":
        return f"count(*) filter (where v.{measure.key})"
    return f"coalesce(sum(v.{measure.key}), 0)"


def _literal(value: object) -> str:
    return sql.Literal(value).as_string(None)


def _put_in(text: str, literals: Mapping[str, str]) -> str:
    for name, literal in literals.items():
        text = text.replace(f"%({name})s", literal)
    return text


def _comment(kind: str, name: str, text: str) -> str:
    return f"comment on {kind} {name} is {_literal(text)}"


_GRANT = """
do $$
begin
    if exists (select from pg_roles where rolname = 'leadfold_analyst') then
        grant select on analytics.report_inquiries to leadfold_analyst;
        grant execute on function analytics.inquiries_report(date, date, text) to leadfold_analyst;
    end if;
end $$
"""
