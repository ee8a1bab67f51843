"""The report as SQL for analysts: ``analytics.report_inquiries`` and ``analytics.inquiries_report(from, to)``.

Both are compiled from the same catalogue as the page, so their figures are the page's figures «на сейчас»; the rules
of valid reasons are read from the build's own facts, so a published rule shows at once.
"""

from __future__ import annotations

from psycopg import sql

from domain.defaults import DEFAULT_DICTIONARY
from domain.directory import DEFAULT_TIMEZONE
from domain.rules import Rules
from projector.readmodel.analytics import masked
from reports.catalogue import INQUIRIES
from reports.model import Measure, Metric, ReportSpec
from reports.overlay import live_relations

_LEVELS = ("direction", "employee", "kind")
_VIEW_COLUMNS = (
    ("inquiry_id", "i.inquiry_id", "обращение"),
    (
        "client_id",
        masked("inquiry", "client_id", "i.client_id"),
        "клиент; номер закрыт, один во всех таблицах",
    ),
    ("opened_at", "i.opened_at", "дата обращения"),
    ("direction", "i.direction", "направление: in, out"),
    ("employee", masked("inquiry", "employee_id", "i.employee_id"), "сотрудник"),
    ("kind", "i.kind", "вид обращения: phone, missed, site, visit, chat"),
    ("team", "i.team", "отдел"),
    ("office", "i.office_id", "филиал"),
    ("office_zone", "i.office_zone", "часовой пояс филиала"),
    ("channel", "i.channel", "рекламный канал"),
    ("category", "i.category_id", "категория"),
    ("source", "i.source", "подключение"),
    ("result", "i.result", "результат"),
    ("refusal_reason", "i.refusal_reason_id", "причина последнего отказа"),
    ("new_client", "i.new_client", "первое обращение клиента, который прежде не приезжал и не покупал"),
    ("booked_at", "i.booked_at", "первая запись сделана"),
    ("slot_at", "i.slot_at", "время последней записи"),
    ("arrived_at", "i.arrived_at", "первый заезд"),
)

#: The page folds clients with such facts once more without them (`reports.overlay`); a view can't.
_AHEAD = " Факт, чей момент ещё не наступил (часы источника спешат), здесь виден сразу, на странице — когда наступит"


def analytics_ddl(schema: str, timezone: str = DEFAULT_TIMEZONE) -> str:
    """SQL that puts the view and the function into the schema ``analytics`` over a build; may be repeated.

    Run it where the other analyst views are made, in the switching transaction. ``timezone``: the company's, in which
    the function's days are meant unless another is given.
    """
    spec = INQUIRIES
    view = "analytics.report_inquiries"
    flags = _flags(spec, schema)
    inner = ",\n        ".join(f"{text} as {name}" for name, text, _ in (*_VIEW_COLUMNS, *flags))
    said = {name: text for name, _, text in (*_VIEW_COLUMNS, *flags)} | {"is_included": "входит в отчёт"}
    body = f"select\n        {inner}\n    from {live_relations(schema)['inquiry']} i"
    parts = [
        f"drop view if exists {view}",
        f"create view {view} as\nselect x.*, x.excluded_by is null as is_included\nfrom (\n    {body}\n) x",
        _comment(
            "view",
            view,
            "Обращения с признаками отчёта «Обращения клиентов в автосервис» на сейчас." + _AHEAD,
        ),
        *(_comment("column", f"{view}.{name}", text) for name, text in said.items()),
        *_function(spec, timezone),
        _GRANT,
    ]
    return ";\n".join(parts)


