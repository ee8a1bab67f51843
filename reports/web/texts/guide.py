"""How things get into Leadfold: the first steps of a new installation, categories, employees. Russian and English."""

from __future__ import annotations

from typing import Final

TEXTS: Final[dict[str, tuple[str, str]]] = {
    # guide
    "guide": ("Помощь", "Help"),
    "guide.about": (
        "Откуда берутся обращения, категории и имена сотрудников и что для этого сделать.",
        "Where inquiries, categories and names of employees come from, and what to do for it.",
    ),
    "guide.sources": ("Источники", "Sources"),
    "guide.sources.about": (
        "Звонки, чаты и заявки приходят вебхуками. Команда добавит источник и напечатает адрес для кабинета провайдера; через секунду он уже принимает.",
        "Calls, chats and requests come as webhooks. The command adds a source and prints the address for the provider's cabinet; a second later it accepts.",
    ),
    "guide.providers": (
        "Вместо sipuni: {names}. Куда вставить адрес, команда тоже напишет.",
        "Instead of sipuni: {names}. The command also tells where the address goes.",
    ),
    "guide.check": (
        "Проверить, что по адресу принимают, и посмотреть, что и когда пришло:",
        "Check that the address accepts, and see what came and when:",
    ),
    "guide.configured": ("Настроены: {names}.", "Configured: {names}."),
    "guide.categories": ("Категории", "Categories"),
    "guide.categories.about": (
        "Обращение входит в отчёт, когда известно, чего хотел клиент: это его категория. Из звонка её не узнать, её сообщает CRM или таблица. Последняя сказанная категория побеждает.",
        "An inquiry is in the report once it is known what the client wanted: its category. A call does not tell it; a CRM or a table does. The last category said wins.",
    ),
    "guide.crm": (
        "Из CRM или скрипта: ключ напечатает первая команда, клиент называется номером телефона или звонка.",
        "From a CRM or script: the first command prints the key; the client is named by phone or call number.",
    ),
    "guide.table": (
        "Из таблицы: файл CSV с такими столбцами и одна команда. Повторно загруженный файл ничего не удвоит.",
        "From a table: a CSV file with these columns and one command. The same file again doubles nothing.",
    ),
    "guide.known": ("Категории справочника", "Categories of the dictionary"),
    "guide.known.about": (
        "В CRM и таблице можно писать и код, и название. Другие слова добавляются в leadfold.toml как [[categories]], целевые перечислены в [rules] target_categories.",
        "Both code and name may be written in the CRM and the table. Other words are added to leadfold.toml as [[categories]]; the target ones stand in [rules] target_categories.",
    ),
    "guide.code": ("Код", "Code"),
    "guide.name": ("Название", "Name"),
    "guide.in_report": ("В отчёте", "In the report"),
    "guide.target": ("да, целевая", "yes, target"),
    "guide.not_target": ("нет", "no"),
    "guide.unknown": (
        "Слово, которого здесь нет, принимается, но обращение стоит во вкладке «Не вошли в отчёт» как «Неизвестная категория». Пришлите верное слово ещё раз или добавьте его в справочник.",
        "A word that is not here is accepted, but its inquiry stands under “Left out” as “Unknown category”. Send the right word once more, or add it to the dictionary.",
    ),
    "guide.employees": ("Сотрудники", "Employees"),
    "guide.employees.about": (
        "Строка «номер 201» в отчёте: внутренний номер, про который не сказано, чей он. Допишите сотрудника в leadfold.toml, история пересчитается сама.",
        "A row “ext. 201” in the report is an extension nobody is named for. Add the employee to leadfold.toml; history is told anew by itself.",
    ),
    # the first steps
    "start.title": ("Пока ничего не пришло", "Nothing has come yet"),
    "start.about": (
        "Отчёт появится здесь сам, как только придёт первое обращение.",
        "The report appears here by itself with the first inquiry.",
    ),
    "start.add": ("Добавьте источник", "Add a source"),
    "start.have": (
        "Источники есть, первого вебхука ещё нет",
        "There are sources, the first webhook has not come",
    ),
    "start.put": (
        "Вставьте напечатанный адрес в кабинет провайдера и проверьте его",
        "Put the printed address into the provider's cabinet, and check it",
    ),
    "start.categories": ("Решите, откуда придут категории", "Decide where categories come from"),
    "start.categories.why": (
        "Без категории обращение видно, но в отчёт не входит. ",
        "Without a category an inquiry is seen, but not counted. ",
    ),
    "start.more": ("Как это сделать", "How to do it"),
    "start.urls": ("Адреса вебхуков, с секретами:", "Addresses of the webhooks, secrets included:"),
    # in the report
    "why.uncategorised": (
        "Категорию обращения сообщает CRM или таблица.",
        "A CRM or a table tells an inquiry's category.",
    ),
    "why.how_category": ("Как задать категорию", "How to set the category"),
    "why.how": ("Как её задать", "How to set it"),
    "why.non_target": (
        "Эта категория не перечислена среди целевых.",
        "This category is not among the target ones.",
    ),
    "why.valid_refusal": (
        "Последний отказ по уважительной причине, и клиент не приехал.",
        "The last refusal has a valid reason, and the client did not come.",
    ),
    "why.mark": ("Номер или контакт так отмечен.", "The number or contact is marked so."),
    "why.internal": ("Говорили свои со своими.", "Our own people talked with each other."),
    "why.spam_form": ("Форму заполнил не человек.", "It was no human who filled in the form."),
    "why.spam_chat": ("Собеседник в чёрном списке чата.", "The visitor is on the chat's blacklist."),
    "why.no_contact": (
        "Нет ни телефона, ни почты: ответить некому.",
        "Neither phone nor mail: there is nobody to answer.",
    ),
    "why.unknown_category": (
        "Такого слова нет в справочнике категорий: пришлите верное или добавьте его.",
        "The dictionary of categories has no such word: send the right one, or add it.",
    ),
}
