"""The event log: one contract (`eventlog.contract`), two engines, and what moves records between them.

Nothing here looks into stored bytes; `eventlog.sealing` alone makes records out of events and back.
"""
