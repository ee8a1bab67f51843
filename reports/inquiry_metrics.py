"""The columns of «Обращения клиентов в автосервис»: every figure with its definition in words (spec R0.19–R0.46)."""

from __future__ import annotations

from typing import Final

from reports.model import Metric
from reports.result import Column, Label, Unit

_BORN: Final = Label("по дате обращения", "by the date of the inquiry")


def _column(
    key: str,
    unit: Unit,
    label: tuple[str, str],
    definition: tuple[str, str],
    formula: tuple[str, str],
    counted: tuple[str, str],
    refers: str,
    *,
    ratio: tuple[str | None, str | None] = (None, None),
    dated: tuple[str, str] = ("", ""),
    optional: bool = False,
) -> Column:
    by = Label(
        f"когорта: {_BORN.ru}; активность: {dated[0]}"
        if dated[0]
        else "когорта или активность, как у частей",
        f"cohort: {_BORN.en}; activity: {dated[1]}" if dated[1] else "cohort or activity, as its parts",
    )
    return Column(
        key,
        Label(*label),
        unit,
        Label(*definition),
        Label(*formula),
        ratio[0],
        ratio[1],
        Label(*counted),
        refers,
        optional,
        by,
    )


_INQUIRIES = ("обращения", "inquiries")
_RECEIPTS = ("чеки", "receipts")
_MONEY = ("рубли", "roubles")

