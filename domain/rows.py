"""The rows that the fold makes: the read model's definition (spec 0.2). Tables, columns and comments follow from here.

Every row knows the events it came from (``events``, in order of time). Moments are UTC; money is Decimal roubles;
``*_s`` are whole seconds. Rows hold moments, never "now": a query applies its clock (G3).
The text of each ``Annotated`` is the column's comment in the database, for analysts, in Russian.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, NamedTuple
from uuid import UUID

Events = Annotated[tuple[UUID, ...], "события, из которых получена строка"]


class ClientRow(NamedTuple):
    """Клиент после склейки идентификаторов."""

    client_id: Annotated[UUID, "клиент"]
    kind: Annotated[str, "known — известен телефон/контакт, anonymous — нет, marked — помечен и вне отчётов"]
    mark: Annotated[str | None, "пометка: spam, supplier, employee, test"]
    name: Annotated[str | None, "последнее известное имя"]
    phones: Annotated[tuple[str, ...], "телефоны E.164"]
    emails: Annotated[tuple[str, ...], "адреса почты"]
    first_seen_at: Annotated[datetime, "первый факт"]
    last_seen_at: Annotated[datetime, "последний факт"]
    events: Events


class ClientAliasRow(NamedTuple):
    """Прежние и возможные номера клиента: любой его идентификатор даёт номер, ведущий сюда."""

    alias_id: Annotated[UUID, "прежний номер"]
    client_id: Annotated[UUID, "клиент сейчас"]


class CallRow(NamedTuple):
    """Звонок: один физический звонок со всеми плечами."""

    call_id: Annotated[UUID, "звонок"]
    client_id: Annotated[UUID, "клиент"]
    inquiry_id: Annotated[UUID | None, "обращение, к которому относится"]
    touch_id: Annotated[UUID | None, "касание"]
    source: Annotated[str, "источник данных (имя подключения)"]
    provider_call_id: Annotated[str, "номер звонка у провайдера"]
    direction: Annotated[str, "физическое направление: in, out, internal"]
    report_direction: Annotated[str, "для отчётов: in, out, callback, internal"]
    client_phone: Annotated[str | None, "телефон клиента E.164"]
    line: Annotated[str | None, "наш номер"]
    started_at: Annotated[datetime, "начало"]
    answered_at: Annotated[datetime | None, "ответ"]
    ended_at: Annotated[datetime | None, "конец"]
    unknown_at: Annotated[datetime | None, "если конца нет: с этого момента итог неизвестен (D-4.18)"]
    outcome: Annotated[str, "answered, missed, no_answer, autoresponder, internal, open (конец не получен)"]
    cause: Annotated[str | None, "причина окончания: answered, no_answer, busy, failed, client_dropped…"]
    answered_by: Annotated[str | None, "person, ivr, autoresponder, client_machine"]
    wait_s: Annotated[int | None, "ожидание, с"]
    talk_s: Annotated[int | None, "разговор с человеком, с"]
    ext: Annotated[str | None, "внутренний номер, говоривший последним"]
    employee_id: Annotated[str | None, "сотрудник, говоривший последним"]
    recording_url: Annotated[str | None, "запись разговора"]
    voicemail: Annotated[bool, "клиент оставил сообщение"]
    returns_inquiry: Annotated[bool, "наш перезвон по пропущенному или заявке"]
    same_as: Annotated[UUID | None, "тот же звонок, рассказанный другой системой; эта строка не считается"]
    channel: Annotated[str | None, "рекламный канал"]
    marks: Annotated[dict[str, str], "метки коллтрекинга"]
    events: Events


class CallLegRow(NamedTuple):
    """Плечо звонка: один внутренний номер."""

    leg_id: Annotated[UUID, "плечо"]
    call_id: Annotated[UUID, "звонок"]
    client_id: Annotated[UUID, "клиент"]
    ext: Annotated[str | None, "внутренний номер или телефон"]
    employee_id: Annotated[str | None, "сотрудник"]
    rang_at: Annotated[datetime | None, "зазвонил"]
    answered_at: Annotated[datetime | None, "ответил"]
    ended_at: Annotated[datetime | None, "закончил"]
    status: Annotated[str | None, "итог плеча"]
    transferred_from: Annotated[str | None, "переведён с номера"]
    events: Events


class TouchRow(NamedTuple):
    """Касание: попытка звонка, сообщение, чат (D-2.6)."""

    touch_id: Annotated[UUID, "касание"]
    client_id: Annotated[UUID, "клиент"]
    lead_id: Annotated[UUID | None, "сделка"]
    inquiry_id: Annotated[UUID | None, "обращение"]
    channel: Annotated[str, "call, chat, sms, messenger, email"]
    direction: Annotated[str, "in — клиент, out — мы"]
    at: Annotated[datetime, "начало"]
    ended_at: Annotated[datetime | None, "конец"]
    answered: Annotated[bool, "состоялся двусторонний контакт"]
    talk_s: Annotated[int | None, "разговор, с"]
    employee_id: Annotated[str | None, "сотрудник"]
    events: Events


class InquiryRow(NamedTuple):
    """Обращение: один подход клиента к нам (или наш к нему), одна категория, один результат."""

    inquiry_id: Annotated[UUID, "обращение"]
    client_id: Annotated[UUID, "клиент"]
    lead_id: Annotated[UUID | None, "сделка"]
    opened_at: Annotated[datetime, "дата обращения (R0.4)"]
    direction: Annotated[str, "in, out (R0.9)"]
    kind: Annotated[str, "phone, missed, site, visit, chat (R0.13)"]
    source: Annotated[str, "источник данных (имя подключения)"]
    channel: Annotated[str | None, "рекламный канал"]
    utm: Annotated[dict[str, str], "метки utm"]
    page: Annotated[str | None, "страница сайта"]
    office_id: Annotated[str | None, "филиал"]
    office_zone: Annotated[str, "часовой пояс филиала"]
    employee_id: Annotated[
        str | None, "сотрудник, чьё обращение (G9); ext:101 — внутренний номер без владельца"
    ]
    employee_basis: Annotated[str, "почему он: result, talk, assignee, none"]
    team: Annotated[str | None, "отдел сотрудника"]
    category_id: Annotated[str | None, "категория, последняя"]
    categorised_at: Annotated[datetime | None, "когда выбрана"]
    is_target: Annotated[bool, "целевое по правилу на дату обращения (D-0.1)"]
    result: Annotated[str | None, "результат, последний"]
    result_at: Annotated[datetime | None, "когда указан"]
    refusal_reason_id: Annotated[str | None, "причина последнего отказа (D-0.3, D-0.4)"]
    refusal_at: Annotated[datetime | None, "когда отказался"]
    booked_at: Annotated[datetime | None, "первая запись сделана"]
    slot_at: Annotated[datetime | None, "время последней записи"]
    slot_day_end: Annotated[
        datetime | None, "конец местного дня последней записи: после него — неявка (D-0.2)"
    ]
    booking_cancelled_at: Annotated[datetime | None, "последняя запись отменена"]
    no_show_at: Annotated[datetime | None, "неявка отмечена"]
    arrived_at: Annotated[datetime | None, "первый заезд"]
    receipts: Annotated[int, "чеков"]
    sales: Annotated[Decimal, "продажи за вычетом возвратов, ₽"]
    margin: Annotated[Decimal, "маржа, ₽ (D-0.8)"]
    margin_incomplete: Annotated[bool, "есть запчасть без себестоимости"]
    pay_rate: Annotated[Decimal, "ставка за заезд на дату обращения, ₽ (D-0.11)"]
    calls: Annotated[int, "звонков в обращении"]
    talk_s: Annotated[int, "разговор, с"]
    first_touch_at: Annotated[datetime | None, "наша первая попытка связаться"]
    reached_at: Annotated[datetime | None, "первый двусторонний контакт"]
    missed_fate: Annotated[str | None, "судьба пропущенного: open, returned, self (дозвонился сам)"]
    left_message: Annotated[bool, "оставил сообщение автоответчику"]
    duplicates: Annotated[int, "повторов формы или пропущенных, вошедших сюда"]
    new_client: Annotated[bool, "первое обращение клиента, который прежде не приезжал и не покупал"]
    excluded: Annotated[str | None, "вне отчётов: mark:spam, mark:employee, internal… (G11)"]
    events: Events


class LeadRow(NamedTuple):
    """Сделка: одна потребность клиента (L1–L18)."""

    lead_id: Annotated[UUID, "сделка"]
    client_id: Annotated[UUID, "клиент"]
    crm_id: Annotated[str | None, "номер в CRM"]
    opened_by: Annotated[str, "policy — по правилу, crm"]
    type: Annotated[str | None, "вид открывшего обращения"]
    channel: Annotated[str | None, "рекламный канал"]
    pipeline: Annotated[str | None, "воронка"]
    office_id: Annotated[str | None, "филиал"]
    opened_at: Annotated[datetime, "открыта"]
    state: Annotated[str, "open, won, lost, non_target (L7)"]
    stage_id: Annotated[str | None, "этап"]
    closed_at: Annotated[datetime | None, "закрыта"]
    lost_reason_id: Annotated[str | None, "причина потери"]
    amount: Annotated[Decimal | None, "сумма, ₽"]
    responsible_id: Annotated[str | None, "ответственный"]
    last_activity_at: Annotated[datetime, "последнее обращение, касание или этап"]
    expires_at: Annotated[datetime | None, "открытая: с этого момента «нет активности» (L3)"]
    reopened: Annotated[int, "сколько раз открыта снова (L6)"]
    previous_lead_id: Annotated[UUID | None, "прежняя сделка клиента («повторный»)"]
    inquiries: Annotated[int, "обращений"]
    events: Events


class LeadAliasRow(NamedTuple):
    """Прежние номера сделки: любое её обращение или номер CRM ведёт сюда."""

    alias_id: Annotated[UUID, "прежний номер"]
    lead_id: Annotated[UUID, "сделка сейчас"]


class StageRow(NamedTuple):
    """Вход сделки в этап."""

    stage_row_id: Annotated[UUID, "вход в этап"]
    lead_id: Annotated[UUID, "сделка"]
    client_id: Annotated[UUID, "клиент"]
    pipeline: Annotated[str | None, "воронка"]
    stage_id: Annotated[str, "этап"]
    entered_at: Annotated[datetime, "вошла"]
    left_at: Annotated[datetime | None, "вышла"]
    employee_id: Annotated[str | None, "кто перевёл"]
    events: Events


class BookingRow(NamedTuple):
    """Запись: согласованное время."""

    booking_id: Annotated[UUID, "запись"]
    booking_key: Annotated[str, "номер записи у отправителя"]
    client_id: Annotated[UUID, "клиент"]
    inquiry_id: Annotated[UUID | None, "обращение (D-0.5)"]
    lead_id: Annotated[UUID | None, "сделка"]
    kind: Annotated[str, "service, consultation, contract…"]
    made_at: Annotated[datetime, "сделана"]
    first_slot_at: Annotated[datetime | None, "первое согласованное время"]
    slot_at: Annotated[datetime | None, "время сейчас"]
    slot_day_end: Annotated[datetime | None, "конец местного дня записи"]
    moves: Annotated[int, "переносов"]
    cancelled_at: Annotated[datetime | None, "отменена"]
    cancel_reason_id: Annotated[str | None, "причина отмены"]
    no_show_at: Annotated[datetime | None, "неявка отмечена"]
    arrived_at: Annotated[datetime | None, "клиент приехал по ней"]
    employee_id: Annotated[str | None, "кто записал"]
    office_id: Annotated[str | None, "филиал"]
    events: Events


class VisitRow(NamedTuple):
    """Заезд: клиент приехал."""

    visit_id: Annotated[UUID, "заезд"]
    client_id: Annotated[UUID, "клиент"]
    inquiry_id: Annotated[UUID | None, "обращение"]
    lead_id: Annotated[UUID | None, "сделка"]
    booking_id: Annotated[UUID | None, "запись, если была"]
    order_key: Annotated[str | None, "заказ-наряд"]
    arrived_at: Annotated[datetime, "приехал"]
    handed_over_at: Annotated[datetime | None, "машина выдана"]
    employee_id: Annotated[str | None, "кто принял"]
    office_id: Annotated[str | None, "филиал"]
    events: Events


class SaleRow(NamedTuple):
    """Чек с возвратами."""

    sale_id: Annotated[UUID, "чек"]
    receipt_key: Annotated[str, "номер чека у отправителя"]
    client_id: Annotated[UUID, "клиент"]
    inquiry_id: Annotated[UUID | None, "обращение"]
    lead_id: Annotated[UUID | None, "сделка"]
    visit_id: Annotated[UUID | None, "заезд"]
    document: Annotated[str | None, "вид документа"]
    sold_at: Annotated[datetime | None, "закрыт; пусто, если пришёл только возврат"]
    sales: Annotated[Decimal, "сумма за вычетом возвратов, ₽"]
    margin: Annotated[Decimal, "маржа за вычетом возвратов, ₽"]
    margin_incomplete: Annotated[bool, "есть запчасть без себестоимости"]
    refunded: Annotated[Decimal, "возвращено, ₽"]
    refunded_at: Annotated[datetime | None, "последний возврат"]
    employee_id: Annotated[str | None, "кто продал"]
    events: Events


class SaleLineRow(NamedTuple):
    """Строка чека или возврата (возврат — с минусом)."""

    line_id: Annotated[UUID, "строка"]
    sale_id: Annotated[UUID, "чек"]
    client_id: Annotated[UUID, "клиент"]
    at: Annotated[datetime, "когда"]
    kind: Annotated[str, "work, part, service, refund"]
    name: Annotated[str | None, "название"]
    qty: Annotated[Decimal, "количество"]
    amount: Annotated[Decimal, "сумма после скидки, ₽"]
    cost: Annotated[Decimal | None, "себестоимость всего, ₽"]
    margin: Annotated[Decimal | None, "маржа, ₽; пусто — себестоимость запчасти неизвестна"]
    events: Events


Row = (
    ClientRow
    | ClientAliasRow
    | CallRow
    | CallLegRow
    | TouchRow
    | InquiryRow
    | LeadRow
    | LeadAliasRow
    | StageRow
    | BookingRow
    | VisitRow
    | SaleRow
    | SaleLineRow
)

TABLES: dict[str, type[Row]] = {
    "client": ClientRow,
    "client_alias": ClientAliasRow,
    "call": CallRow,
    "call_leg": CallLegRow,
    "touch": TouchRow,
    "inquiry": InquiryRow,
    "lead": LeadRow,
    "lead_alias": LeadAliasRow,
    "stage": StageRow,
    "booking": BookingRow,
    "visit": VisitRow,
    "sale": SaleRow,
    "sale_line": SaleLineRow,
}
"""Table name → row type. The first column is the primary key."""

Rows = dict[str, list[Row]]
"""What the fold returns: rows by table name."""
