"""The native contract, ``POST /v1/events``: facts in our own words, from CRMs, ERPs, scripts and operators.

One event, an array, or ``{"events": […]}``. Each event of a batch is judged alone: what does not fit is kept as
``delivery.unreadable``, and its result names the field. The contract is published as OpenAPI (`ingest.openapi`).
"""

from __future__ import annotations

import base64
import binascii
import difflib
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import orjson
from pydantic import ValidationError

from domain.facts.base import Fact
from domain.facts.company import DeliveryUnreadable, DictionaryChanged, RulePublished
from domain.facts.inquiries import IdentityLinked
from domain.facts.registry import FACTS, NAMES
from domain.identity import event_id
from domain.phones import normalise
from domain.refs import kind_of, value_of
from domain.rules import Rules
from domain.said import Said
from ingest import foreign, lenient, reading
from ingest.adapters.contract import Adapter, Answer, Translation, has_secret, json_answer, same
from ingest.decoding import parse_json
from ingest.delivery import Delivery
from ingest.limits import Unreadable
from ingest.signatures import is_signed
from ingest.sources import SourceConfig
from ingest.warnings import warnings_of

#: Types that may be sent.
TYPES: Final = frozenset(FACTS) - {DeliveryUnreadable.TYPE}
_BY_NAME: Final = {name.casefold(): type_ for name, type_ in NAMES.items() if type_ in TYPES}
_ENVELOPE: Final = frozenset(
    {"id", "type", "time", "occurred_at", "specversion", "datacontenttype", "dataschema"}
)
#: Facts that open an inquiry: their result tells its id.
_OPENING: Final = ("call.", "chat.", "form.", "callback.", "walkin.")
_SUBJECT: Final = "inquiry_id, call_id, lead_id, order_id, phone …"


@dataclass(frozen=True, slots=True)
class Item:
    """One event of a batch after reading: the fact, or what is wrong with it."""

    ident: str
    said: Said
    errors: tuple[dict[str, str], ...] = ()


class Native(Adapter):
    """Authentication: bearer key, ``X-Api-Key``, password of HTTP Basic, Standard Webhooks signature, or secret path."""

    provider: ClassVar[str] = "native"
    REVISION: ClassVar[int] = 3  # a number among words is read
    OK: ClassVar[Answer] = json_answer({"result": "ok"})

    def authenticate(self, delivery: Delivery) -> bool:
        """Any of the ways; all are compared in constant time."""
        source = delivery.source
        by_key = any([same(key, source.secret) for key in given_keys(delivery)])  # noqa: C419 - no short cut
        signing = source.options.get("signing_secret") or source.secret
        return (
            by_key
            or is_signed(delivery.headers, delivery.body, signing, delivery.received)
            or has_secret(delivery)
        )

    def translate(self, delivery: Delivery) -> Translation:
        """All events of the delivery, and an answer for each."""
        try:
            value = delivery.value
        except Unreadable as error:
            return Translation([], refusal(400, str(error)), kept=str(error))
        if delivery.body_kind == "empty":
            return Translation([], refusal(400, "the body is empty"), probe=True)
        if delivery.body_kind != "json":
            try:
                value = parse_json(delivery.body, delivery.charset, delivery.limits)
            except Unreadable as error:
                return Translation([], refusal(400, str(error)), kept=str(error))
        given = (
            value.get("events")
            if isinstance(value, dict) and isinstance(value.get("events"), list)
            else value
        )
        batch = given if isinstance(given, list) else [given]
        if len(batch) > delivery.limits.max_batch:
            words = f"at most {delivery.limits.max_batch} events in one delivery"
            return Translation([], refusal(413, words), kept="too many events in one delivery")
        found = [_Reader(one, number, delivery).item() for number, one in enumerate(batch)]
        return _answer(found, delivery.source)


