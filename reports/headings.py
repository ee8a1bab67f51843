"""The lines above a report, the same on every surface: period, basis, clocks, filters, rules (G2, G3)."""

from __future__ import annotations

from typing import Final

from domain.directory import Directory
from reports import formats
from reports.catalogue import REPORTS
from reports.dimensions import NONE_KEY, label_of
from reports.result import Comparison, Label, Params, Report

BASES: Final[dict[str, Label]] = {
    "cohort": Label("когорта: по дате обращения", "cohort: by the date of the inquiry"),
    "activity": Label("активность: каждое по своей дате", "activity: each thing by its own date"),
}
COUNTED: Final[dict[str, Label]] = {
    "inquiry": Label("обращения", "inquiries"),
    "client": Label("клиенты", "clients"),
}
NOW: Final = Label("сейчас", "now")
TOTAL: Final = Label("Итого", "Total")
_COMPARED: Final[dict[str, Label]] = {
    "previous": Label("Было за период до этого", "The period before"),
    "year": Label("Было год назад", "A year before"),
}
CHANGE: Final = Label("Изменение", "Change")
CHANGE_SHARE: Final = Label("Изменение, %", "Change, %")


def compared_words(comparison: Comparison, lang: str) -> str:
    """«Было за период до этого, 01.02.2026–28.02.2026»."""
    span = formats.period(comparison.first_day, comparison.last_day)
    return f"{_COMPARED[comparison.kind][lang]}, {span}"


def filter_words(params: Params, directory: Directory, name: str) -> list[str]:
    """Each filter in words: «Сотрудник: Иван, Анна», «Канал: кроме Не указано»."""
    spec, lang = REPORTS[name], params.lang
    but = "except " if lang == "en" else "кроме "
    found = []
    for key, included, values in params.filters:
        dimension = spec.dimension(key)
        shown = ", ".join(label_of(dimension, None if v == NONE_KEY else v, directory)[lang] for v in values)
        found.append(f"{dimension.label[lang]}: {'' if included else but}{shown}")
    return found


def settings_words(report: Report, directory: Directory) -> list[tuple[str, str]]:
    """(name, value) of everything that the figures depend on."""
    p = report.params
    lang = p.lang
    english = lang == "en"

    def pick(ru: str, en: str) -> str:
        return en if english else ru

    zone = pick("по времени филиала", "by each office's time") if p.office_time else p.zone
    lines = [
        (pick("Отчёт", "Report"), report.title[lang]),
        (pick("Период", "Period"), formats.period(p.first_day, p.last_day)),
        (pick("Основа", "Basis"), BASES[p.basis][lang]),
        (pick("Считаются", "Counted"), COUNTED[p.counted][lang]),
        (pick("Данные на", "As of"), formats.moment(report.as_of, p.zone)),
        (pick("Известно на", "As known at"), formats.moment(p.known_at, p.zone) if p.known_at else NOW[lang]),
        (pick("Часовой пояс", "Time zone"), zone),
        (
            pick("Группировка", "Grouping"),
            " → ".join(REPORTS[report.name].dimension(d).label[lang] for d in p.levels) or "—",
        ),
        (pick("Отбор", "Filters"), "; ".join(filter_words(p, directory, report.name)) or "—"),
        (pick("Правила", "Rules"), report.rules),
    ]
    if p.as_of is not None or p.known_at is not None:
        lines.append(
            (
                pick("Карточки и справочники", "Employees and dictionaries"),
                pick("нынешние", "as they are now"),
            )
        )
    if p.valid_reasons is not None:
        reasons = REPORTS[report.name].dimension("refusal_reason")
        shown = ", ".join(label_of(reasons, r, directory)[lang] for r in p.valid_reasons) or "—"
        lines.append((pick("Уважительные причины", "Valid reasons"), shown))
    if report.fresh_at:
        lines.append((pick("Обновлено", "Updated"), formats.moment(report.fresh_at, p.zone)))
    if report.stands_since:
        lines.append(
            (pick("Цифры стоят с", "Standing still since"), formats.moment(report.stands_since, p.zone))
        )
    return lines
