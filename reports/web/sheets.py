"""What the panel shows: the rows behind a figure with its explanation, and a webhook pretty-printed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from reports.context import Context
from reports.dimensions import NONE_KEY, label_of
from reports.drill import Page, drill
from reports.engine import notice as notice_of
from reports.engine import run
from reports.explain import Explanation, explain
from reports.formats import number
from reports.model import ReportSpec
from reports.params import MAX_TEXT, FieldError, ParamError
from reports.result import Column, Label
from reports.web.deps import Conn
from reports.web.state import Path, State, narrowed
from reports.web.texts import say

ROWS_PER_PAGE: Final = 100
ROWS_NAMES: Final = frozenset({"metric", "notice", "at", "offset", "limit"})
"""Names in the address of rows that are not parameters of the report."""
MAX_OFFSET: Final = 1_000_000_000
_NOT_PLAIN: Final = Label("недопустимые знаки", "characters that are not allowed")


@dataclass(frozen=True, slots=True)
class Asked:
    """Which cell: a column in a row of the tree, or a notice."""

    metric: str
    notice: str | None
    path: Path
    offset: int
    limit: int


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows behind a figure. ``explanation`` is None for a notice.

    ``adds``: the column of what each row adds to the figure; None where rows are only counted.
    """

    title: str
    where: str
    sentence: str
    explanation: Explanation | None
    adds: Column | None
    page: Page
    previous: str | None
    next: str | None
    span: str


def read_asked(pairs: Iterable[tuple[str, str]], state: State) -> Asked:
    """Which cell the address asks for. Raises ParamError."""
    given: dict[str, list[str]] = {}
    for name, value in pairs:
        given.setdefault(name, []).append(value)
    errors: list[FieldError] = []
    dimensions = {d.key for d in state.spec.dimensions}
    metric = given.get("metric", ["inquiries"])[0]
    if metric not in {m.key for m in state.spec.metrics}:
        errors.append(FieldError("metric", Label("такого показателя нет", "no such metric")))
    path: list[tuple[str, str | None]] = []
    for step in given.get("at", []):
        dimension, colon, key = step.partition(":")
        if dimension not in dimensions or not colon:
            errors.append(FieldError("at", Label("нужно вида employee:ivan", "must look like employee:ivan")))
            break
        if not _is_plain(key):
            errors.append(FieldError("at", _NOT_PLAIN))
        path.append((dimension, None if key == NONE_KEY else key))
    notice = given.get("notice", [""])[0]
    if not _is_plain(notice):
        errors.append(FieldError("notice", _NOT_PLAIN))
    offset = _whole(given, "offset", 0, MAX_OFFSET, errors)
    limit = _whole(given, "limit", ROWS_PER_PAGE, 1000, errors)
    if errors:
        raise ParamError(errors)
    return Asked(metric, notice or None, tuple(path), offset, max(limit, 1))


def _is_plain(text: str) -> bool:
    return len(text) <= MAX_TEXT and not any(ord(c) < 32 or 0xD800 <= ord(c) <= 0xDFFF for c in text)


def _whole(given: dict[str, list[str]], name: str, default: int, most: int, errors: list[FieldError]) -> int:
    text = given.get(name, [""])[0]
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 12) or int(text) > most:
        errors.append(
            FieldError(name, Label(f"нужно целое число до {most}", f"must be a whole number up to {most}"))
        )
        return default
    return int(text)


async def build_rows(conn: Conn, context: Context, state: State, asked: Asked) -> Rows:
    """The page of rows and, for a column, the sentence that explains the figure."""
    lang, spec = state.lang, state.spec
    page = await drill(
        conn, state.params, context, path=asked.path, metric=asked.metric, notice=asked.notice,
        limit=asked.limit, offset=asked.offset, spec=spec,
    )  # fmt: skip
    if asked.notice:
        told = notice_of(spec, asked.notice, page.total)
        label = say("tab.excluded", lang) if asked.notice == "excluded" else told.label[lang]
        title, where, explanation = label, say("tab.excluded", lang), None
        sentence = f"{label}: {number(page.total, 0, lang)}"
    else:
        cell = replace(narrowed(state.params, asked.path), levels=(), compare="none")
        explanation = explain(await run(conn, cell, context, spec), (), asked.metric)
        title, sentence = explanation.title, explanation.sentence
        names = [label_of(spec.dimension(d), key, context.directory)[lang] for d, key in asked.path]
        where = " · ".join(names) or say("table.total", lang)
    last = min(asked.offset + len(page.lines), page.total)
    span = say(
        "rows.page",
        lang,
        from_=number(asked.offset + 1, 0, lang),
        to=number(last, 0, lang),
        of=number(page.total, 0, lang),
    )
    return Rows(
        title=title, where=where, sentence=sentence, explanation=explanation,
        adds=None if asked.notice else _adds(spec, asked.metric), page=page, span=span,
        previous=_at(state, asked, max(0, asked.offset - asked.limit)) if asked.offset else None,
        next=_at(state, asked, asked.offset + asked.limit) if last < page.total else None,
    )  # fmt: skip


def _adds(spec: ReportSpec, metric: str) -> Column | None:
    """The column that the metric sums over the rows: its own, or of a ratio the one above the line."""
    measure = spec.measure(spec.metric(metric).measure)
    if measure.kind == "flag":
        return None
    return next((m.column for m in spec.metrics if m.measure == measure.key and m.per is None), None)


def _at(state: State, asked: Asked, offset: int) -> str:
    url = state.notice_url(asked.notice) if asked.notice else state.rows_url(asked.metric, asked.path)
    return f"{url}&offset={offset}" if offset else url
