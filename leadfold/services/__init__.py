"""The long-running parts, each one process: ingest, project, report."""
