"""Reports: one metric catalogue compiled to SQL, one result object shown as page, Excel, JSON, SQL and text.

Reads the read models only: may import ``projector.readmodel`` and ``domain``, never the log or ingest.
"""
