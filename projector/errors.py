"""What the projector raises."""

from __future__ import annotations


class ProjectorError(Exception):
    """Anything the projector has to say; the text is for the operator."""


class Fenced(ProjectorError):
    """Somebody else owns a partition now, or its position was changed: nothing of this batch was written."""


class BatchConflict(ProjectorError):
    """Another projector changed the same groups in between: nothing was written, doing it again is right."""


class Standby(ProjectorError):
    """A living projector holds the partitions of an embedded log; this one waits for its turn."""


class ProjectorStopped(ProjectorError):
    """The projector stopped by itself and needs a person; the text says why and what to do."""


class TooManyDeadLetters(ProjectorStopped):
    """More records failed than chance explains: most likely the code or the log is wrong, not the records."""


class OtherLog(ProjectorStopped):
    """The positions of the read models are not positions on this log; the text names both and what to do."""


class DatabaseRefused(ProjectorError):
    """The database cannot be used as it is; the text says what to do."""


class BuildError(ProjectorError):
    """A build cannot be made, switched to or dropped; the text says why."""