def given_keys(delivery: Delivery) -> list[str]:
    """Keys that the headers carry."""
    keys = [delivery.header("x-api-key").strip()]
    scheme, _, rest = delivery.header("authorization").partition(" ")
    if scheme.lower() == "bearer":
        keys.append(rest.strip())
    elif scheme.lower() == "basic":
        try:
            keys.append(base64.b64decode(rest.strip(), validate=True).decode("utf-8").partition(":")[2])
        except (binascii.Error, ValueError):
            keys.append("")
    return [key for key in keys if key]


def refusal(status: int, what: str) -> Answer:
    """An answer that says what is wrong with the whole delivery."""
    return json_answer({"result": "error", "error": what}, status)


def _answer(found: list[Item], source: SourceConfig) -> Translation:
    seen: set[tuple[str, bytes]] = set()
    ids: set[str] = set()
    said: list[Said] = []
    results: list[dict[str, Any]] = []
    accepted = duplicates = 0
    for item in found:
        fact = item.said.fact
        ident = str(event_id(source.path, fact.TYPE, *item.said.native))
        result: dict[str, Any] = {
            "id": item.ident,
            "event_id": ident,
            "status": "unreadable" if item.errors else "accepted",
        }
        if item.errors:
            result["errors"] = list(item.errors)
        elif ident in ids:
            duplicates += 1
        else:
            accepted += 1
            if warnings := list(warnings_of(fact, source.dictionary)):
                result["warnings"] = warnings
            if fact.TYPE.startswith(_OPENING) and (opened := _opened(fact, source)):
                result["inquiry_id"] = opened
        ids.add(ident)
        # The very same fact twice is stored once; another one under the same id is kept, the fold chooses.
        content = (ident, fact.model_dump_json().encode())
        if content not in seen:
            seen.add(content)
            said.append(item.said)
        results.append(result)
    body = {
        "result": "ok",
        "accepted": accepted,
        "duplicates": duplicates,
        "unreadable": sum(1 for item in found if item.errors),
        "results": results,
    }
    return Translation(said, json_answer(body), probe=not found)


def _opened(fact: Fact, source: SourceConfig) -> str | None:
    return next((value_of(r) for r in fact.refs(source.path) if kind_of(r) == "inquiry"), None)


