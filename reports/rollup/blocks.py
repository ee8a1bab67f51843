# ruff: noqa: S608 - the text comes from the catalogue and the schema; values are always bound
"""Days as columns: what every row of a day has of one attribute, in one value (``bytea``), in the order of the day's rows.

Numbers are big-endian: words and clients by their numbers in ``rollup_word`` and ``rollup_client`` (4 bytes; 0 is no
word), moments as microseconds since 1970 (8), sums as ten-thousandths (8), flags as bits in the order of the
catalogue (2), ids as they are (16). Rows of a day stand the newest first, as drills show them. Sums are there for rows
that have any, at the places of ``sum_row``.

What happened to the rows (activity basis) stands in columns of its own, one set for each *branch*: a moment and the
measures that it dates. ``b<k>_row`` is the row's place in its day.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Final

from projector.readmodel.tables import check_schema
from reports.compiler import Compiler, Query, Span, branches, excluded_by
from reports.model import Measure, ReportSpec

#: Parts of a rouble in which sums are kept, and the largest sum of a row. Finer or larger ones stay in their rows.
UNITS: Final = 10_000
_MOST: Final = 100_000_000

#: The rows of the chosen days while they are packed.
_PACKED: Final = "packed"


@dataclass(frozen=True, slots=True)
class Branch:
    """A moment of the activity basis with the measures that it dates. ``number`` None: the birth of the row itself."""

    number: int | None
    moment: str
    join: str
    measures: tuple[tuple[Measure, str], ...]  # with their SQL


@cache
def branches_of(spec: ReportSpec) -> tuple[Branch, ...]:
    """Every branch of a report, in the order of its measures."""
    found = []
    for number, (moment, join, here) in enumerate(branches(spec, "activity", spec.measures)):
        own = moment == spec.subject.born and not join
        measures = tuple((spec.measure(key), sql) for key, sql in here.items())
        found.append(Branch(None if own else number, moment, join, measures))
    return tuple(found)


@cache
def flags_of(spec: ReportSpec) -> tuple[str, ...]:
    """Measures that are bits of a row's flags, the lowest first."""
    return tuple(m.key for m in spec.measures if m.kind == "flag")


@cache
def texts_of(spec: ReportSpec) -> dict[str, str]:
    """Columns of words and their SQL: the excluding rule, the office's zone, every dimension but those of the day.

    The rule stands there as it is, and as it were if no reason (``loose``) or every one (``strict``) were valid.
    """
    excluded = excluded_by(spec)
    return {
        "excluded_by": excluded,
        "loose": excluded.replace("{valid_reasons}", "false"),
        "strict": excluded.replace("{valid_reasons}", "true"),
        "zone": spec.subject.zone,
        **{f"d_{d.key}": d.sql for d in spec.dimensions if d.by_day is None},
    }


def install_blocks(schema: str, spec: ReportSpec) -> list[str]:
    """DDL of the empty tables of blocks; may be repeated."""
    s = check_schema(schema)
    columns = [
        "client", "moment", "id", "flags", *texts_of(spec), "sum_row", *(f"m_{m.key}" for m in spec.measures if m.kind == "sum"),
        *(column for branch in branches_of(spec) for column in branch_columns(branch)),
    ]  # fmt: skip
    table = f"{s}.rollup_block"
    return [
        f"drop table if exists {table}, {s}.rollup_word, {s}.rollup_client",
        f"create table {s}.rollup_word (word text not null, code integer generated always as identity)",
        f"create index rollup_word_text on {s}.rollup_word using hash (word)",  # words may be long
        (
            f"create table {s}.rollup_client (client uuid primary key,"
            " number integer generated always as identity (minvalue 0 start 0))"
        ),
        (
            f"create table {table} (day date primary key, fit boolean not null, rows integer not null,"
            f" acts_since timestamptz, acts_till timestamptz, {', '.join(f'{c} bytea' for c in columns)})"
        ),
        # compressed they would be smaller and slower than the network
        f"alter table {table} {', '.join(f'alter column {c} set storage external' for c in columns)}",
        f"comment on table {table} is 'Строки дней по столбцам: ускоряют отчёт, выводятся из строк; см. docs/adr/0014'",
        f"comment on table {s}.rollup_word is 'Слова столбцов и их номера'",
        f"comment on table {s}.rollup_client is 'Клиенты столбцов и их номера'",
    ]


