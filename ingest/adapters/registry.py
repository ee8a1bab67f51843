"""Finds the adapters: every module beside this one that has an ``ADAPTER``."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

import ingest.adapters
from ingest.adapters.contract import Adapter


@lru_cache(maxsize=1)
def adapters() -> Mapping[str, Adapter]:
    """All adapters by provider.

    Raises:
        ValueError: two files speak for the same provider.
    """
    found: dict[str, Adapter] = {}
    for module in pkgutil.iter_modules(ingest.adapters.__path__):
        adapter = getattr(importlib.import_module(f"ingest.adapters.{module.name}"), "ADAPTER", None)
        if not isinstance(adapter, Adapter):
            continue
        if adapter.provider in found:
            raise ValueError(f"two adapters speak for the provider {adapter.provider!r}")
        found[adapter.provider] = adapter
    return MappingProxyType(found)


def providers() -> list[str]:
    """Names of the providers that can be configured."""
    return sorted(adapters())
