"""The dictionary that every company starts with (spec R0.32–R0.42). Labels are for users; ids never change."""

from __future__ import annotations

from typing import Final

from domain.facts.company import DictionaryChanged

#: The source of what the settings file says of employees, numbers, dictionaries, rules and plans.
SETTINGS_SOURCE: Final = "/config/leadfold"

_CATEGORIES = (
    ("repair", "Услуги по ремонту", "Repair services"),
    ("parts", "Запасные части", "Spare parts"),
    ("continuation", "Продолжение звонка", "Continued call"),
    ("order_status", "По статусу ремонта/заказа", "Repair or order status"),
    ("other", "Прочее", "Other"),
)
_REASONS = (
    ("no_technology", "Отсутствие технологической возможности", "Technically impossible here"),
    ("not_our_work", "Непрофильные работы", "Not our kind of work"),
    ("not_our_car", "Непрофильный автомобиль", "Not our kind of car"),
    ("price", "Цена", "Price"),
    ("terms", "Сроки", "Lead time"),
    ("slow_answer", "Долгий ответ", "Slow answer"),
    ("changed_mind", "Передумал", "Changed their mind"),
)
_RESULTS = (
    ("booked", "Запись", "Booked"),
    ("refusal", "Отказ", "Refusal"),
    ("thinking", "Думает", "Thinking"),
    ("consultation", "Консультация", "Consultation"),
)
_STAGES = (
    ("new", "Обращение", "Inquiry", "new"),
    ("qualified", "Квалификация", "Qualification", "work"),
    ("estimate", "Предварительный расчёт", "Estimate", "work"),
    ("parts", "Подбор запчастей", "Parts picking", "work"),
    ("booked", "Запись на дату", "Booked", "waiting"),
    ("won", "Успешно", "Won", "won"),
    ("lost", "Не реализовано", "Lost", "lost"),
)

DEFAULT_DICTIONARY: Final[tuple[DictionaryChanged, ...]] = (
    *(DictionaryChanged(dictionary="category", item=i, label=ru, label_en=en) for i, ru, en in _CATEGORIES),
    *(DictionaryChanged(dictionary="reason", item=i, label=ru, label_en=en) for i, ru, en in _REASONS),
    *(DictionaryChanged(dictionary="result", item=i, label=ru, label_en=en) for i, ru, en in _RESULTS),
    *(
        DictionaryChanged(
            dictionary="stage", item=i, label=ru, label_en=en, attrs={"group": group, "order": n}
        )
        for n, (i, ru, en, group) in enumerate(_STAGES)
    ),
)
