"""What the sums of days do not know is counted over columns of whole days (`reports.rollup.blocks`), in this process.

Any grouping, filters by anything, distinct clients, the day of each thing, another zone, offices' time, the reader's own
valid reasons. Days are clean or not by the same marks as with the sums, so nothing differs from the rows; other days
are read from them.

``loading`` finds the days and reads their columns, ``counting`` counts, ``report`` gives what `reports.engine` would have
got from the database.
"""
