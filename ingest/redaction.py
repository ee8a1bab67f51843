"""Secrets out of the evidence: in path, query, headers and body, before anything is stored.

Two nets: every spelling of the source's configured secrets, wherever it stands, and everything under a name that is
meant for a secret. And a last one, for spellings that only decoding shows: what was sealed must not tell one. What is
left is verbatim, so that the delivery can be translated again.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import quote, quote_plus

import orjson

from ingest.decoding import clean_text
from ingest.delivery import Delivery
from ingest.sources import SourceConfig

STARS: Final = "***"

#: Longer headers are looked through every time anew: nobody fills our memory with them.
_REMEMBERED: Final = 500
_REMEMBERED_NAMES: Final = 1000

#: Bytes of a secret that is sought in what was made of a delivery too; those of sources have no fewer.
_LONG: Final = 16

_NAMES: Final = (
    "token",
    "access_token",
    "auth_token",
    "secret",
    "api_key",
    "apikey",
    "api-key",
    "x-api-key",
    "password",
    "passwd",
    "crm_token",
    "auth_key",
    "authorization",
    "client_secret",
)
_ONLY_IN_QUERY: Final = ("key", "auth", "sign", "hash")
_SOUGHT: Final = frozenset((*_NAMES, *_ONLY_IN_QUERY))
_NAME: Final = re.compile("|".join(map(re.escape, _NAMES)), re.IGNORECASE)
_QUERY: Final = re.compile(rf"(?i)((?:^|&)(?:{'|'.join(map(re.escape, (*_NAMES, *_ONLY_IN_QUERY)))})=)[^&]+")
_FORM: Final = re.compile(rb"(?i)((?:^|&)(?:" + "|".join(map(re.escape, _NAMES)).encode() + rb")=)[^&\r\n]+")
_JSON: Final = re.compile(
    rb'(?i)("(?:' + "|".join(map(re.escape, _NAMES)).encode() + rb')"\s*:\s*")(?:[^"\\]|\\.)+(?=")'
)
#: Headers that tell something about a delivery. Those of the second kind are secrets: that they were there is kept.
_KEPT: Final = (
    "content-type",
    "content-encoding",
    "user-agent",
    "referer",
    "origin",
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
)
_SECRET: Final = (
    "authorization",
    "x-api-key",
    "token",
    "x-tilda-webhook-key",
    "x-webhook-secret",
    "x-auth-token",
)


@lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Whether a field of this name is meant for a secret."""
    return _NAME.fullmatch(name.strip()) is not None


@lru_cache(maxsize=1024)
def _spellings(secrets: tuple[str, ...]) -> tuple[bytes, ...]:
    """A secret as it may stand in a query, form, JSON or Basic header; longest first. Very short ones are left."""
    found: set[bytes] = set()
    for secret in secrets:
        if len(secret) < 6:
            continue
        plain = secret.encode("utf-8", "replace")
        escaped = secret.replace("\\", "\\\\").replace('"', '\\"').encode("utf-8", "replace")
        found |= {
            plain,
            escaped,
            quote(secret, safe="").encode(),
            quote_plus(secret).encode(),
            b64encode(plain),
        }
    return tuple(sorted(found, key=lambda s: (-len(s), s)))


def _hide(raw: bytes, secrets: tuple[str, ...]) -> bytes:
    for spelling in _spellings(secrets):
        if spelling in raw:
            raw = raw.replace(spelling, STARS.encode())
    return raw


def _hide_text(text: str, secrets: tuple[str, ...]) -> str:
    return _hide(text.encode("utf-8", "replace"), secrets).decode("utf-8", "replace")


def stands_in(sealed: bytes, source: SourceConfig) -> bool:
    """Whether a sealed record still tells a secret: in a spelling that nobody uses, which decoding made plain."""
    return any(spelling in sealed for spelling in _long(source.secrets()))


def from_sealed(sealed: bytes, source: SourceConfig) -> bytes:
    """A sealed record without them: its value is JSON, where stars may stand in their place."""
    for spelling in _long(source.secrets()):
        sealed = sealed.replace(spelling, STARS.encode())
    return sealed


@lru_cache(maxsize=1024)
def _long(secrets: tuple[str, ...]) -> tuple[bytes, ...]:
    """Secrets as JSON has them; only those that are surely no word of ours, as the name of a field would be."""
    found = {orjson.dumps(clean_text(secret))[1:-1] for secret in secrets}
    return tuple(sorted((s for s in found if len(s) >= _LONG), key=lambda s: (-len(s), s)))


def odd_spellings(raw: bytes, source: SourceConfig) -> bytes:
    """A body or query without secrets any character of which may be escaped, as in URLs or in JSON."""
    for pattern in _odd(source.secrets()):
        raw = pattern.sub(STARS.encode(), raw)
    return raw


