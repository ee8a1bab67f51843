"""The configured sources of deliveries: who may post, with which secret, and what his local facts mean."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final
from urllib.parse import quote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from domain.directory import Directory

NATIVE: Final = "native"
#: Options that every adapter knows, and that of native sources.
_OPTIONS: Final = ("key_in", "key_name", "key_value", "area_code", "signing_secret")
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class SourceConfig:
    """One source of deliveries, as configured.

    ``timezone`` (IANA) is that of the provider's local times; ``office`` and ``channel`` are ids of the
    directory for everything the source says; ``region`` (ISO country) is whose national phone forms are meant.
    ``options`` that every adapter knows:

    * ``key_in``: where the secret is: ``path`` (default), ``header``, ``query`` or ``body``; ``key_name``: the name
      of that header, parameter or field; ``key_value``: what must be there, if it is not ``secret``;
    * ``area_code``: code of the city for local numbers of 5–7 digits.

    Further ones are described by their adapters.
    """

    name: str
    provider: str
    secret: str = field(repr=False)
    timezone: str = "Europe/Moscow"
    office: str | None = None
    channel: str | None = None
    region: str = "RU"
    options: Mapping[str, str] = field(default_factory=dict, repr=False)
    #: The company's dictionaries as far as they are known here: senders of the native contract are warned of a word
    #: that is in none. None: nobody is warned.
    dictionary: Directory | None = field(default=None, repr=False, compare=False)
    #: The CloudEvents source: ``/sipuni/main``.
    path: str = field(init=False, compare=False)
    _secrets: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """What every delivery asks for is made once."""
        object.__setattr__(self, "path", f"/{self.provider}/{self.name}")
        values = (self.secret, self.options.get("key_value", ""), self.options.get("signing_secret", ""))
        object.__setattr__(self, "_secrets", tuple(v for v in values if v))

    @property
    def zone(self) -> ZoneInfo:
        """The time zone; `problems` says beforehand whether there is one."""
        return ZoneInfo(self.timezone)

    @property
    def area_code(self) -> str | None:
        """Area code for local numbers, if configured."""
        return self.options.get("area_code") or None

    @property
    def url_path(self) -> str:
        """Where its deliveries are posted; the secret is part of it unless it is sent elsewhere.

        A native source may post here as well as to ``/v1/events``.
        """
        if self.options.get("key_in", "path") != "path":
            return f"/in/{quote(self.name)}"
        return f"/in/{quote(self.name)}/{quote(self.secret, safe='')}"

    def secrets(self) -> tuple[str, ...]:
        """Everything that must never be seen in evidence, logs or answers."""
        return self._secrets

    def problems(self, providers: Iterable[str]) -> list[str]:
        """What is wrong with this configuration, in words for the operator; empty when it may be used."""
        found: list[str] = []
        if not _NAME.fullmatch(self.name):
            found.append(
                f"source name {self.name!r}: use lower-case latin letters, digits, dot, dash, underscore (at most 64)"
            )
        known = sorted(providers)
        if self.provider not in known:
            found.append(
                f"source {self.name!r}: unknown provider {self.provider!r} (known: {', '.join(known)})"
            )
        if len(self.secret) < 8:
            found.append(f"source {self.name!r}: the secret must have at least 8 characters")
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            found.append(f"source {self.name!r}: unknown time zone {self.timezone!r}")
        if not re.fullmatch(r"[A-Za-z]{2}", self.region):
            found.append(
                f"source {self.name!r}: region must be a two-letter country code, not {self.region!r}"
            )
        for name in self.options:
            # Adapters may know further options; a slip of the pen is none of those.
            near = difflib.get_close_matches(name.lower(), _OPTIONS, n=1, cutoff=0.8)
            if near and name not in _OPTIONS:
                found.append(f"source {self.name!r}: no option {name!r}; did you mean {near[0]!r}?")
        where = self.options.get("key_in", "path")
        if where not in ("path", "header", "query", "body"):
            found.append(f"source {self.name!r}: key_in must be path, header, query or body, not {where!r}")
        elif where != "path" and not self.options.get("key_name"):
            found.append(f"source {self.name!r}: key_in = {where!r} needs key_name")
        return found


class SourceBook:
    """All sources. Replaced as a whole at run time: a reader sees the old set or the new one, nothing between."""

    def __init__(self, sources: Iterable[SourceConfig] = ()) -> None:
        self._sources: Mapping[str, SourceConfig] = MappingProxyType({})
        self._native: tuple[SourceConfig, ...] = ()
        self.replace(sources)

    def replace(self, sources: Iterable[SourceConfig]) -> None:
        """Put another set in the place of this one.

        Raises:
            ValueError: two sources share a name; the old set stays.
        """
        book: dict[str, SourceConfig] = {}
        for source in sources:
            if source.name in book:
                raise ValueError(f"two sources are called {source.name!r}")
            book[source.name] = source
        self._native = tuple(sorted((s for s in book.values() if s.provider == NATIVE), key=lambda s: s.name))
        self._sources = MappingProxyType(book)

    def get(self, name: str) -> SourceConfig | None:
        """The source of this name."""
        return self._sources.get(name)

    def native(self) -> tuple[SourceConfig, ...]:
        """Sources of the native contract, by name."""
        return self._native

    def by_path(self, path: str) -> SourceConfig | None:
        """The source that an event names (``/sipuni/main``); None when it is no longer configured so."""
        found = self._sources.get(path.rpartition("/")[2])
        return found if found is not None and found.path == path else None

    def __iter__(self) -> Iterator[SourceConfig]:
        """By name."""
        return iter(sorted(self._sources.values(), key=lambda s: s.name))

    def __len__(self) -> int:
        return len(self._sources)
