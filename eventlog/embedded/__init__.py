"""The embedded engine: one SQLite file, one partition, no server (docs/adr/0002)."""

from eventlog.embedded.log import EmbeddedLog

__all__ = ["EmbeddedLog"]
