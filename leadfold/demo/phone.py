"""How calls run through the PBX: ring groups, transfers, missed and outgoing calls, as Sipuni tells them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from leadfold.demo.company import BY_ID, CABINET, RING, SHOP, Line, Operator
from leadfold.demo.scene import Scene
from leadfold.demo.wire import sipuni
from leadfold.demo.wire.sipuni import Call, Status


@dataclass(frozen=True, slots=True)
class Talk:
    """A finished call: its provider's id, when it ended, and who talked last (None: nobody)."""

    call_id: str
    ended: datetime
    operator: Operator | None


def on_wire(scene: Scene, phone: str | None) -> str:
    """A client's number as the PBX spells it: mostly 7…, sometimes otherwise; hidden callers have none."""
    if phone is None:
        return scene.rng.choice(("", "anonymous"))
    return scene.rng.choices((phone, f"+{phone}", f"8{phone[1:]}", phone[1:]), (82, 8, 6, 4))[0]


def _new(scene: Scene, at: datetime, phone: str | None, line: Line) -> Call:
    call_id = f"{int(at.timestamp())}.{10_000 + scene.number('call')}"
    scheme = "Входящая" if line.office == "msk" else "Екатеринбург приёмка"
    return Call(call_id, True, on_wire(scene, phone), line.number, at, scheme=scheme)


def answered(
    scene: Scene, at: datetime, phone: str | None, line: Line, operator: Operator, *, talk: int | None = None
) -> Talk:
    """An inbound call that a person takes: alone, as one of a ring group, or transferred to a second one."""
    rng, say = scene.rng, scene.script.say
    call = _new(scene, at, phone, line)
    say(call.rang(at))
    _tracking(scene, call, line)
    ring_at = at + timedelta(seconds=rng.choice((1, 2, 2, 3, 8)))
    answer_at = ring_at + timedelta(seconds=int(rng.triangular(2, 40, 7)))
    others = (
        [BY_ID[i] for i in RING[line.office] if i != operator.id and scene.chance(0.5)]
        if scene.chance(0.45)
        else []
    )
    rung = [*others, operator]
    for one in rung:
        say(call.rang(ring_at, scene.ext(one, at)))
    ext = scene.ext(operator, at)
    say(call.answered(answer_at, ext))
    for one in others:
        say(call.leg_ended(answer_at, scene.ext(one, at), "CANCEL"))
    length = talk if talk is not None else int(min(1500, 20 + rng.lognormvariate(4.6, 0.7)))
    end = answer_at + timedelta(seconds=length)
    last = operator
    if scene.chance(0.06) and length > 60:
        last = _transfer(scene, call, operator, answer_at, length, line)
        rung.append(last)
    exts = tuple(dict.fromkeys(scene.ext(o, at) for o in rung))
    say(
        call.ended(
            end,
            scene.ext(last, at),
            "ANSWER",
            rung=exts,
            answered_at=answer_at,
            twice_encoded=scene.chance(0.1),
        )
    )
    scene.busy[last.id] = end
    return Talk(call.id, end, last)


def _transfer(
    scene: Scene, call: Call, operator: Operator, answer_at: datetime, length: int, line: Line
) -> Operator:
    to = BY_ID[scene.rng.choice([i for i in RING[line.office] if i != operator.id])]
    moved = answer_at + timedelta(seconds=int(length * 0.4))
    came, went = scene.ext(operator, call.started), scene.ext(to, call.started)
    scene.script.say(
        call.rang(moved, went, transfer_from=came),
        call.answered(moved + timedelta(seconds=6), went, transfer_from=came),
        call.leg_ended(moved + timedelta(seconds=7), came, "ANSWER", answered_at=answer_at),
    )
    return to


