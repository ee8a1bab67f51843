"""Forms of any site: our own contract for a plain HTML form, and the shapes of Contact Form 7, Elementor, Marquiz, Flexbe.

Hardly any of them sends an id or a time: the identity is then a hash of who wrote and what, within ten minutes of
receipt (best effort). A form without phone and e-mail is kept, and opens nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from domain.facts.sites import FormSubmitted
from domain.said import Said
from ingest import contacts, foreign, reading
from ingest.adapters.contract import Adapter, Answer, Translation, json_answer
from ingest.attribution import cookie_pairs, explicit_utm, kept_cookies, utm_in_url, utm_of
from ingest.delivery import Delivery
from ingest.reading import items, joined, mapping, text

_OK: Final = json_answer({"result": "ok"})
#: Fields that hold the visitor's own as their parts: whose are called as the visitor's.
_HOLDERS: Final = frozenset(
    [
        "form_fields",
        "fields",
        "form_data",
        "formdata",
        "data",
        "values",
        "answers",
        "params",
        "body",
        "payload",
        "form",
        "lead",
        "contact",
        "client",
        "customer",
        "user",
    ]
)


@dataclass(slots=True)
class Shape:
    """A form of any builder, brought to one shape: flat fields, and what the builder tells beside them."""

    fields: list[tuple[str, Any]]
    utm: dict[str, str] = field(default_factory=dict)
    cookies: Mapping[str, Any] = field(default_factory=dict)
    ident: str | None = None


class Form(Adapter):
    """Authentication: the secret in the path, or where the source's options say.

    Elementor shows an error to the visitor on anything but 200, so everything gets it.
    """

    provider: ClassVar[str] = "form"
    REVISION: ClassVar[int] = 3  # more names of fields; webhooks of other providers are no forms
    OK: ClassVar[Answer] = _OK
    BROWSERS: ClassVar[bool] = True

    def translate(self, delivery: Delivery) -> Translation:
        """One submission; an empty body or ``test=test`` is a test of the settings."""
        value = delivery.value
        alone = value[0] if isinstance(value, list) and len(value) == 1 else None
        # Connectors forward a form as a list of one.
        fields = {**delivery.query_fields, **alone} if isinstance(alone, dict) else delivery.fields
        options = delivery.source.options
        if options.get("key_in") in ("body", "query"):
            fields = {k: v for k, v in fields.items() if k != options.get("key_name")}
        if not fields or fields == {"test": "test"}:
            return Translation([], _OK, probe=True)
        if other := foreign.reason(fields, "Tilda"):
            return Translation([], _OK, kept=other)
        shape = shape_of(fields)
        filled = contacts.read(shape.fields, delivery.source)
        if not filled.has_contact:
            return Translation([], _OK, kept="a form without phone or e-mail")
        page = filled.page or text(delivery.header("referer"))
        said = FormSubmitted(
            submission_id=shape.ident or filled.submission_id or _identity(filled, delivery),
            form_id=filled.form_id,
            form_name=filled.form_name,
            name=filled.name,
            phone=filled.phone,
            phone_raw=filled.phone_raw,
            email=filled.email,
            text=filled.text,
            fields=filled.extra,
            page=page,
            referrer=filled.referrer,
            utm={**utm_in_url(page), **shape.utm},
            cookies=kept_cookies(shape.cookies),
            spam=filled.spam,
        )
        return Translation([Said(said, (said.submission_id,), None, said.submission_id)], _OK)


def shape_of(fields: Mapping[str, Any]) -> Shape:
    """Recognise the builder by what only its deliveries have."""
    if isinstance(fields.get("fields"), dict | list) and ("form" in fields or "meta" in fields):
        return _elementor(fields)
    if isinstance(fields.get("contacts"), dict) and ("quiz" in fields or "answers" in fields):
        return _marquiz(fields)
    lead = mapping(fields.get("data")) or fields
    if isinstance(lead.get("client"), dict):
        return _flexbe(lead)
    return _flat(fields)


def _identity(filled: contacts.Filled, delivery: Delivery) -> str:
    """Who and what, within the window. A bare ``id`` may be a constant of the form, so it is not trusted alone."""
    who = (filled.phone or filled.phone_raw, filled.email)
    if filled.weak_id:
        return f"{filled.weak_id[:100]}-{reading.fingerprint(*who)[:16]}"
    return reading.windowed(delivery.received, *who, filled.text, filled.form_id, filled.form_name)


def _flat(fields: Mapping[str, Any]) -> Shape:
    """Contact Form 7, Elementor's simple mode, a plain HTML form: field names and values."""
    cookies = next((v for k, v in fields.items() if k.strip().lower() in ("cookies", "cookie")), None)
    given = cookies if isinstance(cookies, dict) else cookie_pairs(text(cookies, 20_000))
    direct = {k: v for k, v in fields.items() if isinstance(v, str)}
    skip = ("utm_", "cookie")
    plain = [
        (k, v) for k, v in fields.items() if not k.strip().lower().startswith(skip) and k.lower() != "utm"
    ]
    return Shape(_unfold(plain), explicit_utm(fields), {**direct, **given})


