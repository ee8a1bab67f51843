"""Tries a source's address as its provider does, and tells in words what happened."""

from __future__ import annotations

import time
from dataclasses import dataclass
from urllib.parse import urlencode

import aiohttp

from leadfold.announce import announced
from leadfold.settings import Settings, Source
from leadfold.source_settings import source_config


@dataclass(frozen=True, slots=True)
class Check:
    """What was sent and what came back. ``status`` None: nobody answered."""

    ok: bool
    request: str
    status: int | None
    answer: str
    seconds: float
    told: str


async def check_source(source: Source, settings: Settings) -> Check:
    """Send the provider's trial, which makes no events, to the running front door of this machine."""
    part = announced(settings, "ingest")
    base = part.url if part else settings.ingest_url
    method, path, headers, body = trial(source, settings)
    shown = f"{method} {base}{path.partition('?')[0].replace(source.secret.get_secret_value(), '***')}"
    began = time.perf_counter()
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session,
            session.request(method, base + path, data=body, headers=headers) as response,
        ):
            answer = (await response.text(errors="replace"))[:500]
            status = response.status
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        told = f"nobody answers at {base} ({type(error).__name__}): start `leadfold run` or `leadfold ingest`"
        return Check(False, shown, None, "", time.perf_counter() - began, told)
    return Check(status == 200, shown, status, answer, time.perf_counter() - began, _told(status, source))


def trial(source: Source, settings: Settings) -> tuple[str, str, dict[str, str], bytes]:
    """Method, path and query, headers, body of what the provider sends when it only tries an address, with its key."""
    method, path, headers, body = _bare(source, settings)
    options = source_config(source, settings).options
    name = options.get("key_name", "")
    key = options.get("key_value") or source.secret.get_secret_value()
    match options.get("key_in", "path"):
        case "header":
            headers[name] = key
        case "query":
            path += f"?{urlencode({name: key})}"
        case "body":
            headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
            body = b"&".join(part for part in (body, urlencode({name: key}).encode()) if part)
    return method, path, headers, body


def _bare(source: Source, settings: Settings) -> tuple[str, str, dict[str, str], bytes]:
    key = source.secret.get_secret_value()
    path = source_config(source, settings).url_path
    match source.provider:
        case "native":
            headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
            return "POST", "/v1/events", headers, b"[]"
        case "sipuni":
            return "GET", path, {}, b""
        case "jivo":
            return "POST", path, {"Content-Type": "application/json"}, b"{}"
        case "tilda":
            return "POST", path, {"Content-Type": "application/x-www-form-urlencoded"}, b"test=test"
    return "POST", path, {}, b""


def _told(status: int, source: Source) -> str:
    match status:
        case 200:
            return f"{source.name} works: the key is right, and a delivery would be made durable"
        case 401 | 404:
            return (
                "the running service does not know this source or key: it reads leadfold.toml anew within two seconds; "
                "is it the same file?"
            )
        case 429:
            return "too many deliveries at the moment ([ingest] rate_per_s)"
        case 503:
            return "the service runs but can store nothing: see `leadfold status`"
    return f"unexpected answer {status}"
