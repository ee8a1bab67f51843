"""Tilda: forms and carts, posted by Tilda's servers as a form or JSON.

``tranid`` is unique per submission and comes again with every attempt (three, a minute apart). Names of the fields are
the site owner's. Of the visitor's cookies only counters are kept.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, ClassVar, Final

import orjson

from domain.facts.sites import FormSubmitted
from domain.said import Said
from ingest import contacts, reading
from ingest.adapters.contract import Adapter, Answer, Translation, has_secret
from ingest.attribution import cookie_pairs, explicit_utm, kept_cookies, tilda_utm, utm_in_url
from ingest.decoding import Fields
from ingest.delivery import Delivery
from ingest.limits import Unreadable

_OK: Final = Answer(200, b"ok", "text/plain")
#: Fields that are read apart from the visitor's own.
_SERVICE: Final = frozenset({"cookies", "payment", "utm"})


class Tilda(Adapter):
    """Authentication: secret in the path, or in a header, parameter or body field named by the source's options.

    The probe (``test=test``) may come without the key of a header or field: it is answered, nothing is kept of it.
    """

    provider: ClassVar[str] = "tilda"
    REVISION: ClassVar[int] = 2  # of several numbers in one field the first is read
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
        if not delivery.body.strip() or is_probe(delivery.value):
            return Translation([], _OK, probe=True)
        fields = delivery.fields
        options = delivery.source.options
        secret_field = options.get("key_name") if options.get("key_in") in ("body", "query") else None
        own: list[tuple[str, Any]] = []
        service: dict[str, Any] = {}
        for name, value in fields.items():
            kind = _service(name)
            if kind is not None:
                service[kind] = value
            elif name != secret_field:
                own.append((name, value))
        filled = contacts.read(own, delivery.source)
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
            utm={**utm_in_url(page), **tilda_utm(cookies), **explicit_utm(fields)},
            cookies=kept_cookies(cookies),
            spam=filled.spam,
        )
        return Translation([Said(said, (said.submission_id,), None, said.submission_id)], _OK)


@lru_cache(maxsize=4096)
def _service(name: str) -> str | None:
    """The lower-case name of a field that is no field of the visitor's own."""
    lowered = name.lower()
    return lowered if lowered in _SERVICE or lowered.startswith("utm_") else None


def is_probe(value: Any) -> bool:
    """The whole body is ``test=test``, as a form or JSON."""
    return bool(value == {"test": "test"})


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
