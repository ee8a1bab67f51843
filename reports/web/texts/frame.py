"""What stands around every page: frame, keys, errors, print. Russian and English."""

from __future__ import annotations

from typing import Final

TEXTS: Final[dict[str, tuple[str, str]]] = {
    # frame
    "brand": ("Leadfold", "Leadfold"),
    "skip": ("К содержанию", "Skip to content"),
    "nav": ("Разделы", "Sections"),
    "theme": ("Тема", "Theme"),
    "density": ("Плотность", "Density"),
    "rail": ("Свернуть меню", "Fold the menu"),
    "language": ("Язык", "Language"),
    "keys": ("Клавиши", "Keys"),
    "close": ("Закрыть", "Close"),
    "back": ("Назад", "Back"),
    # keys
    "key.search": ("добавить отбор", "add a filter"),
    "key.period": ("период раньше, позже", "earlier, later period"),
    "key.arrows": ("по строкам; открыть, закрыть группу", "along rows; open, close a group"),
    "key.enter": ("открыть строки", "open the rows"),
    "key.escape": ("закрыть панель", "close the panel"),
    "key.excel": ("Excel", "Excel"),
    "key.print": ("печать", "print"),
    "key.all": ("развернуть всё", "expand all"),
    "key.theme": ("светлая или тёмная тема", "light or dark theme"),
    "key.density": ("плотные строки", "compact rows"),
    "key.help": ("эта подсказка", "this list"),
    # head
    "excel": ("Excel", "Excel"),
    "csv": ("CSV", "CSV"),
    "json": ("JSON", "JSON"),
    "download": ("Скачать", "Download"),
    "print": ("Печать", "Print"),
    "link": ("Ссылка", "Link"),
    "copied": ("Скопировано", "Copied"),
    "copy": ("Копировать", "Copy"),
    "stamp.at": ("обновлено {at}, отставание {lag}", "updated {at}, {lag} behind"),
    "stamp.offline": ("нет связи, показано последнее", "no connection, showing the last figures"),
    "stamp.no_lag": ("обновлено {at}, отставание неизвестно", "updated {at}, lag unknown"),
    "stamp.stands": (
        "цифры стоят с {at}: обработка событий остановилась, вебхуки принимаются",
        "figures stand still since {at}: events are not processed, webhooks are taken",
    ),
    "stamp.unknown": ("свежесть данных неизвестна", "freshness unknown"),
    "lag.seconds": ("{n} с", "{n} s"),
    "lag.minutes": ("{n} мин", "{n} min"),
    "lag.hours": ("{n} ч", "{n} h"),
    # errors
    "error.400": ("Адрес страницы не понят", "This address makes no sense"),
    "error.400.safe": (
        "Данные на месте, не понят только адрес.",
        "The data is fine; only the address is not understood.",
    ),
    "error.404": ("Такой страницы нет", "No such page"),
    "error.404.safe": (
        "Ссылка могла устареть; отчёты и данные на месте.",
        "The link may be old; reports and data are fine.",
    ),
    "error.500": ("Страница не построилась", "The page could not be built"),
    "error.500.safe": (
        "Вебхуки продолжают приниматься, ничего не потеряно. Ошибка записана в журнал под номером {id}.",
        "Webhooks are still being accepted, nothing is lost. The error is in the log under {id}.",
    ),
    "error.503": ("Отчётов пока нет", "No reports yet"),
    "error.503.safe": (
        "База отчётов не отвечает или ещё ни разу не построена. Вебхуки принимаются, ничего не потеряно.",
        "The report database does not answer or was never built. Webhooks are being accepted, nothing is lost.",
    ),
    "error.504": ("Отчёт считается слишком долго", "The report takes too long"),
    "error.504.safe": (
        "Данные на месте. Возьмите период короче, уберите отбор или более поздний момент «данные на».",
        "The data is safe. Take a shorter period, fewer filters or a later moment for “data as of”.",
    ),
    "error.now": ("Показать на сейчас", "Show as of now"),
    "error.waits": (
        "Страница откроется сама, как только база ответит.",
        "The page opens by itself once the database answers.",
    ),
    "error.again": ("Повторить", "Try again"),
    "error.open": ("Открыть отчёт", "Open the report"),
    # print
    "printed.period": ("Период", "Period"),
    "printed.filters": ("Отбор", "Filter"),
    "printed.rules": ("правила {version}", "rules {version}"),
    "no_filters": ("нет", "none"),
}
