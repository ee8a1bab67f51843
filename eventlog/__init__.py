"""The event log: one contract and its two engines, embedded (SQLite) and Kafka.

Appends are durable when they return; order is kept per partition. May import ``domain`` only.
"""
