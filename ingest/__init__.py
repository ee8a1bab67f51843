"""The HTTP front door: authenticates a provider, translates its delivery to facts, makes them durable, answers.

One adapter per provider, one spool for when the log is away. May import ``eventlog`` and ``domain``.
"""
