"""Sources as the settings describe them, in the forms that ingest and the fold want."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from domain.directory import Directory, SourceInfo
from domain.event import Event
from domain.facts.company import DictionaryChanged
from ingest.sources import SourceConfig
from leadfold.config_sync import items
from leadfold.settings import Settings, Source


def source_config(source: Source, settings: Settings, dictionary: Directory | None = None) -> SourceConfig:
    """A source as `ingest` wants it. With a ``dictionary`` senders are warned of words that it does not have."""
    options = {k: str(v).lower() if isinstance(v, bool) else str(v) for k, v in source.options.items()}
    if source.signing_secret is not None:
        options["signing_secret"] = source.signing_secret.get_secret_value()
    return SourceConfig(
        name=source.name,
        provider=source.provider,
        secret=source.secret.get_secret_value(),
        timezone=source.timezone or settings.company.timezone,
        office=source.office,
        channel=source.channel,
        region=settings.company.region,
        options=options,
        dictionary=dictionary,
    )


def source_configs(settings: Settings, dictionary: Directory | None = None) -> tuple[SourceConfig, ...]:
    """All sources as `ingest` wants them."""
    return tuple(source_config(s, settings, dictionary) for s in settings.sources)


def dictionary_of(settings: Settings, told: Iterable[Event] = ()) -> Directory:
    """The built-in words, those of the settings, and those that were told by events (``dictionary.changed``)."""
    before = Directory.build(told, timezone=settings.company.timezone)
    written: dict[tuple[str, str], DictionaryChanged] = {
        (fact.dictionary, fact.item): fact
        for fact in items(settings).values()
        if isinstance(fact, DictionaryChanged)
    }
    return replace(before, entries={**before.entries, **written})


def source_infos(settings: Settings) -> tuple[SourceInfo, ...]:
    """All sources as the fold knows them, in the order of their names: the same settings give the same directory."""
    return tuple(
        SourceInfo(
            name=s.name,
            provider=s.provider,
            timezone=s.timezone or settings.company.timezone,
            office=s.office,
            channel=s.channel,
        )
        for s in sorted(settings.sources, key=lambda s: s.name)
    )


def source_urls(source: Source, settings: Settings) -> tuple[str, ...]:
    """Ready addresses of a source, secret included. A native source has one for all; its key goes into a header."""
    if source.provider == "native":
        return (f"{settings.ingest_url}/v1/events",)
    return (settings.ingest_url + source_config(source, settings).url_path,)
