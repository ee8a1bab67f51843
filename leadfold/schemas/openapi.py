"""The HTTP interfaces as one OpenAPI document: ingest's and the reports' parts put together."""

from __future__ import annotations

from typing import Any


def build() -> dict[str, Any]:
    """The document."""
    return {}