class _Reader:
    """One event of a batch."""

    def __init__(self, given: Any, number: int, delivery: Delivery) -> None:
        self.given = given
        self.delivery = delivery
        self.source = delivery.source
        self.content = orjson.dumps(given, option=orjson.OPT_SORT_KEYS)
        own = reading.key(given.get("id")) if isinstance(given, dict) else None
        message = reading.key(delivery.header("webhook-id"))
        # Best effort without an id: the place in a signed message, else what is said.
        self.ident = own or (
            f"{message[:180]}/{number}" if message else reading.fingerprint(self.content.decode())
        )

    def item(self) -> Item:
        """The fact, or an unreadable delivery that says which field is wrong."""
        errors: list[dict[str, str]] = []
        said = self.read(errors)
        if said is not None and not errors:
            return Item(self.ident, said)
        known = self.type_name()
        wrong = "; ".join(dict.fromkeys(f"{e['field']} {e['what']}" for e in errors))
        other = foreign.reason(self.given) if known is None and isinstance(self.given, dict) else None
        what = other or f"{known or 'event'}: {wrong}"
        lost = DeliveryUnreadable(provider=self.source.provider, reason=what[:500], size=len(self.content))
        # A sender who repeats the same broken event tells nothing new; a mended one has its own fact and id.
        native = ("item", self.ident, reading.fingerprint(self.content.decode())[:32])
        return Item(self.ident, Said(lost, native, None), tuple(errors))

    def read(self, errors: list[dict[str, str]]) -> Said | None:
        """The fact, noting everything that is wrong."""
        if not isinstance(self.given, dict):
            errors.append({"field": "event", "what": "must be an object"})
            return None
        type_ = self.type_name()
        if type_ is None:
            errors.append({"field": "type", "what": self.type_problem()})
            return None
        at = self.time(errors)
        data = self.given.get("data")
        if data is None:
            data = {k: v for k, v in self.given.items() if k not in _ENVELOPE}
        if not isinstance(data, dict):
            errors.append({"field": "data", "what": "must be an object"})
            return None
        model = FACTS[type_]
        try:
            fact = model.model_validate(self.shaped(model, data))
        except ValidationError as error:
            errors += [
                _problem(e["loc"], e["type"], e["msg"])
                for e in error.errors(include_input=False, include_url=False)
            ]
            return None
        if not model.DIRECTORY and next(iter(fact.refs(self.source.path)), None) is None:
            errors.append(
                {"field": "data", "what": f"says nothing about whom or what it is: give one of {_SUBJECT}"}
            )
            return None
        if (problem := _company_problem(fact)) is not None:
            errors.append(problem)
            return None
        return Said(fact, (self.ident,), at)

    def shaped(self, model: type[Fact], data: dict[str, Any]) -> dict[str, Any]:
        """The data in the types of the model."""
        shaped = lenient.coerce(model, data, self.source)
        if issubclass(model, IdentityLinked):
            for side in ("a", "b"):
                said = shaped.get(side)
                if isinstance(said, str) and ":" not in said and "@" not in said:
                    shaped[side] = normalise(said, self.source.region, self.source.area_code).e164 or said
        return shaped

    def type_name(self) -> str | None:
        """The type, given as such or by the catalogue's name."""
        given = self.given.get("type") if isinstance(self.given, dict) else None
        if not isinstance(given, str):
            return None
        said = given.strip()
        return said if said in TYPES else _BY_NAME.get(said.casefold())

    def type_problem(self) -> str:
        """What to do about a type that is not known."""
        given = self.given.get("type")
        if not isinstance(given, str) or not given.strip():
            return "is missing"
        near = difflib.get_close_matches(given.strip().lower()[:60], sorted(TYPES), 1)
        return f"unknown; did you mean {near[0]}?" if near else "unknown; /openapi.json lists all types"

    def time(self, errors: list[dict[str, str]]) -> datetime | None:
        """When it happened; None (then: when we got it) if nothing is said."""
        name = "time" if reading.text(self.given.get("time")) else "occurred_at"
        given = self.given.get(name)
        if given is None or given == "":
            return None
        try:
            return lenient.moment(given, self.source.zone)
        except (ValueError, OverflowError):
            errors.append(
                {"field": name, "what": "is not a moment: use ISO-8601, such as 2026-03-01T10:00:00+03:00"}
            )
            return None


def _company_problem(fact: Fact) -> dict[str, str] | None:
    """Directories and rules concern every client: one that nobody could fold by is told to the sender at once."""
    if isinstance(fact, RulePublished):
        try:
            Rules.model_validate(fact.body)
        except ValidationError as error:
            names = {str(e["loc"][0]) for e in error.errors(include_input=False) if e["loc"]}
            known = sorted(names & set(Rules.model_fields))
            return {
                "field": "body",
                "what": f"is no rule setting or value: {', '.join(known) or 'unknown setting'}",
            }
    zone = fact.attrs.get("timezone") if isinstance(fact, DictionaryChanged) else None
    if zone:
        try:
            ZoneInfo(str(zone))
        except (ZoneInfoNotFoundError, ValueError, OSError):
            return {"field": "attrs.timezone", "what": "is no time zone: use a name such as Europe/Moscow"}
    return None


def _problem(loc: tuple[int | str, ...], kind: str, message: str) -> dict[str, str]:
    """A validation error for the sender. Words of pydantic that quote the input are replaced."""
    names = [str(part) for part in loc[:3] if isinstance(part, int) or part.isidentifier()]
    words = {
        "missing": "is required",
        "uuid_parsing": "is not a UUID",
        "string_too_short": "is empty",
        "datetime_from_date_parsing": "is not a moment",
        "datetime_parsing": "is not a moment",
        "timezone_aware": "needs an offset",
        "decimal_parsing": "is not a number",
        "date_from_datetime_parsing": "is not a date",
        "literal_error": message,
        "string_too_long": message,
    }
    return {"field": ".".join(names) or "data", "what": words.get(kind, f"does not fit ({kind})")}


ADAPTER = Native()