METRICS: Final = (
    Metric(
        _column(
            "inquiries",
            "count",
            ("Обращения", "Inquiries"),
            (
                "Целевые обращения: категория из целевых по правилу на дату обращения, без скрытых уважительным отказом.",
                "Target inquiries: their category is a target one by the rule of that date; without those hidden by a valid refusal.",
            ),
            ("число целевых обращений", "number of target inquiries"),
            _INQUIRIES,
            "R0.2, R0.19, R0.43, D-0.1, D-0.4",
            dated=("по дате обращения", "by the date of the inquiry"),
        ),
        "inquiries",
        None,
        ("обращение", "обращения", "обращений"),
        ("inquiry", "inquiries"),
    ),
    Metric(
        _column(
            "booked",
            "count",
            ("Записи", "Booked"),
            (
                "Обращения, по которым сделана хотя бы одна запись. Перенос — та же запись, повторная не добавляет.",
                "Inquiries with at least one booking. A moved slot is the same booking; another booking adds nothing.",
            ),
            ("число обращений с записью", "number of inquiries with a booking"),
            _INQUIRIES,
            "R0.20, D-0.5",
            dated=("когда сделана первая запись", "when the first booking was made"),
        ),
        "booked",
        None,
        ("запись", "записи", "записей"),
        ("booking", "bookings"),
    ),
    Metric(
        _column(
            "arrived",
            "count",
            ("Заезды", "Arrived"),
            (
                "Обращения, по которым клиент приехал. Заезд без записи тоже заезд, поэтому заездов может быть больше записей.",
                "Inquiries whose client came. Coming without a booking counts too, so arrivals may exceed bookings.",
            ),
            ("число обращений с заездом", "number of inquiries with an arrival"),
            _INQUIRIES,
            "R0.21, D-0.6",
            dated=("когда клиент приехал", "when the client came"),
        ),
        "arrived",
        None,
        ("заезд", "заезда", "заездов"),
        ("arrival", "arrivals"),
    ),
    Metric(
        _column(
            "refusals",
            "count",
            ("Отказы", "Refusals"),
            (
                "Записан, но не приехал: запись отменена, неявка отмечена или день записи в филиале уже закончился.",
                "Booked but did not come: cancelled, marked as a no-show, or the slot's local day is over.",
            ),
            (
                "число обращений с записью, без заезда, с отменой или неявкой",
                "booked, not arrived, cancelled or not shown up",
            ),
            _INQUIRIES,
            "R0.22, R0.44, D-0.2",
            dated=(
                "когда отменена запись или случилась неявка",
                "when it was cancelled or the client did not show up",
            ),
        ),
        "refusals",
        None,
        ("отказ", "отказа", "отказов"),
        ("refusal", "refusals"),
    ),
    Metric(
        _column(
            "pending",
            "count",
            ("Ожидаются", "Pending"),
            (
                "Записан, ещё не приехал, и день записи не закончился. Записи = заезды с записью + отказы + ожидаются.",
                "Booked, not yet come, and the slot's day is not over. Booked = arrived with a booking + refusals + pending.",
            ),
            ("число обращений с действующей записью", "number of inquiries with a booking still ahead"),
            _INQUIRIES,
            "D-0.2",
            dated=("когда сделана первая запись", "when the first booking was made"),
        ),
        "pending",
        None,
        ("ожидаемый", "ожидаемых", "ожидаемых"),
        ("pending", "pending"),
    ),
    Metric(
        _column(
            "conv_booked",
            "percent",
            ("Конверсия записи", "Booking rate"),
            ("Доля обращений, по которым сделана запись.", "Share of inquiries with a booking."),
            ("записи / обращения", "booked / inquiries"),
            _INQUIRIES,
            "R0.23, G4",
            ratio=("booked", "inquiries"),
        ),
        "booked",
        "inquiries",
    ),
    Metric(
        _column(
            "conv_arrived",
            "percent",
            ("Конверсия заезда", "Arrival rate"),
            ("Доля обращений, по которым клиент приехал.", "Share of inquiries whose client came."),
            ("заезды / обращения", "arrived / inquiries"),
            _INQUIRIES,
            "R0.24, G4",
            ratio=("arrived", "inquiries"),
        ),
        "arrived",
        "inquiries",
    ),
    Metric(
        _column(
            "margin",
            "money",
            ("Маржа", "Margin"),
            (
                (
                    "Цена минус себестоимость по всем строкам чеков за вычетом возвратов. Работа без себестоимости "
                    "стоит 0. Возврат части одной суммой уменьшает маржу на всю сумму, возврат целиком снимает и "
                    "себестоимость."
                ),
                (
                    "Price minus cost over all receipt lines, less refunds. Work without a cost costs 0. "
                    "A refunded part, given as a sum, lowers the margin by all of it; a refund of the whole takes "
                    "the costs along."
                ),
            ),
            ("сумма (цена − себестоимость) по строкам чеков", "sum of (price − cost) over receipt lines"),
            _MONEY,
            "R0.25, D-0.8",
            dated=("по дате продажи и возврата", "by the date of sale and refund"),
        ),
        "margin",
    ),
    Metric(
        _column(
            "sales",
            "money",
            ("Продажи", "Sales"),
            (
                "Работы и запчасти после скидок, с НДС, за вычетом возвратов.",
                "Work and parts after discounts, VAT included, less refunds.",
            ),
            ("сумма строк чеков", "sum of receipt lines"),
            _MONEY,
            "R0.26",
            dated=("по дате продажи и возврата", "by the date of sale and refund"),
        ),
        "sales",
    ),
    Metric(
        _column(
            "receipts",
            "count",
            ("Чеки", "Receipts"),
            (
                "Закрытые чеки обращений. Возврат уменьшает продажи, но чеком не считается.",
                "Closed receipts. A refund lowers sales but is no receipt.",
            ),
            ("число чеков", "number of receipts"),
            _RECEIPTS,
            "R0.27",
            dated=("по дате продажи", "by the date of sale"),
        ),
        "receipts",
        None,
        ("чек", "чека", "чеков"),
        ("receipt", "receipts"),
    ),
    Metric(
        _column(
            "average_receipt",
            "money",
            ("Средний чек", "Average receipt"),
            ("Продажи на один чек тех же обращений.", "Sales per receipt of the same inquiries."),
            ("продажи / чеки", "sales / receipts"),
            _RECEIPTS,
            "R0.27, G4",
            ratio=("sales", "receipts"),
        ),
        "sales",
        "receipts",
    ),
    Metric(
        _column(
            "declined",
            "count",
            ("Отказы при обращении", "Declined"),
            (
                "Отказались в разговоре: записи и заезда нет, последнее слово — отказ. С отказами от записи не складывается.",
                "Declined in the conversation: no booking, no arrival, the last word is a refusal. Never added to refusals.",
            ),
            ("число обращений с отказом в разговоре", "number of inquiries declined in conversation"),
            _INQUIRIES,
            "R0.40, R0.44, D-0.3",
            dated=("когда отказался", "when declined"),
            optional=True,
        ),
        "declined",
        None,
        ("отказ при обращении", "отказа при обращении", "отказов при обращении"),
        ("declined", "declined"),
    ),
    Metric(
        _column(
            "pay",
            "money",
            ("Оплата за заезды", "Pay for arrivals"),
            (
                "Заезды из отчёта, каждый по ставке сотрудника на дату обращения.",
                "Arrivals of this report, each at the employee's rate of the inquiry's date.",
            ),
            ("сумма ставок по заездам", "sum of rates over arrivals"),
            _MONEY,
            "R0.29, D-0.11",
            dated=("когда клиент приехал", "when the client came"),
            optional=True,
        ),
        "pay",
    ),
    Metric(
        _column(
            "margin_share",
            "percent",
            ("Маржа, %", "Margin, %"),
            (
                "Доля маржи в продажах; без обращений, где у запчасти нет себестоимости («неполная» маржа).",
                "Margin as a share of sales; without inquiries that have a part of unknown cost.",
            ),
            ("маржа / продажи, где себестоимость известна", "margin / sales where costs are known"),
            _MONEY,
            "D-0.8, G4",
            optional=True,
        ),
        "full_margin",
        "full_sales",
    ),
    Metric(
        _column(
            "sales_per_inquiry",
            "money",
            ("Продажи на обращение", "Sales per inquiry"),
            ("Сколько денег принесло одно обращение.", "What one inquiry brought in."),
            ("продажи / обращения", "sales / inquiries"),
            _INQUIRIES,
            "R0.28, G4",
            ratio=("sales", "inquiries"),
            optional=True,
        ),
        "sales",
        "inquiries",
    ),
    Metric(
        _column(
            "margin_per_inquiry",
            "money",
            ("Маржа на обращение", "Margin per inquiry"),
            ("Сколько маржи принесло одно обращение.", "The margin one inquiry brought in."),
            ("маржа / обращения", "margin / inquiries"),
            _INQUIRIES,
            "R0.28, G4",
            ratio=("margin", "inquiries"),
            optional=True,
        ),
        "margin",
        "inquiries",
    ),
    Metric(
        _column(
            "sales_per_arrival",
            "money",
            ("Продажи на заезд", "Sales per arrival"),
            ("Сколько денег принёс один заезд.", "What one arrival brought in."),
            ("продажи / заезды", "sales / arrivals"),
            _INQUIRIES,
            "R0.28, G4",
            ratio=("sales", "arrived"),
            optional=True,
        ),
        "sales",
        "arrived",
    ),
    Metric(
        _column(
            "margin_per_arrival",
            "money",
            ("Маржа на заезд", "Margin per arrival"),
            ("Сколько маржи принёс один заезд.", "The margin one arrival brought in."),
            ("маржа / заезды", "margin / arrivals"),
            _INQUIRIES,
            "R0.28, G4",
            ratio=("margin", "arrived"),
            optional=True,
        ),
        "margin",
        "arrived",
    ),
)
