"""From the log to Postgres: consume, resolve clients, fold their histories, write the rows that changed.

Also owns the read models' definitions (``projector.readmodel``), migrations and builds. May import ``eventlog``
and ``domain``.
"""
