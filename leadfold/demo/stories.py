"""How clients come: by phone (taken or missed), form, chat, widget callback, on foot; and how we call them ourselves."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from leadfold.demo import phone
from leadfold.demo.card import Card, categorise, result, save
from leadfold.demo.company import BY_ID, LINES, RING, Line, Operator
from leadfold.demo.desk import open_lead, qualify
from leadfold.demo.people import Person
from leadfold.demo.scene import Scene
from leadfold.demo.sent import CRM, SIPUNI
from leadfold.demo.service import arrive

Story = Callable[[Scene, Person, datetime], datetime]
"""Plays one need of one client from a moment; returns when it is over (UTC)."""


def line_for(scene: Scene, office: str, *, of: str | None = None) -> Line:
    """The number that a client of an office happens to call."""
    lines = [x for x in LINES if x.office == office and (of is None or x.channel == of)]
    return scene.rng.choices(lines, [x.share for x in lines])[0]


def call(scene: Scene, person: Person, at: datetime) -> datetime:
    """A call: taken when somebody is there and free (mostly), else missed."""
    office = scene.office_of(person)
    operator = scene.free_operator(office.id, at) if office.is_open(at) else None
    if operator is None or scene.chance(0.09):
        return missed(scene, person, at)
    line, number = line_for(scene, office.id), person.phone(scene.rng)
    talk = phone.answered(scene, at, number, line, operator)
    card = _call_card(scene, person, number, line, talk.call_id, at)
    assert talk.operator is not None
    card.truth.note(talk.ended, "talk", talk.operator.id)
    open_lead(scene, card, scene.after(talk.ended, -15, 10), talk.operator)
    return qualify(scene, card, talk.ended, talk.operator)


def _call_card(
    scene: Scene, person: Person, number: str, line: Line, call_id: str, at: datetime, *, lost: bool = False
) -> Card:
    truth = scene.open(
        SIPUNI,
        "call",
        call_id,
        person.id,
        at,
        "missed" if lost else "phone",
        office=line.office,
        channel=line.channel,
    )
    return Card(truth, person, number, {"call_id": call_id}, f"card:{call_id}")


def missed(scene: Scene, person: Person, at: datetime) -> datetime:
    """Nobody takes the call. He may try again at once; we call back, or he reaches us himself, or nothing happens."""
    office = scene.office_of(person)
    line, number = line_for(scene, office.id), person.phones[0]
    first = last = phone.missed(scene, at, number, line, opened=office.is_open(at))
    card = _call_card(scene, person, number, line, first.call_id, at, lost=True)
    again = at
    while scene.chance(0.25) and again < at + timedelta(minutes=40):
        again = scene.after(last.ended, 40, 600)
        last = phone.missed(scene, again, number, line, opened=office.is_open(again))
    fate = scene.rng.random()
    if fate < 0.08:
        return last.ended + timedelta(days=3)
    if fate < 0.2 and office.is_open(last.ended + timedelta(minutes=20)):
        return _self(scene, person, scene.after(last.ended, 600, 1200), line, number)
    back = scene.after(office.next_open(last.ended), 180, 5400)
    operator = BY_ID[scene.rng.choice(RING[office.id])]
    for _ in range(3):
        if scene.chance(0.72):
            talk = phone.outgoing(scene, back, number, operator, reached=True)
            card.truth.note(talk.ended, "talk", operator.id)
            card.ref = {"call_id": scene.rng.choice((first.call_id, talk.call_id))}
            open_lead(scene, card, talk.ended, operator)
            return qualify(scene, card, talk.ended, operator)
        tried = phone.outgoing(scene, back, number, operator, reached=False)
        back = scene.after(tried.ended, 900, 5400)
        if not office.is_open(back):
            break
    return back + timedelta(days=3)


def _self(scene: Scene, person: Person, at: datetime, line: Line, number: str) -> datetime:
    """He reaches us himself: a second inquiry in the same lead (L9)."""
    operator = BY_ID[scene.rng.choice(RING[line.office])]
    talk = phone.answered(scene, at, number, line, operator)
    assert talk.operator is not None
    card = _call_card(scene, person, number, line, talk.call_id, at)
    card.truth.note(talk.ended, "talk", talk.operator.id)
    return qualify(scene, card, talk.ended, talk.operator)


def _call_back(scene: Scene, card: Card, at: datetime, ref_call: bool) -> datetime:
    """We call a client who left a request, within a day (L11)."""
    assert card.person is not None
    assert card.phone is not None
    office = scene.office_of(card.person)
    back = scene.after(office.next_open(at), 120, 3600)
    operator = BY_ID[scene.rng.choice(RING[office.id])]
    open_lead(scene, card, scene.after(at, 5, 60), operator)
    for _ in range(2):
        if scene.chance(0.8):
            talk = phone.outgoing(scene, back, card.phone, operator, reached=True)
            card.truth.note(talk.ended, "talk", operator.id)
            if ref_call and (scene.chance(0.4) or not card.ref):
                card.ref = {"call_id": talk.call_id}
            return qualify(scene, card, talk.ended, operator)
        tried = phone.outgoing(scene, back, card.phone, operator, reached=False)
        back = scene.after(tried.ended, 900, 5400)
        if not office.is_open(back):
            break
    items = categorise(scene, card, back, "repair", operator)
    items.append(result(scene, card, back, "thinking", operator))
    save(scene, card, back, items)
    return back + timedelta(days=1)


def incoming_request(card_of: Callable[[Scene, Person, datetime], Card]) -> Story:
    """A request without a call, and our call to it."""

    def story(scene: Scene, person: Person, at: datetime) -> datetime:
        return _call_back(scene, card_of(scene, person, at), at, ref_call=True)

    return story


def walk_in(scene: Scene, person: Person, at: datetime) -> datetime:
    """He comes without calling; most are taken at once."""
    office = scene.office_of(person)
    at = scene.after(office.next_open(at), 0, 900)
    at_desk: tuple[str, ...] = ("e4",) if office.id == "ekb" else ("e5", "e3")
    operator = BY_ID[scene.rng.choice(at_desk)]
    walkin, number = f"W-{scene.number('walkin'):05}", person.phones[0]
    truth = scene.open(CRM, "walkin", walkin, person.id, at, "visit", office=office.id)
    card = Card(truth, person, number, {}, f"card:{walkin}")
    items = [
        scene.fact(
            "walkin.registered",
            at,
            {
                "walkin_id": walkin,
                "phone": f"+{number}",
                "contact_id": scene.contact(person),
                "client_name": person.name,
                "car": person.car,
                "office": office.id,
                "by": operator.login,
            },
        )
    ]
    saved = at + timedelta(minutes=4)
    category = "repair" if scene.chance(0.8) else "parts" if scene.chance(0.5) else "other"
    items += categorise(scene, card, saved, category, operator)
    items.append(result(scene, card, saved, "consultation", operator))
    save(scene, card, saved, items)
    if category == "other" or not scene.chance(0.7):
        return saved
    return arrive(scene, card, saved + timedelta(minutes=5), operator, booking=None)


def invitation(scene: Scene, person: Person, at: datetime) -> datetime:
    """We call a former client and offer the service: an outgoing inquiry once a category is set (D-0.10)."""
    office = scene.office_of(person)
    at = scene.after(office.next_open(at), 0, 600)
    operator = BY_ID[scene.rng.choice(RING[office.id])]
    number = person.phones[0]
    if not scene.chance(0.65):
        return phone.outgoing(scene, at, number, operator, reached=False).ended
    talk = phone.outgoing(scene, at, number, operator, reached=True)
    if scene.chance(0.25):
        return talk.ended  # nothing came of it: a touch, no category, no inquiry
    truth = scene.open(SIPUNI, "call", talk.call_id, person.id, at, "phone", office=None, outgoing=True)
    truth.note(talk.ended, "talk", operator.id)
    card = Card(truth, person, number, {"call_id": talk.call_id}, f"card:{talk.call_id}", strict=True)
    return qualify(scene, card, talk.ended, operator, category="repair", forget=0.0)


def hidden_caller(scene: Scene, office: str, at: datetime) -> None:
    """A withheld number: an inquiry of an anonymous client."""
    operator = scene.free_operator(office, at)
    if operator is None:
        return
    line = line_for(scene, office)
    talk = phone.answered(scene, at, None, line, operator)
    assert talk.operator is not None
    anonymous = f"hidden-{talk.call_id}"
    truth = scene.open(
        SIPUNI, "call", talk.call_id, anonymous, at, "phone", office=office, channel=line.channel
    )
    truth.note(talk.ended, "talk", talk.operator.id)
    qualify(
        scene,
        Card(truth, None, None, {"call_id": talk.call_id}, f"card:{talk.call_id}"),
        talk.ended,
        talk.operator,
    )


def nuisance(scene: Scene, number: str, mark: str, office: str, at: datetime, *, tell: bool) -> None:
    """A robot or a supplier calls; at the first time (``tell``) the operator marks the number."""
    operator = scene.free_operator(office, at) or BY_ID[RING[office][0]]
    line = line_for(scene, office)
    talk = phone.answered(scene, at, number, line, operator, talk=scene.rng.randrange(5, 40))
    truth = scene.open(SIPUNI, "call", talk.call_id, number, at, "phone", office=office, channel=line.channel)
    truth.note(talk.ended, "talk", talk.operator.id if talk.operator else "")
    truth.note(at, "mark", mark)
    if tell:
        scene.crm(
            talk.ended + timedelta(seconds=20),
            f"card:{talk.call_id}",
            [
                scene.fact(
                    "contact.marked", talk.ended, {"phone": f"+{number}", "mark": mark, "by": operator.login}
                )
            ],
        )


def own_phone(scene: Scene, caller: Operator, at: datetime) -> None:
    """An employee calls the office from his own mobile: outside the reports."""
    operator = BY_ID[scene.rng.choice([i for i in RING["msk"] if i != caller.id])]
    line = line_for(scene, caller.office)
    talk = phone.answered(scene, at, caller.phone[1:], line, operator, talk=40)
    truth = scene.open(
        SIPUNI, "call", talk.call_id, caller.id, at, "phone", office=line.office, channel=line.channel
    )
    truth.note(talk.ended, "talk", talk.operator.id if talk.operator else "")
    truth.note(at, "mark", "employee")
