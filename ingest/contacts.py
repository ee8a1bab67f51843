"""Who filled a form in: fields found by their usual names, then by what they look like (providers/site-forms.md, 5)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from domain.phones import normalise
from ingest.reading import NAME, TEXT, clipped, email, joined, key, text
from ingest.redaction import STARS, is_secret_name
from ingest.sources import SourceConfig

_SYNONYMS: Final[dict[str, tuple[str, ...]]] = {
    "name": (
        "name",
        "your-name",
        "your_name",
        "fio",
        "фио",
        "имя",
        "ваше имя",
        "как вас зовут",
        "как вас зовут?",
        "fullname",
        "full_name",
        "client_name",
        "contact_name",
        "username",
        "ваше_имя",
        "имя клиента",
        "имя и фамилия",
        "имя фамилия",
        "имя, фамилия",
        "фамилия имя",
        "фамилия и имя",
        "фамилия, имя",
        "фамилия имя отчество",
        "ваше имя и фамилия",
        "ф.и.о.",
        "ф.и.о",
        "ваше фио",
        "как к вам обращаться",
        "как к вам можно обращаться",
        "представьтесь",
        "контактное лицо",
        "full name",
        "your name",
        "user_name",
        "customer_name",
        "ma_name",
        "clientname",
        "contact-name",
        "client name",
    ),
    "phone": (
        "phone",
        "tel",
        "your-phone",
        "your-tel",
        "телефон",
        "номер телефона",
        "ваш телефон",
        "phone_number",
        "phonenumber",
        "mobile",
        "номер",
        "tel-123",
        "client_phone",
        "контактный телефон",
        "номер_телефона",
        "telephone",
        "ваш номер телефона",
        "номер телефона для связи",
        "телефон для связи",
        "мобильный телефон",
        "контактный номер",
        "phone number",
        "ma_phone",
        "phones",
        "clientphone",
    ),
    "email": (
        "email",
        "your-email",
        "e-mail",
        "mail",
        "почта",
        "электронная почта",
        "your_email",
        "e_mail",
        "ваш email",
        "ваш e-mail",
        "ваша почта",
        "ma_email",
        "emails",
    ),
    "text": (
        "message",
        "comment",
        "comments",
        "сообщение",
        "комментарий",
        "your-message",
        "text",
        "textarea",
        "вопрос",
        "question",
        "описание",
        "your_message",
        "комментарии",
        "ваше сообщение",
    ),
    "form_id": ("formid", "form_id", "form-id"),
    "form_name": ("formname", "form_name", "form-name", "form", "subject", "your-subject", "_post_title"),
    "page": (
        "page",
        "page_url",
        "page url",
        "url",
        "href",
        "_url",
        "_post_url",
        "страница",
        "адрес страницы",
    ),
    "referrer": ("referer", "referrer"),
    "submission_id": ("tranid", "request_id", "submission_id", "lead_id", "requestid"),
    "weak_id": ("id", "_id"),
    "first_name": ("first_name", "firstname", "first-name"),
    "last_name": ("last_name", "lastname", "last-name", "фамилия"),
    "honeypot": ("website",),
}
_ROLE: Final = {name: role for role, names in _SYNONYMS.items() for name in names}
#: Roles that go over as names and as identifiers.
_NAMES: Final = frozenset({"name", "form_id", "form_name", "page", "referrer"})
_KEYS: Final = frozenset({"submission_id", "weak_id"})
_FORBIDDEN: Final = "forbidden"
_TEL: Final = re.compile(r"(?:tel|phone|телефон)[-_ ]?\d*")
_LOOKS_PHONE: Final = re.compile(r"\+?[\d\s().\-\u00a0\u2010-\u2015]{7,30}")
#: Fields about the visit and not from the visitor: nothing is guessed from their values.
_FURNITURE: Final = re.compile(
    r"^(?:_.*|utm.*|.*cookie.*|.*(?:ip|agent|date|time|дата|время)|roistat.*|.*clid|powered by)$"
)


@dataclass(slots=True)
class Filled:
    """What a form says, sorted. ``extra`` are the fields of no known role, as texts."""

    name: str | None = None
    phone: str | None = None
    phone_raw: str | None = None
    email: str | None = None
    text: str | None = None
    form_id: str | None = None
    form_name: str | None = None
    page: str | None = None
    referrer: str | None = None
    submission_id: str | None = None
    weak_id: str | None = None
    spam: bool = False
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def has_contact(self) -> bool:
        """Somebody can be called or written to, or at least tried to say how."""
        return bool(self.phone_raw or self.email)


@lru_cache(maxsize=4096)
def role_of(name: str) -> str | None:
    """The role of a field by its name, in any case, with a Tilda suffix (``Phone_2``) or without."""
    plain = name.strip().strip(":*?").strip().casefold()
    found = (
        _ROLE.get(plain)
        or _ROLE.get(re.sub(r"[_-]\d{1,3}$", "", plain))
        or _ROLE.get(plain.replace("_", " "))
    )
    if found is None and _TEL.fullmatch(plain):
        return "phone"
    return found


@lru_cache(maxsize=4096)
def _part_of(name: str) -> str | None:
    """The role of a field, or that it is meant for a secret: one look instead of two."""
    return _FORBIDDEN if is_secret_name(name) else role_of(name)


def parts_of(names: Iterable[str]) -> tuple[str | None, ...]:
    """What `read` has to know of the names of fields: their roles, and which are meant for secrets."""
    return tuple(map(_part_of, names))


def read(
    fields: Sequence[tuple[str, Any]], source: SourceConfig, parts: Sequence[str | None] | None = None
) -> Filled:
    """Sort the fields of a form. The first field of a role wins; a further one stays among the extra fields.

    ``parts`` of the names, where they are known already.
    """
    filled = Filled()
    roles: dict[str, str] = {}
    rest: list[tuple[str, Any]] = []
    secrets = source.secrets()
    if parts is None:
        parts = parts_of([name for name, _ in fields])
    for (name, value), role in zip(fields, parts, strict=True):
        said = text(value, TEXT) if type(value) is str else joined(value)
        if said is None:
            continue
        if role == _FORBIDDEN or said in secrets or said == STARS:
            continue
        if role is None or role in roles:
            rest.append((name, value))
        else:
            roles[role] = said
    _take(filled, roles, rest, source)
    if rest:
        _sniff(filled, rest, source)
    filled.extra = clipped(rest)
    return filled


def _take(
    filled: Filled, roles: Mapping[str, str], rest: list[tuple[str, Any]], source: SourceConfig
) -> None:
    # All of `roles` went through `text` and is at most TEXT long: only what may be too long is read once more.
    for role, said in roles.items():
        if role in _NAMES:
            setattr(filled, role, _short(said))
        elif role in _KEYS:
            setattr(filled, role, key(said))
    filled.text = roles.get("text")
    filled.spam = "honeypot" in roles
    if raw := roles.get("phone"):
        filled.phone_raw = raw = _short(raw)
        filled.phone = normalise(raw, source.region, source.area_code).e164
    if address := roles.get("email"):
        filled.email = email(address)
        if filled.email is None:
            rest.append(("email", address))
    if filled.name is None:
        filled.name = text(" ".join(roles[role] for role in ("first_name", "last_name") if role in roles))
    elif (last := roles.get("last_name")) and "first_name" not in roles and last not in filled.name:
        filled.name = _short(f"{filled.name} {last}")


def fill(
    filled: Filled, name: str | None, phone: str | None, email_address: str | None, source: SourceConfig
) -> None:
    """Contacts that were found elsewhere, for those that no field told."""
    filled.name = filled.name or text(name)
    if filled.phone_raw is None and phone:
        filled.phone_raw = _short(phone)
        filled.phone = normalise(phone, source.region, source.area_code).e164
    filled.email = filled.email or email(email_address)


def _short(said: str) -> str:
    return said if len(said) <= NAME else said[:NAME].rstrip()


def _sniff(filled: Filled, rest: list[tuple[str, Any]], source: SourceConfig) -> None:
    """Where no name told it: a value that looks like a phone, a value that looks like an e-mail.

    So too where the field of the phone holds no number but a nickname: that goes among the extra fields.
    """
    for name, value in list(rest):
        said = text(value)
        if said is None or _FURNITURE.match(name.strip().casefold()):
            continue
        if filled.phone is None and _LOOKS_PHONE.fullmatch(said):
            found = normalise(said, source.region, source.area_code).e164
            if found:
                rest.remove((name, value))
                if filled.phone_raw is not None:
                    rest.append(("phone", filled.phone_raw))
                filled.phone, filled.phone_raw = found, said
                continue
        if filled.email is None and (found := email(said)):
            filled.email = found
            rest.remove((name, value))
