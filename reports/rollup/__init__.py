"""Sums of whole local days, kept beside the rows: a year is read from some thousand sums instead of a million rows.

They can't differ from the rows, by design and not by care. Each statement that changes a subject row leaves a mark with
the hour of the row, in its own transaction (a trigger of Postgres, so nobody can forget it). A day is *clean* in a
snapshot that sees its sums and no mark on it; every other day is read from the rows. So whatever has been refreshed
or not, and however late, a report is exact; refreshing only makes it fast.

``layout`` is the tables, ``refresh`` keeps the sums (a background task of whoever serves reports), ``reading`` tells
a report which days it may take from them.
"""
