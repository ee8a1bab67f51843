"""Facts that operators and CRMs add to inquiries (spec 2.2, emitter О)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field

from domain.facts.base import Fact, Key, Name, Phone, Subject, Text, email_ref, phone_ref
from domain.identity import inquiry_id
from domain.refs import ref


class WalkInRegistered(Subject):
    """A client came without calling. ``walkin_id`` is the sender's own id of the visit."""

    TYPE: ClassVar[str] = "walkin.registered"
    walkin_id: Key
    by: Name | None = None
    car: Name | None = None
    office: Name | None = None

    def refs(self, source: str) -> Iterator[str]:
        """The walk-in's own inquiry, then whom it is about."""
        yield ref("inquiry", str(inquiry_id(source, "walkin", self.walkin_id)))
        yield ref("visit", self.walkin_id)
        yield from super().refs(source)


class InquiryCategorised(Subject):
    """A category was chosen; the last one wins. ``category`` is an id or a label of the dictionary."""

    TYPE: ClassVar[str] = "inquiry.categorised"
    category: Name
    by: Name | None = None


class InquiryResultSet(Subject):
    """The result task was answered: booked, refusal, thinking, consultation … (R0.39)."""

    TYPE: ClassVar[str] = "inquiry.result_set"
    result: Name
    reason: Name | None = Field(None, description="refusal reason, if the result is a refusal")
    by: Name | None = None
    comment: Text | None = None


class RefusalRecorded(Subject):
    """A refusal with its reason (id or label of the dictionary); the last one counts (D-0.4)."""

    TYPE: ClassVar[str] = "refusal.recorded"
    reason: Name
    by: Name | None = None
    comment: Text | None = None


class InquiryReattached(Subject):
    """An operator moved an inquiry to another lead (L18). ``to_lead_id``: a CRM's id or our lead UUID."""

    TYPE: ClassVar[str] = "inquiry.reattached"
    to_lead_id: Key
    by: Name | None = None

    def refs(self, source: str) -> Iterator[str]:
        """Both the inquiry and the lead it goes to."""
        yield from super().refs(source)
        yield ref("lead", self.to_lead_id)


class ContactMarked(Fact):
    """A number or contact is spam, supplier, employee or test: outside all reports (G11).

    ``mark`` empty or "none" takes an earlier mark back.
    """

    TYPE: ClassVar[str] = "contact.marked"
    phone: Phone | None = None
    email: Name | None = None
    mark: Name
    by: Name | None = None

    def refs(self, source: str) -> Iterator[str]:
        """The marked contact."""
        yield from phone_ref(self.phone)
        yield from email_ref(self.email)


class IdentityLinked(Fact):
    """Two identifiers are one client. ``a`` and ``b`` are refs (``phone:+7903…``) or bare phones / e-mails."""

    TYPE: ClassVar[str] = "identity.linked"
    a: Name
    b: Name
    by: Name | None = None
    why: Text | None = None

    def refs(self, source: str) -> Iterator[str]:
        """Both sides."""
        yield as_ref(self.a)
        yield as_ref(self.b)


class IdentityUnlinked(IdentityLinked):
    """Two identifiers are not one client: undoes a merge, also one made by shared facts."""

    TYPE: ClassVar[str] = "identity.unlinked"


def as_ref(text: str) -> str:
    """A ref as written, or the ref that a bare phone, e-mail or contact id means."""
    head, colon, _ = text.partition(":")
    if colon and head.isidentifier():
        return text
    if text.startswith("+"):
        return ref("phone", text)
    return ref("email", text.lower()) if "@" in text else ref("crm_contact", text)
