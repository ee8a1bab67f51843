"""Stories of the sites: forms, chats, offline messages and the widget's callback."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from leadfold.demo import phone
from leadfold.demo.card import Card
from leadfold.demo.company import BY_ID, RING, SHOP
from leadfold.demo.desk import open_lead, qualify
from leadfold.demo.people import Person, typed
from leadfold.demo.scene import Scene
from leadfold.demo.sent import FORM, TILDA
from leadfold.demo.wire import forms, jivo

_UTM: Final[tuple[dict[str, str], ...]] = (
    {"source": "yandex", "medium": "cpc", "campaign": "remont"},
    {"source": "yandex", "medium": "cpc", "campaign": "shinomontazh"},
    {"source": "vk", "medium": "social", "campaign": "to"},
    {"source": "google", "medium": "organic"},
    {},
)
_ASKED: Final = (
    "Сколько стоит замена масла?",
    "Стучит подвеска, когда можно подъехать?",
    "Нужна диагностика",
    "Замена колодок",
    "Есть ли в наличии фильтры?",
    "Перезвоните, пожалуйста",
    "Запишите на развал-схождение",
    "Не заводится, что делать?",
)


def form(scene: Scene, person: Person, at: datetime) -> Card:
    """A form of the site: Tilda in Moscow, the older plain one in Yekaterinburg. Impatient people send it twice."""
    card = _tilda(scene, person, at) if person.office == "msk" else _plain(scene, person, at)
    if scene.chance(0.04):
        scene.script.say(
            forms.plain(
                at + timedelta(minutes=1),
                group=f"robot:{scene.number('robot')}",
                name="John",
                website="http://spam.example",
                phone=typed(scene.people.new_phone(), scene.rng),
                text="SEO promotion",
                page=SHOP,
            )
        )
    return card


def _tilda(scene: Scene, person: Person, at: datetime) -> Card:
    rng, number = scene.rng, person.phones[0]
    said = {
        "formid": "form900001",
        "name": person.called(rng),
        "phone": typed(number, rng),
        "text": rng.choice(_ASKED),
        "ym_uid": str(rng.randrange(10**17, 10**18)),
    }
    utm = rng.choice(_UTM)
    tranid = f"700001:{1_000_000 + scene.number('tranid')}"
    scene.script.say(forms.tilda(at, tranid=tranid, email=person.email, utm=utm, **said))
    if scene.chance(0.05):
        twice = f"700001:{1_000_000 + scene.number('tranid')}"
        scene.script.say(
            forms.tilda(scene.after(at, 20, 300), tranid=twice, email=person.email, utm=utm, **said)
        )
    truth = scene.open(
        TILDA, "form", tranid, person.id, at, "site", office=person.office, channel=utm.get("source")
    )
    return Card(truth, person, number, {"submission_id": tranid}, f"card:{tranid}")


def _plain(scene: Scene, person: Person, at: datetime) -> Card:
    rng, number = scene.rng, person.phones[0]
    utm = rng.choice(_UTM)
    query = "&".join(f"utm_{k}={v}" for k, v in utm.items())
    group = f"form:plain-{scene.number('plain')}"
    said = {"name": person.called(rng), "phone": typed(number, rng), "text": rng.choice(_ASKED)}
    scene.script.say(forms.plain(at, group=group, page=f"https://ekb.sto.example/zapis?{query}", **said))
    truth = scene.open(
        FORM, "form", None, person.id, at, "site", office=person.office, channel=utm.get("source")
    )
    return Card(truth, person, number, {}, f"card:{group}")


def chat(scene: Scene, person: Person, at: datetime) -> datetime:
    """A dialogue in Jivo; most visitors leave a phone. When nobody is there, a message with the phone."""
    office = scene.office_of(person)
    known = scene.chance(0.62)
    talk = _new_chat(scene, person)
    truth = scene.open(
        talk.source,
        "chat",
        str(talk.id),
        person.id if known else f"visitor-{talk.visitor}",
        at,
        "chat",
        office=person.office,
        channel=talk.utm.get("source"),
    )
    ref = {"chat_id": str(talk.id)}
    if not office.is_open(at):
        talk.name, talk.phone = person.called(scene.rng), f"+{person.phones[0]}"
        truth.person = person.id
        truth.opened_at = at.replace(microsecond=jivo.OFFLINE_MS * 1000)  # the message's id is its moment
        scene.script.say(talk.offline(at, scene.rng.choice(_ASKED)))
        return _answer_message(scene, Card(truth, person, person.phones[0], ref, f"card:chat{talk.id}"), at)
    agent = BY_ID[scene.rng.choice(RING[office.id])]
    scene.script.say(talk.accepted(at, agent))
    when = scene.after(at, 40, 180)
    if known:
        talk.name, talk.phone, talk.email = person.called(scene.rng), f"+{person.phones[0]}", person.email
        scene.script.say(talk.updated(when, agent))
    asked, replied = at - timedelta(seconds=5), at + timedelta(seconds=20)
    lines = [
        (asked, scene.rng.choice(_ASKED), None),
        (replied, "Здравствуйте! Подскажите марку машины?", agent),
        (when, person.car, None),
        (when + timedelta(seconds=60), "От 1500 рублей", agent),
    ]
    done = when + timedelta(seconds=scene.rng.randrange(90, 900))
    scene.script.say(talk.finished(done, [agent], lines))
    truth.opened_at = asked
    truth.note(done, "talk", agent.id)
    card = Card(
        truth, person if known else None, person.phones[0] if known else None, ref, f"card:chat{talk.id}"
    )
    if known:
        open_lead(scene, card, when, agent)
    return qualify(scene, card, when + timedelta(seconds=90), agent, forget=0.08)


def _new_chat(scene: Scene, person: Person) -> jivo.Chat:
    page = "https://sto.example/remont" if person.office == "msk" else "https://ekb.sto.example/"
    return jivo.Chat(
        id=9000 + scene.number("chat"),
        visitor=500 + scene.number("visitor"),
        page=page,
        office=person.office,
        utm=dict(scene.rng.choice(_UTM)),
    )


def _answer_message(scene: Scene, card: Card, at: datetime) -> datetime:
    """In the morning we call whoever left a message; the category is of the message's inquiry."""
    assert card.person is not None
    assert card.phone is not None
    office = scene.office_of(card.person)
    back = scene.after(office.next_open(at), 120, 3600)
    operator = BY_ID[scene.rng.choice(RING[office.id])]
    talk = phone.outgoing(scene, back, card.phone, operator, reached=scene.chance(0.8))
    if talk.operator is None:
        return talk.ended + timedelta(days=1)
    return qualify(scene, card, talk.ended, operator)