def _elementor(fields: Mapping[str, Any]) -> Shape:
    """Elementor's advanced mode: ``form``, ``fields[id][value]``, ``meta[page_url][value]``."""
    flat: list[tuple[str, Any]] = []
    titled: list[tuple[str, Any]] = []
    raw = fields["fields"]
    for name, part in raw.items() if isinstance(raw, dict) else enumerate(raw):
        one = mapping(part)
        value = one.get("raw_value") if isinstance(one.get("raw_value"), list) else one.get("value")
        ident, title = text(one.get("id")) or str(name), text(one.get("title"))
        kind = text(one.get("type")) or ""
        # The id tells the role when the owner chose a speaking one, else the title or the type of the field.
        role = next((n for n in (ident, title or "", kind) if n and contacts.role_of(n)), None)
        (flat if role else titled).append((role or title or ident, value))
    form, meta = mapping(fields.get("form")), mapping(fields.get("meta"))
    page = text(mapping(meta.get("page_url")).get("value"), 4000) or ""
    flat += [("form_id", form.get("id")), ("form_name", form.get("name")), ("page_url", page)]
    by_value = [(k, v) for k, v in titled if not k.lower().startswith("utm_")]
    return Shape(flat + by_value, {**utm_in_url(page), **explicit_utm({k: joined(v) for k, v in titled})})


def _marquiz(fields: Mapping[str, Any]) -> Shape:
    """Marquiz: answers of a quiz, ``contacts``, ``extra`` with the address and cookies of the visitor."""
    extra, quiz = mapping(fields.get("extra")), mapping(fields.get("quiz"))
    flat: list[tuple[str, Any]] = list(mapping(fields.get("contacts")).items())
    answers = [(text(mapping(a).get("q")), mapping(a).get("a")) for a in items(fields.get("answers"))]
    # Questions stay fields of their own: «Ваше имя?» in a quiz is an answer and not the contact.
    questions = [(f"{n}. {q or ''}".strip(), a) for n, (q, a) in enumerate(answers, 1)]
    page = text(extra.get("href"), 4000)
    flat += [
        ("form_name", quiz.get("name")),
        ("form_id", quiz.get("id")),
        ("page", page),
        ("referrer", extra.get("referrer")),
    ]
    ident = reading.key(fields.get("id")) or reading.key(fields.get("_id"))
    return Shape(
        flat + questions,
        {**utm_in_url(page), **explicit_utm(extra)},
        mapping(extra.get("cookies")) or cookie_pairs(text(extra.get("cookies"), 20_000)),
        ident,
    )


def _flexbe(lead: Mapping[str, Any]) -> Shape:
    """Flexbe's lead: ``client``, ``form_name``, ``form_data``, ``page``, ``utm``, ``pay``."""
    client, page, utm, pay = (mapping(lead.get(n)) for n in ("client", "page", "utm", "pay"))
    flat: list[tuple[str, Any]] = [(k, client.get(k)) for k in ("name", "phone", "email")]
    url = text(page.get("url"), 4000) or text(utm.get("url"), 4000)
    flat += [
        ("text", lead.get("note")),
        ("form_name", lead.get("form_name")),
        ("page", url),
        ("num", lead.get("num")),
    ]
    form_data = lead.get("form_data")
    for number, part in enumerate(items(form_data)):
        one = mapping(part)
        flat.append(
            (text(one.get("name")) or text(one.get("title")) or f"field {number + 1}", one.get("value"))
        )
    flat += [(f"pay.{k}", v) for k, v in pay.items()]
    cookies = {"_ym_uid": utm.get("ym_client_id"), "_ga": utm.get("ga_client_id")}
    return Shape(flat, {**utm_in_url(url), **utm_of(utm)}, cookies, reading.key(lead.get("id")))


def _unfold(fields: Iterable[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Objects within a flat form (files of Contact Form 7 …) as fields of their own; file contents stay behind.

    Parts of what holds the visitor's fields (``contact: {name, phone}``) are called as if they stood alone.
    """
    flat: list[tuple[str, Any]] = []
    for name, value in fields:
        held = name.strip().casefold() in _HOLDERS
        if isinstance(value, dict):
            flat += [
                (k if held else f"{name}.{k}", v)
                for k, v in value.items()
                if k != "content" and not isinstance(v, dict | list)
            ]
        elif isinstance(value, list) and held and value and all("value" in mapping(part) for part in value):
            for number, part in enumerate(value, 1):
                called = (text(part.get(key)) for key in ("name", "title", "label", "key", "id"))
                flat.append((next(filter(None, called), None) or f"field {number}", part["value"]))
        elif isinstance(value, list):
            flat.append((name, [mapping(v).get("filename") if isinstance(v, dict) else v for v in value]))
        else:
            flat.append((name, value))
    return flat


ADAPTER = Form()
