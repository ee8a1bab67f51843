"""What all facts share: a frozen pydantic model with a type name, a version, and the refs it carries."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from domain.refs import ref

Moment = Annotated[AwareDatetime, Field(description="ISO-8601 with an offset; kept in UTC")]
Phone = Annotated[
    str, Field(description="E.164 (+79031234567) when recognised, else as it was given", max_length=64)
]
Name = Annotated[str, Field(max_length=500)]
Text = Annotated[str, Field(max_length=20_000)]
Key = Annotated[str, Field(min_length=1, max_length=200, description="the sender's own identifier, as text")]


class Fact(BaseModel):
    """Base of every fact. Readers are tolerant: unknown fields of newer versions are ignored."""

    # built at its first use: a command or a part needs few of the catalogue, and all of them take 50 ms of every start
    model_config = ConfigDict(frozen=True, extra="ignore", str_strip_whitespace=True, defer_build=True)

    TYPE: ClassVar[str] = ""
    VERSION: ClassVar[int] = 1
    DIRECTORY: ClassVar[bool] = False  # True: about the company (employees, rules …), not about one client

    def refs(self, source: str) -> Iterator[str]:
        """Yield the refs this fact carries; ``source`` is the path of the source that said it (``/sipuni/main``)."""
        return iter(())


def phone_ref(phone: str | None) -> tuple[str, ...]:
    """A phone is a ref only when it was recognised (E.164)."""
    return (f"phone:{phone}",) if phone and phone.startswith("+") else ()


def email_ref(email: str | None) -> tuple[str, ...]:
    """An e-mail is compared in lower case."""
    return (f"email:{email.strip().lower()}",) if email and "@" in email else ()


class Subject(Fact):
    """Whom or what a fact of an operator, CRM or ERP is about. Any one of the fields is enough.

    ``inquiry_id`` is the id of the opening fact (shown in the pages and the API); ``call_id``, ``chat_id`` and
    ``submission_id`` are the provider's own ids; ``lead_id`` and ``order_id`` are the CRM's and ERP's; a phone or
    contact alone means the client's latest inquiry before the fact.
    """

    inquiry_id: UUID | None = None
    call_id: Key | None = None
    chat_id: Key | None = None
    submission_id: Key | None = None
    lead_id: Key | None = None
    order_id: Key | None = None
    booking_id: Key | None = None
    phone: Phone | None = None
    email: Name | None = None
    contact_id: Key | None = Field(None, description="the CRM's id of the contact")
    client_id: Key | None = Field(None, description="the ERP's id of the client")
    client_name: Name | None = None

    def refs(self, source: str) -> Iterator[str]:
        """Entity refs first (bare: the sender seldom knows our source names), then identity refs."""
        if self.inquiry_id:
            yield ref("inquiry", str(self.inquiry_id))
        for kind, value in (
            ("call", self.call_id),
            ("chat", self.chat_id),
            ("form", self.submission_id),
            ("lead", self.lead_id),
            ("order", self.order_id),
            ("booking", self.booking_id),
        ):
            if value:
                yield ref(kind, value)
        yield from phone_ref(self.phone)
        if self.contact_id:
            yield ref("crm_contact", self.contact_id)
        if self.client_id:
            yield ref("erp_client", self.client_id)
        yield from email_ref(self.email)


__all__ = ["Fact", "Key", "Moment", "Name", "Phone", "Subject", "Text", "datetime", "email_ref", "phone_ref"]