def missed(scene: Scene, at: datetime, phone: str | None, line: Line, *, opened: bool) -> Talk:
    """An inbound call that nobody takes; outside opening hours no extension rings."""
    call = _new(scene, at, phone, line)
    say = scene.script.say
    say(call.rang(at))
    _tracking(scene, call, line)
    rung: tuple[str, ...] = ()
    wait = scene.rng.randrange(6, 60)
    if opened:
        rung = tuple(dict.fromkeys(scene.ext(BY_ID[i], at) for i in RING[line.office]))
        for ext in rung:
            say(call.rang(at + timedelta(seconds=2), ext))
        for ext in rung:
            say(call.leg_ended(at + timedelta(seconds=wait), ext, "NOANSWER"))
    end = at + timedelta(seconds=wait)
    status: Status = scene.rng.choices(("NOANSWER", "CANCEL", "BUSY", "CONGESTION"), (70, 20, 8, 2))[0]
    say(call.ended(end, rung[-1] if len(rung) == 1 else None, status, rung=rung))
    return Talk(call.id, end, None)


def outgoing(
    scene: Scene,
    at: datetime,
    phone: str,
    operator: Operator,
    *,
    reached: bool,
    callback_id: str | None = None,
    talk: int | None = None,
) -> Talk:
    """We dial a client: event 1 comes twice, a second apart."""
    call = Call(
        f"{int(at.timestamp())}.{10_000 + scene.number('call')}",
        False,
        phone,
        "",
        at,
        callback_id=callback_id,
    )
    ext, say = scene.ext(operator, at), scene.script.say
    say(call.rang(at, ext), call.rang(at + timedelta(seconds=1), ext))
    answer_at = at + timedelta(seconds=scene.rng.randrange(5, 25))
    if not reached:
        status: Status = scene.rng.choices(("NOANSWER", "BUSY", "CANCEL", "CHANUNAVAIL"), (60, 20, 15, 5))[0]
        end = answer_at + timedelta(seconds=scene.rng.randrange(5, 30))
        say(call.ended(end, ext, status, rung=(ext,)))
        return Talk(call.id, end, None)
    say(call.answered(answer_at, ext))
    length = talk if talk is not None else int(min(1200, 20 + scene.rng.lognormvariate(4.3, 0.7)))
    end = answer_at + timedelta(seconds=length)
    say(call.ended(end, ext, "ANSWER", rung=(ext,), answered_at=answer_at))
    scene.busy[operator.id] = end
    return Talk(call.id, end, operator)


def internal(scene: Scene, at: datetime, caller: Operator, called: Operator) -> None:
    """Two extensions talk: never a lead."""
    came, went = scene.ext(caller, at), scene.ext(called, at)
    call = Call(f"{int(at.timestamp())}.{10_000 + scene.number('call')}", True, CABINET + came, "", at)
    scene.script.say(
        *(
            sipuni.between_extensions(delivery)
            for delivery in (
                call.rang(at, went),
                call.answered(at + timedelta(seconds=4), went),
                call.ended(
                    at + timedelta(seconds=60),
                    went,
                    "ANSWER",
                    rung=(went,),
                    answered_at=at + timedelta(seconds=4),
                ),
            )
        )
    )


def _tracking(scene: Scene, call: Call, line: Line) -> None:
    if (
        line.channel in ("Яндекс Директ", "Сайт", "Яндекс Карты")
        and call.client not in ("", "anonymous")
        and scene.chance(0.5)
    ):
        utm = {
            "utm_source": "yandex",
            "utm_medium": "cpc",
            "utm_campaign": scene.rng.choice(("remont", "to", "shiny")),
        }
        landing = f"{SHOP}/?{urlencode(utm)}" if line.channel == "Яндекс Директ" else f"{SHOP}/remont"
        cookie = f"{scene.rng.randrange(10**8, 10**9)}.{int(call.started.timestamp()) - 300}"
        scene.script.say(
            sipuni.tracked(
                call,
                call.started + timedelta(seconds=3),
                cookie=cookie,
                landing=landing,
                referrer="https://yandex.ru/",
            )
        )