def branch_columns(branch: Branch, measures: Collection[str] | None = None) -> list[str]:
    """Names of a branch's columns; none for the birth of the row. ``measures``: only what these need."""
    here = [m for m, _ in branch.measures if measures is None or m.key in measures]
    if branch.number is None or not here:
        return []
    b = f"b{branch.number}"
    flags = [f"{b}_flags"] if any(m.kind == "flag" for m in here) else []
    sums = [f"{b}_{m.key}" for m in here if m.kind == "sum"]
    return [f"{b}_row", f"{b}_moment", *flags, *sums]


def packing(compiler: Compiler, schema: str, days: Sequence[date], spans: Sequence[Span]) -> list[Query]:
    """Statements that pack whole days in one transaction. ``spans``: their beginnings and ends."""
    return [
        _rows(compiler, days, spans), *_numbers(compiler.spec, schema), _blocks(compiler, schema, days, spans),
    ]  # fmt: skip


def _rows(compiler: Compiler, days: Sequence[date], spans: Sequence[Span]) -> Query:
    spec, subject = compiler.spec, compiler.spec.subject
    query = Query(
        "",
        {
            "as_of": compiler.as_of, "zone": compiler.params.zone, "days": list(days),
            "since": [since for since, _ in spans], "till": [till for _, till in spans],
        },
    )  # fmt: skip
    columns = [
        f"a.day, {subject.id} as id, {subject.client} as client, {subject.born} as moment",
        f"(row_number() over (partition by a.day order by {subject.born} desc, {subject.id}) - 1)::integer as n",
        *(f"{sql} as {name}" for name, sql in texts_of(spec).items()),
        *(f"{_value(m, m.sql)} as m_{m.key}" for m in spec.measures),
        *(f"{b.moment} as at_{b.number}" for b in branches_of(spec) if b.number is not None and not b.join),
    ]
    text = (
        f"create temp table {_PACKED} on commit drop as select {', '.join(columns)}\nfrom"
        " unnest(%(days)s::date[], %(since)s::timestamptz[], %(till)s::timestamptz[]) as a(day, since, till)"
        f" join {{{subject.table}}} i on {subject.born} >= a.since and {subject.born} < a.till"
    )
    query.text = compiler.finish(query, text, subject.born)
    return query


def _value(measure: Measure, sql: str) -> str:
    return f"coalesce({sql}, false)" if measure.kind == "flag" else f"coalesce({sql}, 0)::numeric"


def _numbers(spec: ReportSpec, schema: str) -> list[Query]:
    """Numbers for clients and words that have none yet."""
    words = " union ".join(f"select {name} as word from {_PACKED}" for name in texts_of(spec))
    return [
        Query(
            f"insert into {schema}.rollup_client (client) select p.client from {_PACKED} p"
            f" where not exists (select from {schema}.rollup_client c where c.client = p.client) group by 1"
        ),
        Query(
            f"insert into {schema}.rollup_word (word) select p.word from ({words}) p where p.word is not null"
            f" and not exists (select from {schema}.rollup_word w where w.word = p.word)"
        ),
        Query(f"analyze {_PACKED}"),
    ]


