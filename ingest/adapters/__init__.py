"""One file per provider. `ingest.adapters.contract` says what such a file has; `registry` finds them."""