@lru_cache(maxsize=1024)
def _odd(secrets: tuple[str, ...]) -> tuple[re.Pattern[bytes], ...]:
    def any_of(byte: int) -> bytes:
        return rb"(?:%s|(?i:%%%02x|\\u00%02x))" % (re.escape(bytes([byte])), byte, byte)

    return tuple(
        re.compile(b"".join(map(any_of, secret.encode("utf-8", "replace"))))
        for secret in sorted(secrets, key=len, reverse=True)
        if len(secret) >= _LONG
    )


def path(raw: str, source: SourceConfig) -> str:
    """``/in/main/<secret>`` → ``/in/main/***``, as a clean text."""
    return _path(raw, source.secrets())


@lru_cache(maxsize=1024)
def _path(raw: str, secrets: tuple[str, ...]) -> str:
    parts = raw.split("/")
    if len(parts) > 3 and parts[1] == "in":
        parts[3:] = [STARS]
    return clean_text(_hide_text("/".join(parts), secrets))


def query(delivery: Delivery) -> str:
    """The query without secrets."""
    raw, source = delivery.query, delivery.source
    if not raw:
        return raw
    taken = delivery.apart_query
    if taken is not None and source.options.get("key_in") != "query" and not _any_secret(taken.names):
        plain = raw.encode("ascii")
        hidden = _hide(plain, source.secrets())
        return raw if hidden is plain else hidden.decode("ascii")
    return _query(raw, source)


def _query(raw: str, source: SourceConfig) -> str:
    raw = _own_name(raw, source, "query")
    if _may_name_secrets(lowered := raw.casefold()) or "sign" in lowered or "hash" in lowered:
        raw = _QUERY.sub(rf"\1{STARS}", raw)
    return _hide_text(raw, source.secrets())


def headers(raw: Mapping[str, str], source: SourceConfig) -> tuple[tuple[str, str], ...]:
    """The headers that matter, as clean texts, secrets replaced."""
    told = tuple([(n, value) for n in _KEPT if (value := raw.get(n))])
    hidden = [n for n in _SECRET if n in raw]
    if source.options.get("key_in") == "header":
        own = source.options.get("key_name", "").lower()
        if own and own in raw and own not in hidden:
            hidden.append(own)
    short = sum([len(value) for _, value in told]) <= _REMEMBERED
    return (_shown_again if short else _shown)(told, tuple(hidden), source.secrets())


def _shown(
    told: tuple[tuple[str, str], ...], hidden: tuple[str, ...], secrets: tuple[str, ...]
) -> tuple[tuple[str, str], ...]:
    kept = [(name, clean_text(_hide_text(value, secrets))) for name, value in told]
    return (*kept, *[(name, STARS) for name in hidden])


#: For what all deliveries of a source have in common: the sender's name, the content type.
_shown_again = lru_cache(maxsize=1024)(_shown)


def body(delivery: Delivery) -> bytes:
    """The body without secrets; bodies without any come back as they are."""
    raw, source = delivery.body, delivery.source
    if not raw:
        return raw
    taken = delivery.apart_body
    if taken is not None and source.options.get("key_in") != "body" and not _any_secret(taken.names):
        return _hide(raw, source.secrets())
    return _body(raw, source)


def _body(raw: bytes, source: SourceConfig) -> bytes:
    if source.options.get("key_in") == "body" and (name := source.options.get("key_name")):
        field = re.escape(name.encode())
        raw = re.sub(rb"((?:^|&)" + field + rb"=)[^&]*", rb"\1***", raw)
        raw = re.sub(rb'("' + field + rb'"\s*:\s*")(?:[^"\\]|\\.)*(?=")', rb"\1***", raw)
    if raw[:1] in (b"{", b"[") or b'":' in raw or b'" :' in raw:
        pattern = _JSON
    else:
        pattern = _FORM
    if _may_name_secrets(raw.decode("latin-1").lower()):
        raw = pattern.sub(rb"\1***", raw)
    return _hide(raw, source.secrets())


def _any_secret(names: str) -> bool:
    """Whether one of these names, as `Apart` has them, is one that the patterns look for."""
    return _any_again(names) if len(names) <= _REMEMBERED_NAMES else _any(names)


def _any(names: str) -> bool:
    return not _SOUGHT.isdisjoint(names.lower().split("&"))


_any_again = lru_cache(maxsize=1024)(_any)


def _may_name_secrets(lowered: str) -> bool:
    """Every one of `_NAMES` holds one of these: where none stands, no pattern need be tried."""
    return (
        "token" in lowered
        or "secret" in lowered
        or "key" in lowered
        or "passw" in lowered
        or "auth" in lowered
    )


def _own_name(raw: str, source: SourceConfig, where: str) -> str:
    """The parameter that the source's options name as the place of the secret."""
    name = source.options.get("key_name")
    if source.options.get("key_in") != where or not name:
        return raw
    return re.sub(rf"((?:^|&){re.escape(quote_plus(name))}=)[^&]*", rf"\1{STARS}", raw)