def _blocks(compiler: Compiler, schema: str, days: Sequence[date], spans: Sequence[Span]) -> Query:
    spec, texts = compiler.spec, list(texts_of(compiler.spec))
    sums = [m.key for m in spec.measures if m.kind == "sum"]
    some = f" filter (where {' or '.join(f'p.m_{key} <> 0' for key in sums) or 'false'})"
    packed = {
        "client": _packed("int4send(c.number)"),
        "moment": _packed(_micros("p.moment")),
        "id": _packed("uuid_send(p.id)"),
        "flags": _packed(_bits([(key, f"p.m_{key}") for key in flags_of(spec)])),
        **{name: _packed(f"int4send(coalesce(w{n}.code, 0))") for n, name in enumerate(texts)},
        "sum_row": _packed("int4send(p.n)") + some,
        **{f"m_{key}": _packed(_units(f"p.m_{key}")) + some for key in sums},
    }
    fit = " and ".join(_fits(f"p.m_{key}") for key in sums) or "true"
    words = " ".join(
        f"left join {schema}.rollup_word w{n} on w{n}.word = p.{name}" for n, name in enumerate(texts)
    )
    query = Query(
        "",
        {
            "as_of": compiler.as_of, "zone": compiler.params.zone, "days": list(days),
            # what the planner can find the rows by
            "first": min((since for since, _ in spans), default=None),
            "last": max((till for _, till in spans), default=None),
        },
    )  # fmt: skip
    joins, fitting, ends = [], ["coalesce(x.fit, true)"], []
    names = [*packed]
    for branch in branches_of(spec):
        if branch.number is None:
            continue
        b = f"b{branch.number}"
        joins.append(f"left join (\n{_branch(compiler, branch)}\n) {b} on {b}.day = d.day")
        fitting.append(f"coalesce({b}.fit, true)")
        ends.append(b)
        names += branch_columns(branch)
    since = f"least({', '.join(f'{b}.acts_since' for b in ends)})" if ends else "null"
    till = f"greatest({', '.join(f'{b}.acts_till' for b in ends)})" if ends else "null"
    text = (
        f"insert into {schema}.rollup_block (day, fit, rows, acts_since, acts_till, {', '.join(names)})\n"
        f"select d.day, {' and '.join(fitting)}, coalesce(x.rows, 0), {since}, {till}, {', '.join(names)}\n"
        "from unnest(%(days)s::date[]) d(day) left join (\n"
        f"select p.day, count(*)::integer as rows, bool_and({fit}) as fit,"
        f" {', '.join(f'{sql} as {name}' for name, sql in packed.items())}\n"
        f"from {_PACKED} p join {schema}.rollup_client c on c.client = p.client {words} group by p.day"
        ") x on x.day = d.day\n" + "\n".join(joins)
    )
    query.text = compiler.finish(query, text, spec.subject.born)
    return query


def _branch(compiler: Compiler, branch: Branch) -> str:
    """A day's columns of one branch, of what adds anything."""
    subject, b, happened = compiler.spec.subject, f"b{branch.number}", f"p.at_{branch.number}"
    flags = [m.key for m, _ in branch.measures if m.kind == "flag"]
    sums = [m.key for m, _ in branch.measures if m.kind == "sum"]
    columns = {f"{b}_row": _packed("int4send(p.n)"), f"{b}_moment": _packed(_micros(happened))}
    if flags:
        columns[f"{b}_flags"] = _packed(
            _bits([(key, f"p.m_{key}" if key in flags else "false") for key in flags_of(compiler.spec)])
        )
    columns |= {f"{b}_{key}": _packed(_units(f"p.m_{key}")) for key in sums}
    adds = " or ".join([*(f"p.m_{key}" for key in flags), *(f"p.m_{key} <> 0" for key in sums)])
    source = f"{_PACKED} p"
    if branch.join:
        values = ", ".join(f"{_value(m, sql)} as m_{m.key}" for m, sql in branch.measures)
        source = (
            f"(select o.day, o.n, {branch.moment} as at_{branch.number}, {values} from {_PACKED} o"
            f" join {{{subject.table}}} i on {subject.id} = o.id and {subject.born} >= %(first)s"
            f" and {subject.born} < %(last)s {branch.join}) p"
        )
    return (
        f"select p.day, min({happened}) as acts_since, max({happened}) as acts_till,"
        f" bool_and({' and '.join(_fits(f'p.m_{key}') for key in sums) or 'true'}) as fit,"
        f" {', '.join(f'{sql} as {name}' for name, sql in columns.items())}\n"
        f"from {source} where {happened} is not null and ({adds}) group by p.day"
    )


def _packed(sql: str) -> str:
    return f"string_agg({sql}, ''::bytea order by p.n)"


def _micros(moment: str) -> str:
    return f"int8send((extract(epoch from {moment}) * 1000000)::bigint)"


def _bits(flags: Sequence[tuple[str, str]]) -> str:
    bits = " + ".join(f"({sql})::integer * {1 << n}" for n, (_, sql) in enumerate(flags) if sql != "false")
    return f"int2send(({bits})::smallint)"


def _fits(value: str) -> str:
    return f"(abs({value}) < {_MOST} and {value} * {UNITS} = trunc({value} * {UNITS}))"


def _units(value: str) -> str:
    return f"int8send(case when {_fits(value)} then ({value} * {UNITS})::bigint else 0 end)"
