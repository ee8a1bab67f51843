"""Types of single settings: each refuses what cannot work and says why in words for the person who wrote it."""

from __future__ import annotations

import difflib
import ipaddress
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

import phonenumbers
from pydantic import AfterValidator, Field

from domain.phones import normalise


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ValueError, OSError, KeyError) as error:
        near = difflib.get_close_matches(value, sorted(available_timezones()), n=1, cutoff=0.7)
        hint = (
            f"; did you mean {near[0]!r}?" if near else "; write it like Europe/Moscow or Asia/Yekaterinburg"
        )
        raise ValueError(f"{value!r} is not a time zone{hint}") from error
    return value


def _loopback(value: str) -> str:
    if value == "localhost":
        return value
    try:
        inside = ipaddress.ip_address(value).is_loopback
    except ValueError:
        inside = False
    if not inside:
        raise ValueError(
            f"{value!r} can be reached from outside, and the pages have no login yet: use 127.0.0.1 "
            "and put a proxy with a password before it"
        )
    return value


def _host(value: str) -> str:
    if not value or (any(c in value for c in " /:[]") and not _is_ip(value)):
        raise ValueError(f"{value!r} is not a host name or address (the port is a setting of its own)")
    return value


def _is_ip(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


def _region(value: str) -> str:
    if value not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError(f"{value!r} is not a country code; write two capital letters like RU, KZ or BY")
    return value


def _phone(value: str) -> str:
    # as providers and people write them: 74951234567, 8 (495) 123-45-67
    if not value.lstrip().startswith("+") and (found := normalise(value).e164):
        return found
    try:
        parsed = phonenumbers.parse(value, None)
    except phonenumbers.NumberParseException as error:
        raise ValueError(f"{value!r} is not a full number; write it like +74951234567") from error
    if not phonenumbers.is_possible_number(parsed):
        raise ValueError(f"{value!r} has too few or too many digits for a telephone number")
    return str(phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164))


Zone = Annotated[str, AfterValidator(_zone)]
"""IANA time zone."""
Loopback = Annotated[str, AfterValidator(_loopback)]
"""Address of this machine only."""
Host = Annotated[str, AfterValidator(_host)]
"""Host name or address to listen on."""
Port = Annotated[int, Field(ge=0, le=65535)]
"""TCP port; 0 lets the system choose."""
Region = Annotated[str, AfterValidator(_region)]
"""ISO 3166 country."""
Phone = Annotated[str, AfterValidator(_phone)]
"""Full telephone number, with + or as it is written in Russia; becomes E.164."""
NAME_PATTERN = r"^[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?$"
Name = Annotated[
    str,
    Field(pattern=NAME_PATTERN, description="small letters, digits, . - and _"),
]
"""Name of a source: part of its address and of event ids."""
Key = Annotated[str, Field(min_length=1, max_length=200)]
"""Identifier of a directory item; it never changes."""