def _flags(spec: ReportSpec, schema: str) -> list[tuple[str, str, str]]:
    """Measures and the excluding rule, over ``i``, with the clock at ``now()``: (name, SQL, comment)."""
    valid = _VALID_REASONS.replace("{schema}", schema).replace(
        "{defaults}", _literal(list(Rules().valid_reasons))
    )

    categories = _CATEGORIES.replace("{schema}", schema).replace(
        "{defaults}", _literal(_default_categories())
    )

    def at_now(text: str) -> str:
        marks = text.replace("{valid_reasons}", f"i.refusal_reason_id = any({valid}::text[])")
        marks = marks.replace("{known_category}", f"i.category_id = any({categories}::text[])")
        return marks.replace("{as_of}", "now()")

    cases = " ".join(f"when {at_now(e.condition)} then {e.key_sql}" for e in spec.exclusions)
    described = {m.measure: m.column.label.ru.lower() for m in spec.metrics if m.per is None}
    described |= {
        "full_sales": "продажи, где себестоимость известна",
        "full_margin": "маржа, где себестоимость известна",
    }
    return [
        ("excluded_by", f"case {cases} end", "правило, по которому обращение не вошло; пусто — вошло"),
        *(
            (
                m.key,
                f"coalesce({at_now(m.sql)}, false)" if m.kind == "flag" else m.sql,
                f"{described[m.key]} (на сейчас)",
            )
            for m in spec.measures
            if m.key != spec.counts
        ),
    ]


def _default_categories() -> list[str]:
    return [entry.item for entry in DEFAULT_DICTIONARY if entry.dictionary == "category"]


def _function(spec: ReportSpec, timezone: str) -> list[str]:
    name = "analytics.inquiries_report"
    metrics = [
        (m.key, "bigint" if m.column.unit == "count" else "numeric", _figure(spec, m)) for m in spec.metrics
    ]
    returned = ", ".join(
        ["level int", *(f"{d} text" for d in _LEVELS), *(f"{key} {kind}" for key, kind, _ in metrics)]
    )
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
    said = (
        "Отчёт «Обращения клиентов в автосервис» на сейчас: level 3 — строки, 2 и 1 — промежуточные итоги, 0 — итог."
        + _AHEAD
    )
    return [
        f"drop function if exists {signature}",
        (
            f"create function {name}(first_day date, last_day date, zone text default {_literal(timezone)})\n"
            f"returns table ({returned})\nlanguage sql stable parallel safe as $report$\n{body}\n$report$"
        ),
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


def _comment(kind: str, name: str, text: str) -> str:
    return f"comment on {kind} {name} is {_literal(text)}"


_VALID_REASONS = """(
            select r.valid from (
                select '-infinity'::timestamptz as since, '' as version, {defaults}::text[] as valid
                union all
                select coalesce((p.data ->> 'valid_from')::timestamptz, 'epoch'), p.data ->> 'version',
                    array(select json_array_elements_text(p.data -> 'body' -> 'valid_reasons'))
                from (
                    select distinct on (f.data ->> 'version') f.data from {schema}.fact f
                    where f.group_id is null and f.type = 'rule.published' and not f.dead
                    order by f.data ->> 'version', f."time" desc, f.id desc
                ) p
                where json_typeof(p.data -> 'body' -> 'valid_reasons') = 'array'
            ) r
            where r.since <= i.opened_at order by r.since desc, r.version collate "C" desc limit 1
        )"""
"""The valid reasons by the rule in force on the inquiry's date: what ``Directory.rules_at`` says, in SQL."""

_CATEGORIES = """(
            select coalesce(array_agg(d.item), '{}') from (
                select distinct on (t.item) t.item, t.removed
                from (
                    select unnest({defaults}::text[]), false, '-infinity'::timestamptz, null::uuid
                    union all
                    select f.data ->> 'item', coalesce((f.data ->> 'removed')::boolean, false), f."time", f.id
                    from {schema}.fact f
                    where f.group_id is null and f.type = 'dictionary.changed' and not f.dead
                        and f.data ->> 'dictionary' = 'category'
                ) t (item, removed, since, id)
                order by t.item, t.since desc, t.id desc
            ) d where not d.removed
        )"""
"""Ids of the categories that the dictionary has: ``Directory.entries`` in SQL. Asked once a query, not once a row."""

_GRANT = """
do $$
begin
    if exists (select from pg_roles where rolname = 'leadfold_analyst') then
        grant select on analytics.report_inquiries to leadfold_analyst;
        grant execute on function analytics.inquiries_report(date, date, text) to leadfold_analyst;
    end if;
end $$
"""