def callback(scene: Scene, person: Person, at: datetime) -> datetime:
    """The widget's «перезвоните мне»: Jivo tells it, and the PBX tells our leg of the same call."""
    office = scene.office_of(person)
    if not office.is_open(at):
        at = scene.after(office.next_open(at), 0, 1800)
    talk, number = _new_chat(scene, person), person.phones[0]
    talk.phone = f"+{number}"
    operator = BY_ID[scene.rng.choice(RING[office.id])]
    say = scene.script.say
    truth = scene.open(
        talk.source,
        "callback",
        f"{talk.id}-callback",
        person.id,
        at,
        "site",
        office=person.office,
        channel=talk.utm.get("source"),
    )
    card = Card(truth, person, number, {}, f"card:callback{talk.id}")
    say(talk.call(at, "start", f"+{number}"))
    dialled = at + timedelta(seconds=8)
    if not scene.chance(0.85):
        phone.outgoing(scene, dialled, number, operator, reached=False)
        say(talk.call(dialled + timedelta(seconds=40), "error", f"+{number}", reason="client did not answer"))
        return dialled + timedelta(days=3)
    spoken = phone.outgoing(scene, dialled, number, operator, reached=True)
    say(
        talk.call(at + timedelta(seconds=6), "agent_connected", f"+{number}", operator),
        talk.call(at + timedelta(seconds=20), "client_connected", f"+{number}", operator),
        talk.call(
            spoken.ended + timedelta(seconds=2),
            "end",
            f"+{number}",
            operator,
            record=f"https://rec.example/{talk.id}.mp3",
        ),
    )
    truth.note(spoken.ended, "talk", operator.id)
    open_lead(scene, card, spoken.ended, operator)
    return qualify(scene, card, spoken.ended, operator)
