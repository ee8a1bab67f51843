"""Tilda: forms and carts, posted by Tilda's servers as a form or JSON.

``tranid`` is unique per submission and comes again with every attempt (three, a minute apart). Names of the fields are
the site owner's. Of the visitor's cookies only counters are kept.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, ClassVar, Final, NamedTuple

import orjson

from domain.facts.sites import FormSubmitted
from domain.said import Said
from ingest import contacts, foreign, letters, reading
from ingest.adapters.contract import Adapter, Answer, Translation, has_secret
from ingest.attribution import cookie_pairs, explicit_utm, is_mark, kept_cookies, tilda_utm, utm_in_url
from ingest.decoding import Fields
from ingest.delivery import Delivery
from ingest.limits import Unreadable

_OK: Final = Answer(200, b"ok", "text/plain")
#: Longer names of fields, all together, are sorted every time anew: nobody fills our memory with them.
_REMEMBERED: Final = 1000
#: Fields that are read apart from the visitor's own.
_SERVICE: Final = frozenset({"cookies", "payment", "utm"})


class Tilda(Adapter):
    """Authentication: secret in the path, or in a header, parameter or body field named by the source's options.

    The probe (``test=test``) may come without the key of a header or field: it is answered, nothing is kept of it.
    """

    provider: ClassVar[str] = "tilda"
    REVISION: ClassVar[int] = 3  # contacts in the letter about an order; more names of fields
    OK: ClassVar[Answer] = _OK
    BROWSERS: ClassVar[bool] = True

    def authenticate(self, delivery: Delivery) -> bool:
        """As the options say; a bare probe passes, unless the secret belongs into the path."""
        if has_secret(delivery):
            return True
        if delivery.source.options.get("key_in", "path") == "path":
            return False
        try:
            return is_probe(delivery.value)
        except Unreadable:
            return False

    def translate(self, delivery: Delivery) -> Translation:
        """One submission."""
        options = delivery.source.options
        secret_field = options.get("key_name") if options.get("key_in") in ("body", "query") else None
        if not delivery.body.strip():
            other = _by_get(delivery, secret_field)
            return Translation([], _OK, probe=other is None, kept=other)
        if is_probe(delivery.value, secret_field):
            return Translation([], _OK, probe=True)
        fields = delivery.fields
        taken = delivery.apart_body
        known = taken is not None and len(taken.names) <= _REMEMBERED and not delivery.query
        plan = (_plan_again if known else _plan)(tuple(fields), secret_field)
        if plan.foreign and (other := foreign.reason(fields, "Tilda")):
            return Translation([], _OK, kept=other)
        service = {kind: fields[name] for kind, name in plan.service}
        filled = contacts.read([(name, fields[name]) for name in plan.own], delivery.source, plan.parts)
        if not filled.has_contact and (letter := letters.read(filled.text)):
            contacts.fill(filled, letter.name, letter.phone, letter.email, delivery.source)
        extra = filled.extra
        if payment := _payment(service.get("payment")):
            extra["payment"] = payment
        if not (filled.has_contact or filled.name or filled.text or extra):
            return Translation([], _OK, kept="a form without fields")
        cookies = cookie_pairs(reading.text(service.get("cookies"), 20_000))
        page = filled.page or reading.text(delivery.header("referer"))
        said = FormSubmitted(
            submission_id=filled.submission_id
            or filled.weak_id
            or reading.windowed(
                delivery.received, filled.phone or filled.phone_raw, filled.email, filled.text, extra
            ),
            form_id=filled.form_id,
            form_name=filled.form_name,
            name=filled.name,
            phone=filled.phone,
            phone_raw=filled.phone_raw,
            email=filled.email,
            text=filled.text,
            fields=extra,
            page=page,
            referrer=filled.referrer,
            utm={
                **utm_in_url(page),
                **tilda_utm(cookies),
                **(explicit_utm(fields) if plan.marked else {}),
            },
            cookies=kept_cookies(cookies),
            spam=filled.spam,
        )
        return Translation([Said(said, (said.submission_id,), None, said.submission_id)], _OK)


class _Plan(NamedTuple):
    """The fields of a form by their names. ``own``: the visitor's, with their ``parts`` (`contacts.parts_of`).

    ``service``: (lower-case name, name) of the others. ``marked``: some may be utm marks. ``foreign``: they may
    be another provider's.
    """

    own: tuple[str, ...]
    parts: tuple[str | None, ...]
    service: tuple[tuple[str, str], ...]
    marked: bool
    foreign: bool


def _plan(names: tuple[str, ...], secret_field: str | None) -> _Plan:
    service = tuple((name.lower(), name) for name in names if _is_service(name.lower()))
    own = tuple(name for name in names if not _is_service(name.lower()) and name != secret_field)
    marked = any(name == "utm" or is_mark(name) for name in names)
    return _Plan(own, contacts.parts_of(own), service, marked, foreign.may_be(names))


#: All deliveries of a form have the same fields.
_plan_again = lru_cache(maxsize=512)(_plan)


def _is_service(lowered: str) -> bool:
    """Whether a field is no field of the visitor's own."""
    return lowered in _SERVICE or lowered.startswith("utm_")


def is_probe(value: Any, secret_field: str | None = None) -> bool:
    """The whole body is ``test=test``, as a form or JSON; the source's key may stand beside it."""
    if secret_field is not None and isinstance(value, dict):
        value = {name: said for name, said in value.items() if name != secret_field}
    return bool(value == {"test": "test"})


def _by_get(delivery: Delivery, secret_field: str | None) -> str | None:
    """Why a request without a body is kept: somebody sends his fields by GET. None where it is a test of the address."""
    if not delivery.query:
        return None
    said = {name: value for name, value in delivery.query_fields.items() if name != secret_field}
    return foreign.reason(said, "Tilda") or (
        "there is no body: Tilda posts its forms"
        if (said and delivery.method == "GET") or foreign.may_tell(said)
        else None
    )


def _payment(value: Any) -> str | None:
    """The cart as JSON text, the same for both encodings that Tilda uses."""
    if isinstance(value, str):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            return reading.text(value, reading.TEXT)
    cart: Fields | list[Any] | None = value if isinstance(value, dict | list) and value else None
    return orjson.dumps(cart, option=orjson.OPT_SORT_KEYS).decode()[: reading.TEXT] if cart else None


ADAPTER = Tilda()
